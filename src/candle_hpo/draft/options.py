"""What a script can be given: its options, as its text or its `--help` shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum

import msgspec

OWN_TEXT = "its own text"  # by which a script has its values that takes nothing from outside


class Way(str, Enum):
    """How values reach a script."""

    ARGUMENTS = "arguments"
    VARIABLES = "variables"
    ENVIRONMENT = "environment"
    CONFIGURATION = "configuration"


class Kind(str, Enum):
    """What the values of an option are."""

    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a script can be given, by the `name` that its hyperparameter will have.

    `option` is what stands on the command line: `--batch-size`, or `--batch-size=` where its value is joined to it;
    with none, it is a place there (`is_positional`), or a variable. A flag may have another option for false,
    `if_false`, or that one alone. `default` is None where there is none, or where it is not known; one that
    `is_guessed` is what is usual for the name. `low` and `high` are bounds that the script itself sets, `command` is
    the sub-command that has it, and `line` where the text says so, 0 for nowhere. `left_alone` says why nothing is
    proposed for it.
    """

    name: str
    option: str = ""
    kind: Kind = Kind.TEXT
    default: object = None
    choices: tuple[object, ...] = ()
    low: float | None = None
    high: float | None = None
    if_false: str = ""
    is_required: bool = False
    is_positional: bool = False
    is_guessed: bool = False
    command: str = ""
    line: int = 0
    left_alone: str = ""


class Options(msgspec.Struct, frozen=True):
    """What a script can be given, how, and by which library.

    `is_elsewhere`: the text shows that there are options, and not which. `commands` are the names of sub-commands, of
    which a command line needs one; `command` is the one that was chosen. `config` is the configuration file that has
    the values, and `config_words` the words of the command line that name it, if any do; `stdin` is one that is read
    on the standard input. `last_words` are what is always given behind all options: places that nothing shows.
    """

    way: Way
    found: tuple[Option, ...] = ()
    by: str = ""
    is_elsewhere: bool = False
    commands: tuple[str, ...] = ()
    command: str = ""
    config: str = ""
    config_words: str = ""
    stdin: str = ""
    last_words: tuple[str, ...] = ()

    @property
    def may_take_more(self) -> bool:
        """Whether there may be places on the command line that neither a text nor a `--help` was read for."""
        return self.is_elsewhere or self.by in ("--help", "its own options", "optparse")


_ENDS_OF_SECRETS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIALS", "COOKIE")


def may_be_secret(name: str) -> bool:
    """Return whether what an option or a variable of this name holds should not lie in files."""
    return name.upper().endswith(_ENDS_OF_SECRETS)


def name_of(option: str) -> str:
    """Return the name of the hyperparameter for an option such as `--batch-size`."""
    name = option.lstrip("-").replace("-", "_")
    return f"{name}_" if name == "id" else name  # that one names the sets of a grid


def longest(options: Sequence[str]) -> str:
    """Return the option that people read best of those that mean the same: the first with two dashes."""
    return next((each for each in options if each.startswith("--")), options[0])


def kind_of(value: object, otherwise: Kind = Kind.TEXT) -> Kind:
    """Return the kind of a value."""
    match value:
        case bool():
            return Kind.FLAG
        case int():
            return Kind.INTEGER
        case float():
            return Kind.NUMBER
        case [first, *_]:
            return kind_of(first)
        case str():
            return Kind.TEXT
        case _:
            return otherwise


def number_or_text(text: str) -> int | float | str:
    """Return the number that a text is, and else the text."""
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def fitting(value: object, kind: Kind) -> object:
    """Return a default as a value of its kind: `1` of an option for numbers is 1.0, a text may hold a number."""
    if isinstance(value, list):
        return [fitting(each, kind) for each in value]
    convert: dict[Kind, Callable[[str], object]] = {Kind.NUMBER: float, Kind.INTEGER: int}
    if isinstance(value, bool) or value is None or kind not in convert:
        return value
    if kind is Kind.INTEGER and isinstance(value, float) and value.is_integer():  # 1e3
        return int(value)
    try:
        return convert[kind](str(value))
    except ValueError:
        return value


def without_doubles(options: Iterable[Option]) -> tuple[Option, ...]:
    """Return each option once, as it was found first; sub-commands may have options of the same name."""
    found: dict[tuple[str, str], Option] = {}
    for each in options:
        found.setdefault((each.command, each.name), each)
    return tuple(found.values())
