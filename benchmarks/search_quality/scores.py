"""From runs to scores, ranks and bounds.

A score is 0 for what random search reaches with the same budget, in the mean over its seeds, and 100 for the best value
that is known: the theory's, or, for the models, the best that any run of any search has met.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from search_quality.split import load_tasks

BUDGETS = (40, 100, 200)
RESAMPLES = 10_000
Key = tuple[str, int]  # a task and a seed


class Comparison(NamedTuple):
    """Ours against another, over the tasks and seeds that both have.

    `seeds` is the least number of them on a task; scores are means over tasks; the difference has bounds.
    """

    other: str
    seeds: int
    ours: float
    theirs: float
    difference: float
    lower: float
    upper: float


class Scores:
    """The scores of all runs of a results file, on some tasks."""

    def __init__(self, results: Path, tasks: list[str]) -> None:
        rows = [row for row in map(json.loads, results.read_text().splitlines()) if row["task"] in tasks]
        self._values: dict[tuple[str, str, int], list[float]] = {}
        self._seconds: dict[tuple[str, str, int], dict[str, float]] = {}
        for row in rows:
            key = (row["contender"], row["task"], row["seed"])
            if len(row["values"]) > len(self._values.get(key, [])):
                self._values[key], self._seconds[key] = row["values"], row["seconds"]
        self._best = {task.name: task.best_known for task in load_tasks(tasks)}
        for name, best in self._best.items():
            met = [min(values) for (_, task, _), values in self._values.items() if task == name]
            self._best[name] = min(met) if best is None else best
        self.contenders = list(dict.fromkeys(contender for contender, _, _ in self._values))
        self.tasks = tasks

    def of(self, contender: str, budget: int) -> dict[Key, float]:
        """Return the score of every run of a search that had this budget at least."""
        reached = self._reached(contender, budget)
        by_chance = self._reached("random", budget)
        scores = {}
        for task in self.tasks:
            chance = float(np.mean([value for (name, _), value in by_chance.items() if name == task]))
            best = self._best[task]
            assert best is not None
            for key, value in reached.items():
                if key[0] == task:
                    scores[key] = 100 * (chance - value) / (chance - best)
        return scores

    def _reached(self, contender: str, budget: int) -> dict[Key, float]:
        return {
            (task, seed): min(values[:budget])
            for (name, task, seed), values in self._values.items()
            if name == contender and len(values) >= budget
        }

    def seconds(self, contender: str, budget: int) -> float:
        """Return the mean processor time of a proposal, in seconds."""
        spent = [
            times[str(budget)] for key, times in self._seconds.items() if key[0] == contender and str(budget) in times
        ]
        return float(np.mean(spent)) if spent else float("nan")

    def compare(self, ours: str, other: str, budget: int) -> Comparison | None:
        """Return a paired bootstrap of the difference of mean scores, 95 % of its resamples between the bounds.

        Pairs are of the same task and seed (so of the same lengths of trials). Seeds are drawn again within each task:
        the tasks are what they are, and count the same.
        """
        first, second = self.of(ours, budget), self.of(other, budget)
        by_task: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for key in sorted(first.keys() & second.keys()):
            by_task[key[0]].append((first[key], second[key]))
        if set(by_task) != set(self.tasks):
            return None
        generator = np.random.default_rng(0)
        pairs = [np.array(each) for each in by_task.values()]
        gaps = [each[:, 0] - each[:, 1] for each in pairs]
        resampled = np.mean(
            [gap[generator.integers(len(gap), size=(RESAMPLES, len(gap)))].mean(axis=1) for gap in gaps], axis=0
        )
        our_score, their_score = np.mean([each.mean(axis=0) for each in pairs], axis=0).tolist()
        lower, upper = np.quantile(resampled, [0.025, 0.975]).tolist()
        return Comparison(
            other, min(map(len, gaps)), our_score, their_score, our_score - their_score, lower=lower, upper=upper
        )

    def ranks(self, contenders: list[str], budget: int) -> dict[str, float]:
        """Return mean ranks over the tasks and seeds that all these searches have; equal scores share their ranks."""
        scores = [self.of(contender, budget) for contender in contenders]
        if not scores:
            return {}
        common = sorted(set.intersection(*(set(each) for each in scores)))
        if not common:
            return {}
        table = np.round(np.array([[each[key] for each in scores] for key in common]), 6)
        better = (table[:, None, :] > table[:, :, None]).sum(axis=2)
        equal = (table[:, None, :] == table[:, :, None]).sum(axis=2)
        return dict(zip(contenders, (better + (equal + 1) / 2).mean(axis=0).tolist(), strict=True))

    def by_task(self, contender: str, budget: int) -> dict[str, float]:
        """Return the mean score on each task."""
        scores = self.of(contender, budget)
        found = {task: [score for key, score in scores.items() if key[0] == task] for task in self.tasks}
        return {task: float(np.mean(each)) if each else float("nan") for task, each in found.items()}
