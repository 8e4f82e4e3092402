"""The axes of a search space: one parameter each, its values and their positions.

A position is a number from 0 to 1 on the parameter's own scale, or the index of a category. Every position that leaves
this module stands for a value that can really be run: whole numbers and steps are rounded before the model sees them,
so that it never distinguishes what the user's script cannot (Garrido-Merchán and Hernández-Lobato, "Dealing with
categorical and integer-valued variables in Bayesian optimization with Gaussian processes", Neurocomputing 380, 2020).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Axis(ABC):
    """One parameter.

    `count` is the number of its values, infinite for a continuous one; `width` the number of its features. With one
    value, its only position is 0.
    """

    count: float
    width = 1

    @abstractmethod
    def spread(self, shares: Array) -> Array:
        """Return positions for numbers from [0, 1): each value of a finite parameter gets an equal share of them."""

    @abstractmethod
    def snap(self, positions: Array) -> Array:
        """Return the nearest positions that can be run."""

    @abstractmethod
    def value(self, position: float) -> Any:
        """Return the value at a position."""

    @abstractmethod
    def position(self, value: Any) -> float | None:
        """Return the position of a value; None where the parameter cannot have it."""

    def every(self) -> Array:
        """Return the positions of all values of a finite parameter."""
        return np.arange(int(self.count)) / max(self.count - 1, 1)

    def features(self, positions: Array) -> Array:
        """Return what the model sees, one row a position. What is not active (NaN) lies in the middle."""
        return np.where(np.isnan(positions), 0.5, positions)[:, None]


class ContinuousAxis(Axis):
    """A float on a linear or logarithmic scale."""

    def __init__(self, low: float, high: float, *, log: bool = False) -> None:
        self._low, self._high, self._is_log = low, high, log
        self.count = math.inf if low < high else 1
        # Half of it each, so that no range overflows.
        self._begin, self._end = (self._scaled(edge) / 2 for edge in (self._low, self._high))

    def spread(self, shares: Array) -> Array:
        """Return the same numbers."""
        return shares

    def snap(self, positions: Array) -> Array:
        """Return the positions, within the range."""
        return np.clip(positions, 0.0, 1.0)

    def value(self, position: float) -> float:
        """Return the float at a position."""
        scaled = 2 * (self._begin * (1 - position) + self._end * position)
        return min(max(math.exp(scaled) if self._is_log else scaled, self._low), self._high)

    def position(self, value: Any) -> float | None:
        """Return the position of a float within the range."""
        if not self._low <= value <= self._high:
            return None
        return (self._scaled(value) / 2 - self._begin) / (self._end - self._begin)

    def _scaled(self, number: float) -> float:
        return math.log(number) if self._is_log else float(number)


class SteppedAxis(Axis):
    """A float in steps on a linear or logarithmic scale; a whole number, if the step is of that type."""

    def __init__(self, low: float, high: float, step: float = 1, *, log: bool = False) -> None:
        self._low, self._high, self._step, self._is_log = low, high, step, log
        self._is_whole = isinstance(step, int)
        self.count = round((self._high - self._low) / self._step) + 1
        self._begin, self._end = self._scaled(np.array([self._low, self._high], dtype=float))

    def spread(self, shares: Array) -> Array:
        """Return positions that share the numbers on the parameter's scale: equally, if that is linear."""
        if not self._is_log:
            return self._of_index(np.floor(shares * self.count))
        begin, end = self._scaled(np.array([self._low - self._step / 2, self._high + self._step / 2]))
        return self._nearest(begin + shares * (end - begin))

    def snap(self, positions: Array) -> Array:
        """Return the positions of the nearest values."""
        return self._nearest(self._begin + np.clip(positions, 0.0, 1.0) * (self._end - self._begin))

    def value(self, position: float) -> float | int:
        """Return the value at a position."""
        scaled = self._begin + position * (self._end - self._begin)
        index = round(((math.exp(scaled) if self._is_log else scaled) - self._low) / self._step)
        index = min(max(index, 0), int(self.count) - 1)
        if self._is_whole:
            return int(self._low + index * self._step)
        # In decimal, as the user wrote the step: 0.3 and not 0.30000000000000004.
        return float(Decimal(str(self._low)) + index * Decimal(str(self._step)))

    def position(self, value: Any) -> float | None:
        """Return the position of the value that is nearest to one within the range."""
        if not self._low <= value <= self._high:
            return None
        return float(self._of_index(np.round((np.array(float(value)) - self._low) / self._step)))

    def every(self) -> Array:
        """Return the positions of all values."""
        return self._of_index(np.arange(int(self.count), dtype=float))

    def _scaled(self, numbers: Array) -> Array:
        return np.log(numbers) if self._is_log else numbers

    def _nearest(self, scaled: Array) -> Array:
        numbers = np.exp(scaled) if self._is_log else scaled
        return self._of_index(np.round((numbers - self._low) / self._step))

    def _of_index(self, index: Array) -> Array:
        scaled = self._scaled(self._low + np.clip(index, 0, self.count - 1) * self._step)
        return np.asarray(np.clip((scaled - self._begin) / ((self._end - self._begin) or 1.0), 0.0, 1.0))


class OrderedAxis(SteppedAxis):
    """One of at least three listed numbers, such as batch sizes: the model sees their order, evenly spaced."""

    def __init__(self, choices: Sequence[float]) -> None:
        super().__init__(0, len(choices) - 1)
        self._choices = sorted(choices)

    def value(self, position: float) -> float:
        """Return the number at a position."""
        return self._choices[int(super().value(position))]

    def position(self, value: Any) -> float | None:
        """Return the position of a listed number."""
        return super().position(self._choices.index(value)) if value in self._choices else None


class CategoryAxis(Axis):
    """One of some values that have no order. Its positions are the values' indices; its features are one-hot."""

    def __init__(self, choices: Sequence[Any]) -> None:
        self._choices = tuple(choices)
        self.count = self.width = len(choices)

    def spread(self, shares: Array) -> Array:
        """Return positions, an equal share for each value."""
        return np.asarray(np.floor(shares * self.count))

    def snap(self, positions: Array) -> Array:
        """Return the nearest indices."""
        return np.asarray(np.clip(np.round(positions), 0, self.count - 1))

    def value(self, position: float) -> Any:
        """Return the value of an index."""
        return self._choices[int(position)]

    def position(self, value: Any) -> float | None:
        """Return the index of a value, which must be of the same type: True is not 1 to the user."""
        for index, choice in enumerate(self._choices):
            if choice is value or (type(choice) is type(value) and choice == value):
                return float(index)
        return None

    def every(self) -> Array:
        """Return all indices."""
        return np.arange(int(self.count), dtype=float)

    def features(self, positions: Array) -> Array:
        """Return one-hot rows, any two different values at distance 1, as the two ends of a number are."""
        return np.asarray(positions[:, None] == np.arange(self.count)) / math.sqrt(2)


def choice_axis(choices: Sequence[Any]) -> Axis:
    """Return the axis of one of some values: ordered if they are at least three different numbers."""
    numbers = [choice for choice in choices if type(choice) in (int, float) and math.isfinite(choice)]
    if len(set(numbers)) == len(choices) > 2:
        return OrderedAxis(numbers)
    return CategoryAxis(choices)
