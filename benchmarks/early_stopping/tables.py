"""Tables of learning curves: the validation loss of random configurations after each step, as it was once measured.

For each task 512 configurations, as the hyperparameters' scales spread them evenly, were trained for 50 steps each, by
one thread. What is random in a training follows from the task's name and the number of the configuration, so the same
losses come again, up to what another processor or library rounds otherwise; the seconds are processor time, of a
machine that was busy with other things, and the mean over the steps of a configuration.

A table is a file of NumPy: `losses`, a row a configuration and a column a step, NaN where training had diverged;
`seconds` a step of each configuration; and, by its name, a column for each hyperparameter, a choice as the place of its
word in the task's space.
"""

from __future__ import annotations

import time
import warnings
import zlib
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from early_stopping.networks import STEPS
from early_stopping.space import Array, Choice, Space, positions, random_configuration
from early_stopping.tasks import TASKS, Task

FOLDER = Path(__file__).parent / "tables"
CONFIGURATIONS = 512
KEPT_BITS = 0xFFFFFF80  # of a loss: 16 binary digits of its 24, which is closer than any search looks

MOST = 1e30  # what is beyond that has diverged


class Table(NamedTuple):
    """The learning curves of a task. `positions` are its configurations as points, a row each."""

    name: str
    space: Space
    configurations: list[dict[str, Any]]
    losses: Array
    seconds: Array
    positions: Array

    @classmethod
    def load(cls, name: str, folder: Path = FOLDER) -> Table:
        """Read a table."""
        space = TASKS[name].space
        with np.load(folder / f"{name}.npz") as file:
            columns = {each: file[each].tolist() for each in space}
            losses, seconds = file["losses"].astype(float), file["seconds"].astype(float)
        for each, axis in space.items():
            if isinstance(axis, Choice):
                columns[each] = [axis.words[int(place)] for place in columns[each]]
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return cls(name, space, rows, losses, seconds, positions(space, rows))


def measure(task: Task, given: dict[str, Any], seed: list[int]) -> tuple[list[float], float]:
    """Train with one configuration; return its losses, and seconds of processor time a step."""
    begin = time.process_time()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a training that diverges says so in many ways
        losses = list(islice(task.train(given, np.random.default_rng([*seed, 1])), STEPS))
    return losses, (time.process_time() - begin) / STEPS


def make_table(name: str, configurations: int = CONFIGURATIONS, folder: Path = FOLDER) -> None:
    """Train all configurations of a task and write its table."""
    task, rows, measured = TASKS[name], [], []
    with threadpool_limits(1):
        for number in range(configurations):
            seed = [zlib.crc32(name.encode()), number]
            rows.append(random_configuration(task.space, np.random.default_rng(seed)))
            measured.append(measure(task, rows[-1], seed))
    columns: dict[str, Any] = {}
    for each, axis in task.space.items():
        values = [axis.words.index(row[each]) if isinstance(axis, Choice) else row[each] for row in rows]
        is_whole = isinstance(axis, Choice) or axis.whole
        columns[each] = np.array(values, dtype=np.uint16 if is_whole else np.float32)
    exact = np.array([each for each, _ in measured])
    losses = np.where(np.abs(exact) < MOST, exact, np.nan).astype(np.float32)
    kept = (losses.view(np.uint32) & np.uint32(KEPT_BITS)).view(np.float32)
    seconds = np.array([each for _, each in measured], dtype=np.float32)
    np.savez_compressed(folder / f"{name}.npz", losses=kept, seconds=seconds, **columns)
