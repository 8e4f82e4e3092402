"""What the events of an experiment add up to: replayed from the record, kept up to date by the campaign."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

from candle_hpo.core.errors import RecordError
from candle_hpo.core.failures import kind_of_failure
from candle_hpo.core.fidelity import Tally
from candle_hpo.core.objective import Objective
from candle_hpo.core.trial import Attempt, Outcome, SlowImport, Status
from candle_hpo.record.events import (
    AnyEvent,
    CampaignStarted,
    CampaignStopped,
    JobEnded,
    JobRefused,
    JobRequested,
    JobSubmitted,
    NodeExcluded,
    PlacesChanged,
    RecordHeader,
    TrialFinished,
    TrialReported,
    TrialStarted,
    TrialStopAsked,
)
from candle_hpo.record.history_entries import CampaignHistory, EndedAttempt, JobHistory, TrialHistory
from candle_hpo.record.log import how_to_save

Value = TypeVar("Value")


class History:
    """All trials of an experiment by number, with the sums that people ask for kept at hand.

    Whatever shows an experiment asks here: two views of a record cannot disagree. With `fidelity`, the best is the best
    of the highest level at which any has completed: a value of fewer epochs, or of less data, is another measurement.
    Of equal values, that of the lowest number is the best, whichever ended first; `improvements` are the times at which
    the best value became another, with that value. `levels` has how many trials there are at each level of the
    fidelity, and how they ended. `attempts` are in the order of their ends. `failures` are the
    trials that ended with a failure, by number, those of the same kind together. `jobs` are in the order in which they
    were submitted, or began to run it after that. `requests` are the submissions by their marks. `reports` are those of
    which decisions were made, in their order, each with its attempt, and `stop_asked` the trials that run and are to
    end early.
    """

    def __init__(self, objective: Objective, events: Iterable[AnyEvent] = ()) -> None:
        self.objective, self.direction = objective, objective.direction
        self.trials: dict[int, TrialHistory] = {}
        self.running: dict[int, TrialHistory] = {}
        self.counts: Counter[Status] = Counter()
        self.levels = Tally(objective.name)
        self.seconds_of_ended = 0.0
        self.best: TrialHistory | None = None
        self._best_rank: tuple[bool, int, float, int] | None = None
        self.improvements: list[tuple[float, float]] = []
        self.attempts: list[EndedAttempt] = []
        self.campaigns: list[CampaignHistory] = []
        self.jobs: dict[str, JobHistory] = {}
        self.requests: dict[str, JobRequested] = {}
        self.unresolved: JobRequested | None = None  # the last request, where nothing says what came of it
        self.refused: JobRefused | None = None  # what came of the last request, unless something has run since
        self.reports: list[tuple[Attempt, TrialReported]] = []
        self.stop_asked: dict[int, TrialStopAsked] = {}
        self.values_differ = False  # those of the completed trials
        self.failures: dict[str, dict[int, TrialHistory]] = {}
        self.scripts: dict[str, dict[int, None]] = {}  # versions of the script -> the trials that ran them, by number
        self.stopped: CampaignStopped | None = None
        self.excluded: list[NodeExcluded] = []
        self.notes: dict[str, None] = {}  # of this campaign's workers, in order, each once
        self.slow_imports: dict[str, SlowImport] = {}  # of its trials, the quickest that was seen of each module
        for line, event in enumerate(events, start=1):
            try:
                self.apply(event)
            except RecordError as error:
                raise RecordError(
                    f"line {line} of the record: {error}; {how_to_save('events.jsonl', [line])}"
                ) from None

    def apply(self, event: AnyEvent) -> None:
        """Add an event; raise `RecordError` for one that cannot follow what came before."""
        match event:
            case TrialStarted():
                self._start(event)
            case TrialFinished():
                self._finish(event)
            case TrialReported():
                self._report(event)
            case TrialStopAsked():
                self._running_attempt(event, "stops")
                self.stop_asked[event.number] = event
            case CampaignStarted():
                self.campaigns.append(CampaignHistory(event, event.time))
                self.stopped, self.excluded, self.notes, self.slow_imports = None, [], {}, {}
                self.end_running("the campaign that ran it died")
                self.refused = None
                if job := self.jobs.pop(event.job, None):  # which may have ended before: then it was requeued
                    self.jobs[event.job] = job._replace(ended=None)
            case CampaignStopped():
                self.stopped = event
            case PlacesChanged():
                if not self.campaigns:
                    raise RecordError("workers came or went, and no campaign has begun")
                self.campaigns[-1].places.append((event.time, event.places))
                self.campaigns[-1].lacking = event.lacking
            case NodeExcluded():
                self.excluded.append(event)
            case JobRequested():
                self.requests[event.mark] = self.unresolved = event
                self.refused = None
                return
            case JobSubmitted():
                self.jobs.pop(event.job, None)  # a number that the batch system has given again
                completed = self.counts[Status.COMPLETED]
                self.jobs[event.job] = JobHistory(event.job, None, event.mark, len(self.campaigns), completed)
                self.unresolved = self.refused = None
                return
            case JobRefused():
                self.unresolved, self.refused = None, event
                return
            case JobEnded():
                if event.job not in self.jobs:
                    raise RecordError(f"it ends job {event.job}, which was not submitted")
                self.jobs[event.job] = self.jobs[event.job]._replace(ended=event)
                return
            case RecordHeader():
                return
        if self.campaigns and self.stopped in (None, event):
            self.campaigns[-1].ended = max(self.campaigns[-1].ended, event.time)

    @property
    def campaign(self) -> CampaignStarted | None:
        """The process that ran trials last; None: none has."""
        return self.campaigns[-1].started if self.campaigns else None

    @property
    def job(self) -> JobHistory | None:
        """The job that was submitted last, or that began to run the experiment after all others."""
        return next(reversed(self.jobs.values()), None)

    def elapsed(self, now: float) -> float:
        """Return for how many seconds the last campaign has run, or ran; `now` is in seconds since 1970."""
        if not self.campaigns:
            return 0.0
        return max(0.0, (now if self.stopped is None else self.stopped.time) - self.campaigns[-1].started.time)

    def busy_share(self, now: float) -> float | None:
        """Return the share of the workers' time, since the last campaign began, in which they ran trials."""
        if not self.campaigns:
            return None
        there = self.campaigns[-1].place_seconds(now if self.stopped is None else self.stopped.time)
        running = sum(max(0.0, now - trial.started) for trial in self.running.values())
        return min(1.0, (self.campaigns[-1].worked + running) / there) if there > 0 else None

    @property
    def places(self) -> int:
        """How many trials the last campaign can run at a time, or could before it stopped."""
        return self.campaigns[-1].places[-1][1] if self.campaigns else 0

    @property
    def lacking(self) -> tuple[str, ...]:
        """Why the last campaign has no more workers than it has, as far as it knows; none once it has stopped."""
        return self.campaigns[-1].lacking if self.campaigns and self.stopped is None else ()

    @property
    def ended(self) -> int:
        """How many trials have ended, in whatever way, and are not running again."""
        return sum(self.counts.values())

    @property
    def failed(self) -> int:
        """How many trials the model failed: those that ended with a failure, but for the machine's interruptions."""
        without = (Status.COMPLETED, Status.STOPPED, Status.INTERRUPTED)
        return self.ended - sum(self.counts[status] for status in without)

    def left(self, total: int) -> int:
        """Return how many of so many trials have no outcome yet: not started, running, or interrupted."""
        return total - self.ended + self.counts[Status.INTERRUPTED]

    def rank(self, row: TrialHistory) -> tuple[bool, int, float, int]:
        """Return what sorts trials: the best first, those without a value last, equal ones by number.

        Those of a higher level of fidelity come before all of a lower one.
        """
        value, level = row.value, row.trial.configuration.level
        return value is None, -level, 0.0 if value is None else self.direction.sort_key(value), row.trial.number

    @property
    def with_failure(self) -> list[TrialHistory]:
        """The trials that ended with a failure, interrupted ones among them, in the order of their numbers."""
        rows = [row for group in self.failures.values() for row in group.values()]
        return sorted(rows, key=lambda row: row.trial.number)

    def end_running(self, reason: str) -> None:
        """Count what runs as interrupted: the campaign that ran it is known to have died without a word.

        What was to end early has ended so, whoever ended it.
        """
        for number, trial in self.running.items():
            stopped = Outcome(Status.STOPPED, last_report=trial.last_report)
            self._end(trial, stopped if self.stop_asked.pop(number, None) else Outcome.interrupted(reason))
        self.running.clear()

    def _start(self, event: TrialStarted) -> None:
        earlier = self.trials.get(event.number)
        if earlier is not None:
            if earlier.outcome is None:
                raise RecordError(f"it starts trial {event.id} while that runs")
            self._take_back(earlier, earlier.outcome)
        else:
            self.levels.begin(event.begun.trial.configuration.level)
        self.trials[event.number] = self.running[event.number] = TrialHistory(event.begun, event.time)

    def _running_attempt(self, event: TrialReported | TrialStopAsked | TrialFinished, does: str) -> TrialHistory:
        """Return the trial whose attempt an event is about; raise `RecordError` where that does not run."""
        trial = self.running.get(event.number)
        if trial is None or (trial.attempt.number, trial.trial.repeat) != (event.attempt, event.repeat):
            raise RecordError(f"it {does} attempt {event.attempt} at trial number {event.number}, which does not run")
        return trial

    def _report(self, event: TrialReported) -> None:
        trial = self._running_attempt(event, "has a report of")
        self.reports.append((trial.attempt, event))
        trial.weighed, trial.last_report = event, event.report
        trial.last_value = event.report.value_of(self.objective.name)

    def _finish(self, event: TrialFinished) -> None:
        trial = self._running_attempt(event, "ends")
        del self.running[event.number]
        self.stop_asked.pop(event.number, None)
        outcome = event.outcome
        # What lies between the start that was recorded and the model's own is waiting, not work.
        began = max(trial.started, event.time - outcome.seconds)
        self.attempts.append(EndedAttempt(trial.attempt, outcome, min(began, event.time), event.time))
        if self.campaigns:
            self.campaigns[-1].add(outcome)
        for note in outcome.notes:
            self.notes[note] = None
        for slow in outcome.slow_imports:
            known = self.slow_imports.get(slow.module, slow)
            self.slow_imports[slow.module] = min(known, slow, key=lambda each: each.seconds)
        before = self.best
        self._end(trial, outcome)
        if self.best is trial and trial.value is not None and (before is None or before.value != trial.value):
            self.improvements.append((event.time, trial.value))

    def _end(self, trial: TrialHistory, outcome: Outcome) -> None:
        try:
            trial.value = outcome.value_of(self.objective.name)
        except ValueError as error:
            raise RecordError(f"trial {trial.trial.id}: {error}") from None
        if len(outcome.metrics) > 1:
            trial.other_metrics = {name: each for name, each in outcome.metrics.items() if name != self.objective.name}
        if outcome.last_report is not None:
            trial.last_report, trial.last_value = outcome.last_report, outcome.last_report.value_of(self.objective.name)
        trial.outcome = outcome
        self.counts[outcome.status] += 1
        self.levels.end(trial.trial.configuration.level, outcome)
        self.seconds_of_ended += outcome.seconds
        if outcome.script:
            self.scripts.setdefault(outcome.script, {})[trial.trial.number] = None
        if outcome.failure is not None:
            self.failures.setdefault(kind_of_failure(trial.trial, outcome), {})[trial.trial.number] = trial
        elif outcome.status is Status.COMPLETED:
            self._compare_with_best(trial)

    def _compare_with_best(self, trial: TrialHistory) -> None:
        self.values_differ = self.values_differ or (self.best is not None and trial.value != self.best.value)
        rank = self.rank(trial)
        if self._best_rank is None or rank < self._best_rank:
            self.best, self._best_rank = trial, rank

    def _take_back(self, trial: TrialHistory, outcome: Outcome) -> None:
        """Count an outcome no more: the trial is attempted again, as none is that has completed."""
        if outcome.status is Status.COMPLETED:
            raise RecordError(f"it starts trial {trial.trial.id} again, which has completed")
        self.counts.subtract([outcome.status])
        self.counts = +self.counts  # without what is zero now
        self.levels.take_back(trial.trial.configuration.level, outcome)
        self.seconds_of_ended -= outcome.seconds
        if outcome.failure is not None:
            _remove(self.failures, kind_of_failure(trial.trial, outcome), trial.trial.number)
        if outcome.script:
            _remove(self.scripts, outcome.script, trial.trial.number)


def _remove(groups: dict[str, dict[int, Value]], name: str, number: int) -> None:
    """Take a trial out of its group, and the group away when it is empty."""
    del groups[name][number]
    if not groups[name]:
        del groups[name]
