"""The order of a grid's sets: that of the list, but for long trials that would end last. Time is simulated."""

from __future__ import annotations

import heapq
import random
import statistics
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.core.trial import (
    Attempt,
    Failure,
    FailureKind,
    Hyperparameters,
    Outcome,
    Status,
    Trial,
    default_trial_id,
)
from candle_hpo.schedule.durations import expected_seconds
from candle_hpo.schedule.scheduler import FirstCome, LongestFirst, Moment, Scheduler
from candle_hpo.search.grid import GridSearch
from support.attempts import attempt_at

Seconds = Callable[[Hyperparameters], float]


def grid(sets: Sequence[Hyperparameters]) -> GridSpace:
    found = [ParameterSet(default_trial_id(number), one) for number, one in enumerate(sets, start=1)]
    return GridSpace(tuple(sets[0]) if sets else (), found)


def run(
    sets: Sequence[Hyperparameters],
    workers: int,
    seconds: Seconds,
    scheduler: Scheduler | None = None,
    done: frozenset[int] = frozenset(),
) -> tuple[list[int], float]:
    """Run all trials but those that are done on a simulated clock, as a campaign does.

    Return their numbers in the order of their starts, and the makespan.
    """
    search, scheduler = GridSearch(grid(sets)), scheduler or LongestFirst()
    numbers = (number for number in range(1, len(sets) + 2) if number not in done)
    running: list[tuple[float, int, Attempt]] = []
    waiting: list[Attempt] = []
    started, clock = [], 0.0
    while True:
        while len(running) < workers:
            while len(waiting) <= scheduler.look_ahead(workers):
                proposed = search.propose(next(numbers, len(sets) + 1), len(running))
                if proposed is None:
                    break
                waiting.append(Attempt(Trial(proposed)))
            if not waiting:
                break
            attempt = scheduler.choose(waiting, Moment(workers))
            assert attempt is not None
            waiting.remove(attempt)
            started.append(attempt.trial.number)
            heapq.heappush(running, (clock + seconds(attempt.trial.hyperparameters), attempt.trial.number, attempt))
        if not running:
            return started, clock
        began = clock
        clock, _, attempt = heapq.heappop(running)
        assert clock >= began
        scheduler.ended(
            attempt, Outcome(Status.COMPLETED, {THE_VALUE: 1.0}, seconds=seconds(attempt.trial.hyperparameters))
        )


def in_order(lengths: Sequence[float], workers: int) -> float:
    free = [0.0] * workers
    for length in lengths:
        heapq.heapreplace(free, free[0] + length)
    return max(free)


@given(
    count=st.integers(0, 60),
    workers=st.integers(1, 12),
    choice=st.randoms(use_true_random=False),
)
def test_every_set_is_started_once_whatever_was_done_before(count: int, workers: int, choice: random.Random) -> None:
    sets: list[Hyperparameters] = [{"x": number, "kind": choice.choice("ab")} for number in range(count)]
    scheduler = choice.choice([LongestFirst(), FirstCome()])
    done = frozenset(number for number in range(1, count + 1) if choice.random() < 0.3)
    for number in done:
        trial = attempt_at(number, sets[number - 1])
        failed = Outcome(Status.FAILED, failure=Failure(FailureKind.NO_VALUE, "broken"))
        scheduler.ended(trial, choice.choice([Outcome(Status.COMPLETED, {THE_VALUE: 1.0}, seconds=1.0), failed]))
    started, _ = run(sets, workers, lambda _: choice.uniform(0.1, 10), scheduler, done)
    assert sorted([*started, *done]) == list(range(1, count + 1))


def test_one_worker_keeps_the_order_of_the_list() -> None:
    sets: list[Hyperparameters] = [{"epochs": epochs} for epochs in (1, 5, 10, 20, 3, 40)]
    assert run(sets, 1, lambda one: float(one["epochs"]))[0] == list(range(1, 7))  # type: ignore[arg-type]


def test_sets_that_take_about_as_long_keep_the_order_of_the_list() -> None:
    generator = random.Random(1)
    sets: list[Hyperparameters] = [{"x": number % 7, "kind": "ab"[number % 2]} for number in range(40)]
    assert run(sets, 4, lambda _: generator.uniform(0.99, 1.01))[0] == list(range(1, 41))


def test_only_the_end_of_a_long_list_leaves_its_order() -> None:
    sets: list[Hyperparameters] = [{"epochs": number % 20 + 1} for number in range(1000)]
    started, _ = run(sets, 5, lambda one: float(one["epochs"]))  # type: ignore[arg-type]
    assert started[:950] == list(range(1, 951))
    assert started[950:] != list(range(951, 1001))
    assert max(int(str(sets[number - 1]["epochs"])) for number in started[-5:]) <= 10


def test_no_set_leaves_its_place_before_it_must() -> None:
    sets: list[Hyperparameters] = [{"epochs": epochs} for epochs in range(1, 13) for _ in range(2)]
    started, makespan = run(sets, 3, lambda one: float(str(one["epochs"])))
    assert started[:12] == list(range(1, 13))
    assert started[12:] != list(range(13, 25))
    assert makespan <= in_order([float(str(one["epochs"])) for one in sets], 3)


def test_a_grid_that_ends_with_its_longest_trials_does_not_end_with_idle_workers() -> None:
    """The sets of the exercise: 25, the longest of them last."""
    sets: list[Hyperparameters] = [
        {"epochs": epochs, "batch_size": size} for epochs in (1, 5, 10, 15, 20) for size in (32, 64, 128, 256, 512)
    ]

    def seconds(one: Hyperparameters) -> float:
        return float(one["epochs"]) * (1 + 64 / float(one["batch_size"]))  # type: ignore[arg-type]

    lengths = [seconds(one) for one in sets]
    _, makespan = run(sets, 6, seconds)
    ideal = max(sum(lengths) / 6, *lengths)
    assert in_order(lengths, 6) > 1.15 * ideal
    assert makespan < 1.06 * ideal


def test_uneven_trials_end_together() -> None:
    """60 lognormal lengths that follow from a hyperparameter, 6 workers: what the benchmark of the makespan runs."""
    over, over_in_order = [], []
    for seed in range(20):
        generator = random.Random(seed)
        lengths = [4 * generator.lognormvariate(0.0, 0.4) for _ in range(60)]
        sets: list[Hyperparameters] = [{"seconds": length} for length in lengths]
        _, makespan = run(sets, 6, lambda one: float(one["seconds"]))  # type: ignore[arg-type]
        over.append(makespan / (sum(lengths) / 6))
        over_in_order.append(in_order(lengths, 6) / (sum(lengths) / 6))
    assert statistics.median(over) < 1.025
    assert statistics.median(over_in_order) > 1.04


def test_durations_that_follow_from_nothing_cost_nothing() -> None:
    generator = random.Random(7)
    over = []
    for _ in range(40):
        lengths = [generator.lognormvariate(0.0, 0.5) for _ in range(60)]
        sets: list[Hyperparameters] = [{"x": number} for number in range(60)]
        _, makespan = run(sets, 6, lambda one: lengths[int(str(one["x"]))])  # noqa: B023
        over.append(makespan / in_order(lengths, 6))
    assert statistics.mean(over) < 1.02


def test_a_choice_costs_the_same_at_the_end_of_any_list() -> None:
    """With a thousand workers, durations and waiting trials are few, whatever the number of trials."""
    scheduler, looked = LongestFirst(), 0

    class Counted(list[Attempt]):
        def __iter__(self) -> Iterator[Attempt]:
            nonlocal looked
            looked += len(self)
            return super().__iter__()

    trials = [attempt_at(number, {"epochs": number % 50 + 1}) for number in range(1, 100_001)]
    for trial in trials[:-3000]:
        scheduler.ended(
            trial,
            Outcome(Status.COMPLETED, {THE_VALUE: 1.0}, seconds=float(str(trial.trial.hyperparameters["epochs"]))),
        )
    ahead = scheduler.look_ahead(1000)
    assert ahead == 2000
    assert scheduler.choose(Counted(trials[-ahead - 1 :]), Moment(1000)) == trials[-ahead - 1]
    assert looked == 0
    chosen = scheduler.choose(Counted(trials[-ahead:]), Moment(1000))
    assert chosen is not None
    assert int(str(chosen.trial.hyperparameters["epochs"])) >= 45
    assert looked <= 5 * ahead


def test_what_would_not_end_in_the_time_left_is_not_chosen() -> None:
    trials = [attempt_at(number, {"epochs": epochs}) for number, epochs in enumerate((9, 1, 5), 1)]
    for scheduler, expected in ((FirstCome(), (1, 1, 1, None)), (LongestFirst(), (1, 3, 2, None))):
        for epochs in range(1, 8):
            outcome = Outcome(Status.COMPLETED, {THE_VALUE: 1.0}, seconds=10.0 * epochs)
            scheduler.ended(attempt_at(epochs, {"epochs": epochs}), outcome)
        chosen = [scheduler.choose(trials, Moment(2, left)) for left in (1000.0, 65.0, 41.0, 5.0)]
        assert tuple(trial and trial.trial.number for trial in chosen) == expected, scheduler


@pytest.mark.parametrize(
    "sets",
    [
        [{"x": 10**400}, {"x": 1}],
        [{"x": float("1e308")}, {"x": -1e308}],
        [{"x": None}, {"y": [1, 2]}],
        [{"x": True}, {"x": {"a": 1}}],
        [{}, {}],
        [{"x": 0}, {"x": "0"}],
    ],
)
def test_hyperparameters_of_every_kind_have_an_expected_duration(sets: list[Hyperparameters]) -> None:
    found = expected_seconds([(sets[0], 0.0), (sets[1], 3.0)], sets)
    assert all(0 < seconds < 100 for seconds in found)


def test_expected_durations_are_those_of_a_product() -> None:
    kinds = {"small": 1.0, "large": 3.0}
    sets: list[Hyperparameters] = [
        {"epochs": epochs, "kind": kind, "rate": rate, "same": 7}
        for epochs in (1, 3, 10, 30)
        for kind in kinds
        for rate in (1e-3, 1e-2)
    ]

    def seconds(one: Hyperparameters) -> float:
        return 2.0 * float(one["epochs"]) * kinds[str(one["kind"])]  # type: ignore[arg-type]

    found = expected_seconds([(one, seconds(one)) for one in sets[::2]], sets)
    assert found == pytest.approx([seconds(one) for one in sets], rel=0.25)
