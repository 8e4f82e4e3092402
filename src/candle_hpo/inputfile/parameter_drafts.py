"""What both forms of a parameter space become first: parameters whose conditions are not yet looked up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from candle_hpo.core.axes import LISTED, place_of, same_value, value_at
from candle_hpo.core.conditions import COMPARISONS, Among, Compare, Comparison, Condition, Not
from candle_hpo.core.errors import nearest
from candle_hpo.core.parameters import Parameter

LONGEST_VECTOR = 1000


class ParameterError(ValueError):
    """Something that is wrong with a parameter, or not understood; the text says what would be right.

    `line` counts from 1.
    """

    def __init__(self, line: int, text: str) -> None:
        self.line = line
        super().__init__(text)


class UnknownParameter(ParameterError):
    """A condition asks for a parameter that is not there."""


@dataclass(frozen=True)
class Draft:
    """One parameter as it was read.

    `choice_names` are the names of its choices, where it has any. `condition` makes the condition once all parameters
    are known; it raises `ParameterError`. `shown_values` is true where conditions ask for its value as the
    model gets it, not for its coordinate.
    """

    line: int
    parameter: Parameter
    choice_names: tuple[str, ...] = ()
    condition: Callable[[Mapping[str, Draft]], Condition] | None = None
    shown_values: bool = False

    @property
    def name(self) -> str:
        """The parameter's name."""
        return self.parameter.name


def find_draft(name: str, drafts: Mapping[str, Draft], line: int) -> Draft:
    """Return the scalar parameter that a condition names; raise `ParameterError` where there is none."""
    if name not in drafts:
        raise UnknownParameter(
            line, f'the condition asks for "{name}", which is not a parameter; {nearest(name, drafts)}'
        )
    draft = drafts[name]
    if draft.parameter.is_vector:
        raise ParameterError(line, f'the condition asks for "{name}", a vector; only a single value can be asked for')
    return draft


def compared(draft: Draft, comparison: str, literal: object, line: int) -> Condition:
    """Return the condition that a parameter compares with a value so.

    Raises `ParameterError` where it never holds: that is a slip of the hand. One that always holds is not, as where
    somebody has left a parameter only one choice for a while.
    """
    axis, compare = draft.parameter.axes[0], COMPARISONS[comparison]
    if axis.kind == "categorical" and comparison in ("==", "!="):
        is_one = _among_places(draft, _places(draft, literal, line))
        return is_one if comparison == "==" else Not(is_one)
    if not all(_is_number(choice) for choice in axis.choices):
        what = f'the choices of {draft.name} are not numbers; "{comparison}" does not apply to them'
        raise ParameterError(line, what)
    number = _number(draft, literal, line)
    if axis.kind == "categorical" or draft.shown_values:
        places = [place for place, value in _listed(draft) if compare(cast(float, value), number)]
        is_possible, condition = bool(places), _among_places(draft, places)
    else:
        is_equal = axis.low <= number <= axis.high and (axis.kind == "float" or number.is_integer())
        is_possible = is_equal if comparison == "==" else compare(axis.low, number) or compare(axis.high, number)
        condition = Compare(draft.name, cast(Comparison, comparison), number)
    if not is_possible:
        shown = f"{draft.name} {comparison} {text_of(literal)}"
        raise ParameterError(line, f"{shown} never holds: {draft.name} is {_range(draft)}; choose another value")
    return condition


def among(draft: Draft, literals: Sequence[object], line: int) -> Condition:
    """Return the condition that a parameter has one of these values; raise `ParameterError` as `compared` does."""
    if draft.parameter.axes[0].kind == "categorical":
        return _among_places(draft, [place for each in literals for place in _places(draft, each, line)])
    numbers = [_number(draft, literal, line) for literal in literals]
    axis = draft.parameter.axes[0]
    if axis.kind != "integer" or axis.high - axis.low >= LISTED:
        raise ParameterError(line, f"{draft.name} has too many values to ask for some of them; compare it with < or >")
    of_values = dict(_listed(draft))
    for number in numbers:
        if number not in of_values.values():
            raise ParameterError(line, f"{number:g} is not a value of {draft.name}, which is {_range(draft)}")
    return _among_places(draft, [place for place, value in of_values.items() if value in numbers])


def _listed(draft: Draft) -> list[tuple[int, object]]:
    """Return all values of a parameter as conditions ask for them, with their places or counts."""
    axis = draft.parameter.axes[0]
    if axis.kind == "categorical":
        return list(enumerate(axis.choices))
    return [(count, _value(draft, count)) for count in range(int(axis.low), int(axis.high) + 1)]


def _among_places(draft: Draft, places: Sequence[int]) -> Condition:
    return Among(draft.name, tuple(sorted(set(places))))


def _places(draft: Draft, literal: object, line: int) -> list[int]:
    """Return the places of the choices that are this value, or have this name."""
    choices = draft.parameter.axes[0].choices
    found = place_of(choices, literal)
    by_value = [] if found is None else [found]
    names: Sequence[str | None] = draft.choice_names or tuple(
        None if same_value(choice, literal) else text_of(choice) for choice in choices
    )
    by_name = [place for place, name in enumerate(names) if name == text_of(literal)]
    if by_value and by_name and by_value != by_name:
        raise ParameterError(
            line, f"{text_of(literal)} is the value of one choice of {draft.name} and the name of another; rename it"
        )
    if not (by_value or by_name):
        valid = [text_of(choice) for choice in choices]
        raise ParameterError(
            line, f'"{text_of(literal)}" is not a value of {draft.name}; ' + nearest(text_of(literal), valid)
        )
    return by_value or by_name


def _value(draft: Draft, coordinate: float) -> object:
    parameter = draft.parameter
    if not draft.shown_values:
        return coordinate
    return value_at(parameter.axes[0], parameter.transform, parameter.whole, coordinate)


def _number(draft: Draft, literal: object, line: int) -> float:
    if not _is_number(literal):
        raise ParameterError(
            line, f"{draft.name} is a number, which {text_of(literal)} is not; compare it with a number"
        )
    return float(cast(float, literal))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _range(draft: Draft) -> str:
    axis = draft.parameter.axes[0]
    if axis.kind == "categorical":
        return "one of " + ", ".join(map(text_of, axis.choices))
    low, high = (_value(draft, end) if draft.shown_values else end for end in (axis.low, axis.high))
    before = " before its trafo, where conditions look" if draft.parameter.transform and not draft.shown_values else ""
    return f"from {low:g} to {high:g}{before}"


def text_of(value: object) -> str:
    """Return a value as R writes it as text: whole numbers without a point, TRUE, and text as it is."""
    if value is None or isinstance(value, bool):
        return {None: "NULL", True: "TRUE", False: "FALSE"}[value]
    return f"{value:.15g}" if isinstance(value, float) else str(value)
