"""What failures mean for the whole: what is attempted again, and when an experiment stops because of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from candle_hpo.campaign import Campaign
from candle_hpo.core.failures import FailurePolicy, FailureWatch, kind_of_failure
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.core.stopping import Stop, StopHow, StopReason
from candle_hpo.core.trial import Attempt, Failure, FailureKind, Outcome, Status, Trial, default_trial_id
from candle_hpo.engine.pooled import PooledEngine
from candle_hpo.record.record import Record
from candle_hpo.report.summary import stop_text
from candle_hpo.search.grid import GridSearch
from support.attempts import attempt_at

BROKEN = Outcome(
    Status.FAILED, failure=Failure(FailureKind.EXIT_STATUS, "exit status 1; last output: NameError"), seconds=0.1
)
REFUSED = Outcome.interrupted("Too many open files")


def only_the_first(attempt: Attempt) -> Outcome | None:
    return completed(7) if attempt.trial.number == 1 else None


def trial(number: int) -> Trial:
    return attempt_at(number, {"x": number}).trial


def completed(number: int = 0) -> Outcome:
    return Outcome(Status.COMPLETED, {THE_VALUE: float(number)}, seconds=0.1)


def watch_of(policy: FailurePolicy, outcomes: list[Outcome], workers: int = 1) -> FailureWatch:
    watch = FailureWatch(policy)
    watch.workers = workers
    for number, outcome in enumerate(outcomes, start=1):
        watch.add(trial(number), outcome)
    return watch


def test_ten_failures_of_one_kind_and_nothing_else_are_a_broken_script() -> None:
    reasons = [f"exit status 1; last output: ValueError: x={number / 7} at 0x7f{number:02x}" for number in range(10)]
    outcomes = [Outcome(Status.FAILED, failure=Failure(FailureKind.NO_VALUE, reason)) for reason in reasons]
    assert watch_of(FailurePolicy(), outcomes[:9]).stop is None
    stop = watch_of(FailurePolicy(), outcomes).stop
    assert stop == Stop(StopReason.ALL_FAILED_ALIKE, 10, last=reasons[-1])
    assert stop_text(stop) == f"too many failures: the first 10 trials all failed in the same way: {reasons[-1]}"


@pytest.mark.parametrize(
    "other",
    [
        completed(),
        Outcome(Status.FAILED, failure=Failure(FailureKind.EXIT_STATUS, "exit status 1; last output: KeyError")),
    ],
)
def test_one_that_ends_in_another_way_shows_that_it_is_not_the_script(other: Outcome) -> None:
    assert watch_of(FailurePolicy(), [BROKEN, other, *[BROKEN] * 20]).stop is None


def test_a_script_that_completed_a_trial_before_is_not_broken() -> None:
    watch = FailureWatch(FailurePolicy())
    watch.add_earlier(completed())
    for number in range(1, 21):
        watch.add(trial(number), BROKEN)
    assert watch.stop is None


def test_a_trial_that_still_ran_can_show_that_the_script_works() -> None:
    watch = watch_of(FailurePolicy(), [BROKEN] * 10)
    assert watch.stop
    watch.add(trial(11), completed())
    assert watch.stop is None


def test_failures_are_counted_where_the_user_says_so() -> None:
    assert watch_of(FailurePolicy(max_failures=3), [BROKEN, completed(), BROKEN]).stop is None
    three = watch_of(FailurePolicy(max_failures=3), [BROKEN, completed(), BROKEN, BROKEN])
    assert three.stop == Stop(StopReason.MAX_FAILURES, 3, limit=3)
    assert stop_text(three.stop) == "too many failures: 3 trials have failed, and max_failures=3"
    assert watch_of(FailurePolicy(max_failures=0), [BROKEN] * 100).stop is None


def test_the_same_trial_is_one_failure_however_often() -> None:
    watch = FailureWatch(FailurePolicy(max_failures=2))
    for _ in range(5):
        watch.add(trial(1), BROKEN)
    assert watch.stop is None


def test_the_name_of_a_trial_makes_no_failure_another() -> None:
    kinds = {
        kind_of_failure(
            attempt_at(1, id=name).trial,
            Outcome(Status.FAILED, failure=Failure(FailureKind.NO_VALUE, f"no file /run/{name}/a.txt")),
        )
        for name in ("short", "long")
    }
    assert len(kinds) == 1


@pytest.mark.parametrize(("workers", "most"), [(1, 3), (2, 4), (100, 200)])
def test_a_machine_that_refuses_everything_is_not_asked_for_ever(workers: int, most: int) -> None:
    assert watch_of(FailurePolicy(), [REFUSED] * (most - 1), workers).stop is None
    stop = watch_of(FailurePolicy(), [REFUSED] * most, workers).stop
    assert stop == Stop(StopReason.TRIALS_REFUSED, most, last="Too many open files")
    assert stop_text(stop) == f"system errors ended one trial after the other, the last {most}: Too many open files"
    assert watch_of(FailurePolicy(), [REFUSED] * (most - 1) + [BROKEN] + [REFUSED] * (most - 1), workers).stop is None


@pytest.fixture
def record(here: Path) -> Record:
    return Record(here / "events.jsonl", Objective(Direction.MINIMIZE))


def run(
    record: Record, run_attempt: Callable[[Attempt], Outcome], policy: FailurePolicy, workers: int = 2, count: int = 100
) -> Stop | None:
    space = GridSpace(("x",), [ParameterSet(default_trial_id(number), {"x": number}) for number in range(1, count + 1)])
    with ThreadPoolExecutor(workers) as pool:
        return Campaign(
            GridSearch(space), PooledEngine(pool, run_attempt, workers, lambda *_: None), record, policy
        ).run()


def test_a_broken_script_ends_the_experiment_and_a_fixed_one_continues(record: Record) -> None:
    stopped = run(record, lambda _: BROKEN, FailurePolicy())
    assert stopped is not None
    assert stopped.reason is StopReason.ALL_FAILED_ALIKE
    assert 10 <= record.history.counts[Status.FAILED] <= 12
    assert record.history.stopped is not None
    assert record.history.stopped.stop == stopped
    failed = record.history.counts[Status.FAILED]
    assert run(record, lambda attempt: completed(attempt.trial.number), FailurePolicy()) is None
    assert record.history.counts == {Status.FAILED: failed, Status.COMPLETED: 100 - failed}


def test_what_runs_when_failures_are_too_many_may_end(record: Record) -> None:
    """Ten workers fail at once, one works: nothing more is started, and all continues when that one completes."""
    attempts: Counter[int] = Counter()

    def run_attempt(attempt: Attempt) -> Outcome:
        attempts[attempt.trial.number] += 1
        if 2 <= attempt.trial.number <= 11:
            return BROKEN
        if attempt.trial.number == 1:
            while len(attempts) < 11 or record.history.counts[Status.FAILED] < 10:
                time.sleep(0.001)
        return completed(attempt.trial.number)

    assert run(record, run_attempt, FailurePolicy(), workers=11) is None
    assert record.history.counts == {Status.FAILED: 10, Status.COMPLETED: 90}
    assert set(attempts.values()) == {1}


def test_a_machine_that_refuses_ends_the_experiment(record: Record) -> None:
    def refuse(attempt: Attempt) -> Outcome:
        raise OSError(24, "Too many open files")

    stopped = run(record, refuse, FailurePolicy(retries=5))
    assert stopped is not None
    assert stopped.reason is StopReason.TRIALS_REFUSED
    assert stopped.last == "[Errno 24] Too many open files"
    assert len(record.history.trials) < 10
    assert run(record, lambda attempt: completed(attempt.trial.number), FailurePolicy()) is None
    assert record.history.counts == {Status.COMPLETED: 100}


@pytest.mark.parametrize(("times", "completes"), [(0, False), (1, False), (2, True), (5, True)])
def test_what_the_model_failed_is_attempted_again_where_the_user_says_so(
    record: Record, times: int, completes: bool
) -> None:
    def flaky(attempt: Attempt) -> Outcome:
        return completed() if attempt.trial.number != 3 or attempt.number == 3 else BROKEN

    run(record, flaky, FailurePolicy(retry_failed=times), count=5)
    assert record.history.trials[3].attempt.number == min(times + 1, 3)
    assert record.history.counts[Status.COMPLETED] == (5 if completes else 4)


def test_a_trial_whose_end_its_worker_wrote_down_is_not_run_again_though_no_news_of_it_came(record: Record) -> None:
    """The pool gives up on all futures, as a cluster's does when it is stopped."""
    space = GridSpace(("x",), [ParameterSet(default_trial_id(number), {"x": number}) for number in range(1, 5)])

    def run_attempt(attempt: Attempt) -> Outcome:
        raise OSError("stopped while it ran")

    with ThreadPoolExecutor(2) as pool:
        engine = PooledEngine(pool, run_attempt, 2, lambda *_: None, collect=only_the_first)
        Campaign(GridSearch(space), engine, record, FailurePolicy(retries=0)).run()
    assert record.history.counts == {Status.COMPLETED: 1, Status.INTERRUPTED: 3}


def test_how_an_attempt_ended_that_no_campaign_recorded_is_collected(here: Path, record: Record) -> None:
    """Two trials ran when the campaign was killed; of one of them the outcome lies in its folder."""

    class Killed(BaseException):
        pass

    def kill() -> None:
        if len(record.history.running) == 2:
            raise Killed

    space = GridSpace(("x",), [ParameterSet(default_trial_id(number), {"x": number}) for number in range(1, 5)])
    with ThreadPoolExecutor(2) as pool, pytest.raises(Killed):
        engine = PooledEngine(pool, lambda attempt: completed(attempt.trial.number), 2, lambda *_: None)
        campaign = Campaign(GridSearch(space), engine, record, FailurePolicy(), kill)
        campaign._record_what_still_ends = lambda: None  # type: ignore[method-assign]  # as kill -9 would have it
        campaign.run()
    record.close()

    again = Record(here / "events.jsonl", Objective(Direction.MINIMIZE))
    ran: list[tuple[int, int]] = []

    def run_attempt(attempt: Attempt) -> Outcome:
        ran.append((attempt.trial.number, attempt.number))
        return completed(attempt.trial.number)

    with ThreadPoolExecutor(2) as pool:
        engine = PooledEngine(pool, run_attempt, 2, lambda *_: None, collect=only_the_first)
        assert Campaign(GridSearch(space), engine, again, FailurePolicy()).run() is None
    assert sorted(ran) == [(2, 2), (3, 1), (4, 1)]
    assert again.history.counts == {Status.COMPLETED: 4}
    outcome = again.history.trials[1].outcome
    assert outcome is not None
    assert outcome.value_of(THE_VALUE) == 7.0
    again.close()
    assert Record(here / "events.jsonl", Objective(Direction.MINIMIZE)).history.counts == {Status.COMPLETED: 4}


def test_what_a_repaired_record_lacks_is_run_and_nothing_else(here: Path, record: Record) -> None:
    """Both lines of a trial in the middle, and the last one of another, were damaged and are taken out."""
    run(record, lambda attempt: completed(attempt.trial.number), FailurePolicy(), count=6)
    record.close()
    path = here / "events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [
        line for line in lines if b'"number":2,' not in line and not (b"Finished" in line and b'"number":4,' in line)
    ]
    path.write_bytes(b"".join(kept))
    again = Record(path, Objective(Direction.MINIMIZE))
    ran: list[tuple[int, int]] = []

    def run_attempt(attempt: Attempt) -> Outcome:
        ran.append((attempt.trial.number, attempt.number))
        return completed(attempt.trial.number)

    assert run(again, run_attempt, FailurePolicy(), count=6) is None
    assert sorted(ran) == [(2, 1), (4, 2)]
    assert again.history.counts == {Status.COMPLETED: 6}


def test_a_trial_that_was_stopped_on_purpose_has_not_failed_and_is_never_run_again(record: Record) -> None:
    ran: list[tuple[int, int]] = []

    def run_attempt(attempt: Attempt) -> Outcome:
        ran.append((attempt.trial.number, attempt.number))
        return BROKEN if attempt.trial.number == 1 else Outcome.stopped(StopHow.PURPOSE, seconds=0.1)

    policy = FailurePolicy(retries=3, retry_failed=1, max_failures=2)
    assert run(record, run_attempt, policy, count=12) is None
    assert sorted(ran) == [(1, 1), (1, 2), *((number, 1) for number in range(2, 13))]
    history = record.history
    assert history.counts == {Status.FAILED: 1, Status.STOPPED: 11}
    assert (history.failed, history.left(12), [row.trial.number for row in history.with_failure]) == (1, 0, [1])
    assert history.best is None

    ran.clear()
    space = GridSpace(("x",), [ParameterSet(default_trial_id(number), {"x": number}) for number in range(1, 13)])
    with ThreadPoolExecutor(2) as pool:
        engine = PooledEngine(pool, run_attempt, 2, lambda *_: None)
        Campaign(GridSearch(space), engine, record, FailurePolicy(), retry_failed=True).run()
    assert ran == [(1, 3)]
