"""The campaign loop, with a pool in this process: what it hands out, records and reports, and how it stops."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from candle_hpo.campaign import Campaign
from candle_hpo.core.errors import MachineError, RecordError
from candle_hpo.core.failures import FailurePolicy
from candle_hpo.core.news import PlacesChanged, StopAsked
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import (
    Attempt,
    Configuration,
    Failure,
    FailureKind,
    Outcome,
    Report,
    Status,
    Trial,
    default_trial_id,
)
from candle_hpo.engine.pooled import PooledEngine
from candle_hpo.record.log import read_events
from candle_hpo.record.record import Record
from candle_hpo.report.summary import stop_text
from candle_hpo.schedule.scheduler import FirstCome, LongestFirst, Scheduler
from candle_hpo.schedule.waiting import Search
from candle_hpo.search.grid import GridSearch

CTRL_C = Stop(StopReason.CTRL_C)
FAILED = Outcome(Status.FAILED, failure=Failure(FailureKind.NO_VALUE, "broken"))


def space(count: int) -> GridSpace:
    return GridSpace(("x",), [ParameterSet(default_trial_id(number), {"x": number}) for number in range(1, count + 1)])


def completed(attempt: Attempt) -> Outcome:
    return Outcome(Status.COMPLETED, {THE_VALUE: float(attempt.trial.number)}, seconds=0.1)


class InlineExecutor(Executor):
    """Runs each call at once, where it is submitted."""

    def submit(self, function: Callable[..., Outcome], /, *args: object, **kwargs: object) -> Future[Outcome]:  # type: ignore[override]
        future: Future[Outcome] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Observer(GridSearch):
    """A grid search that remembers what it observed."""

    def __init__(self, space: GridSpace) -> None:
        super().__init__(space)
        self.observed: list[tuple[int, Status]] = []

    def observe(self, trial: Trial, seen: Report | Outcome) -> None:
        assert isinstance(seen, Outcome), "nothing is weighed"
        self.observed.append((trial.number, seen.status))


class Clock:
    """Knows in how many seconds all places go, and, each time that it is asked again, what comes `later`."""

    def __init__(self, seconds: float, *later: float) -> None:
        self._began, self._later = time.monotonic(), list(later)
        self.deadline: float | None = self._began + seconds

    def renew(self) -> bool:
        """Return whether there is more time than was known."""
        if not self._later:
            return False
        self.deadline = self._began + self._later.pop(0)
        return True


@pytest.fixture
def record(here: Path) -> Record:
    return Record(here / "events.jsonl", Objective(Direction.MINIMIZE))


def campaign(
    record: Record,
    run_attempt: Callable[[Attempt], Outcome] = completed,
    search: Search | None = None,
    pool: Executor | None = None,
    workers: int = 2,
    policy: FailurePolicy = FailurePolicy(),  # noqa: B008  # it is frozen
    stop_pool: Callable[[], None] = lambda: None,
    clock: Clock | None = None,
    scheduler: Scheduler | None = None,
) -> Campaign:
    engine = PooledEngine(pool or InlineExecutor(), run_attempt, workers, lambda *_: stop_pool(), clock=clock)
    return Campaign(search or GridSearch(space(5)), engine, record, policy, scheduler=scheduler)


def test_every_trial_is_run_once_and_recorded(record: Record, here: Path) -> None:
    search = Observer(space(5))
    assert campaign(record, search=search).run() is None
    assert record.history.counts == {Status.COMPLETED: 5}
    assert sorted(search.observed) == [(number, Status.COMPLETED) for number in range(1, 6)]
    kinds = [type(event).__name__ for event in read_events(here / "events.jsonl")]
    assert kinds.count("TrialStarted") == kinds.count("TrialFinished") == 5
    assert kinds[:2] == ["RecordHeader", "CampaignStarted"]
    assert kinds[-1] == "CampaignStopped"


def test_never_more_trials_than_workers(record: Record) -> None:
    lock, running, most = threading.Lock(), set[int](), 0

    def run(attempt: Attempt) -> Outcome:
        nonlocal most
        with lock:
            running.add(attempt.trial.number)
            most = max(most, len(running))
        threading.Event().wait(0.01)
        with lock:
            running.remove(attempt.trial.number)
        return completed(attempt)

    with ThreadPoolExecutor(8) as pool:
        campaign(record, run, GridSearch(space(20)), pool, workers=3).run()
    assert most == 3
    assert record.history.counts == {Status.COMPLETED: 20}


def test_a_start_is_on_the_disk_before_the_trial_runs(record: Record, here: Path) -> None:
    def run(attempt: Attempt) -> Outcome:
        started = [event for event in read_events(here / "events.jsonl") if type(event).__name__ == "TrialStarted"]
        assert any(event.number == attempt.trial.number for event in started)  # type: ignore[union-attr]
        return completed(attempt)

    campaign(record, run).run()
    assert record.history.counts == {Status.COMPLETED: 5}


def test_failures_are_recorded_and_not_attempted_again(record: Record) -> None:
    def run(attempt: Attempt) -> Outcome:
        return FAILED if attempt.trial.number % 2 else completed(attempt)

    campaign(record, run).run()
    assert record.history.counts == {Status.COMPLETED: 2, Status.FAILED: 3}
    assert all(row.attempt.number == 1 for row in record.history.trials.values())


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_what_the_machine_interrupts_is_attempted_again(record: Record, retries: int) -> None:
    attempts: list[int] = []

    def run(attempt: Attempt) -> Outcome:
        if attempt.trial.number == 2:
            attempts.append(attempt.number)
            raise OSError(28, "No space left on device")
        return completed(attempt)

    campaign(record, run, policy=FailurePolicy(retries)).run()
    assert attempts == list(range(1, retries + 2))
    assert record.history.counts == {Status.COMPLETED: 4, Status.INTERRUPTED: 1}
    outcome = record.history.trials[2].outcome
    assert outcome is not None
    assert "No space left on device" in outcome.reason


def test_a_mistake_of_ours_is_not_swallowed(record: Record) -> None:
    stopped: list[bool] = []

    def run(attempt: Attempt) -> Outcome:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        campaign(record, run, stop_pool=lambda: stopped.append(True)).run()
    assert stopped


def test_an_error_loses_no_outcome_that_had_arrived(record: Record) -> None:
    """Trial 1 completes and trial 2 breaks in the same breath; trial 1 is recorded, trial 2 was interrupted."""
    both = threading.Barrier(2)

    def run(attempt: Attempt) -> Outcome:
        both.wait(10)
        if attempt.trial.number == 2:
            raise OverflowError("a mistake")
        return completed(attempt)

    with ThreadPoolExecutor(2) as pool, pytest.raises(OverflowError):
        campaign(record, run, pool=pool).run()
    assert record.history.counts == {Status.COMPLETED: 1, Status.INTERRUPTED: 1}
    assert record.history.stopped is not None


def test_a_pool_that_cannot_start_a_trial_is_the_machines_fault(record: Record) -> None:
    class Full(InlineExecutor):
        def submit(self, function: Callable[..., Outcome], /, *args: object, **kwargs: object) -> Future[Outcome]:  # type: ignore[override]
            raise RuntimeError("can't start new thread")

    with pytest.raises(MachineError, match="cannot be started: can't start new thread"):
        campaign(record, pool=Full()).run()
    assert record.history.counts == {Status.INTERRUPTED: 2}
    assert not record.history.running


def test_without_workers_nothing_starts_and_the_reason_is_recorded(record: Record, here: Path) -> None:
    no_workers = Stop(StopReason.NO_WORKERS, last="n1: srun: error: no")
    engine = PooledEngine(InlineExecutor(), completed, 0, lambda *_: None)
    engine.announce(PlacesChanged(0, ("n1: srun: error: no",)))
    engine.announce(StopAsked(no_workers))
    assert Campaign(GridSearch(space(5)), engine, record, FailurePolicy()).run() == no_workers
    assert not record.history.trials
    assert record.history.stopped is not None
    assert record.history.stopped.stop == no_workers
    assert stop_text(no_workers) == "there are no workers: n1: srun: error: no"


def test_workers_that_come_late_are_used(record: Record, here: Path) -> None:
    engine = PooledEngine(InlineExecutor(), completed, 0, lambda *_: None)
    later = threading.Timer(0.2, engine.announce, [PlacesChanged(2)])
    later.start()
    assert Campaign(GridSearch(space(5)), engine, record, FailurePolicy()).run() is None
    assert record.history.counts == {Status.COMPLETED: 5}
    assert [places for _, places in record.history.campaigns[-1].places] == [0, 2]


def test_workers_that_are_lost_all_at_once_are_not_so_many_refusals(record: Record) -> None:
    class Lost(Executor):
        """Loses all that runs on its six workers, once, as soon as they have it."""

        def submit(self, function: Callable[..., Outcome], /, *args: object, **kwargs: object) -> Future[Outcome]:  # type: ignore[override]
            future: Future[Outcome] = Future()
            futures.append(future)
            if len(futures) == 6:
                engine.announce(PlacesChanged(0, ("n1: srun: error: Node failure on n1",)))
                for each in futures:
                    each.set_exception(OSError("its worker was lost"))
                engine.announce(PlacesChanged(6))
            elif len(futures) > 6:
                future.set_result(function(*args, **kwargs))
            return future

    futures: list[Future[Outcome]] = []
    engine = PooledEngine(Lost(), completed, 6, lambda *_: None)
    assert Campaign(GridSearch(space(20)), engine, record, FailurePolicy()).run() is None
    assert record.history.counts == {Status.COMPLETED: 20}


def test_a_second_signal_of_another_kind_is_not_impatient(record: Record) -> None:
    stops: list[str] = []
    released = threading.Event()

    def run(attempt: Attempt) -> Outcome:
        released.wait(10)
        return Outcome.interrupted("stopped")

    def stop() -> None:
        stops.append("stop")
        if len(stops) == 2:
            released.set()

    with ThreadPoolExecutor(2) as pool:
        running = campaign(record, run, pool=pool, stop_pool=stop)
        for reason in (StopReason.HANGUP, StopReason.TERMINATED, StopReason.TERMINATED):
            running.stop(Stop(reason))
        assert running.run() == Stop(StopReason.TERMINATED)
    assert stops == ["stop", "stop"]


def test_a_stop_records_what_ran_as_interrupted_and_starts_nothing_more(record: Record) -> None:
    released = threading.Event()

    def run(attempt: Attempt) -> Outcome:
        if attempt.trial.number == 1:
            return completed(attempt)
        running.stop(CTRL_C)
        released.wait(10)
        return Outcome.interrupted("stopped while it ran")

    with ThreadPoolExecutor(2) as pool:
        running = campaign(record, run, pool=pool, stop_pool=released.set)
        assert running.run() == CTRL_C
    assert record.history.counts[Status.COMPLETED] == 1
    assert record.history.counts[Status.INTERRUPTED] == record.history.ended - 1 > 0
    assert len(record.history.trials) < 5
    assert not record.history.running
    assert record.history.stopped is not None
    assert record.history.stopped.stop == CTRL_C


def test_a_campaign_continues_from_the_record(here: Path) -> None:
    """The same code path starts and resumes: a stop after each trial, until none is left."""
    ran: list[tuple[int, int]] = []
    search = Observer(space(5))
    for _ in range(20):
        record = Record(here / "events.jsonl", Objective(Direction.MINIMIZE))

        def run(attempt: Attempt) -> Outcome:
            ran.append((attempt.trial.number, attempt.number))
            one_more.stop(CTRL_C)  # noqa: B023  # it runs within the iteration that made it
            return completed(attempt)

        one_more = campaign(record, run, search, workers=1)
        stopped = one_more.run()
        record.close()
        if not stopped:
            break
    assert ran == [(number, 1) for number in range(1, 6)]


def test_an_interrupted_trial_is_attempted_again_on_resume(here: Path) -> None:
    first = Record(here / "events.jsonl", Objective(Direction.MINIMIZE))
    interrupted = Outcome.interrupted("for a test")
    campaign(first, lambda _: interrupted, workers=3, policy=FailurePolicy(0)).run()
    first.close()
    again = Record(here / "events.jsonl", Objective(Direction.MINIMIZE))
    campaign(again).run()
    assert again.history.counts == {Status.COMPLETED: 5}
    assert {row.attempt.number for row in again.history.trials.values()} == {2}


def test_a_record_that_cannot_be_written_stops_everything(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[bool] = []

    def full(events: object) -> None:
        raise RecordError("no space")

    def run(attempt: Attempt) -> Outcome:
        monkeypatch.setattr(record, "append", full)
        return completed(attempt)

    with pytest.raises(RecordError, match="no space"):
        campaign(record, run, stop_pool=lambda: stopped.append(True)).run()
    assert stopped


def test_a_trial_that_would_not_end_in_time_is_not_started(record: Record) -> None:
    def run(attempt: Attempt) -> Outcome:
        return Outcome(Status.COMPLETED, {THE_VALUE: 1.0}, seconds=5000.0)

    assert campaign(record, run, workers=2, clock=Clock(4000)).run() == Stop(StopReason.OUT_OF_TIME)
    assert record.history.counts == {Status.COMPLETED: 2}
    assert campaign(record, run, workers=2, clock=Clock(6000)).run() is None
    assert record.history.counts == {Status.COMPLETED: 5}


def test_more_time_than_was_known_is_used(record: Record) -> None:
    def run(attempt: Attempt) -> Outcome:
        return Outcome(Status.COMPLETED, {THE_VALUE: 1.0}, seconds=5000.0)

    assert campaign(record, run, workers=2, clock=Clock(4000, 6000)).run() is None
    assert record.history.counts == {Status.COMPLETED: 5}


def test_when_all_places_go_what_runs_is_stopped(record: Record) -> None:
    """By its own clock: whatever was to warn of it may have got lost."""
    is_stopped = threading.Event()

    def run(attempt: Attempt) -> Outcome:
        assert is_stopped.wait(30), "nobody stops it"
        return Outcome.interrupted("stopped")

    with ThreadPoolExecutor(2) as pool:
        asked = campaign(record, run, pool=pool, stop_pool=is_stopped.set, clock=Clock(0.1, 0.2))
        assert asked.run() == Stop(StopReason.WALLTIME)
    assert record.history.counts == {Status.INTERRUPTED: 2}


@pytest.mark.parametrize(("scheduler", "ahead"), [(FirstCome(), 0), (LongestFirst(), 20)])
def test_a_search_is_asked_only_as_far_ahead_as_the_scheduler_looks(
    record: Record, scheduler: Scheduler, ahead: int
) -> None:
    """A search that learns must not propose earlier than a worker is free."""
    before: list[int] = []

    class Asked(GridSearch):
        def propose(self, number: int, running: int) -> Configuration | None:
            before.append(running)
            return super().propose(number, running)

    assert campaign(record, search=Asked(space(60)), workers=2, scheduler=scheduler).run() is None
    assert max(before) == 1 + ahead
    assert len(record.history.trials) == 60


def test_of_the_last_sets_those_run_that_end_in_time(record: Record) -> None:
    """Short sets and a few long ones: without a look at the time left, the long ones would begin and be cut off."""
    seconds = [100.0 * (1 + number % 4) for number in range(24)] + [3000.0] * 4
    sets = [ParameterSet(default_trial_id(number), {"x": each}) for number, each in enumerate(seconds, start=1)]
    ran: list[float] = []

    def run(attempt: Attempt) -> Outcome:
        ran.append(seconds[attempt.trial.number - 1])
        time.sleep(0.01)
        return Outcome(Status.COMPLETED, {THE_VALUE: 1.0}, seconds=seconds[attempt.trial.number - 1])

    search = GridSearch(GridSpace(("x",), sets))
    with ThreadPoolExecutor(2) as pool:
        assert campaign(record, run, search, pool, clock=Clock(1500), scheduler=LongestFirst()).run() == Stop(
            StopReason.OUT_OF_TIME
        )
    assert sorted(ran) == sorted(seconds[:24])


@pytest.mark.parametrize("workers_after", [1, 3, 20])
def test_a_grid_that_left_its_order_is_resumed_with_any_number_of_workers(
    record: Record, here: Path, workers_after: int
) -> None:
    generator = random.Random(3)
    seconds = [generator.lognormvariate(0, 1) for _ in range(60)]
    sets = [ParameterSet(default_trial_id(number), {"x": each}) for number, each in enumerate(seconds, start=1)]
    grid = GridSpace(("x",), sets)
    numbers: list[int] = []

    class Watched(GridSearch):
        def propose(self, number: int, running: int) -> Configuration | None:
            assert number not in numbers, "the campaign says that it is free"
            trial = super().propose(number, running)
            numbers.append(-1 if trial is None else trial.number)
            return trial

    def run(attempt: Attempt) -> Outcome:
        time.sleep(0.002)
        outcome = FAILED if attempt.trial.number % 7 == 4 else completed(attempt)
        return msgspec.structs.replace(outcome, seconds=seconds[attempt.trial.number - 1])

    with ThreadPoolExecutor(4) as pool:
        first = campaign(
            record, run, Watched(grid), pool, workers=4, policy=FailurePolicy(max_failures=0), scheduler=LongestFirst()
        )
        threading.Timer(0.02, first.stop, [CTRL_C]).start()
        assert first.run() == CTRL_C
    record.close()
    again = Record(here / "events.jsonl", Objective(Direction.MINIMIZE))
    begun = len(again.history.trials)
    assert 0 < begun < 60
    numbers = list(again.history.trials)
    with ThreadPoolExecutor(workers_after) as pool:
        campaign(
            again, run, Watched(grid), pool, workers_after, FailurePolicy(max_failures=0), scheduler=LongestFirst()
        ).run()
    assert sorted(again.history.trials) == list(range(1, 61))
    assert again.history.counts == {Status.COMPLETED: 51, Status.FAILED: 9}


@pytest.mark.parametrize(("retry_failed", "completed_after"), [(False, 2), (True, 5)])
def test_what_failed_is_attempted_again_only_when_asked(here: Path, retry_failed: bool, completed_after: int) -> None:
    first = Record(here / "events.jsonl", Objective(Direction.MINIMIZE))

    def run(attempt: Attempt) -> Outcome:
        return FAILED if attempt.trial.number % 2 else completed(attempt)

    campaign(first, run).run()
    first.close()
    again = Record(here / "events.jsonl", Objective(Direction.MINIMIZE))
    engine = PooledEngine(InlineExecutor(), completed, 2, lambda *_: None)
    Campaign(GridSearch(space(5)), engine, again, FailurePolicy(), retry_failed=retry_failed).run()
    assert again.history.counts[Status.COMPLETED] == completed_after
    again.close()
