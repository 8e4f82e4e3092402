"""What a program prints for `--help` → its options.

The forms are those of argparse, click and typer, absl, R's optparse and argparse, docopt, GNU's getopt and their like:
a line for each option begins with its names, and what follows may say its kind, choices and default. Hydra prints the
configuration instead, each value of which can be set by its place: `optimizer.lr=0.1`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from candle_hpo.draft.options import Kind, Option, fitting, kind_of, longest, name_of, number_or_text, without_doubles

_OPTION = r"--?[A-Za-z][\w.-]*(?:\[no-?\])?|--\[no-?\][\w.-]+"
_VALUE = (
    r"(?:[ =]?\{[^}]*\}|[ =]<[^>]+>|[ =]\[[^\]\n]*\]|[ =](?!-)[A-Z_][\w:./|-]*(?: RANGE)?|=[\w|.-]+"
    r"| (?:int|float|str|double|integer|number)\b)"
)
_NAMED = rf"(?:{_OPTION})(?:{_VALUE}(?: \.\.\.)?)?"
_LINE = re.compile(
    rf"^[ \t│|]{{0,12}}(?P<names>{_NAMED}(?:(?:, ?|[ /]+\|? ?){_NAMED})*)(?P<rest>(?:\s{{2,}}|[:;] ?|\s*$).*)",
    re.MULTILINE,
)
_DEFAULT = re.compile(
    r"\(?\[?\bdefaults?(?: value)?(?: is|:|=| to)?\s*[:=]?\s*(?P<value>'[^']*'|\"[^\"]*\"|[^\s\])};,]+(?:[.,]\d+)?)",
    re.IGNORECASE,
)
_CHOICES = re.compile(r"\{([^{}\n]+)\}|\[((?:[\w.+-]+\|)+[\w.+-]+)\]|<((?:[\w.+-]+\|)+[\w.+-]+)>")
_KINDS = (
    (Kind.INTEGER, r"\b(?:INT|INTEGER|int|integer|INTEGER RANGE|an integer|N)\b"),
    (Kind.NUMBER, r"\b(?:FLOAT|NUMBER|DOUBLE|float|double|number(?! of)|NUM|LR|RATE)\b"),
)
_OF_HYDRA = re.compile(r"^== Config ==\n.*\n(?P<configuration>(?:.*\n)*?)Powered by Hydra", re.MULTILINE)
_NOT_FINITE = ("inf", "-inf", "nan", "infinity", "-infinity")
_NOT_MEANT = {
    "help",
    "version",
    "helpfull",
    "helpshort",
    "helpxml",
    "install_completion",
    "show_completion",
    "full_help",
}


def options_in_help(text: str) -> tuple[Option, ...]:
    """Return the options in the text that a program prints for `--help`."""
    if of_hydra := _OF_HYDRA.search(text):
        return tuple(_places(of_hydra["configuration"]))
    text = re.sub(r"[─╭╮╰╯]+", "", text)
    lines = list(_LINE.finditer(text))
    found = []
    for match, following in itertools.zip_longest(lines, lines[1:]):
        end = following.start() if following else min(len(text), match.end() + 400)
        described = " ".join((match["rest"] + text[match.end() : end].partition("\n\n")[0]).replace("│", " ").split())
        option = _option(match["names"], described)
        found += [option] if option is not None and option.name not in _NOT_MEANT else []
    return without_doubles(found)


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
    options = re.findall(_OPTION, names)
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
    said = list(_DEFAULT.finditer(described))  # a default in brackets is the parser's own, and not the author's words
    shown = next((each for each in said if each[0].startswith(("(", "["))), said[0] if said else None)
    default = _value(shown["value"]) if shown else None
    choices_found = _CHOICES.search(names) or _CHOICES.search(described)
    if value is None and not choices_found and not (shown and kind_of(default) in (Kind.INTEGER, Kind.NUMBER)):
        takes_one = re.match(r"(?:INTEGER|FLOAT|TEXT|PATH|<)", described)
        if not takes_one:
            is_on = isinstance(default, bool) and default
            return Option(name=name_of(option), option=option, kind=Kind.FLAG, default=bool(is_on), if_false=if_false)
    choices: tuple[object, ...] = ()
    if choices_found:
        listed = next(filter(None, choices_found.groups()))
        choices = tuple(map(_value, re.split(r"[,|]", listed)))
        if set(map(str, choices)) <= {"True", "False", "true", "false"}:
            choices = tuple(map(str, choices))
    kind = kind_of(choices[0]) if choices else kind_of(default, Kind.TEXT)
    if not choices and kind is Kind.TEXT and (default is None or not isinstance(default, str)):
        kind = next((kind for kind, words in _KINDS if re.search(words, f"{names} {described[:20]}")), kind)
    if kind is Kind.FLAG:
        kind, default = Kind.TEXT, str(default)
    is_number = re.search(_KINDS[1][1], f"{names} {described[:20]}") is not None
    if kind is Kind.INTEGER and is_number and not choices:
        kind = Kind.NUMBER
    return Option(
        name=name_of(option),
        option=f"{option}=" if is_joined else option,
        kind=kind,
        default=fitting(default, kind),
        choices=choices,
        low=_bound(r"([\d.e-]+)<=?x", described),
        high=_bound(r"x<=?([\d.e-]+)", described),
        is_required="[required]" in described or "(required)" in described,
    )


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
