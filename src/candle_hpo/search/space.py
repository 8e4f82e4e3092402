"""A search space as a unit cube: an edge for each axis, over values that can really be run.

What a search proposes is made the nearest coordinate that is run (`core.parameters`) before the search itself hears
of it: so it learns from what was really run, and one that is built again from a record is the same to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from candle_hpo.core.axes import Axis, find_coordinate, value_at
from candle_hpo.core.conditions import holds, parameters_of
from candle_hpo.core.expressions import Expression, evaluate
from candle_hpo.core.parameters import Coordinates, Parameter, ParametricSpace, parents_first
from candle_hpo.search.gp.axes import Axis as Edge
from candle_hpo.search.gp.axes import ContinuousAxis, SteppedAxis, choice_axis
from candle_hpo.search.gp.cube import Cube

LISTED = 1000  # values of a transform that rounds, or of integers, are looked through one by one, if no more
MOST_COUNTED = 20_000  # combinations of what conditions ask for

Values = dict[str, Any]  # name of an axis -> what a search sees of it


@dataclass(frozen=True)
class SearchAxis:
    """One axis: the values that a search sees, and the way between these and coordinates.

    Either some `choices`, each of which has its place in `coordinates`, or the numbers from `low` to `high`: whole
    ones where both are integers. With `of_values`, they are what the transform makes of the coordinates.
    """

    axis: Axis
    transform: Expression | None
    low: int | float = 0
    high: int | float = 0
    log: bool = False
    choices: tuple[Any, ...] = ()
    coordinates: tuple[int | float, ...] = ()
    of_values: bool = False

    @cached_property
    def edge(self) -> Edge:
        """The edge of the cube."""
        if self.choices:
            return choice_axis(self.choices)
        kind = SteppedAxis if isinstance(self.low, int) else ContinuousAxis
        return kind(self.low, self.high, log=self.log)

    def every(self) -> Iterator[int | float]:
        """Yield the coordinates of all values, where they have an end."""
        return (self.coordinate(self.edge.value(position)) for position in self.edge.every().tolist())

    def coordinate(self, value: Any) -> int | float:
        """Return the nearest coordinate that is run, of a value."""
        if self.choices:
            return self.coordinates[self.choices.index(value)]
        if self.of_values and self.transform is not None:
            found = find_coordinate(self.axis, self.transform, value)
            return self.axis.rounded(self.axis.low) if found is None else found
        return nearest_run(self.axis, self.transform, value)

    def value(self, coordinate: float) -> Any:
        """Return the value of a coordinate that is run."""
        if self.choices:
            return self.choices[self.coordinates.index(coordinate)]
        if self.of_values and self.transform is not None:
            return int(evaluate(self.transform, coordinate))
        return coordinate


def nearest_run(axis: Axis, transform: Expression | None, coordinate: float) -> int | float:
    """Return the nearest coordinate that is run; one and the same for all that make the same value."""
    near = axis.rounded(coordinate)
    if transform is None:
        return near
    found = find_coordinate(axis, transform, value_at(axis, transform, whole=False, coordinate=near))
    return near if found is None else found


def search_axis(parameter: Parameter, axis: Axis) -> SearchAxis:
    """Return how a search sees an axis: numbers in their order and on their scale, rounded as the model gets them."""
    transform = parameter.transform
    if axis.kind == "categorical":
        places = tuple(range(len(axis.choices)))
        numbers = {
            choice for choice in axis.choices if isinstance(choice, int | float) and not isinstance(choice, bool)
        }
        choices = axis.choices if len(numbers) == len(places) else tuple(map(str, places))
        return SearchAxis(axis, None, choices=choices, coordinates=places)
    made = () if transform is None else _made(axis, transform)
    if transform is not None and parameter.whole and axis.kind == "float":
        low, high = sorted(int(evaluate(transform, end)) for end in (axis.low, axis.high))
        if not made or len(made) == high - low + 1:
            log = parameter.scale == "log" and low >= 1
            return SearchAxis(axis, transform, low, high, log, of_values=True)
    if made and (axis.kind == "float" or len(made) < axis.high - axis.low + 1):
        return SearchAxis(axis, transform, choices=made, coordinates=made)
    number = int if axis.kind == "integer" else float
    return SearchAxis(axis, transform, number(axis.low), number(axis.high), axis.log)


def _made(axis: Axis, transform: Expression) -> tuple[int | float, ...]:
    """Return a coordinate for each value that a transform makes; empty where they are too many to be listed."""
    if axis.kind == "integer" and axis.high - axis.low < LISTED:  # it may rise and fall
        return tuple(
            dict.fromkeys(nearest_run(axis, transform, place) for place in range(int(axis.low), int(axis.high) + 1))
        )
    # From plateau to plateau: between two coordinates with the same value, a monotone transform has no other.
    ends = axis.rounded(axis.low), axis.rounded(axis.high)
    values = {evaluate(transform, end): end for end in ends}
    spans = [ends]
    while spans and len(values) <= LISTED:
        low, high = spans.pop()
        middle = axis.rounded(low / 2 + high / 2)
        if low < middle < high and evaluate(transform, low) != evaluate(transform, high):
            values.setdefault(evaluate(transform, middle), middle)
            spans += [(middle, high), (low, middle)]
    return (
        tuple(sorted(nearest_run(axis, transform, place) for place in values.values())) if len(values) <= LISTED else ()
    )


class SearchSpace:
    """A `ParametricSpace` as a search sees it. Names are those of the axes."""

    def __init__(self, space: ParametricSpace) -> None:
        self.space = space
        self.axes = {axis.name: search_axis(each, axis) for each in space.parameters for axis in each.axes}
        self._ordered = parents_first(space.parameters)
        conditions = [parameter.condition for parameter in space.parameters if parameter.condition]
        self._asked = {name for condition in conditions for name in parameters_of(condition)}
        self._has_conditions = bool(conditions)

    @cached_property
    def cube(self) -> Cube:
        """The space as a unit cube."""
        edges = {name: axis.edge for name, axis in self.axes.items()}
        return Cube(edges, self.active_names if self._has_conditions else None)

    def active_names(self, values: Mapping[str, Any]) -> Collection[str]:
        """Return the names of the axes that are active, given a value for every one."""
        # Asked for every candidate of a proposal: only what conditions look at is made a coordinate.
        part: Coordinates = {}
        active: list[str] = []
        for parameter in self._ordered:
            if parameter.condition is None or holds(parameter.condition, part):
                names = [axis.name for axis in parameter.axes]
                active += names
                part |= {name: self.axes[name].coordinate(values[name]) for name in names if name in self._asked}
        return active

    def suggested(self, ask: Callable[[str], Any]) -> Coordinates:
        """Return the coordinates of values that are asked for by name: parents first, and only active ones."""
        part: Coordinates = {}
        for parameter in self._ordered:
            if parameter.condition is None or holds(parameter.condition, part):
                part |= {axis.name: self.axes[axis.name].coordinate(ask(axis.name)) for axis in parameter.axes}
        return self.space.rounded(part)

    def coordinates(self, values: Mapping[str, Any]) -> Coordinates:
        """Return the coordinates that are run, of values."""
        return self.space.rounded({name: self.axes[name].coordinate(value) for name, value in values.items()})

    def values(self, coordinates: Coordinates) -> Values:
        """Return the values of coordinates that are run."""
        return {name: self.axes[name].value(coordinate) for name, coordinate in coordinates.items()}

    def points(self) -> float:
        """Return how many different points there are: infinite where that is not worth counting."""
        counts = {name: axis.edge.count for name, axis in self.axes.items()}
        if math.prod(counts[name] for name in self._asked if name in counts) > MOST_COUNTED:
            return math.inf
        return self._points_from(0, {}, counts)

    def _points_from(self, index: int, part: Coordinates, counts: Mapping[str, float]) -> float:
        """Return how many points share a part of their coordinates: that of the first parameters, parents first."""
        if index == len(self._ordered):
            return 1
        parameter = self._ordered[index]
        if parameter.condition is not None and not holds(parameter.condition, part):
            return self._points_from(index + 1, part, counts)
        if parameter.name not in self._asked:
            own = math.prod(counts[axis.name] for axis in parameter.axes)
            return own * self._points_from(index + 1, part, counts)
        axis = self.axes[parameter.name]
        return sum(self._points_from(index + 1, part | {parameter.name: each}, counts) for each in axis.every())
