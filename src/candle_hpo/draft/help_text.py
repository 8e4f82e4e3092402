"""What a program prints for `--help` → its options.

The forms are those of argparse, click and typer, absl, R's optparse and argparse, docopt, GNU's getopt and their like:
a line for each option begins with its names, and what follows may say its kind, choices and default. Hydra prints the
configuration instead, each value of which can be set by its place: `optimizer.lr=0.1`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from candle_hpo.draft.options import Kind, Option, fitting, kind_of, longest, name_of, number_or_text, without_doubles

_OPTION = r"--?[A-Za-z][\w.-]*(?:\[no-?\])?\+?|--\[no-?\][\w.-]+"
_VALUE = (
    r"(?:[ =]?\{[^}]*\}|[ =]<[^>]+>|[ =]\[[^\]\n]*\]|[ =](?!-)[A-Z_][\w:./|-]*(?: RANGE)?|=[\w|.-]+"
    r"| (?:int|float|str|double|integer|number)\b)"
)
_MANY = r" \[[^\]\n]+ \.\.\.\]| \.\.\."
_NAMED = rf"(?:{_OPTION})(?:{_VALUE}(?:{_MANY})?)?"
_LINE = re.compile(
    rf"^[ \t│|]{{0,12}}(?P<names>{_NAMED}(?:(?:, ?|[ /]+\|? ?){_NAMED})*)(?P<rest>(?:\s{{2,}}|[:;] ?|\s*$).*)",
    re.MULTILINE,
)
_DEFAULT = re.compile(
    r"\(?\[?\bdefaults?(?: value)?(?: is|:|=| to)?\s*[:=]?\s*(?P<value>'[^']*'|\"[^\"]*\"|[^\s\])};,]+(?:[.,]\d+)?)",
    re.IGNORECASE,
)
_TYPED = re.compile(  # jsonargparse's own words, of a signature
    r"\((?:required, )?type: (?P<type>.+?)(?:, default: (?P<default>.+?))?(?:, known subclasses: .*?)?\)(?= |$)"
)
_CHOICES = re.compile(r"\{([^{}\n]+)\}|\[((?:[\w.+-]+\|)+[\w.+-]+)\]|<((?:[\w.+-]+\|)+[\w.+-]+)>")
_KINDS = (
    (Kind.INTEGER, r"\b(?:INT|INTEGER|int|integer|INTEGER RANGE|an integer|N)\b"),
    (Kind.NUMBER, r"\b(?:FLOAT|NUMBER|DOUBLE|float|double|number(?! of)|NUM|LR|RATE)\b"),
)
_OF_HYDRA = re.compile(r"^== Config ==\n.*\n(?P<configuration>(?:.*\n)*?)Powered by Hydra", re.MULTILINE)
_NUMBERS = (Kind.INTEGER, Kind.NUMBER)
_TRUTH = {"True", "False", "true", "false"}
_NOT_FINITE = ("inf", "-inf", "nan", "infinity", "-infinity")
_NOT_MEANT = {
    "help", "version", "helpfull", "helpshort", "helpxml", "install_completion", "show_completion", "full_help",
    "print_config",
}  # fmt: skip
_HEADING_OF_COMMANDS = re.compile(r"^[ \t]*(?:available )?(?:sub-?)?commands(?:[ \t]*:)?[ \t]*$", re.IGNORECASE)
_COMMAND = re.compile(r"^(?P<indent> +)(?:\u2022 )?(?P<name>[A-Za-z][\w-]*)(?:\s{2,}.*)?$")
_COMMANDS_IN_USAGE = re.compile(
    r"(?:\{(?P<names>[A-Za-z][\w-]*(?:,[A-Za-z][\w-]*)*)\}|(?<= )(?P<word>[A-Za-z_]+)) (?:\.\.\.|\[ARGS\]\.\.\.)$"
)
_NO_COMMANDS = {"help", "completion"}


def options_in_help(text: str) -> tuple[Option, ...]:
    """Return the options in the text that a program prints for `--help`."""
    if of_hydra := _OF_HYDRA.search(text):
        return tuple(_places(of_hydra["configuration"]))
    text = _without_frames(text)
    lines = list(_LINE.finditer(text))
    found = []
    for match, following in itertools.zip_longest(lines, lines[1:]):
        end = following.start() if following else min(len(text), match.end() + 400)
        described = " ".join((match["rest"] + text[match.end() : end].partition("\n\n")[0]).replace("│", " ").split())
        option = _option(match["names"], described)
        is_meant = option is not None and option.name.rpartition(".")[2] not in {*_NOT_MEANT, ""}
        found += [option] if option is not None and is_meant else []
    above = {each.name.rpartition(".")[0] for each in found}  # --model, beside --model.rate: a file for all of them
    return without_doubles(each for each in found if each.name not in above or each.default is not None)


def commands_in_help(text: str) -> tuple[str, ...]:
    """Return the sub-commands that a program has by the text that it prints for `--help`.

    argparse and jsonargparse have them in their usage, or below the word that stands there for them; other libraries
    list them below a heading.
    """
    text = _without_frames(text).replace("│", " ")
    in_usage = _COMMANDS_IN_USAGE.search(" ".join(text.partition("\n\n")[0].split()))
    if in_usage and in_usage["names"]:
        return tuple(in_usage["names"].split(","))
    lines, word = text.splitlines(), in_usage["word"] if in_usage else ""
    headings = [at for at, line in enumerate(lines, start=1) if word and line.strip() == word]
    headings += [at for at, line in enumerate(lines, start=1) if _HEADING_OF_COMMANDS.match(line)]
    listed = itertools.takewhile(str.strip, lines[headings[0] :] if headings else [])
    found = [match for line in listed if (match := _COMMAND.match(line.rstrip()))]
    least = min((len(match["indent"]) for match in found), default=0)
    names = [match["name"] for match in found if len(match["indent"]) == least]
    return tuple(each for each in names if each not in _NO_COMMANDS)


def _without_frames(text: str) -> str:
    return re.sub(r"[─╭╮╰╯]+", "", text)


def _places(configuration: str) -> Iterator[Option]:
    """Yield the numbers, texts and switches of a configuration in YAML; a list is one value that stays as it is."""
    import yaml

    try:
        waiting = [("", yaml.safe_load(configuration))]
    except yaml.YAMLError:
        return
    while waiting:
        place, value = waiting.pop(0)
        if isinstance(value, dict):
            waiting = [*((f"{place}.{key}" if place else str(key), each) for key, each in value.items()), *waiting]
        elif place and isinstance(value, str | int | float) and str(value).lower() not in _NOT_FINITE:
            value = fitting(value, Kind.NUMBER) if isinstance(value, str) else value  # YAML has a text in 1e-3
            is_switch, is_missing = isinstance(value, bool), value == "???"
            if isinstance(value, str) and not is_missing and not re.fullmatch(r"[\w./-]+", value):
                continue  # with quotes and brackets, it would be another value on a command line
            yield Option(
                name=name_of(place),
                option=f"{place}=",
                kind=Kind.TEXT if is_switch else kind_of(value),
                default=None if is_missing else value,
                choices=(False, True) if is_switch else (),
                is_required=is_missing,
            )


def _option(names: str, described: str) -> Option | None:
    options = [each.removesuffix("+") for each in re.findall(_OPTION, names)]
    both = [each for each in options if "[no" in each]
    if_false = ""
    if both:
        plain = re.sub(r"\[no-?\]", "", both[0])
        if_false = both[0].replace("[", "").replace("]", "")
        options = [plain]
    negated = [each for each in options if each.startswith("--no-") and each.replace("--no-", "--") in options]
    if negated:
        if_false, options = negated[0], [each for each in options if each not in negated]
    option = longest(options)
    is_joined = option.startswith("--") and f"{option}=" in names  # what takes that need not take a blank
    value = re.search(_VALUE, names)
    if re.search(rf"(?:{_MANY})(?:,|\s*$)", names):
        return Option(name=name_of(option), option=option, left_alone="it takes several values")
    typed = _TYPED.search(described)
    default = _value_shown(typed["default"] or "") if typed else _default_said(described)
    choices_found = _CHOICES.search(names) or (None if typed else _CHOICES.search(described))
    if value is None and not choices_found and not (default is not None and kind_of(default) in _NUMBERS):
        takes_one = re.match(r"(?:INTEGER|FLOAT|TEXT|PATH|<)", described)
        if not takes_one:
            is_on = isinstance(default, bool) and default
            return Option(name=name_of(option), option=option, kind=Kind.FLAG, default=bool(is_on), if_false=if_false)
    choices: tuple[object, ...] = ()
    if choices_found:
        listed = next(filter(None, choices_found.groups()))
        choices = tuple(map(_value, re.split(r"[,|]", listed)))
        if {str(each) for each in choices if each is not None} <= _TRUTH:
            words = [str(each) for each in choices if each is not None]
            choices, default = (
                tuple(words),
                next((each for each in words if each.lower() == str(default).lower()), None),
            )
    kind = _kind_of_type(typed["type"], choices) if typed else _kind_said(f"{names} {described[:20]}", default, choices)
    if typed and kind is Kind.TEXT and not isinstance(default, str):  # of a type that may be a number or another thing
        default = None
    if kind is Kind.FLAG:
        kind, default = Kind.TEXT, str(default)
    return Option(
        name=name_of(option),
        option=f"{option}=" if is_joined else option,
        kind=kind,
        default=fitting(default, kind),
        choices=choices,
        low=_bound(r"([\d.e-]+)<=?x", described),
        high=_bound(r"x<=?([\d.e-]+)", described),
        is_required=re.search(r"[\[(]required[\]),]", described) is not None,
    )


def _kind_said(said: str, default: object, choices: Sequence[object]) -> Kind:
    """Return the kind of an option by its names and the beginning of its description."""
    kind = kind_of(choices[0]) if choices else kind_of(default, Kind.TEXT)
    if not choices and kind is Kind.TEXT and (default is None or not isinstance(default, str)):
        kind = next((kind for kind, words in _KINDS if re.search(words, said)), kind)
    if kind is Kind.INTEGER and not choices and re.search(_KINDS[1][1], said):
        return Kind.NUMBER
    return kind


def _kind_of_type(shown: str, choices: Sequence[object]) -> Kind:
    """Return the kind of a type of Python's, as it is shown; what may also be something else is a text."""
    inner = re.sub(r"^(?:Optional|Union)\[(.*)\]$", r"\1", shown)
    names = {each.strip().rpartition(".")[2] for each in inner.split(",")} - {"null", "None"}
    if choices:
        return kind_of(choices[0])
    if names and all(re.search(r"int$|Int$", each) for each in names):
        return Kind.INTEGER
    return (
        Kind.NUMBER
        if names and all(re.search(r"int$|float$|Int$|Float$|Interval$", each) for each in names)
        else Kind.TEXT
    )


def _default_said(described: str) -> object:
    """Return the default that a description says; None where it says none, or not plainly which.

    One in brackets is the parser's own, and not the author's words, of which a number alone is believed.
    """
    said = list(_DEFAULT.finditer(described))
    shown = next((each for each in said if each[0].startswith(("(", "["))), None)
    match = shown or (said[0] if said else None)
    if match is None:
        return None
    value = _value_shown(match["value"])
    is_whole = match["value"].endswith(".") or re.match(r"\s*(?:[\])};,.]|$)", described[match.end() :])
    return value if is_whole and (shown or kind_of(value) in _NUMBERS) else None


def _value_shown(text: str) -> object:
    """Return a value as it is shown for people; None for a list, a call and their like."""
    value = _value(text.strip("`"))
    return None if isinstance(value, str) and not re.fullmatch(r"[\w./:@%+-]+", value) else value


def _bound(pattern: str, described: str) -> float | None:
    """Return a bound as click shows it: `[1<=x<=10]`."""
    found = re.search(pattern, described)
    value = _value(found[1]) if found else None
    return float(value) if isinstance(value, int | float) else None


def _value(text: str) -> object:
    text = text.strip().strip("'\"").rstrip(".") if not re.fullmatch(r"\d+\.", text.strip()) else text.strip()
    if text in ("None", "NULL", "none", "null", "NA", ""):
        return None
    if text in ("True", "False", "TRUE", "FALSE"):
        return text.capitalize() == "True"
    return number_or_text(text)
