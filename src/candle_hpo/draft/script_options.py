"""A script's text → what it can be given."""

from __future__ import annotations

import re
from collections.abc import Iterator

from candle_hpo.core.experiment import Language
from candle_hpo.draft.options import (
    Kind,
    Option,
    Options,
    Way,
    fitting,
    kind_of,
    longest,
    name_of,
    number_or_text,
    without_doubles,
)
from candle_hpo.draft.python_argparse import argparse_options
from candle_hpo.draft.python_parsers import absl_options, click_options
from candle_hpo.draft.python_reads import (
    environment_options,
    hyperparameter_options,
    is_of_the_user,
    positional_options,
)
from candle_hpo.draft.python_signatures import dataclass_options, fire_options, typer_options, tyro_options
from candle_hpo.draft.python_values import Module, tree_of
from candle_hpo.script.reading import read_script

# Libraries whose options may be declared in other files, or in ways that are not read here.
_PARSERS = (
    "argparse", "click", "typer", "absl", "fire", "tyro", "docopt", "jsonargparse", "configargparse", "tap", "plac",
    "simple_parsing", "optparse", "transformers", "pytorch_lightning", "lightning", "hydra", "omegaconf", "getopt",
    "improvelib", "pydantic_settings", "defopt", "cyclopts", "clize", "argh", "clipstick", "yacs",
)  # fmt: skip


def options_of_script(text: str, language: Language) -> Options:
    """Return what a script can be given, as far as its text shows it."""
    names = [each.name for each in read_script(text, language).reads]
    match language:
        case Language.PYTHON:
            return _of_python(text, names)
        case Language.R:
            return _of_r(text, names)
        case Language.BASH:
            return _of_bash(text, names)
        case Language.PROGRAM:
            return Options(Way.ARGUMENTS, is_elsewhere=True)


def has_parser(text: str) -> bool:
    """Return whether a Python file imports a library for options."""
    return re.search(rf"(?m)^\s*(?:import|from)\s+(?:{'|'.join(_PARSERS)})\b", text) is not None


_OF_COMMAND_LINE = {
    Language.PYTHON: r"\bargv\b|\bclick\b",
    Language.R: r"\bcommandArgs\b|\bparse_args\b|\bdocopt\b",
    Language.BASH: r"\$\{?[@*1-9]",
    Language.PROGRAM: "",
}


def reads_command_line(text: str, language: Language) -> bool:
    """Return whether a script looks at its command line, by its text; of a program, nothing says the opposite."""
    has_library = language is Language.PYTHON and has_parser(text)
    return has_library or re.search(_OF_COMMAND_LINE[language], text) is not None


def _of_python(text: str, names: list[str]) -> Options:
    tree = tree_of(text)
    if tree is None:
        return Options(Way.ARGUMENTS, is_elsewhere=True)
    module = Module(tree)
    if names:
        return Options(Way.VARIABLES, tuple(hyperparameter_options(module, names)), "hyperparams")
    found, by, commands, is_elsewhere = _declared(module)
    if found or is_elsewhere:
        return Options(Way.ARGUMENTS, without_doubles(found), by, is_elsewhere, tuple(commands))
    if positional := positional_options(module):
        return Options(Way.ARGUMENTS, without_doubles(positional), "sys.argv")
    if of_environment := environment_options(module):
        return Options(Way.ENVIRONMENT, without_doubles(of_environment), "its environment")
    return Options(Way.ARGUMENTS, is_elsewhere=module.imports(*_PARSERS) or "sys.argv" in text)


def _declared(module: Module) -> tuple[list[Option], str, list[str], bool]:
    """Return the options, the library that has them, sub-commands, and whether there are more that are not seen."""
    if module.imports("transformers"):
        found, is_elsewhere = dataclass_options(module)
        if found or is_elsewhere:
            return found, "HfArgumentParser", [], is_elsewhere
    if module.imports("typer"):
        found, commands = typer_options(module)
        return found, "typer", commands, not found
    if module.imports("click"):
        found, commands = click_options(module)
        return found, "click", commands, not found
    if module.imports("fire"):
        found, commands = fire_options(module)
        return found, "fire", commands, not found
    if module.imports("tyro"):
        found = tyro_options(module)
        return found, "tyro", [], not found
    found = absl_options(module)
    if found:
        return found, "absl", [], False
    declared = argparse_options(module)
    is_elsewhere = declared.is_elsewhere or (not declared.options and module.imports(*_PARSERS))
    return declared.options, "argparse", declared.commands, is_elsewhere


_OPTION_OF_R = re.compile(r"\b(?:make_option|add_option|add_argument)\s*\(")
_STRING = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"
_TYPES_OF_R = {
    "double": Kind.NUMBER, "numeric": Kind.NUMBER, "integer": Kind.INTEGER, "character": Kind.TEXT,
    "logical": Kind.FLAG, "int": Kind.INTEGER, "float": Kind.NUMBER,
}  # fmt: skip


def _of_r(text: str, names: list[str]) -> Options:
    text = re.sub(r"(?m)(^|\s)#.*", "", text)
    if names:
        reads = tuple(Option(name=name, is_required=True) for name in names)
        return Options(Way.VARIABLES, reads, "hyperparams")
    found = [option for match in _OPTION_OF_R.finditer(text) if (option := _option_of_r(text, match.end())) is not None]
    if found:
        return Options(Way.ARGUMENTS, without_doubles(found), "optparse")
    if "commandArgs" in text:
        places = tuple(_positional_of_r(text))
        return Options(Way.ARGUMENTS, places, "commandArgs", is_elsewhere=not places)
    of_environment = [
        _variable(match["name"], match["default"], text.count("\n", 0, match.start()) + 1)
        for match in re.finditer(
            r"Sys\.getenv\(\s*[\"'](?P<name>\w+)[\"']\s*(?:,\s*(?:unset\s*=\s*)?[\"']?(?P<default>[^\"')]*)[\"']?)?\)",
            text,
        )
        if is_of_the_user(match["name"])
    ]
    return Options(Way.ENVIRONMENT, without_doubles(of_environment), "its environment")


def _option_of_r(text: str, start: int) -> Option | None:
    """Return the option of a call in R that begins there, behind its bracket."""
    arguments = text[start : start + _length_of_arguments(text[start:])]
    options = [
        each[1:-1] for each in re.findall(_STRING, arguments) if re.fullmatch(r"['\"]--?[A-Za-z][\w.-]*['\"]", each)
    ]
    if not options:
        return None
    option = longest(options)
    kind_given = re.search(r"\btype\s*=\s*[\"'](\w+)[\"']", arguments)
    shown = re.search(rf"\bdefault\s*=\s*({_STRING}|[^,\s)]+)", arguments)
    default = _value_of_r(shown[1]) if shown else None
    action = re.search(r"\baction\s*=\s*[\"'](\w+)[\"']", arguments)
    if action and action[1] in ("store_true", "store_false"):
        kind = Kind.FLAG
    else:
        kind = _TYPES_OF_R.get(kind_given[1], Kind.TEXT) if kind_given else kind_of(default)
    line = text.count("\n", 0, start) + 1
    if kind is Kind.FLAG:
        is_flag = action is not None
        return Option(name=name_of(option), option=option, kind=kind, default=False, line=line) if is_flag else None
    choices = re.search(r"\bchoices\s*=\s*c\(([^)]*)\)", arguments)
    return Option(
        name=name_of(option),
        option=option,
        kind=kind,
        default=fitting(default, kind),
        choices=tuple(_value_of_r(each.strip()) for each in choices[1].split(",")) if choices else (),
        line=line,
    )


def _length_of_arguments(text: str) -> int:
    depth = 1
    for match in re.finditer(rf"{_STRING}|[()]", text):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return match.start()
    return len(text)


def _value_of_r(text: str) -> object:
    if text in ("TRUE", "T", "FALSE", "F"):
        return text.startswith("T")
    if text in ("NULL", "NA"):
        return None
    return number_or_text(text.removesuffix("L")) if text[:1] not in "\"'" else text[1:-1]


_WITHIN = r"(?:[^()\n]|\((?:[^()\n]|\([^()\n]*\))*\))*"  # brackets
_CONSTANT_OF_R = r"[-+]?[\w.]+(?:(?<=[\deE])[-+]\d+)?|\"[^\"\n]*\"|'[^'\n]*'"


def _place_of_r(arguments: str) -> str:
    """Return what matches the assignment of a place, by itself or with what holds where it is not given."""
    place = rf"(?:as\.(?P<kind>\w+)\(\s*)?{re.escape(arguments)}\[\[?(?P<place>\d+)\]\]?\s*\)?"
    return (
        r"(?P<name>[\w.]+)\s*(?:<-|=)\s*"
        rf"(?P<test>(?:if\s*\({_WITHIN}\)\s*\{{?|ifelse\({_WITHIN}?,)\s*"
        rf"(?:(?P<before>{_CONSTANT_OF_R})\s*\}}?\s*(?:else\b\s*\{{?|,)\s*)?)?"
        rf"{place}(?(test)(?:\s*\}}?\s*(?:else\b\s*\{{?|,)\s*(?P<after>{_CONSTANT_OF_R}))?)"
    )


def _positional_of_r(text: str) -> Iterator[Option]:
    """Yield the places of `commandArgs` that are assigned to variables: `rate <- as.numeric(args[1])`."""
    names = re.findall(r"(\w+)\s*(?:<-|=)\s*commandArgs", text)
    found: dict[int, Option] = {}
    for name in names:
        for match in re.finditer(_place_of_r(name), text):
            earlier = re.search(
                rf"(?m)^\s*{re.escape(match['name'])}\s*(?:<-|=)\s*({_CONSTANT_OF_R})\s*;?\s*$", text[: match.start()]
            )
            shown = match["before"] or match["after"] or (earlier[1] if earlier else "")
            default = _value_of_r(shown) if shown else None
            kind = _TYPES_OF_R.get(match["kind"] or "", kind_of(default))
            found.setdefault(
                int(match["place"]),
                Option(
                    name=name_of(match["name"]),
                    kind=kind,
                    default=fitting(default, kind),
                    is_required=default is None,
                    is_positional=True,
                    line=text.count("\n", 0, match.start()) + 1,
                ),
            )
    if sorted(found) == list(range(1, len(found) + 1)):
        yield from (found[place] for place in sorted(found))


def _of_bash(text: str, names: list[str]) -> Options:
    text = re.sub(r"(?m)(^|\s)#.*", r"\1", text)
    if names:
        return Options(Way.VARIABLES, tuple(Option(name=name, is_required=True) for name in names), "candle_get_param")
    if found := list(_cases_of_bash(text)):
        return Options(Way.ARGUMENTS, without_doubles(found), "its own options")
    positional = _positional_of_bash(text)
    if positional:
        return Options(Way.ARGUMENTS, tuple(positional), "its arguments")
    of_environment = [
        _variable(match[1], match[2], text.count("\n", 0, match.start()) + 1)
        for match in re.finditer(r"\$\{([A-Z]\w*):?[-=]([^}]*)\}", text)
        if is_of_the_user(match[1])
    ]
    return Options(Way.ENVIRONMENT, without_doubles(of_environment), "its environment")


def _variable(name: str, default: str | None, line: int) -> Option:
    value = number_or_text(default.strip("\"'")) if default else None
    return Option(name=name, kind=kind_of(value), default=value, is_required=default is None, line=line)


def _cases_of_bash(text: str) -> Iterator[Option]:
    """Yield the options of a `case` that takes the value after each: `--rate) rate="$2"; shift 2 ;;`."""
    defaults = dict(re.findall(r"(?m)^\s*(\w+)=[\"']?([^\s\"';$]+)", text))
    for match in re.finditer(r"(?m)^\s*((?:-{1,2}[A-Za-z][\w-]*\s*\|?\s*)+)\)(.*?);;", text, re.DOTALL):
        option = longest([each.strip() for each in match[1].split("|")])
        taken = re.search(r"(\w+)=[\"']?\$(?:\{?2\}?|\{?OPTARG\}?)", match[2])
        line = text.count("\n", 0, match.start(1)) + 1
        if taken:
            value = number_or_text(defaults[taken[1]]) if taken[1] in defaults else None
            yield Option(name=name_of(option), option=option, kind=kind_of(value), default=value, line=line)
    if re.search(r"\bgetopts\b", text):
        for match in re.finditer(r"(?m)^\s*\(?([A-Za-z])\)(.*?);;", text, re.DOTALL):
            taken = re.search(r"(\w+)=[\"']?\$\{?OPTARG\}?", match[2])
            if taken:
                value = number_or_text(defaults[taken[1]]) if taken[1] in defaults else None
                line = text.count("\n", 0, match.start(1)) + 1
                name = taken[1].lower()
                yield Option(name=name_of(name), option=f"-{match[1]}", kind=kind_of(value), default=value, line=line)


def _positional_of_bash(text: str) -> list[Option]:
    """Return the places of the command line that are assigned to variables: `rate=${1:-0.1}`."""
    found: dict[int, Option] = {}
    for match in re.finditer(r"(?m)^\s*(\w+)=[\"']?\$(?:(\d)|\{(\d)(?::?-([^}]*))?\})[\"']?\s*(?:;|$)", text):
        place, default = int(match[2] or match[3]), match[4]
        line = text.count("\n", 0, match.start(1)) + 1
        value = number_or_text(default) if default else None
        found.setdefault(
            place,
            Option(
                name=name_of(match[1].lower()), kind=kind_of(value), default=value, is_required=default is None,
                is_positional=True, line=line,
            ),
        )  # fmt: skip
    return [found[place] for place in sorted(found)] if sorted(found) == list(range(1, len(found) + 1)) else []
