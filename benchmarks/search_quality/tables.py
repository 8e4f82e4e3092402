"""Tables that stand for the models: evaluated once, then interpolated, which takes a tenth of a millisecond.

A table has 1,000 random sets of hyperparameters and 500 that were varied from the best tenth so far, so that it is
densest where searches go. In between, extremely randomized trees interpolate: averaged over many trees with random
splits and single samples as leaves, they are continuous and close to piecewise linear (Geurts, Ernst and Wehenkel,
"Extremely randomized trees", Machine Learning 63, 2006). That searches rank on such surrogates as they do on the
models themselves is shown in Eggensperger, Hutter, Hoos and Leyton-Brown, "Efficient benchmarking of hyperparameter
optimizers via surrogates", AAAI 2015.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from sklearn.ensemble import ExtraTreesRegressor

from search_quality.models import model_tasks
from search_quality.task import Assignment, Task

FOLDER = Path(__file__).parent / "tables"
RANDOM = 1000
VARIED = 500
TREES = 200
DIGITS = 6  # of floats, so that a table has the very numbers that were evaluated


def evaluate_table(task: Task) -> None:
    """Evaluate a task's table and write it: one JSON list [active hyperparameters, value] a line."""
    generator = np.random.default_rng(0)
    rows: list[tuple[dict[str, Any], float]] = []
    for number in range(RANDOM + VARIED):
        assignment = {name: _draw(distribution, generator) for name, distribution in task.space.items()}
        if number >= RANDOM:
            best = sorted(rows, key=lambda row: math.inf if math.isnan(row[1]) else row[1])[: len(rows) // 10]
            parent = best[generator.integers(len(best))][0]
            kept = {name: value for name, value in parent.items() if generator.random() > 0.3}
            assignment |= kept
        active = {name: assignment[name] for name in task.active(assignment)}
        value = float(f"{task.function(active):.{DIGITS}g}")
        rows.append((active, value))
    FOLDER.mkdir(exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (FOLDER / f"{task.name}.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


def _draw(distribution: BaseDistribution, generator: np.random.Generator) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[generator.integers(len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = float(distribution.low), float(distribution.high)
    if isinstance(distribution, IntDistribution):
        low, high = low - 0.5, high + 0.5
    share = generator.random()
    value = low * (high / low) ** share if distribution.log else low + share * (high - low)
    if isinstance(distribution, IntDistribution):
        return min(max(round(value), distribution.low), distribution.high)
    return min(max(float(f"{value:.{DIGITS}g}"), distribution.low), distribution.high)


class Surrogate:
    """What stands for a model: the mean of many extremely randomized trees that were fitted to its table."""

    def __init__(self, task: Task) -> None:
        lines = gzip.decompress((FOLDER / f"{task.name}.jsonl.gz").read_bytes()).decode().splitlines()
        rows = [json.loads(line) for line in lines]
        self._space = task.space
        inputs = np.array([self._encode(row[0]) for row in rows])
        values = np.array([row[1] for row in rows])
        # A model that diverges has a loss without bounds, or none; beyond the worst tenth that only says "bad" louder.
        worst = np.nanquantile(values, 0.9)
        values = np.minimum(np.nan_to_num(values, nan=worst), worst)
        forest = ExtraTreesRegressor(TREES, max_features=1.0, random_state=0, n_jobs=1).fit(inputs, values)
        self._stack([tree.tree_ for tree in forest.estimators_])

    def _stack(self, trees: list[Any]) -> None:
        """Put all trees' nodes one after the other, so that one descent goes down all of them together."""
        sizes = [tree.node_count for tree in trees]
        self._roots = np.cumsum([0, *sizes[:-1]])
        leaf = [tree.children_left < 0 for tree in trees]
        own = [np.arange(size) for size in sizes]
        self._depth = max(tree.max_depth for tree in trees)
        self._left, self._right = (
            np.concatenate(
                [
                    np.where(is_leaf, itself, getattr(tree, side)) + root
                    for is_leaf, itself, tree, root in zip(leaf, own, trees, self._roots, strict=True)
                ]
            )
            for side in ("children_left", "children_right")
        )
        self._feature = np.concatenate([np.maximum(tree.feature, 0) for tree in trees])
        self._threshold = np.concatenate([tree.threshold for tree in trees])
        self._value = np.concatenate([tree.value[:, 0, 0] for tree in trees])

    def __call__(self, given: Assignment) -> float:
        """Return the value at the active hyperparameters."""
        inputs = self._encode(given).astype(np.float32)
        nodes = self._roots
        for _ in range(self._depth):
            goes_left = inputs[self._feature[nodes]] <= self._threshold[nodes]
            nodes = np.where(goes_left, self._left[nodes], self._right[nodes])
        return float(self._value[nodes].mean())

    def _encode(self, given: Mapping[str, Any]) -> np.ndarray:
        """Return one number a numeric parameter (on its own scale) and one for each category; -1 is inactive."""
        numbers: list[float] = []
        for name, distribution in self._space.items():
            if isinstance(distribution, CategoricalDistribution):
                numbers += [float(name in given and given[name] == each) for each in distribution.choices]
                continue
            assert isinstance(distribution, FloatDistribution | IntDistribution)
            if name not in given:
                numbers.append(-1.0)
            elif distribution.log:
                numbers.append(
                    math.log(given[name] / distribution.low) / math.log(distribution.high / distribution.low)
                )
            else:
                numbers.append((given[name] - distribution.low) / (distribution.high - distribution.low))
        return np.array(numbers)


def table_tasks(names: set[str] | None = None) -> list[Task]:
    """Return the tasks of the models with tables in their functions' place; only those with the given names."""
    tasks = [task for task in model_tasks() if names is None or task.name in names]
    return [task._replace(function=Surrogate(task)) for task in tasks]
