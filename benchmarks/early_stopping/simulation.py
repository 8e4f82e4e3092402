"""A search on a table of learning curves: eight workers that wait for nothing but the clock, which is only counted."""

from __future__ import annotations

import heapq
import math
from typing import NamedTuple, Protocol

import numpy as np

from early_stopping.space import Array
from early_stopping.tables import Table

WORKERS = 8


class Search(Protocol):
    """What is compared: it chooses rows of a table, and says whether a trial continues."""

    def start(self, number: int, free: Free) -> int:
        """Return the row that the trial of this number, from 1, runs: one that is free. There is one."""

    def continues(self, number: int, step: int, loss: float) -> bool:
        """Return whether a trial continues after the loss that it reports after a step, from 1; not after its last."""

    def end(self, number: int, step: int, loss: float, *, whole: bool) -> None:
        """Note that a trial ended, at its last step (`whole`) or stopped before."""


class Free:
    """The rows of a table that no trial has run yet."""

    def __init__(self, table: Table) -> None:
        self._table, self._is_free = table, np.ones(len(table.losses), dtype=bool)

    def __len__(self) -> int:
        return int(self._is_free.sum())

    def __contains__(self, row: int) -> bool:
        return bool(self._is_free[row])

    def take(self, row: int) -> None:
        """Let a row be no longer free."""
        self._is_free[row] = False

    def nearest(self, position: Array) -> int:
        """Return the free row whose configuration is nearest to a point."""
        distances = ((self._table.positions - position) ** 2).sum(axis=1)
        return int(np.argmin(np.where(self._is_free, distances, np.inf)))


class Run(NamedTuple):
    """What came of a search. Seconds are those of a clock; `best` is of the trials that ran whole, `steps` of all."""

    seconds: float
    is_reached: bool
    best: float
    trials: int
    steps: int


def whole_seconds(table: Table) -> float:
    """Return how long eight workers need for all of a table, each configuration in full."""
    return float(table.seconds.sum() * table.losses.shape[1] / WORKERS)


def simulate(table: Table, search: Search, target: float = -math.inf, whole_trials: float = math.inf) -> Run:
    """Run a search until a trial that ran whole has reached the target, or so many have run whole.

    Only what ran whole counts, as with candle, where a trial that was stopped is never the best. A search that
    has used up its table has stopped what it was to find, and counts with the time that all of the table needs.
    """
    last = table.losses.shape[1]
    free, running = Free(table), list[tuple[float, int, int, int]]()  # when, whose step, row, step
    number = ended_whole = steps = 0
    now, best = 0.0, math.inf
    while True:
        while len(running) < WORKERS and len(free):
            number += 1
            row = search.start(number, free)
            free.take(row)
            heapq.heappush(running, (now + table.seconds[row], number, row, 1))
        if not running:
            return Run(whole_seconds(table), False, best, number, steps)
        now, which, row, step = heapq.heappop(running)
        loss, steps = float(table.losses[row, step - 1]), steps + 1
        if step < last and search.continues(which, step, loss):
            heapq.heappush(running, (now + table.seconds[row], which, row, step + 1))
            continue
        search.end(which, step, loss, whole=step == last)
        if step == last:
            ended_whole += 1
            best = min(best, loss if math.isfinite(loss) else math.inf)
            if best <= target or ended_whole >= whole_trials:
                return Run(now, best <= target, best, number, steps)
