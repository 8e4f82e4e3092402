"""From runs to ratios of worker time, with bounds."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from early_stopping.searches import SEARCHES, Make
from early_stopping.simulation import Run, simulate
from early_stopping.space import Array
from early_stopping.tables import Table

SEEDS = 20
WHOLE_TRIALS = 100
RESAMPLES = 10_000
RANDOM = "random search"

load = functools.cache(Table.load)


@functools.cache
def target(task: str) -> float:
    """Return the value that random search reaches with 100 whole trials: the median over seeds."""
    runs = [
        simulate(load(task), SEARCHES[RANDOM](load(task), seed), whole_trials=WHOLE_TRIALS) for seed in range(SEEDS)
    ]
    return float(np.median([run.best for run in runs]))


def run(make: Make, task: str, seed: int) -> Run:
    """Run a search on a task until it has reached the target."""
    return simulate(load(task), make(load(task), seed), target(task))


class Results:
    """Runs in a file: a JSON list [task, search, seed, seconds, is_reached, trials, steps] a line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        rows = map(json.loads, lines)
        self.runs = {
            (task, name, seed): Run(seconds, is_reached, np.nan, trials, steps)
            for task, name, seed, seconds, is_reached, trials, steps in rows
        }

    def add(self, task: str, name: str, seed: int) -> None:
        """Run a search, unless that is there; append it to the file."""
        if (task, name, seed) in self.runs:
            return
        found = self.runs[task, name, seed] = run(SEARCHES[name], task, seed)
        row = [task, name, seed, float(f"{found.seconds:.6g}"), found.is_reached, found.trials, found.steps]
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def seeds(self, name: str, tasks: Sequence[str]) -> list[int]:
        """Return the seeds that a search has on all of these tasks."""
        return [seed for seed in range(SEEDS) if all((task, name, seed) in self.runs for task in tasks)]

    def seconds(self, name: str, tasks: Sequence[str], seeds: Sequence[int]) -> Array:
        """Return the seconds of a search, a row a task and a column a seed."""
        return np.array([[self.runs[task, name, seed].seconds for seed in seeds] for task in tasks])

    def missed(self, name: str, tasks: Sequence[str], seeds: Sequence[int]) -> int:
        """Return how many runs of a search have not reached the target."""
        return sum(not self.runs[task, name, seed].is_reached for task in tasks for seed in seeds)


class Ratio(NamedTuple):
    """How many times another's worker time a search needs, and between which bounds (95 %)."""

    value: float
    low: float
    high: float


def ratio(seconds: Array, others: Array) -> Ratio:
    """Return the ratio of mean seconds, in the geometric mean over the tasks, with the bounds of a paired bootstrap.

    Each has a row a task and a column a seed. Tasks are drawn again, and of each the seeds, the same for both.
    """
    generator = np.random.default_rng(0)
    tasks, seeds = seconds.shape
    rows = generator.integers(tasks, size=(RESAMPLES, tasks, 1))
    columns = generator.integers(seeds, size=(RESAMPLES, tasks, seeds))
    drawn = np.log(seconds[rows, columns].mean(axis=2) / others[rows, columns].mean(axis=2)).mean(axis=1)
    value = np.log(seconds.mean(axis=1) / others.mean(axis=1)).mean()
    return Ratio(*np.exp([value, *np.quantile(drawn, [0.025, 0.975])]).tolist())
