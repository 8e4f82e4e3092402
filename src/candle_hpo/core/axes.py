"""One scalar of a search space: where its coordinate may lie, what it is delivered as, and the way back.

The search works on coordinates. A model gets values: the coordinate itself, the choice that it stands for, or what
a transform makes of it.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Callable
from typing import Literal

import msgspec

from candle_hpo.core.expressions import Expression, ExpressionError, evaluate, is_whole, without_rounding

Scale = Literal["linear", "log"]

DIGITS = 10  # of a float's coordinate: enough for any model, few enough to be found again exactly
LISTED = 1000  # a transform of integers with at most so many values is looked at value by value
_SAMPLES = 1000


class Axis(msgspec.Struct, frozen=True):
    """One scalar coordinate of the search.

    `low` and `high` belong to it. A categorical coordinate is the place of a choice, from 0. With `log`, equal
    ratios of the coordinate matter equally, and `low` is above 0.
    """

    name: str
    kind: Literal["float", "integer", "categorical"]
    low: int | float
    high: int | float
    log: bool = False
    choices: tuple[object, ...] = ()

    def rounded(self, coordinate: float) -> int | float:
        """Return the nearest coordinate that is proposed: within the bounds, whole, or of ten digits.

        The ten digits of a float are those of its place between the bounds, or, with `log`, its first ones.
        """
        if self.kind != "float":
            return int(min(max(round(coordinate), self.low), self.high))
        if self.log:
            near = float(f"{coordinate:.{DIGITS}g}")
        elif self.low < self.high:
            near = round(float(coordinate), DIGITS - math.floor(math.log10(self.high - self.low)))
        else:
            near = coordinate
        return float(min(max(near, self.low), self.high))


def categorical(name: str, choices: tuple[object, ...]) -> Axis:
    """Return the axis of a choice."""
    return Axis(name, "categorical", 0, len(choices) - 1, choices=choices)


def value_at(axis: Axis, transform: Expression | None, whole: bool, coordinate: float) -> object:
    """Return what the model gets; `whole` is for transforms, whose value is delivered as an integer then."""
    if axis.kind == "categorical":
        return axis.choices[int(coordinate)]
    if transform is None:
        return int(coordinate) if axis.kind == "integer" else float(coordinate)
    value = evaluate(transform, coordinate)
    return int(value) if whole else value


def find_coordinate(axis: Axis, transform: Expression | None, value: object) -> int | float | None:
    """Return the coordinate of a value that the model got; None where it is not a value of this axis.

    Of a value that `value_at` made of a rounded coordinate, it is the same one; or, where a transform makes the
    same value of several, always the same one of them.
    """
    if axis.kind == "categorical":
        return place_of(axis.choices, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if transform is not None:
        return _find(axis, transform, value)
    if not axis.low <= value <= axis.high or (axis.kind == "integer" and value != math.floor(value)):
        return None
    return int(value) if axis.kind == "integer" else float(value)


def problem_of(axis: Axis, transform: Expression) -> str | None:
    """Return what is wrong with a transform somewhere between the bounds: no finite value, or no way back."""
    coordinates = _looked_at(axis)
    values: list[float] = []
    for coordinate in coordinates:
        try:
            values.append(evaluate(transform, coordinate))
        except ExpressionError as error:
            return f"at {coordinate:.6g} {error}"
    if axis.low == axis.high:
        return None
    if len(set(values)) == 1:
        return f"it gives {values[0]:.6g} whatever the coordinate is"
    if not _is_listed(axis) and not (_rises(values) or _rises([-value for value in values])):
        return "it both rises and falls between the bounds"
    return None


def is_delivered_whole(axis: Axis, transform: Expression) -> bool:
    """Return whether a transform gives whole numbers only: `2^x` of whole `x` from 0 up, `round(10^x)` of any."""
    if _is_listed(axis):
        return all(evaluate(transform, coordinate).is_integer() for coordinate in _looked_at(axis))
    return is_whole(transform, axis.kind == "integer")


def scale_of(axis: Axis, transform: Expression | None) -> Scale:
    """Return on which scale the delivered values are spread evenly: "log" for `10^x`, `exp(x)`, `round(2^x)`."""
    if transform is None:
        return "log" if axis.log else "linear"
    inner = without_rounding(transform)
    steps = 8
    try:
        values = [evaluate(inner, axis.low + (axis.high - axis.low) * step / steps) for step in range(steps + 1)]
    except ExpressionError:
        return "linear"
    if min(values) <= 0:
        return "linear"
    logs = [math.log(value) for value in values]
    rise = logs[-1] - logs[0]
    straight = all(abs(logs[0] + rise * step / steps - log) <= 1e-9 * abs(rise) for step, log in enumerate(logs))
    return "log" if straight and rise != 0 else "linear"


def key_of(value: object) -> str:
    """Return a text that the same values share: 1 and 1.0 do not, since a model may make something else of each."""
    return json.dumps(value, sort_keys=True)


def same_value(one: object, other: object) -> bool:
    """Return whether two values are equal in JSON: 1 and 1.0 are, 1 and true are not."""
    return key_of(_in_integers(one)) == key_of(_in_integers(other))


def place_of(choices: tuple[object, ...], value: object) -> int | None:
    """Return the place of the choice that is this value, or else of the first that is equal; None where none is."""
    place = _places(tuple(map(key_of, choices))).get(key_of(value))
    if place is not None:
        return place
    return next((place for place, choice in enumerate(choices) if same_value(choice, value)), None)


def _in_integers(value: object) -> object:
    """Return a value with whole floats as integers."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_in_integers(item) for item in value]
        case dict():
            return {name: _in_integers(item) for name, item in value.items()}
        case _:
            return value


@functools.lru_cache(maxsize=1024)
def _places(keys: tuple[str, ...]) -> dict[str, int]:
    return {key: place for place, key in enumerate(keys)}


def _is_listed(axis: Axis) -> bool:
    return axis.kind == "integer" and axis.high - axis.low < LISTED


def _looked_at(axis: Axis) -> list[int | float]:
    """Return the coordinates at which a transform is tried: all of a short list, else many from end to end."""
    if _is_listed(axis):
        return list(range(int(axis.low), int(axis.high) + 1))
    spread = [axis.low + (axis.high - axis.low) * step / _SAMPLES for step in range(_SAMPLES)]
    return [*(axis.rounded(coordinate) for coordinate in spread), axis.high]


def _rises(values: list[float]) -> bool:
    """Return whether the values never fall, but for the last digit of what was computed."""
    return all(right >= left - 1e-14 * abs(left) for left, right in itertools.pairwise(values))


@functools.lru_cache(maxsize=256)
def _listed(axis: Axis, transform: Expression) -> dict[float, int]:
    """Return the first coordinate of each value."""
    found: dict[float, int] = {}
    for coordinate in range(int(axis.low), int(axis.high) + 1):
        found.setdefault(evaluate(transform, coordinate), coordinate)
    return found


def _find(axis: Axis, transform: Expression, value: float) -> int | float | None:
    if _is_listed(axis):
        return _listed(axis, transform).get(float(value))
    found = _preimage(axis, transform, value)
    if found is None:
        return None
    first, last = found
    if axis.kind == "integer":
        return int(first) if evaluate(transform, first) == value else None
    candidates = (axis.rounded(first / 2 + last / 2), first, last)
    return float(next((each for each in candidates if evaluate(transform, each) == value), first))


def _preimage(axis: Axis, transform: Expression, value: float) -> tuple[float, float] | None:
    """Return the first and the last coordinate that a monotone transform makes `value` of, by bisection.

    Where it makes the value of none, they are neighbours of the place where it passes it; None where it never does.
    """
    sign = 1 if evaluate(transform, axis.high) >= evaluate(transform, axis.low) else -1

    def distance(coordinate: float) -> float:
        return sign * (evaluate(transform, coordinate) - value)

    if distance(axis.low) > 0 or distance(axis.high) < 0:
        return None
    _, first = _bisected(lambda coordinate: distance(coordinate) >= 0, axis)
    last, _ = _bisected(lambda coordinate: distance(coordinate) > 0, axis)
    return first, last


def _bisected(is_past: Callable[[float], bool], axis: Axis) -> tuple[float, float]:
    """Return the last coordinate that is not past a place, and the first that is; both at an end where none is."""
    low, high = axis.low, axis.high
    if is_past(low):
        return low, low
    if not is_past(high):
        return high, high
    while True:
        between = (low + high) // 2 if axis.kind == "integer" else low / 2 + high / 2
        if not low < between < high:
            return low, high
        if is_past(between):
            high = between
        else:
            low = between
