"""What the Bayesian search gains by learning from curves: with ASHA, on made learning curves, and a simulated clock.

Beside the search as it is runs the same one that takes the last value of a stopped trial for its final one. Four
families of curves, each seed with other constants, five hyperparameters, 27 steps; eight asynchronous workers. Counted
is the worker time, in whole trials, until a trial has completed that is as good as the best 1 % of the space, which is
about what random search finds with 100 whole trials.

    python benchmarks/search_from_curves.py [SEEDS]        about half a minute a seed
    python benchmarks/search_from_curves.py speed          seconds a proposal, with many trials and reports
"""

from __future__ import annotations

import heapq
import itertools
import math
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.trial import Attempt, Configuration, Outcome, Report, Status, Trial
from candle_hpo.schedule.early_stopping import Asha, EarlyStopping
from candle_hpo.schedule.scheduler import UNHEEDED, FirstCome, VerdictKind
from candle_hpo.schedule.waiting import Search
from candle_hpo.search.parametric import parametric_search
from support.spaces import space_of

Array = NDArray[np.float64]

FAMILIES = ("parallel", "uneven", "slow", "losses")
WIDTH, LENGTH, WORKERS = 5, 27, 8
RUNGS = (1, 3, 9, LENGTH)
MOST_TIME = 15.0  # whole trials
SPACE = space_of("\n".join(f'makeNumericParam("x{index}", lower = 0, upper = 1)' for index in range(WIDTH)))


class Curves:
    """A family's curves with the constants of a seed: where configurations end, what is added on their way, noise.

    `parallel`: the same is added to all. `uneven`: how much, and for how long, depends on two hyperparameters. `slow`:
    one hyperparameter is like a learning rate, whose best values take long. `losses`: what is good falls faster.
    """

    def __init__(self, family: str, seed: int) -> None:
        generator = np.random.default_rng([FAMILIES.index(family), seed])
        self._family, self._seed = family, seed
        self._best, self._weights = generator.uniform(0.2, 0.8, WIDTH), generator.uniform(0.3, 2.0, WIDTH)
        self._mixing, self._slope = generator.normal(size=(WIDTH, WIDTH)) / 6, generator.normal(size=WIDTH)
        self.goal = float(np.quantile([self.at(point, LENGTH) for point in generator.random((4000, WIDTH))], 0.01))

    def at(self, point: Array, step: int) -> float:
        """Return the value at a step, without noise."""
        offset = point - self._best
        far = float(self._weights @ (offset + self._mixing @ offset) ** 2)
        final = 0.1 + far / (1 + far / 2)
        if self._family == "parallel":
            return float(final + step**-0.7)
        if self._family == "uneven":
            size = 1 / (1 + math.exp(-3 * float(self._slope @ (point - 0.5))))
            return float(final + (0.3 + 1.5 * size) * step ** -(0.4 + 0.8 * (1 - point[1])))
        if self._family == "slow":
            return final + 1.5 * math.exp(-step / (1 + 13 * (1 - point[0]) ** 2))
        return 2.3 * math.exp(-3 * math.exp(-3 * final) * math.log1p(step)) + final / 20

    def measured(self, point: Array, step: int, number: int) -> float:
        """Return what the trial of a number measures at a step."""
        return self.at(point, step) + 0.01 * float(np.random.default_rng([self._seed, number, step]).normal())


class LastAsFinal:
    """A search that is shown no reports, and the last value of a stopped trial as that of a completed one."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def propose(self, number: int, running: int) -> Configuration | None:
        """Return what the search proposes."""
        return self._search.propose(number, running)

    def observe(self, trial: Trial, seen: Report | Outcome) -> None:
        """Show the search how it ended."""
        if isinstance(seen, Outcome):
            last = seen.last_report
            assert last is not None
            self._search.observe(trial, Outcome(Status.COMPLETED, last.metrics))


def search_of(seed: int, *, way: str) -> Search:
    """Return a search that learns from curves, or one that takes the last value for the final one, or a random one."""
    settings = Settings(
        model_script="/m.py",
        workflow="random" if way == "random" else "bayesian",
        max_budget=10**5,
        max_iterations=10**5,
        propose_points=WORKERS,
    )
    search = parametric_search(SPACE, settings, seed)
    return LastAsFinal(search) if way == "last as final" else search


def time_to_goal(curves: Curves, search: Search) -> float:
    """Return the worker time until the goal is reached, in whole trials, `MOST_TIME` at most."""
    rule = EarlyStopping(FirstCome(), Asha(3), Objective(Direction.MINIMIZE), min_steps=1, max_steps=LENGTH)
    events: list[tuple[int, int, int]] = []  # when, number of the trial, step
    trials: dict[int, tuple[Attempt, Array]] = {}

    def start(now: int) -> None:
        proposed = search.propose(len(trials) + 1, WORKERS - 1)
        assert proposed is not None
        point = np.array([proposed.hyperparameters[f"x{index}"] for index in range(WIDTH)], dtype=float)
        trials[proposed.number] = Attempt(Trial(proposed)), point
        heapq.heappush(events, (now + RUNGS[0], proposed.number, RUNGS[0]))

    for _ in range(WORKERS):
        start(0)
    while True:
        now, number, step = heapq.heappop(events)
        spent = WORKERS * now / LENGTH  # all workers are busy
        if spent > MOST_TIME:
            return MOST_TIME
        attempt, point = trials[number]
        report = Report(step, {THE_VALUE: curves.measured(point, step, number)})
        if step == LENGTH:
            outcome = Outcome(Status.COMPLETED, report.metrics, last_report=report)
            if curves.at(point, step) <= curves.goal:
                return spent
        else:
            verdict = rule.judge(attempt, report)
            if verdict != UNHEEDED:
                search.observe(attempt.trial, report)
            if verdict.kind is not VerdictKind.STOP:
                following = RUNGS[RUNGS.index(step) + 1]
                heapq.heappush(events, (now + following - step, number, following))
                continue
            outcome = Outcome(Status.STOPPED, last_report=report)
        rule.ended(attempt, outcome)
        search.observe(attempt.trial, outcome)
        start(now)


def compare(seeds: int) -> None:
    """Print the worker time of each way, and how often it reached the goal."""
    ways = ("random", "last as final", "from curves")
    for family, way in itertools.product(FAMILIES, ways):
        times = [time_to_goal(Curves(family, seed), search_of(seed, way=way)) for seed in range(seeds)]
        reached = sum(each < MOST_TIME for each in times)
        print(
            f"{family:10} {way:14} {statistics.mean(times):5.1f} whole trials, reached {reached:2} of {seeds}",
            flush=True,
        )


def speed(trials: int, reports: int, seed: int = 0) -> float:
    """Return the seconds that a proposal takes, in the median of five, after so many trials with so many reports."""
    curves, search = Curves("uneven", seed), search_of(seed, way="from curves")
    generator = np.random.default_rng(seed)
    steps = np.unique(np.geomspace(1, 1000, 4 * reports).astype(int))[:reports].tolist()
    for number in range(1, trials + 1):
        point = generator.random(WIDTH)
        trial = Trial(Configuration(number, str(number), {f"x{i}": float(each) for i, each in enumerate(point)}))
        said = [Report(step, {THE_VALUE: curves.measured(point, step, number)}) for step in steps]
        for report in said:
            search.observe(trial, report)
        if said and number % 3:
            search.observe(trial, Outcome(Status.STOPPED, last_report=said[-1]))
        else:
            value = curves.measured(point, 2 * steps[-1] if steps else LENGTH, number)
            search.observe(trial, Outcome(Status.COMPLETED, {THE_VALUE: value}))
    spent: list[float] = []
    for number in range(trials + 1, trials + 6):
        began = time.process_time()
        assert search.propose(number, WORKERS - 1) is not None
        spent.append(time.process_time() - began)
    return statistics.median(spent)


if __name__ == "__main__":
    if sys.argv[1:] == ["speed"]:
        for trials, reports in ((1000, 0), (1000, 3), (1000, 20)):
            print(f"{trials} trials, {reports} reports each: {speed(trials, reports):.3f} s a proposal")
    else:
        compare(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
