"""A search that learns from what trials had on their way: what that teaches it, and that nothing changes without it."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import numpy as np
import pytest
from msgspec.structs import replace

from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE, Direction
from candle_hpo.core.stopping import StopHow
from candle_hpo.core.trial import Configuration, Failure, FailureKind, Outcome, Report, Status, Trial
from candle_hpo.schedule.waiting import Search
from candle_hpo.search.gp.knowledge import Early
from candle_hpo.search.parametric import parametric_search
from support.spaces import space_of

PLANE = """
makeNumericParam("x", lower = 0, upper = 1)
makeNumericParam("y", lower = 0, upper = 1)
makeDiscreteParam("kind", values = c("a", "b"))
"""
LINE = 'makeNumericParam("x", lower = 0, upper = 1)'
INTERRUPTED = Outcome.interrupted("lost")
FAILED = Outcome(Status.FAILED, failure=Failure(FailureKind.NO_VALUE, "broken"))
LENGTH = 9

Seen = tuple[Trial, Report | Outcome]


def new_search(text: str = PLANE, sampler: str = "candle", **changes: object) -> Search:
    plan = {"design_size": 4, "max_budget": 100, "max_iterations": 100} | changes
    settings = Settings(model_script="/m.py", workflow="bayesian", sampler=sampler, **plan)  # type: ignore[arg-type]
    return parametric_search(space_of(text), settings, seed=3)


def report(step: float, value: float | None) -> Report:
    return Report(step, {THE_VALUE: value})


def completed(value: float, last: Report | None = None) -> Outcome:
    return Outcome(Status.COMPLETED, {THE_VALUE: value}, last_report=last)


def stopped(last: Report | None) -> Outcome:
    how = Outcome.stopped(StopHow.PURPOSE)
    return Outcome(how.status, last_report=last)


def final(trial: Trial) -> float:
    x, y = (float(str(trial.hyperparameters[name])) for name in ("x", "y"))
    return (x - 0.7) ** 2 + (y - 0.2) ** 2 + (trial.hyperparameters["kind"] == "a") * 0.3


def life(trial: Trial) -> list[Report | Outcome]:
    """What is seen of a trial: some are stopped after step 1 or 3, others complete, fail or are interrupted."""
    value = final(trial)
    reports: list[Report | Outcome] = [report(1, value + 1), report(3, value + 1 / 3)]
    last = trial.number % 5
    if last < 2:
        return [*reports[: last + 1], stopped(report(1.5 + 2 * last, value + 0.9 - last / 2))]
    if trial.number % 7 == 2:
        return [*reports, FAILED]
    if trial.number % 7 == 4:
        return [*reports, INTERRUPTED]
    return [*reports, completed(value, report(LENGTH, value))]


def drive(search: Search, count: int, life: Callable[[Trial], list[Report | Outcome]], workers: int = 3) -> list[Seen]:
    """Drive a search as a campaign does, what is seen of several trials mixed; return all of it in its order.

    Those that run at the end are interrupted.
    """
    running: list[tuple[Trial, list[Report | Outcome]]] = []
    seen: list[Seen] = []
    started = 0
    while started < count:
        while len(running) < workers:
            started += 1
            proposed = search.propose(started, len(running))
            assert proposed is not None
            running.append((Trial(proposed), life(Trial(proposed))))
        trial, left = running.pop(0)
        search.observe(trial, left[0])
        seen.append((trial, left[0]))
        if left[1:]:
            running.append((trial, left[1:]))
    for trial, _ in running:
        search.observe(trial, INTERRUPTED)
    return [*seen, *((trial, INTERRUPTED) for trial, _ in running)]


def proposals(search: Search, first: int, count: int = 3) -> list[Configuration | None]:
    return [search.propose(first + index, index) for index in range(count)]


def somewhere(life: Callable[[Trial], list[Report | Outcome]]) -> list[Seen]:
    """What is seen of twenty trials that nobody proposed."""
    generator = np.random.default_rng(1)
    points = [{"x": generator.random(), "y": generator.random(), "kind": "ab"[number % 2]} for number in range(20)]
    trials = [
        Trial(Configuration(number, f"hpset_{number:05d}", point)) for number, point in enumerate(points, start=1)
    ]
    return [(trial, each) for trial in trials for each in life(trial)]


@pytest.mark.parametrize("name", ["candle", "tpe"])
def test_a_search_that_is_shown_the_record_is_the_same_one(name: str) -> None:
    search = new_search(sampler=name)
    seen = drive(search, 18, life)
    again = new_search(sampler=name)
    for trial, each in sorted(seen, key=lambda one: one[0].number):  # those of each trial in their order
        again.observe(trial, each)
    first = max(trial.number for trial, _ in seen) + 1
    assert proposals(again, first) == proposals(search, first)
    assert None not in proposals(again, first + 3)


def test_reports_are_heeded() -> None:
    """Or else all other tests here would show nothing."""
    with_reports, without = new_search(), new_search()
    for trial, each in somewhere(life):
        with_reports.observe(trial, each)
        if isinstance(each, Outcome):
            without.observe(trial, each)
    assert proposals(with_reports, 30) != proposals(without, 30)


def test_without_reports_a_search_is_what_it_was() -> None:
    """Last steps of whole trials say nothing, and neither does what a trial had before it failed or was interrupted."""

    def whole(trial: Trial) -> list[Report | Outcome]:
        return [FAILED if trial.number % 5 == 0 else INTERRUPTED if trial.number % 7 == 0 else completed(final(trial))]

    plain, known = new_search(), new_search()
    for trial, outcome in somewhere(whole):
        assert isinstance(outcome, Outcome)
        plain.observe(trial, outcome)
        if outcome.status is not Status.COMPLETED:
            known.observe(trial, report(1, -5.0))
            known.observe(trial, outcome)
        else:
            known.observe(trial, completed(final(trial), report(LENGTH, final(trial))))
    assert proposals(known, 30) == proposals(plain, 30)


@pytest.mark.parametrize("end", [INTERRUPTED, FAILED])
def test_nothing_is_left_of_an_earlier_attempt(end: Outcome) -> None:
    """A search that is resumed is not shown it. It had come further than any other."""
    once, twice = new_search(), new_search()
    seen = somewhere(life)
    twice.observe(seen[0][0], report(500, -3.0))
    twice.observe(seen[0][0], replace(end, last_report=report(800, -3.0)))
    for trial, each in seen:
        once.observe(trial, each)
        twice.observe(trial, each)
    assert proposals(once, 30) == proposals(twice, 30)


@pytest.mark.parametrize("direction", [Direction.MINIMIZE, Direction.MAXIMIZE])
@pytest.mark.parametrize(("name", "added"), [("candle", 1.0), ("candle", -1.0), ("tpe", -1.0)])
def test_a_value_on_the_way_is_not_taken_for_a_final_one(name: str, added: float, direction: Direction) -> None:
    """All have `added` to their value at step 1. Taken for final, it hides what is good, or what is bad looks best."""
    sign = 1.0 if direction is Direction.MINIMIZE else -1.0
    good = 0.75 if added > 0 else 0.25
    search, misled = (new_search(LINE, name, design_size=2, direction=direction) for _ in range(2))
    for number, x in enumerate(np.linspace(0.02, 0.98, 17).tolist(), start=1):
        trial = Trial(Configuration(number, f"hpset_{number:05d}", {"x": x}))
        value = (x - good) ** 2
        early = report(1, sign * (value + added))
        search.observe(trial, early)
        if x > 0.5:
            search.observe(trial, stopped(early))
            misled.observe(trial, completed(sign * (value + added)))
        else:
            search.observe(trial, completed(sign * value, report(LENGTH, sign * value)))
            misled.observe(trial, completed(sign * value))
    ours, theirs = (
        [float(str(each.hyperparameters["x"])) for each in proposals(one, 18, 5) if each] for one in (search, misled)
    )
    assert abs(statistics.median(ours) - good) < 0.15, ours
    assert abs(statistics.median(theirs) - good) > 0.2, theirs


def test_what_became_no_number_has_failed() -> None:
    searches = [new_search() for _ in range(3)]
    for trial, each in somewhere(life):
        ends: list[list[Report | Outcome]] = [
            [report(1, 0.2), stopped(report(2, None))],
            [FAILED],
            [report(1, 0.2), stopped(report(1, 0.2))],
        ]
        for search, end in zip(searches, ends, strict=True):
            for one in end if trial.number == 1 else [each]:
                search.observe(trial, one)
    nan, failed, value = (proposals(search, 30) for search in searches)
    assert nan == failed != value


def test_what_was_stopped_and_said_nothing_is_as_if_it_ran() -> None:
    searches = [new_search() for _ in range(3)]
    for trial, each in somewhere(life):
        ends = stopped(None), INTERRUPTED, stopped(Report(3, {"accuracy": 0.5}))
        for search, end in zip(searches, ends, strict=True):
            search.observe(trial, end if trial.number == 1 else each)
    first, second, third = (proposals(search, 30) for search in searches)
    assert first == second == third


class TestEarly:
    """Rows of what trials had on their way."""

    def early(self) -> Early:
        curves = [{1.0: 5.0, 10.0: 4.0}, {}, {10.0: 3.0, 1.0: 6.0, 100.0: 2.0}]
        return Early.of(np.arange(3.0)[:, None], curves, np.array([True, False, False]), 100.0)

    def test_each_says_how_far_a_trial_was(self) -> None:
        early = self.early()
        assert early.positions[:, 0].tolist() == [0, 0, 2, 2, 2]
        assert early.values.tolist() == [5, 4, 6, 3, 2]
        assert early.shares.tolist() == pytest.approx([0, 0.5, 0, 0.5, 1])
        assert early.is_last.tolist() == [False, False, False, False, True]

    def test_one_length_alone_is_the_whole_one(self) -> None:
        early = Early.of(np.zeros((2, 1)), [{3.0: 1.0}, {3.0: 2.0}], np.zeros(2, dtype=bool), 3.0)
        assert early.shares.tolist() == [1, 1]

    @pytest.mark.parametrize(("trials", "most"), [(10, 60), (10, 30), (100, 60), (1, 2), (50, 50)])
    def test_a_choice_has_what_trials_had_last_and_some_of_what_was_before(self, trials: int, most: int) -> None:
        curves = [{float(step): number + 1 / step for step in (1, 3, 9, 27)} for number in range(trials)]
        early = Early.of(np.arange(float(trials))[:, None], curves, np.zeros(trials, dtype=bool), 81.0)
        chosen = early.chosen(most)
        assert len(chosen.values) == min(most, 4 * trials)
        assert len(set(zip(chosen.positions[:, 0].tolist(), chosen.shares.tolist(), strict=True))) == len(chosen.values)
        assert chosen.is_last.sum() >= min(trials, most - most // 3)
        assert (~chosen.is_last).sum() >= min(3 * trials, most // 3)

    def test_the_best_are_those_that_came_far(self) -> None:
        assert self.early().best(2).tolist() == [[2], [2]]
        assert self.early().best(4)[:, 0].tolist() == [2, 2, 0, 0]
