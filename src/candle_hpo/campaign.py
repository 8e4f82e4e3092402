"""The campaign: propose, choose, start, hear the news, record, observe, until nothing is left or somebody stops it.

It knows neither the search that it drives, nor the scheduler, nor where its trials run: an engine brings it the news.
A fresh start and a resumed one are the same: both continue from what the record says.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress

from candle_hpo.core.attempts import Attempts
from candle_hpo.core.errors import MachineError
from candle_hpo.core.failures import FailurePolicy, FailureWatch
from candle_hpo.core.news import Broke, Ended, Engine, News, PlacesChanged, Reported, StopAsked
from candle_hpo.core.stopping import Stop, StopHow, StopReason
from candle_hpo.core.trial import Attempt, Configuration, Outcome, Report, Status, Trial
from candle_hpo.record import events
from candle_hpo.record.record import Record
from candle_hpo.schedule.places import PlaceKeeper
from candle_hpo.schedule.scheduler import FirstCome, Moment, Scheduler, VerdictKind
from candle_hpo.schedule.waiting import Search, Waiting

# A signal that comes just before the main thread begins to wait does not wake it: its handler runs only after the
# wait. So no wait for arrivals is longer than this.
WAKE_SECONDS = 0.5
PROPOSE_SECONDS = 0.1  # for proposals between two appends; a grid proposes thousands in that time
REPORTS_SECONDS = 10.0  # for which reports that were weighed wait to be recorded with what happens next
_LAST_WAIT_SECONDS = 30.0  # for trials to end after an error; longer than they get to end when asked
_LOST = Outcome.interrupted("an error ended the campaign while it ran")

_logger = logging.getLogger(__name__)


class Campaign:
    """Runs the trials that a search proposes, in the order that a scheduler chooses: else as they come.

    `policy` says what is attempted again, and when failures end it all; with `retry_failed`, a trial that failed in an
    earlier campaign is attempted again, too, where `is_retried` says so of its number, with the hyperparameters that
    `as_listed` gives it now. `watch` is called after every change, and every half second while nothing changes.
    """

    def __init__(
        self,
        search: Search,
        engine: Engine,
        record: Record,
        policy: FailurePolicy,
        watch: Callable[[], None] = lambda: None,
        *,
        scheduler: Scheduler | None = None,
        retry_failed: bool = False,
        is_retried: Callable[[int], bool] = lambda _number: True,
        as_listed: Callable[[Configuration], Configuration] = lambda configuration: configuration,
    ) -> None:
        self._search, self._engine, self._record = search, engine, record
        self._scheduler = FirstCome() if scheduler is None else scheduler
        self._watch, self._as_listed = watch, as_listed
        self._is_retried = is_retried if retry_failed else lambda _number: False
        self._has_begun = False
        self._places = 0  # so many attempts can run at a time
        self._running: dict[int, Attempt] = {}  # by the number of the trial
        self._unrecorded: list[events.AnyEvent] = []
        self._weighed: list[events.AnyEvent] = []  # reports
        self._last_append = time.monotonic()
        self._stopping: set[str] = set()  # names of attempts that are to end early
        self._again = Attempts(policy)
        self._failure_watch = FailureWatch(policy, engine.nodes)
        self._keeper = PlaceKeeper(engine, self._again, self._failure_watch, self._is_over)
        self._waiting = Waiting(search, self._again, lambda number: number in record.history.trials)
        self._stop: Stop | None = None

    def stop(self, stop: Stop) -> None:
        """Ask the campaign to stop and record what ran as interrupted. May be called by a signal handler."""
        self._engine.ask_to_stop(stop)

    def run(self) -> Stop | None:
        """Run trials until the search has no more; return why it stopped earlier, if it did.

        Whatever goes wrong, what ran is stopped, and what had ended is recorded, before the error is raised. Too many
        failures are a reason to start nothing more; what runs then may end.
        """
        self._hear(self._engine.news(0))
        self._resume_from_record()
        try:
            self._record_and_start()
            while self._running or self._lacks_places():
                self._watch()
                self._hear(self._engine.news(WAKE_SECONDS))
                self._heed_deadline()
                self._judge_nodes()
                self._give_up_on_places()
                self._record_and_start()
        except BaseException:
            self._engine.stop(None, StopHow.INTERRUPT)
            self._record_what_still_ends()
            raise
        stop = self._stop or self._failure_watch.stop
        self._record.append([events.CampaignStopped(time.time(), stop)])
        self._watch()
        return stop

    def _lacks_places(self) -> bool:
        """Return whether trials wait, and there is no place for any of them now."""
        is_ending = self._stop or self._failure_watch.stop
        return self._places == 0 and not is_ending and bool(self._waiting_attempts(0))

    def _give_up_on_places(self) -> None:
        is_in_use = bool(self._running) or self._places > 0
        self._stop = self._keeper.reason_to_give_up(time.monotonic(), is_in_use=is_in_use) or self._stop

    def _resume_from_record(self) -> None:
        """Continue from what an earlier campaign left: its outcomes, and what the machine (or a bad node) interrupted.

        One that was killed has trials that ended and are not recorded: these are collected first.
        """
        history, engine, now = self._record.history, self._engine, time.time()
        out_of_use = {excluded.node for excluded in history.excluded}
        running = [row.attempt for row in history.running.values()]
        self._stopping = {history.running[number].attempt.name for number in history.stop_asked}
        ended = [(attempt, self._as_asked(attempt, found)) for attempt in running if (found := engine.collect(attempt))]
        began = events.CampaignStarted(now, socket.gethostname(), os.getpid(), self._places, engine.job, engine.gpus)
        self._record.append([*(events.TrialFinished.of(attempt, outcome, now) for attempt, outcome in ended), began])
        self._has_begun = True
        reports: defaultdict[str, list[Report]] = defaultdict(list)
        for attempt, reported in history.reports:
            self._scheduler.judge(attempt, reported.report, reported.rung or None)
            reports[attempt.name].append(reported.report)
        for _, earlier in sorted(history.trials.items()):
            for report in reports[earlier.attempt.name]:
                self._search.observe(earlier.trial, report)
            outcome = earlier.outcome or Outcome.interrupted("the campaign that ran it died")
            self._observe(earlier.attempt, outcome)
            self._failure_watch.add_earlier(outcome)
            place, failed = outcome.place, outcome.failure is not None
            if outcome.status is Status.INTERRUPTED or (
                failed
                and (
                    self._is_retried(earlier.trial.number)
                    or (place is not None and {place.node, str(place)} & out_of_use)
                )
            ):
                trial = Trial(self._as_listed(earlier.trial.configuration), earlier.trial.repeat)
                self._again.add_waiting(Attempt(trial, earlier.attempt.number + 1))

    def _record_and_start(self) -> None:
        """Record what happened together with what starts now, and start it, until no worker is free or nothing is left.

        That is one synced append, or several where proposals take a while: no outcome and no worker waits for all of
        them, and neither does the user who asks to stop.
        """
        while self._record_and_start_some():
            self._hear(self._engine.news(0))

    def _record_and_start_some(self) -> bool:
        """Record and start what can be proposed in a moment; return whether there may be more."""
        starting, may_be_more = self._attempts_to_start(self._places - len(self._running))
        self._append([events.TrialStarted.of(attempt, time.time()) for attempt in starting])
        for attempt in starting:
            self._engine.start(attempt)
            self._running[attempt.trial.number] = attempt
        return may_be_more

    def _append(self, started: Sequence[events.TrialStarted]) -> None:
        """Record what happened, and what starts now. Reports alone wait for more: nobody acts on them but this loop."""
        found = [*self._unrecorded, *started]
        if found or (self._weighed and time.monotonic() - self._last_append > REPORTS_SECONDS):
            self._record.append([*self._weighed, *found])
            self._weighed.clear()
            self._unrecorded.clear()
            self._last_append = time.monotonic()

    def _attempts_to_start(self, free: int) -> tuple[list[Attempt], bool]:
        """Return attempts to start on free workers, and whether time ran out before there were enough."""
        starting: list[Attempt] = []
        deadline = time.monotonic() + PROPOSE_SECONDS
        while len(starting) < free and not self._stop and not self._failure_watch.stop:
            if starting and time.monotonic() > deadline:
                return starting, True
            waiting = self._waiting_attempts(len(self._running) + len(starting))
            if not waiting:
                break
            chosen = self._scheduler.choose(waiting, self._moment())
            if chosen is None and self._engine.renew_deadline():
                continue
            if chosen is None:
                self._stop = Stop(StopReason.OUT_OF_TIME)
                break
            self._waiting.begin(chosen)
            starting.append(chosen)
        return starting, False

    def _waiting_attempts(self, running: int) -> Sequence[Attempt]:
        return self._waiting.attempts(running, self._scheduler.look_ahead(self._places))

    def _moment(self) -> Moment:
        deadline, places = self._engine.deadline, self._places
        return Moment(places) if deadline is None else Moment(places, deadline - time.monotonic())

    def _hear(self, news: Sequence[News]) -> None:
        """Act on what has happened; an error that an attempt broke with is raised after all else is noted."""
        broken: BaseException | None = None
        for each in news:
            match each:
                case Ended(attempt, outcome):
                    self._unrecorded.append(self._finish(attempt, outcome))
                case Reported(attempt, report):
                    self._judge(attempt, report)
                case Broke(attempt, error):
                    del self._running[attempt.trial.number]
                    broken = error
                case PlacesChanged(places, lacking):
                    self._places = places
                    # As many as there were: when all are lost at once, these are not so many refusals.
                    self._failure_watch.workers = max(self._failure_watch.workers, places)
                    if self._has_begun:
                        self._unrecorded.append(events.PlacesChanged(time.time(), places, lacking))
                case StopAsked(stop):
                    self._heed_stop(stop)
        if broken is not None:
            raise broken

    def _heed_stop(self, stop: Stop) -> None:
        """Stop what runs; a reason that comes twice is impatient, another one is not. The last one counts."""
        _logger.info("asked to stop: %s", stop.reason.value)
        if self._stop is None or self._stop.reason in (StopReason.OUT_OF_TIME, stop.reason):
            self._engine.stop(None, StopHow.INTERRUPT)
        self._stop = stop

    def _heed_deadline(self) -> None:
        """Stop when all places go; with more time than was known, start again what there seemed to be no time for."""
        is_winding_down = self._stop is not None and self._stop.reason is StopReason.OUT_OF_TIME
        deadline = self._engine.deadline
        if self._stop is not None and not is_winding_down:
            return
        if is_winding_down and self._engine.renew_deadline():
            self._stop = None
        elif deadline is not None and time.monotonic() >= deadline and not self._engine.renew_deadline():
            self._heed_stop(Stop(StopReason.WALLTIME))

    def _record_what_still_ends(self) -> None:
        """After an error: record how the trials that ran have ended, as far as the record can be written."""
        deadline = time.monotonic() + _LAST_WAIT_SECONDS
        while self._running and time.monotonic() < deadline:
            for each in self._engine.news(WAKE_SECONDS):
                if isinstance(each, Ended | Broke):
                    del self._running[each.attempt.trial.number]
                    known = each.outcome if isinstance(each, Ended) else self._engine.collect(each.attempt)
                    outcome = self._as_asked(each.attempt, known or _LOST)
                    self._unrecorded.append(events.TrialFinished.of(each.attempt, outcome, time.time()))
        with suppress(MachineError):  # the record cannot be written, or is another campaign's by now
            self._record.append([*self._weighed, *self._unrecorded])
            running = [row.attempt for row in self._record.history.running.values()]
            lost = [events.TrialFinished.of(each, self._as_asked(each, _LOST), time.time()) for each in running]
            self._record.append([*lost, events.CampaignStopped(time.time(), Stop(StopReason.ERROR))])

    def _finish(self, attempt: Attempt, outcome: Outcome) -> events.TrialFinished:
        """Let everything know how an attempt ended; return what the record is to have of it."""
        del self._running[attempt.trial.number]
        self._stopping.discard(attempt.name)
        self._again.add(attempt, outcome)
        self._observe(attempt, outcome)
        self._failure_watch.add(attempt.trial, outcome, time.monotonic())
        self._keeper.add(attempt, outcome)
        return events.TrialFinished.of(attempt, outcome, time.time())

    def _as_asked(self, attempt: Attempt, outcome: Outcome) -> Outcome:
        return outcome.as_asked() if attempt.name in self._stopping else outcome

    def _observe(self, attempt: Attempt, outcome: Outcome) -> None:
        self._scheduler.ended(attempt, outcome)
        self._search.observe(attempt.trial, outcome)

    def _judge(self, attempt: Attempt, report: Report) -> None:
        """Stop a trial that is not worth its time, by what it reports; news of one that has ended comes too late."""
        trial, now = attempt.trial, time.time()
        if self._running.get(trial.number) != attempt or attempt.name in self._stopping:
            return
        verdict = self._scheduler.judge(attempt, report)
        if verdict.kind is VerdictKind.UNHEEDED:
            return
        self._search.observe(trial, report)
        self._weighed.append(
            events.TrialReported(
                now, trial.number, attempt.number, report, verdict.rank, verdict.among, trial.repeat, verdict.rung
            )
        )
        if verdict.kind is VerdictKind.STOP:
            self._unrecorded.append(events.TrialStopAsked(now, trial.number, attempt.number, report.step, trial.repeat))
            self._stopping.add(attempt.name)
            self._engine.stop(attempt, StopHow.PURPOSE)

    def _judge_nodes(self) -> None:
        """Let nodes and workers be held, released or excluded for what ended there."""
        has_changed, out_of_use = self._keeper.judge(time.monotonic(), is_idle=self._is_idle())
        self._unrecorded += [events.NodeExcluded(time.time(), each.where, each.reason) for each in out_of_use]
        if has_changed:
            self._hear(self._engine.news(0))  # of other places

    def _is_idle(self) -> bool:
        """Return whether workers are free, and nothing waits for them."""
        is_free = len(self._running) < self._places and not self._stop and not self._failure_watch.stop
        return is_free and not self._waiting_attempts(len(self._running))

    def _is_over(self, attempt: Attempt) -> bool:
        """Return whether an attempt was the last one at its trial, and that does not run."""
        number = attempt.trial.number
        return self._record.history.trials[number].attempt == attempt and number not in self._running
