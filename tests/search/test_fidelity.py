"""A search with fidelity: what is promoted, when, and that a resumed one continues as it would have."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candle_hpo.core.errors import RecordError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.fidelity import Fidelity, Levels, Tally
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.core.trial import (
    Configuration,
    Continued,
    Failure,
    FailureKind,
    Outcome,
    Report,
    Status,
    Trial,
    default_trial_id,
)
from candle_hpo.schedule.waiting import Search
from candle_hpo.search.fidelity import FidelitySearch
from candle_hpo.search.grid import GridSearch
from candle_hpo.search.parametric import parametric_search
from support.spaces import space_of

OBJECTIVE = Objective(Direction.MINIMIZE)
LEVELS = Fidelity("epochs", 3, 81).levels(3)
FAILED = Outcome(Status.FAILED, failure=Failure(FailureKind.EXIT_STATUS, "broken"))
LOST = Outcome.interrupted("its worker was lost")


def completed(value: float) -> Outcome:
    return Outcome(Status.COMPLETED, {THE_VALUE: value})


def grid(count: int) -> GridSearch:
    sets = [ParameterSet(default_trial_id(x), {"epochs": 20, "x": x}) for x in range(1, count + 1)]
    return GridSearch(GridSpace(("x",), sets))


def of_grid(count: int, levels: Levels = LEVELS, objective: Objective = OBJECTIVE) -> FidelitySearch:
    return FidelitySearch(grid(count), levels, objective, count)


@dataclass
class Experiment:
    """What a campaign does with a search: its trials, those that run, and those that wait to be attempted again.

    A trial that fails is attempted again `retry_failed` times.
    """

    search: Search
    outcome: Callable[[Trial], Outcome]
    workers: int = 4
    trials: dict[int, Trial] = field(default_factory=dict)
    ended: dict[int, Outcome] = field(default_factory=dict)
    running: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    retry_failed: int = 0
    failures: Counter[int] = field(default_factory=Counter)

    def start(self) -> bool:
        """Start a trial, if there is one."""
        if self.again:
            self.running.append(self.again.pop(0))
            self.search.observe(self.trials[self.running[-1]], LOST)
            return True
        number = len(self.trials) + 1
        proposed = self.search.propose(number, len(self.running))
        if proposed is not None:
            assert proposed.number == number
            self.trials[number] = Trial(proposed)
            self.running.append(number)
        return proposed is not None

    def end(self, place: int = 0) -> None:
        """End one of the trials that run."""
        number = self.running.pop(place)
        self.ended[number] = self.outcome(self.trials[number])
        self.search.observe(self.trials[number], self.ended[number])
        self.failures[number] += self.ended[number].status is Status.FAILED
        may_be_retried = self.failures[number] <= self.retry_failed
        if self.ended[number].status is Status.INTERRUPTED or (
            self.ended[number].status is Status.FAILED and may_be_retried
        ):
            self.again.append(number)

    def resume(self, search: Search, *, retry_failed: bool = False) -> Experiment:
        """Return what another campaign makes of the record after this one was killed."""
        for number, trial in self.trials.items():
            search.observe(trial, LOST if number in self.running else self.ended.get(number, LOST))
        failed = [number for number, outcome in self.ended.items() if retry_failed and outcome.status is Status.FAILED]
        again = sorted({*self.again, *self.running, *failed})
        return replace(self, search=search, trials=dict(self.trials), ended=dict(self.ended), running=[], again=again)

    def run(self) -> Experiment:
        """Run all there is, trials ending in the order of their starts."""
        while True:
            while len(self.running) < self.workers and self.start():
                pass
            if not self.running:
                return self
            self.end()

    def tally(self) -> Tally:
        """Return what the record of it adds up to."""
        tally = Tally(OBJECTIVE.name)
        for number, trial in self.trials.items():
            tally.begin(trial.configuration.level)
            if number in self.ended and number not in self.running:
                tally.end(trial.configuration.level, self.ended[number])
        return tally

    def at_levels(self) -> list[int]:
        counts = Counter(trial.configuration.level for trial in self.trials.values())
        return [counts[level] for level in range(1, len(LEVELS.values) + 1)]


def value(trial: Trial) -> Outcome:
    return completed(float(str(trial.hyperparameters["x"])))


@pytest.mark.parametrize(
    ("least", "most", "factor", "expected"),
    [
        (3, 81, 3, (3, 9, 27, 81)),
        (3, 80, 3, (3, 9, 27, 80)),
        (3, 82, 3, (3, 9, 27, 82)),
        (1, 5, 3, (1, 5)),
        (1, 6, 3, (1, 3, 6)),
        (1, 2, 4, (1, 2)),
        (100, 1000, 2, (100, 200, 400, 1000)),
        (0.1, 0.9, 3, (0.1, 0.3, 0.9)),
    ],
)
def test_levels_are_a_factor_apart_and_the_last_is_the_most(
    least: float, most: float, factor: int, expected: tuple[float, ...]
) -> None:
    levels = Fidelity("epochs", least, most).levels(factor)
    assert levels.values == expected
    assert [type(each) for each in levels.values] == [type(each) for each in expected]


def test_the_best_third_of_each_level_is_run_at_the_next() -> None:
    done = Experiment(of_grid(27), value).run()
    assert done.at_levels() == [27, 9, 3, 1] == LEVELS.trials(27)
    first = [done.trials[number].configuration for number in range(1, 6)]
    # Of the first three that ended, the first is the best; so far, four had been started.
    assert [one.id for one in first] == ["hpset_00001", "hpset_00002", "hpset_00003", "hpset_00004", "hpset_00005"]
    promoted = done.trials[7].configuration
    assert promoted.id == "hpset_00001@9"
    assert promoted.hyperparameters == {"epochs": 9, "x": 1}
    assert promoted.continues == Continued(1, "hpset_00001", 2)
    assert first[0].hyperparameters == {"epochs": 3, "x": 1}
    assert next(trial.id for trial in done.trials.values() if trial.configuration.level == 4) == "hpset_00001@81"


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 25, 28])
@pytest.mark.parametrize("workers", [1, 4])
def test_however_few_there_are_and_whichever_comes_last_the_best_reaches_the_most(count: int, workers: int) -> None:
    for objective, best in ((OBJECTIVE, 1), (Objective(Direction.MAXIMIZE), count)):
        done = Experiment(of_grid(count, objective=objective), value, workers).run()
        assert f"hpset_{best:05d}@81" in {trial.id for trial in done.trials.values()}
        assert len(done.trials) == sum(LEVELS.trials(count))


def test_the_highest_level_that_can_be_promoted_comes_first() -> None:
    done = Experiment(of_grid(18), lambda trial: completed(1.0), workers=1)
    for _ in range(14):
        done.start()
        done.end()
    assert [trial.id for trial in done.trials.values()][-4:] == [
        "hpset_00009", "hpset_00003@9", "hpset_00001@27", "hpset_00010",
    ]  # fmt: skip


def test_what_failed_or_was_stopped_is_not_promoted_and_its_level_is_complete_without_it() -> None:
    stopped = Outcome(Status.STOPPED)
    outcomes = {1: FAILED, 2: stopped, 3: FAILED}
    done = Experiment(of_grid(9), lambda trial: outcomes.get(trial.number_of_line) or value(trial)).run()
    lines = {trial.number_of_line for trial in done.trials.values() if trial.configuration.level > 1}
    assert lines == {4, 5}
    assert done.at_levels() == [9, 2, 1, 1] == LEVELS.trials(9, done.tally())


def test_in_place_of_a_promoted_one_that_fails_the_next_best_is_promoted() -> None:
    fails = {"hpset_00001@9", "hpset_00002@9", "hpset_00003@81"}
    for workers in (1, 4):
        done = Experiment(of_grid(9), lambda trial: FAILED if trial.id in fails else value(trial), workers).run()
        assert {trial.id for trial in done.trials.values() if trial.configuration.level == 2} == {
            f"hpset_0000{number}@9" for number in range(1, 6)
        }
        assert done.at_levels() == [9, 5, 1, 1] == LEVELS.trials(9, done.tally())


def test_where_all_fail_at_a_level_each_that_has_completed_the_one_before_is_tried_there_once() -> None:
    done = Experiment(of_grid(9), lambda trial: FAILED if trial.configuration.level == 2 else value(trial)).run()
    assert done.at_levels() == [9, 9, 0, 0] == LEVELS.trials(9, done.tally())


@pytest.mark.parametrize(("last", "expected"), [(None, 4), (0.5, 3)])
def test_one_that_was_stopped_was_compared_and_keeps_its_place_unless_its_value_was_not_a_number(
    last: float | None, expected: int
) -> None:
    stopped = Outcome(Status.STOPPED, last_report=Report(1, {THE_VALUE: last}))
    done = Experiment(of_grid(9), lambda trial: stopped if trial.id == "hpset_00001@9" else value(trial)).run()
    assert done.at_levels() == [9, expected, 1, 1] == LEVELS.trials(9, done.tally())


def test_a_level_waits_for_what_is_attempted_again_after_it_failed() -> None:
    attempts: Counter[str] = Counter()

    def outcome(trial: Trial) -> Outcome:
        attempts[trial.id] += 1
        return FAILED if trial.id in ("hpset_00001", "hpset_00003@9") and attempts[trial.id] == 1 else value(trial)

    # The best is the last to end at the first level, for it is attempted again; nothing takes its place meanwhile.
    done = Experiment(of_grid(5), outcome, workers=5, retry_failed=1).run()
    assert done.at_levels() == [5, 2, 1, 1] == LEVELS.trials(5)
    assert "hpset_00001@81" in {trial.id for trial in done.trials.values()}


def test_what_is_known_of_one_that_is_attempted_again_is_what_it_had_before() -> None:
    inner = Observer(GridSpace(("x",), [ParameterSet("s1", {"epochs": 1, "x": 1})]))
    search = FidelitySearch(inner, LEVELS, OBJECTIVE, 1)
    first = search.propose(1, 0)
    assert first is not None
    for seen in (FAILED, LOST, completed(1.0)):
        search.observe(Trial(first), seen)
    second = search.propose(2, 0)
    assert second is not None
    for seen in (FAILED, LOST):
        search.observe(Trial(second), seen)
    below = Outcome(Status.STOPPED, last_report=Report(3, completed(1.0).metrics))
    assert [each for _, _, each in inner.seen] == [FAILED, LOST, below, FAILED, below]


class Observer(GridSearch):
    """A grid that remembers what it observed."""

    def __init__(self, space: GridSpace) -> None:
        super().__init__(space)
        self.seen: list[tuple[int, str, Outcome]] = []

    def observe(self, trial: Trial, seen: Report | Outcome) -> None:
        assert isinstance(seen, Outcome)
        self.seen.append((trial.number, trial.id, seen))


def test_the_inner_search_learns_of_each_line_what_came_at_its_highest_level() -> None:
    inner = Observer(GridSpace(("x",), [ParameterSet(f"s{x}", {"epochs": 1, "x": x}) for x in range(1, 4)]))
    search = FidelitySearch(inner, LEVELS, OBJECTIVE, 3)
    done = Experiment(search, lambda trial: completed(trial.number), workers=1).run()
    assert [trial.id for trial in done.trials.values()] == ["s1", "s2", "s3", "s1@9", "s1@27", "s1@81"]

    def on_its_way(number: int, step: int) -> Outcome:
        return Outcome(Status.STOPPED, last_report=Report(step, completed(number).metrics))

    last = completed(6)
    assert inner.seen == [
        *((n, f"s{n}", on_its_way(n, 3)) for n in (1, 2, 3)),
        (1, "s1", on_its_way(4, 9)),
        (1, "s1", on_its_way(5, 27)),
        (1, "s1", Outcome(last.status, last.metrics, last_report=Report(81, last.metrics))),
    ]
    again = Observer(GridSpace(("x",), [ParameterSet(f"s{x}", {"epochs": 1, "x": x}) for x in range(1, 4)]))
    resumed = FidelitySearch(again, LEVELS, OBJECTIVE, 3)
    for number in (4, 1, 2, 3):  # a damaged record may have a promotion before what it continues
        resumed.observe(done.trials[number], done.ended[number])
    assert [seen[0] for seen in again.seen] == [1, 2, 3]
    assert again.seen[0] == (1, "s1", on_its_way(4, 9))
    resumed.observe(done.trials[5], LOST)
    assert len(again.seen) == 3, "what is known of the lower levels is not forgotten for that"


@pytest.mark.parametrize("outcome", [LOST, Outcome(Status.STOPPED)])
def test_what_interrupts_or_stops_a_promotion_leaves_what_came_of_its_line_before(outcome: Outcome) -> None:
    inner = Observer(GridSpace(("x",), [ParameterSet("s1", {"epochs": 1, "x": 1})]))
    search = FidelitySearch(inner, LEVELS, OBJECTIVE, 1)
    first = search.propose(1, 0)
    assert first is not None
    search.observe(Trial(first), outcome)
    search.observe(Trial(first), completed(1.0))
    second = search.propose(2, 0)
    assert second is not None
    search.observe(Trial(second), outcome)
    seen = [each for _, _, each in inner.seen]
    assert seen == [outcome, Outcome(Status.STOPPED, last_report=Report(3, completed(1.0).metrics))]
    search.observe(Trial(second), FAILED)
    assert inner.seen[-1] == (1, "s1", FAILED)


def test_a_set_that_a_damaged_record_has_lost_is_run_and_no_other_twice() -> None:
    done = Experiment(of_grid(9), value, workers=1).run()
    lost = next(number for number, trial in done.trials.items() if trial.id == "hpset_00005")
    search = of_grid(9)
    for number, trial in done.trials.items():
        if number != lost:
            search.observe(trial, done.ended[number])
    proposed = search.propose(lost, 0)
    assert proposed is not None
    assert (proposed.id, proposed.hyperparameters["x"]) == ("hpset_00005", 5)
    search.observe(Trial(proposed), completed(5.0))
    assert search.propose(len(done.trials) + 1, 0) is None


def test_a_set_that_the_list_does_not_have_is_an_error() -> None:
    with pytest.raises(RecordError, match="other is not one of this experiment's sets"):
        of_grid(3).observe(Trial(Configuration(1, "other", {"epochs": 3})), LOST)


def random_outcomes(seed: int) -> Callable[[Trial], Outcome]:
    """Return outcomes that follow from the trial and the number of its attempts alone."""
    attempts: Counter[int] = Counter()

    def outcome(trial: Trial) -> Outcome:
        attempts[trial.number] += 1
        draw = random.Random(f"{seed} {trial.id} {attempts[trial.number]}")
        kind = draw.random()
        if kind < 0.1 and attempts[trial.number] < 4:
            return LOST
        return FAILED if kind < 0.25 else completed(draw.choice([0.0, 1.0, draw.random()]))

    return outcome


def searches(kind: str, count: int) -> FidelitySearch:
    if kind == "grid":
        return of_grid(count)
    parameter = 'makeNumericParam("x", lower = 0, upper = 1)'
    plain = Settings(model_script="/m.py", workflow="random", max_budget=count)
    inner = parametric_search(space_of(parameter, epochs=20), plain, 1)
    return FidelitySearch(inner, LEVELS, OBJECTIVE, count)


@settings(max_examples=60)
@given(
    kind=st.sampled_from(["grid", "random"]),
    count=st.integers(1, 40),
    workers=st.integers(1, 7),
    retry_failed=st.integers(0, 1),
    seed=st.integers(0, 10**6),
)
def test_whatever_the_order_of_ends_kills_and_failures(
    kind: str, count: int, workers: int, retry_failed: int, seed: int
) -> None:
    choice = random.Random(seed)
    done = Experiment(searches(kind, count), random_outcomes(seed), workers, retry_failed=retry_failed)
    while True:
        may_start = len(done.running) < workers
        if choice.random() < 0.05:
            done = done.resume(searches(kind, count), retry_failed=choice.random() < 0.3)
        elif not (may_start and choice.random() < 0.6 and done.start()):
            if done.running:
                done.end(choice.randrange(len(done.running)))
            elif not done.start():
                break
        assert len(done.trials) <= sum(LEVELS.trials(count, done.tally()))
        lines = [done.trials[number].id_of_line for number in done.running]
        assert len(lines) == len(set(lines))
    # Each count is the one that was foreseen, once it is known what has failed.
    assert done.at_levels() == LEVELS.trials(count, done.tally())
    for level in range(1, len(LEVELS.values)):
        at = [t.id_of_line for t in done.trials.values() if t.configuration.level == level + 1]
        there = {t.id_of_line: v for t in done.trials.values() if t.configuration.level == level
                 if (v := done.ended[t.number].value_of(THE_VALUE)) is not None}  # fmt: skip
        best = {line for line, value in there.items() if value == min(there.values())}
        assert not there or best & set(at), "the best of all reaches the next level"
    by_line: dict[str, list[Configuration]] = {}
    for trial in done.trials.values():
        by_line.setdefault(trial.id_of_line, []).append(trial.configuration)
    assert len({trial.id for trial in done.trials.values()}) == len(done.trials)
    for line in by_line.values():
        assert [one.level for one in line] == list(range(1, len(line) + 1))
        assert [one.hyperparameters["epochs"] for one in line] == list(LEVELS.values[: len(line)])
        assert len({one.hyperparameters["x"] for one in line}) == 1
        assert all(done.ended[one.number].status is Status.COMPLETED for one in line[:-1])
    assert len({str(line[0].hyperparameters["x"]) for line in by_line.values()}) == count


@settings(max_examples=40)
@given(kind=st.sampled_from(["grid", "random"]), steps=st.integers(0, 60), seed=st.integers(0, 10**6))
def test_a_search_that_has_observed_the_record_continues_as_the_first_would_have(
    kind: str, steps: int, seed: int
) -> None:
    choice = random.Random(seed)
    first = Experiment(searches(kind, 20), random_outcomes(seed))
    for _ in range(steps):
        if not (len(first.running) < first.workers and choice.random() < 0.6 and first.start()) and first.running:
            first.end(choice.randrange(len(first.running)))
    # Its campaign dies, and all that ran is run again; or only its worker does.
    second = first.resume(searches(kind, 20))
    first.again, first.running = list(second.again), []
    first.outcome = second.outcome = lambda trial: completed(random.Random(f"{seed} {trial.id}").random())
    assert {n: t.configuration for n, t in first.run().trials.items()} == {
        n: t.configuration for n, t in second.run().trials.items()
    }


@pytest.mark.slow
def test_a_search_that_learns_continues_as_it_would_have() -> None:
    parameter = 'makeNumericParam("x", lower = 0, upper = 1)'
    plain = Settings(model_script="/m.py", workflow="bayesian", max_budget=16, design_size=5)

    def search() -> FidelitySearch:
        inner = parametric_search(space_of(parameter, epochs=20), plain, 1)
        return FidelitySearch(inner, LEVELS, OBJECTIVE, 16)

    def loss(trial: Trial) -> Outcome:
        x, epochs = (float(str(trial.hyperparameters[name])) for name in ("x", "epochs"))
        return completed((x - 0.3) ** 2 + 1 / epochs)

    whole = Experiment(search(), loss, workers=1).run()
    part = Experiment(search(), loss, workers=1)
    for _ in range(11):
        part.start()
        part.end()
    resumed = part.resume(search()).run()
    assert [trial.configuration for trial in resumed.trials.values()] == [
        trial.configuration for trial in whole.trials.values()
    ]
    best = next(trial for trial in whole.trials.values() if trial.configuration.level == len(LEVELS.values))
    assert float(str(best.hyperparameters["x"])) == pytest.approx(0.3, abs=0.1)
