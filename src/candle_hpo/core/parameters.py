"""A search space of parameters with ranges, conditions and transforms, for `bayesian` and `random` searches."""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping
from functools import cached_property

import msgspec

from candle_hpo.core.axes import Axis, Scale, find_coordinate, scale_of, value_at
from candle_hpo.core.conditions import Condition, holds, parameters_of
from candle_hpo.core.expressions import Expression
from candle_hpo.core.trial import Hyperparameters

# Name of an axis -> its coordinate: whole for integers and for the places of choices.
Coordinates = dict[str, int | float]


class CircularConditions(ValueError):
    """Parameters depend on each other in a circle; `names` goes once around it."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__(" -> ".join(names))


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One hyperparameter that is varied.

    A scalar has one axis, of the same name; a vector has one for each element, and is delivered as a list.
    `transform` makes the value from the coordinate, each element on its own; `whole`: as an integer. Without
    its `condition` holding, the parameter is inactive.
    """

    name: str
    axes: tuple[Axis, ...]
    is_vector: bool = False
    transform: Expression | None = None
    whole: bool = False
    condition: Condition | None = None

    @property
    def scale(self) -> Scale:
        """The scale on which the delivered values are spread evenly."""
        return scale_of(self.axes[0], self.transform)

    def value(self, coordinates: Mapping[str, float]) -> object:
        """Return what the model gets. Raises `KeyError` where a coordinate of it is missing."""
        elements = [value_at(axis, self.transform, self.whole, coordinates[axis.name]) for axis in self.axes]
        return elements if self.is_vector else elements[0]

    def find(self, value: object) -> Coordinates | None:
        """Return the coordinates of a value that the model got, None where it is not a value of this parameter."""
        elements = value if self.is_vector else [value]
        if not isinstance(elements, list) or len(elements) != len(self.axes):
            return None
        found: Coordinates = {}
        for axis, element in zip(self.axes, elements, strict=True):
            coordinate = find_coordinate(axis, self.transform, element)
            if coordinate is None:
                return None
            found[axis.name] = coordinate
        return found


class ParametricSpace(msgspec.Struct, frozen=True, dict=True):
    """Parameters, in the order of the input file, and the default hyperparameters, which the model gets besides them.

    A search proposes coordinates, a number for each axis. `rounded` makes of them the ones that are run:
    `coordinates(hyperparameters(c))` is exactly `c` for each `c` that `rounded` returned.
    """

    parameters: tuple[Parameter, ...]
    default_model: Hyperparameters = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return tuple(parameter.name for parameter in self.parameters)

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """All scalar coordinates, in order."""
        return tuple(axis for parameter in self.parameters for axis in parameter.axes)

    @cached_property
    def _parents_first(self) -> tuple[Parameter, ...]:
        return parents_first(self.parameters)

    def active(self, coordinates: Mapping[str, float]) -> Coordinates:
        """Return the coordinates that are active: those of parameters without a condition, or whose condition holds.

        Raises `KeyError` where one of them is missing; of what is inactive, none needs to be there.
        """
        part: Coordinates = {}
        for parameter in self._parents_first:
            if parameter.condition is None or holds(parameter.condition, part):
                part |= {axis.name: coordinates[axis.name] for axis in parameter.axes}
        return self._sorted(part)

    def hyperparameters(self, coordinates: Mapping[str, float]) -> Hyperparameters:
        """Return what the model gets: the values of the parameters that are active, the default ones for the rest."""
        part = self.active(coordinates)
        values = {each.name: each.value(part) for each in self.parameters if each.axes[0].name in part}
        return {**self.default_model, **values}

    def coordinates(self, hyperparameters: Mapping[str, object]) -> Coordinates | None:
        """Return the coordinates that are active in these hyperparameters; None where they are not of this space."""
        part: Coordinates = {}
        for parameter in self._parents_first:
            if parameter.condition is None or holds(parameter.condition, part):
                if parameter.name not in hyperparameters:
                    return None
                found = parameter.find(hyperparameters[parameter.name])
                if found is None:
                    return None
                part |= found
        return self._sorted(part)

    def rounded(self, coordinates: Mapping[str, float]) -> Coordinates:
        """Return the coordinates that are active, each the nearest that is run.

        Coordinates that make the same hyperparameters become the same ones.
        """
        near = {axis.name: axis.rounded(coordinates[axis.name]) for axis in self.axes if axis.name in coordinates}
        found = self.coordinates(self.hyperparameters(near))
        if found is None:  # a transform's check makes sure that it has a way back
            raise ValueError(f"no coordinates of this space: {near!r}")
        return found

    def _sorted(self, part: Coordinates) -> Coordinates:
        return {axis.name: part[axis.name] for axis in self.axes if axis.name in part}


def parents_first(parameters: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """Return parameters in an order in which each comes after those that its condition asks for.

    Raises `CircularConditions`.
    """
    by_name = {parameter.name: parameter for parameter in parameters}
    graph = {
        name: list(parameters_of(parameter.condition)) if parameter.condition else []
        for name, parameter in by_name.items()
    }
    try:
        return tuple(by_name[name] for name in graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        raise CircularConditions(list(reversed(error.args[1]))) from None
