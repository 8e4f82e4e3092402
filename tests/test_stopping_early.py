"""A campaign that hears reports: it stops trials by them, records what it decided by, and continues from that."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from candle_hpo.campaign import Campaign
from candle_hpo.core.failures import FailurePolicy
from candle_hpo.core.news import Reported
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.core.stopping import Stop, StopHow, StopReason
from candle_hpo.core.trial import Attempt, Outcome, Report, Status, Trial, default_trial_id
from candle_hpo.engine.pooled import PooledEngine
from candle_hpo.record.events import (
    AnyEvent,
    CampaignStarted,
    TrialFinished,
    TrialReported,
    TrialStarted,
    TrialStopAsked,
)
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events
from candle_hpo.record.record import Record
from candle_hpo.schedule.early_stopping import Asha, EarlyStopping
from candle_hpo.schedule.scheduler import FirstCome
from candle_hpo.search.grid import GridSearch

OBJECTIVE = Objective(Direction.MINIMIZE)


class Observer(GridSearch):
    """A grid search that remembers what it observed."""

    def __init__(self, space: GridSpace) -> None:
        super().__init__(space)
        self.observed: list[tuple[int, Report | Status]] = []

    def observe(self, trial: Trial, seen: Report | Outcome) -> None:
        self.observed.append((trial.number, seen if isinstance(seen, Report) else seen.status))


class Models:
    """Trials that report the number of their trial at each of three steps, and end when they are stopped."""

    def __init__(self, count: int, workers: int = 1) -> None:
        sets = [ParameterSet(default_trial_id(number), {"x": number}) for number in range(1, count + 1)]
        self.search = Observer(GridSpace(("x",), sets))
        self._stopped: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self.steps: dict[int, int] = {}
        self.pool = ThreadPoolExecutor(workers)
        self.engine = PooledEngine(self.pool, self._run, workers, self._stop)
        self.after_report: Callable[[Attempt, int], None] = lambda *_: None
        self.before_end: Callable[[Attempt], None] = lambda _: None  # of one that is stopped

    def _run(self, attempt: Attempt) -> Outcome:
        number = attempt.trial.number
        for step in (1, 2, 3):
            report = Report(step, {THE_VALUE: float(number)})
            self.engine.announce(Reported(attempt, report))
            self.steps[number] = step
            self.after_report(attempt, step)
            if self._stopped[attempt.name].wait(0.2):
                self.before_end(attempt)
                return replace(Outcome.stopped(StopHow.PURPOSE, seconds=1), last_report=report)
        return Outcome(Status.COMPLETED, {THE_VALUE: float(number)}, seconds=3, last_report=report)

    def _stop(self, attempt: Attempt | None, how: StopHow) -> None:
        if attempt is not None:
            assert how is StopHow.PURPOSE
            self._stopped[attempt.name].set()

    def campaign(self, record: Record) -> Campaign:
        scheduler = EarlyStopping(FirstCome(), Asha(2), OBJECTIVE, max_steps=3)
        return Campaign(self.search, self.engine, record, FailurePolicy(), scheduler=scheduler)


@pytest.fixture
def record(here: Path) -> Record:
    return Record(here / "events.jsonl", OBJECTIVE)


def kinds(here: Path, *wanted: type) -> list[AnyEvent]:
    return [event for event in read_events(here / "events.jsonl") if isinstance(event, wanted)]


def test_what_is_not_worth_its_time_is_stopped_and_is_neither_best_nor_failed(record: Record, here: Path) -> None:
    models = Models(4)
    assert models.campaign(record).run() is None
    assert record.history.counts == {Status.COMPLETED: 1, Status.STOPPED: 3}
    assert record.history.best is record.history.trials[1]
    assert record.history.failed == 0
    assert models.steps == {1: 3, 2: 1, 3: 1, 4: 1}
    asked = [(each.number, each.step) for each in kinds(here, TrialStopAsked) if isinstance(each, TrialStopAsked)]
    assert asked == [(2, 1), (3, 1), (4, 1)]
    weighed = [each for each in kinds(here, TrialReported) if isinstance(each, TrialReported)]
    assert [(each.number, each.report.step, each.rank, each.among) for each in weighed] == [
        (1, 1, 1, 1), (1, 2, 1, 1), (2, 1, 2, 2), (3, 1, 3, 3), (4, 1, 4, 4),
    ]  # fmt: skip
    assert record.history.stop_asked == {}
    assert record.history.trials[2].outcome == replace(
        Outcome.stopped(StopHow.PURPOSE, seconds=1), last_report=Report(1, {THE_VALUE: 2.0})
    )


def test_a_trial_has_two_synced_appends_at_most(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    appends: list[int] = []
    append = record.append

    def counting(events: list[AnyEvent]) -> None:
        appends.append(len(events))
        append(events)

    monkeypatch.setattr(record, "append", counting)
    Models(6).campaign(record).run()
    assert len(appends) <= 2 * 6 + 2


def test_a_decision_to_stop_is_recorded_while_the_trial_still_ends(
    record: Record, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A campaign that is killed meanwhile does not run the trial again."""
    monkeypatch.setattr("candle_hpo.campaign.REPORTS_SECONDS", math.inf)
    models, recorded = Models(2), list[str]()

    def wait_for_record(attempt: Attempt) -> None:
        deadline = time.monotonic() + 60
        while not kinds(here, TrialStopAsked) and time.monotonic() < deadline:
            time.sleep(0.05)
        recorded.extend(type(each).__name__ for each in kinds(here, TrialReported, TrialStopAsked)[-2:])

    models.before_end = wait_for_record
    models.campaign(record).run()
    assert recorded == ["TrialReported", "TrialStopAsked"]


def test_news_of_a_trial_that_has_ended_or_is_stopped_comes_too_late(record: Record, here: Path) -> None:
    models = Models(2)
    first: list[Attempt] = []

    def late(attempt: Attempt, step: int) -> None:
        first.append(attempt)
        for known in (first[0], attempt):
            models.engine.announce(Reported(known, Report(step + 0.5, {THE_VALUE: -1.0})))

    models.after_report = late
    models.campaign(record).run()
    assert record.history.counts == {Status.COMPLETED: 1, Status.STOPPED: 1}
    assert all(each.number == 1 or each.report.step == 1 for each in kinds(here, TrialReported))  # type: ignore[union-attr]


def test_a_resumed_campaign_decides_as_the_first_one_would_have(record: Record, here: Path) -> None:
    models = Models(4)

    def stop_during_the_third(attempt: Attempt, step: int) -> None:
        if attempt.trial.number == 2 and step == 1:
            models.engine.ask_to_stop(Stop(StopReason.CTRL_C))

    models.after_report = stop_during_the_third
    assert models.campaign(record).run() is not None
    record.close()
    again = Record(here / "events.jsonl", OBJECTIVE)
    later = Models(4)
    assert later.campaign(again).run() is None
    assert again.history.counts == {Status.COMPLETED: 1, Status.STOPPED: 3}
    assert later.steps == {3: 1, 4: 1}, "beside the first trial of the earlier campaign, they are not good enough"


def test_a_search_observes_what_decisions_were_made_by_and_after_a_resume_of_each_trial_in_turn(
    record: Record, here: Path
) -> None:
    def at(step: float, value: float) -> Report:
        return Report(step, {THE_VALUE: value})

    one = [(1, at(1, 1.0)), (1, at(2, 1.0)), (1, Status.COMPLETED)]
    models = Models(3)

    def stop_during_the_second(attempt: Attempt, step: int) -> None:
        if attempt.trial.number == 2:
            models.engine.announce(Reported(attempt, at(1.5, 0.0)))  # of no rung: nothing is decided by it
            models.engine.ask_to_stop(Stop(StopReason.CTRL_C))

    models.after_report = stop_during_the_second
    models.campaign(record).run()
    assert models.search.observed[:4] == [*one, (2, at(1, 2.0))]
    record.close()
    later = Models(3)
    later.campaign(Record(here / "events.jsonl", OBJECTIVE)).run()
    assert later.search.observed[:4] == [*one, (2, at(1, 2.0))]
    assert later.search.observed[-2:] == [(3, at(1, 3.0)), (3, Status.STOPPED)]


def test_what_was_to_end_early_has_ended_so_for_the_next_campaign_that_finds_how_it_ended(here: Path) -> None:
    (one,) = GridSpace(("x",), [ParameterSet("hpset_00001", {"x": 1})]).sets
    report = Report(1, {THE_VALUE: 0.5})
    with_stop_asked: list[AnyEvent] = [
        CampaignStarted(1.0, "n1", 1, 1),
        TrialStarted(1.0, 1, one.id, 1, one.hyperparameters),
        TrialReported(2.0, 1, 1, report, 3, 3),
        TrialStopAsked(2.0, 1, 1, 1),
    ]
    before = Record(here / "events.jsonl", OBJECTIVE)
    before.append(with_stop_asked)
    before.close()
    models = Models(1)
    models.engine.collect = lambda _: Outcome.interrupted("its worker was ended", seconds=1)
    record = Record(here / "events.jsonl", OBJECTIVE)
    models.campaign(record).run()
    assert record.history.counts == {Status.STOPPED: 1}
    assert models.steps == {}


def test_what_was_to_end_early_when_its_campaign_died_has_ended_so() -> None:
    (one,) = GridSpace(("x",), [ParameterSet("hpset_00001", {"x": 1})]).sets
    report = Report(3, {THE_VALUE: 0.5})
    events: list[AnyEvent] = [
        CampaignStarted(1.0, "n1", 1, 1),
        TrialStarted(1.0, 1, one.id, 1, one.hyperparameters),
        TrialReported(2.0, 1, 1, report, 3, 3),
        TrialStopAsked(2.0, 1, 1, 3),
    ]
    died = History(OBJECTIVE, [*events, CampaignStarted(9.0, "n1", 2, 1)])
    assert died.trials[1].outcome == Outcome(Status.STOPPED, last_report=report)
    lived = History(OBJECTIVE, [*events, TrialFinished(3.0, 1, 1, Outcome(Status.COMPLETED, {THE_VALUE: 0.4}))])
    assert lived.counts == {Status.COMPLETED: 1}, "it was faster"
    assert lived.stop_asked == {}
