"""Fidelity: the hyperparameter that is the budget of a trial, and the levels that it is raised over."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from candle_hpo.core.trial import Hyperparameters, Outcome, Status

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
    so that the best one of all reaches the last level, however few there are. In place of one that fails there, the
    next best is run.
    """

    name: str
    values: Sequence[int | float]
    factor: int

    def at(self, level: int, hyperparameters: Hyperparameters) -> Hyperparameters:
        """Return hyperparameters with the value that they have at a level."""
        return {**hyperparameters, self.name: self.values[level - 1]}

    def trials(self, configurations: int, tally: Tally | None = None) -> list[int]:
        """Return how many trials of so many configurations there are at each level, if no more of them fails.

        `tally` has those that there are, and how they ended. Where some have failed, and were attempted again after
        others had taken their places, there are more than would have been promoted.
        """
        found = [configurations]
        for level in range(1, len(self.values)):
            without = 0 if tally is None else tally.without_value[level]
            failed, begun = (0, 0) if tally is None else (tally.failed[level + 1], tally.begun[level + 1])
            completed = max(0, found[-1] - without)
            found.append(max(begun, min(completed, self.share(completed) + failed)))
        return found

    def share(self, completed: int) -> int:
        """Return how many of so many completed trials are promoted once no more can come, if none of them fails."""
        return -(-completed // self.factor)


@dataclass
class Tally:
    """How many trials have begun at each level, and how many of these have ended, and how.

    `without_value` are those that ended with none, but for interrupted ones; `failed` are those of them whose places
    others take.
    """

    objective: str
    begun: Counter[int] = field(default_factory=Counter)
    completed: Counter[int] = field(default_factory=Counter)
    without_value: Counter[int] = field(default_factory=Counter)
    failed: Counter[int] = field(default_factory=Counter)

    def begin(self, level: int) -> None:
        """Count a trial that begins for the first time."""
        self.begun[level] += 1

    def end(self, level: int, outcome: Outcome) -> None:
        """Count how a trial ended."""
        self._count(level, outcome, 1)

    def take_back(self, level: int, outcome: Outcome) -> None:
        """Count an outcome no more: the trial is attempted again."""
        self._count(level, outcome, -1)

    def left(self, level: int) -> int:
        """Return how many of those that have begun have no outcome: they run, or were interrupted."""
        return self.begun[level] - self.completed[level] - self.without_value[level]

    def _count(self, level: int, outcome: Outcome, by: int) -> None:
        if outcome.status is Status.COMPLETED:
            self.completed[level] += by
        elif outcome.status is not Status.INTERRUPTED:
            self.without_value[level] += by
            self.failed[level] += by if _leaves_its_place(outcome, self.objective) else 0


def _leaves_its_place(outcome: Outcome, objective: str) -> bool:
    """Return whether the next best is promoted in place of a trial that ended without a value.

    One that was stopped early was compared with others of its level, unless its value had become what is not a number.
    """
    last = outcome.last_report
    if outcome.status is Status.STOPPED:
        return last is not None and last.has(objective) and last.value_of(objective) is None
    return True


def _rounded(value: float) -> int | float:
    return value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}")
