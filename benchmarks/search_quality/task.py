"""A task of the benchmark: a search space with a function on it, to be made small."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Assignment = Mapping[str, Any]


class Condition(NamedTuple):
    """A parameter is active only while its `parent`, an earlier parameter, is active and has one of `values`."""

    parent: str
    values: tuple[Any, ...]


class Task(NamedTuple):
    """One function to minimize.

    `space` lists parents before their children. `function` is given the active parameters. `best_known` is the least
    value that is known to exist, as far as theory says; else None.
    """

    name: str
    family: str
    space: dict[str, BaseDistribution]
    conditions: dict[str, Condition]
    function: Callable[[Assignment], float]
    best_known: float | None = None

    def active(self, assignment: Assignment) -> list[str]:
        """Return the names of the parameters that a full assignment uses."""
        return active_names(self.space, self.conditions, assignment)

    def value(self, assignment: Assignment) -> float:
        """Return the function's value at a full assignment."""
        return self.function({name: assignment[name] for name in self.active(assignment)})


def active_names(
    space: Mapping[str, BaseDistribution], conditions: Mapping[str, Condition], assignment: Assignment
) -> list[str]:
    """Return the names of the parameters that a full assignment uses, in the order of the space."""
    active: list[str] = []
    for name in space:
        condition = conditions.get(name)
        if condition is None or (condition.parent in active and assignment[condition.parent] in condition.values):
            active.append(name)
    return active


def linear(low: float, high: float) -> FloatDistribution:
    """Return a float on a linear scale."""
    return FloatDistribution(low, high)


def logarithmic(low: float, high: float) -> FloatDistribution:
    """Return a float on a logarithmic scale."""
    return FloatDistribution(low, high, log=True)


def whole(low: int, high: int, log: bool = False) -> IntDistribution:
    """Return a whole number."""
    return IntDistribution(low, high, log=log)


def choice(*choices: bool | float | str | None) -> CategoricalDistribution:
    """Return one of some values."""
    return CategoricalDistribution(choices)
