"""One run: a search on a task with eight workers, on a clock that is only counted."""

from __future__ import annotations

import heapq
import time
import warnings
import zlib
from typing import NamedTuple

import numpy as np

from search_quality.contenders import CONTENDERS
from search_quality.task import Task

WORKERS = 8


class Run(NamedTuple):
    """What came of a run: the values in the order of the proposals, and the processor time of the search itself.

    `seconds` is the mean processor time a proposal, of the first 40, 100 and 200 proposals, as far as there are.
    """

    task: str
    contender: str
    seed: int
    budget: int
    values: list[float]
    seconds: dict[str, float]


def simulate(task: Task, contender: str, seed: int, budget: int) -> Run:
    """Run a search: eight trials at a time of uneven lengths; who ends first is reported, and the next is asked for."""
    lengths = np.random.default_rng([zlib.crc32(task.name.encode()), seed]).lognormal(0.0, 0.5, budget)
    values: list[float] = []
    running: list[tuple[float, int]] = []
    spent: list[float] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = CONTENDERS[contender](task, seed, budget)
        now = 0.0
        for number in range(budget):
            begin = time.process_time()
            if len(running) == WORKERS:
                now, ended = heapq.heappop(running)
                search.tell(ended, values[ended])
            given = search.ask(number)
            spent.append(time.process_time() - begin)
            values.append(_value(task, given))
            heapq.heappush(running, (now + lengths[number], number))
    means = {str(count): float(np.mean(spent[:count])) for count in (40, 100, 200) if count <= budget}
    return Run(task.name, contender, seed, budget, [float(f"{value:.8g}") for value in values], means)


def _value(task: Task, given: dict[str, object]) -> float:
    # Some searches give inactive parameters too, some leave them out.
    full = {name: given.get(name, getattr(each, "low", None)) for name, each in task.space.items()}
    return task.value(full)
