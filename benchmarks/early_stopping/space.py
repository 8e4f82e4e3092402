"""The hyperparameters of a task, and its configurations as points: numbers from 0 to 1, and categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Given = Mapping[str, Any]  # a configuration: name -> value
Array = NDArray[np.float64]


class Number(NamedTuple):
    """A float, or, with `whole`, a whole number; on a logarithmic scale with `log`. Both ends are possible."""

    low: float
    high: float
    log: bool = True
    whole: bool = False

    def at(self, share: float) -> float | int:
        """Return the value at a share from 0 to 1 of the range, as precise as the tables keep it."""
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        value = low * (high / low) ** share if self.log else low + share * (high - low)
        value = min(max(float(np.float32(value)), self.low), self.high)
        return round(value) if self.whole else value

    def share(self, value: float) -> float:
        """Return where in the range a value lies, from 0 to 1."""
        if self.log:
            return float(np.log(value / self.low) / np.log(self.high / self.low))
        return (value - self.low) / (self.high - self.low)


class Choice(NamedTuple):
    """One of some words, in no order."""

    words: tuple[str, ...]

    def at(self, share: float) -> str:
        """Return the word at a share of them."""
        return self.words[min(int(share * len(self.words)), len(self.words) - 1)]


def whole(low: int, high: int, *, log: bool = True) -> Number:
    """Return a whole number."""
    return Number(low, high, log, whole=True)


Space = Mapping[str, Number | Choice]


def random_configuration(space: Space, generator: np.random.Generator) -> dict[str, Any]:
    """Return a random configuration, with a number evenly on its own scale."""
    return {name: axis.at(generator.random()) for name, axis in space.items()}


def positions(space: Space, configurations: Sequence[Given]) -> Array:
    """Return a row for each configuration: shares of numbers, and 1 or 0 for each word.

    Two different words are at a distance of 1, as far as the two ends of a number are.
    """
    columns: list[list[float]] = []
    for name, axis in space.items():
        if isinstance(axis, Choice):
            columns += [[float(each[name] == word) / np.sqrt(2) for each in configurations] for word in axis.words]
        else:
            columns.append([axis.share(each[name]) for each in configurations])
    rows: Array = np.column_stack(columns)
    return rows
