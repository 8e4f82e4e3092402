"""When a parameter is active: conditions on other parameters' coordinates, as small trees."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import msgspec

Comparison = Literal["==", "!=", "<", "<=", ">", ">="]

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Among(msgspec.Struct, frozen=True, tag="among"):
    """The coordinate of a parameter is one of these; for a categorical one, they are the places of its choices."""

    parameter: str
    coordinates: tuple[int, ...]


class Compare(msgspec.Struct, frozen=True, tag="compare"):
    """The coordinate of a parameter compares with a number in this way."""

    parameter: str
    comparison: Comparison
    value: float


class Not(msgspec.Struct, frozen=True, tag="not"):
    """The condition does not hold."""

    condition: Condition


class All(msgspec.Struct, frozen=True, tag="all"):
    """All conditions hold."""

    conditions: tuple[Condition, ...]


class Any(msgspec.Struct, frozen=True, tag="any"):
    """At least one of the conditions holds."""

    conditions: tuple[Condition, ...]


Condition = Among | Compare | Not | All | Any


def holds(condition: Condition, coordinates: Mapping[str, float]) -> bool | None:
    """Return whether a condition holds; None where that cannot be said, as a parameter in it is inactive.

    The rules are those of R's logic with NA: "false and unknown" is false, "true or unknown" is true, everything
    else with an unknown part is unknown.
    """
    if isinstance(condition, Among | Compare):
        coordinate = coordinates.get(condition.parameter)
        if coordinate is None:
            return None
        if isinstance(condition, Among):
            return coordinate in condition.coordinates
        return COMPARISONS[condition.comparison](coordinate, condition.value)
    if isinstance(condition, Not):
        inner = holds(condition.condition, coordinates)
        return None if inner is None else not inner
    parts = [holds(each, coordinates) for each in condition.conditions]
    decisive = isinstance(condition, Any)
    if decisive in parts:
        return decisive
    return None if None in parts else not decisive


def parameters_of(condition: Condition) -> Iterator[str]:
    """Yield the names of the parameters that a condition asks for, perhaps more than once."""
    if isinstance(condition, Among | Compare):
        yield condition.parameter
    elif isinstance(condition, Not):
        yield from parameters_of(condition.condition)
    else:
        for each in condition.conditions:
            yield from parameters_of(each)
