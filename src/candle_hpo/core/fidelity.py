"""Fidelity: the hyperparameter that is the budget of a trial, and the levels that it is raised over."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from candle_hpo.core.trial import Hyperparameters

_DIGITS = 10  # of a level that is not whole: 0.1 * 3 is 0.3 to whoever reads it


class Fidelity(msgspec.Struct, frozen=True):
    """A hyperparameter, and the least and the most that it is given."""

    name: str
    least: int | float
    most: int | float

    def levels(self, factor: int) -> Levels:
        """Return the levels from the least to the most, each `factor` times the one before, but for the last.

        As many as bring the last of these factors as near to `factor` as can be.
        """
        steps = max(1, round(math.log(self.most / self.least, factor)))
        values = [_rounded(self.least * factor**step) for step in range(steps)]
        return Levels(self.name, (*values, self.most), factor)


class Levels(msgspec.Struct, frozen=True):
    """The values that a hyperparameter has at each level, from 1, and how many completed trials there are to one above.

    Of the trials that complete at a level, the best 1/`factor` are run at the next; when no more can come, rounded up,
    so that the best one of all reaches the last level, however few there are.
    """

    name: str
    values: Sequence[int | float]
    factor: int

    def at(self, level: int, hyperparameters: Hyperparameters) -> Hyperparameters:
        """Return hyperparameters with the value that they have at a level."""
        return {**hyperparameters, self.name: self.values[level - 1]}

    def trials(self, configurations: int, without_value: Mapping[int, int] = {}) -> list[int]:
        """Return how many trials of so many configurations there are at each level, or, with failures to come, fewer.

        `without_value` has how many of them are known to have ended without a value, by level.
        """
        found = [configurations]
        for level in range(1, len(self.values)):
            completed = max(0, found[-1] - without_value.get(level, 0))
            found.append(-(-completed // self.factor))
        return found


def _rounded(value: float) -> int | float:
    return value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}")
