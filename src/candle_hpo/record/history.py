"""What the events of an experiment add up to: replayed from the record, kept up to date by the campaign."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from candle_hpo.core.errors import RecordError
from candle_hpo.core.experiment import Direction
from candle_hpo.core.failures import kind_of_failure
from candle_hpo.core.trial import Outcome, SlowImport, Status, Trial
from candle_hpo.record.events import (
    AnyEvent,
    CampaignStarted,
    CampaignStopped,
    NodeExcluded,
    RecordHeader,
    TrialFinished,
    TrialStarted,
)
from candle_hpo.record.log import how_to_save

Value = TypeVar("Value")


@dataclass
class TrialHistory:
    """One trial so far: its last attempt, when that began, and how it ended, if it did."""

    trial: Trial
    started: float
    outcome: Outcome | None = None

    @property
    def value(self) -> float | None:
        """The objective, of a completed trial; None of any other."""
        return None if self.outcome is None else self.outcome.value


class History:
    """All trials of an experiment by number, with the sums that people ask for kept at hand.

    Whatever shows an experiment asks here: two views of a record cannot disagree. Of equal values, that of the lowest
    number is the best, whichever ended first. `failures` are the trials that ended without a value, by number, those of
    the same kind together.
    """

    def __init__(self, direction: Direction, events: Iterable[AnyEvent] = ()) -> None:
        self.direction = direction
        self.trials: dict[int, TrialHistory] = {}
        self.running: dict[int, TrialHistory] = {}
        self.counts: Counter[Status] = Counter()
        self.seconds_of_ended = 0.0
        self.best: TrialHistory | None = None
        self.values_differ = False  # those of the completed trials
        self.failures: dict[str, dict[int, TrialHistory]] = {}
        self.scripts: dict[str, dict[int, None]] = {}  # versions of the script -> the trials that ran them, by number
        self.campaign: CampaignStarted | None = None
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
        """Take one more event in; raise `RecordError` for one that cannot follow what came before."""
        match event:
            case TrialStarted():
                self._start(event)
            case TrialFinished():
                self._finish(event)
            case CampaignStarted():
                self.campaign, self.stopped, self.excluded, self.notes = event, None, [], {}
                self.slow_imports = {}
                self.end_running("the campaign that ran it died")
            case CampaignStopped():
                self.stopped = event
            case NodeExcluded():
                self.excluded.append(event)
            case RecordHeader():
                pass

    @property
    def ended(self) -> int:
        """How many trials have ended, in whatever way, and are not running again."""
        return sum(self.counts.values())

    @property
    def failed(self) -> int:
        """How many trials the model failed: those that ended without a value, but for the machine's interruptions."""
        return self.ended - self.counts[Status.COMPLETED] - self.counts[Status.INTERRUPTED]

    def left(self, total: int) -> int:
        """Return how many of so many trials have no outcome of their own: not begun, running, or interrupted."""
        return total - self.counts[Status.COMPLETED] - self.failed

    def rank(self, row: TrialHistory) -> tuple[bool, float, int]:
        """Return what sorts trials: the best first, those without a value last, equal ones by number."""
        value = row.value
        return value is None, 0.0 if value is None else self.direction.sort_key(value), row.trial.number

    @property
    def not_completed(self) -> list[TrialHistory]:
        """The trials that ended without a value, in the order of their numbers."""
        return [
            trial
            for _, trial in sorted(self.trials.items())
            if trial.outcome is not None and trial.outcome.status is not Status.COMPLETED
        ]

    def end_running(self, reason: str) -> None:
        """Count what runs as interrupted: the campaign that ran it is known to have died without a word."""
        for trial in self.running.values():
            self._end(trial, Outcome.interrupted(reason))
        self.running.clear()

    def _start(self, event: TrialStarted) -> None:
        earlier = self.trials.get(event.number)
        if earlier is not None:
            if earlier.outcome is None:
                raise RecordError(f"it starts trial {event.id} while that runs")
            self._take_back(earlier, earlier.outcome)
        self.trials[event.number] = self.running[event.number] = TrialHistory(event.trial, event.time)

    def _finish(self, event: TrialFinished) -> None:
        trial = self.running.pop(event.number, None)
        if trial is None or trial.trial.attempt != event.attempt:
            raise RecordError(f"it ends attempt {event.attempt} at trial number {event.number}, which does not run")
        self.notes.update(dict.fromkeys(event.outcome.notes))
        for slow in event.outcome.slow_imports:
            known = self.slow_imports.setdefault(slow.module, slow)
            if slow.seconds < known.seconds:
                self.slow_imports[slow.module] = slow
        self._end(trial, event.outcome)

    def _end(self, trial: TrialHistory, outcome: Outcome) -> None:
        trial.outcome = outcome
        self.counts[outcome.status] += 1
        self.seconds_of_ended += outcome.seconds
        if outcome.script:
            self.scripts.setdefault(outcome.script, {})[trial.trial.number] = None
        if outcome.status is not Status.COMPLETED:
            self.failures.setdefault(kind_of_failure(trial.trial, outcome), {})[trial.trial.number] = trial
        else:
            self.values_differ |= self.best is not None and self.best.value != trial.value
            if self.best is None or self.rank(trial) < self.rank(self.best):
                self.best = trial

    def _take_back(self, trial: TrialHistory, outcome: Outcome) -> None:
        """Count an outcome no more: the trial is attempted again, as none is that has completed."""
        if outcome.status is Status.COMPLETED:
            raise RecordError(f"it starts trial {trial.trial.id} again, which has completed")
        self.counts.subtract([outcome.status])
        self.counts = +self.counts  # without what is zero now
        self.seconds_of_ended -= outcome.seconds
        _remove(self.failures, kind_of_failure(trial.trial, outcome), trial.trial.number)
        if outcome.script:
            _remove(self.scripts, outcome.script, trial.trial.number)


def _remove(groups: dict[str, dict[int, Value]], name: str, number: int) -> None:
    """Take a trial out of its group, and the group away when it is empty."""
    del groups[name][number]
    if not groups[name]:
        del groups[name]
