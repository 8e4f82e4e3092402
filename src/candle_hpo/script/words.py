"""What the text of a model script can say, in whatever language it is written."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

VALUE_NAMES = ("val_to_return", "candle_value_to_return")
HYPERPARAMETER_NAMES = ("hyperparams", "candle_params")


class Mention(msgspec.Struct, frozen=True):
    """A name and the first line of a script that needs it; `optional`: the script can do without it."""

    name: str
    line: int
    optional: bool = False


class BooleanOption(msgspec.Struct, frozen=True):
    """An option of a parser of arguments that does with a boolean what its name does not say.

    `kind` is `BooleanOptionalAction`, `store_false`, or `bool`, its type.
    """

    option: str
    kind: str
    line: int


class AddedFolder(msgspec.Struct, frozen=True):
    """A folder that a script adds to those in which modules are looked for; "" where its text does not show which."""

    line: int
    path: str


class ScriptReading(msgspec.Struct, frozen=True):
    """What a script's text says.

    `reads` are the hyperparameters that it asks for by their names; `hands_on`: it gives them all to something else, so
    that it may use others as well; `fills_in`: it may give some of them values itself. `modules` are what it imports,
    `options` those of its own command line, and `booleans` such of them. Of `alternatives`, one module is enough;
    `relative_import` is of a module of the script's own package, and `folders` are where it looks for modules as well.

    `leaves_value` is None where the text does not show it. Where it is not true, `placeholder` is the line that sets
    the value to a constant, and `lost_value` the one that sets it in a function, whose variables are its own.
    """

    reads: tuple[Mention, ...] = ()
    hands_on: bool = True
    fills_in: bool = False
    modules: tuple[Mention, ...] = ()
    options: tuple[str, ...] = ()
    leaves_value: bool | None = None
    placeholder: int = 0
    lost_value: int = 0
    booleans: tuple[BooleanOption, ...] = ()
    alternatives: tuple[frozenset[str], ...] = ()
    relative_import: Mention | None = None
    folders: tuple[AddedFolder, ...] = ()


class ValueSet(msgspec.Struct, frozen=True):
    """A place that sets the value. `is_constant`: to a number or the like; `is_lost`: in a variable that goes away."""

    line: int
    is_constant: bool
    is_lost: bool


def value_left(found: Sequence[ValueSet], *, is_hidden: bool) -> tuple[bool | None, int, int]:
    """Return whether a script leaves a value, and the lines of a placeholder and of a value that is lost instead."""
    if any(not each.is_lost and not each.is_constant for each in found):
        return True, 0, 0
    if is_hidden:
        return None, 0, 0
    placeholder = next((each.line for each in found if not each.is_lost), 0)
    lost = next((each.line for each in found if each.is_lost), 0)
    return placeholder > 0, placeholder, lost
