"""The campaign: propose, run, record, tell, until nothing is left to do or somebody stops it.

It knows neither the search that it drives, nor the scheduler, nor where its trials run: a pool is any standard
`Executor`.
A fresh start and a resumed one are the same: both go on from what the record says.
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from candle_hpo.core.attempts import Attempts
from candle_hpo.core.errors import MachineError
from candle_hpo.core.failures import FailurePolicy, FailureWatch
from candle_hpo.core.nodes import NodeWatch, node_of
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Outcome, Status, Trial
from candle_hpo.record.events import (
    AnyEvent,
    CampaignStarted,
    CampaignStopped,
    NodeExcluded,
    TrialFinished,
    TrialStarted,
)
from candle_hpo.record.record import Record
from candle_hpo.schedule.scheduler import FirstCome, Moment, Scheduler

# A signal that comes just before the main thread begins to wait does not wake it: its handler runs only after the
# wait. So no wait for arrivals is longer than this.
WAKE_SECONDS = 0.5
PROPOSE_SECONDS = 0.1  # for proposals between two appends; a grid proposes thousands in that time
_LAST_WAIT_SECONDS = 30.0  # for trials to end after an error; longer than they get to end when asked
_LOST = Outcome.interrupted("an error ended the campaign while it ran")

_logger = logging.getLogger(__name__)


class Search(Protocol):
    """Proposes sets of hyperparameters and is told what came of them."""

    def propose(self, number: int, running: int) -> Trial | None:
        """Return the trial of this number to run while so many others do; None: there is none now.

        `number` is the least, from 1, that no trial has.
        """

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take in how a trial ended."""


@dataclass(frozen=True)
class Engine:
    """Where trials run, as the campaign sees it.

    `run_trial` is what the pool is handed for each trial, at most `workers` at a time. `stop` ends the trials that
    run, soon, and at once when called again; it does not wait for them. `exclude` keeps work from a node. `collect`
    returns how an attempt ended of which no news came, or no campaign lived to record it; None where that is not known.
    `job` is SLURM's number of the job, and `deadline` when it ends (by `time.monotonic`), where there is one.
    `gpus` are those of the machine that runs the campaign, for the record.
    """

    pool: Executor
    run_trial: Callable[[Trial], Outcome]
    workers: int
    stop: Callable[[], None]
    exclude: Callable[[str], None] = lambda _: None
    collect: Callable[[Trial], Outcome | None] = lambda _: None
    job: str = ""
    deadline: float | None = None
    gpus: tuple[str, ...] = ()


class Campaign:
    """Runs the trials that a search proposes, in the order that a scheduler chooses: else as they come.

    `policy` says what is attempted again, and when failures end it all; with `failed_too`, a trial that failed in an
    earlier campaign is attempted again, too, with the hyperparameters that `as_listed` gives it now. `watch` is called
    after every change, and every half second while nothing changes.
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
        failed_too: bool = False,
        as_listed: Callable[[Trial], Trial] = lambda trial: trial,
    ) -> None:
        self._search, self._engine, self._record = search, engine, record
        self._scheduler = FirstCome() if scheduler is None else scheduler
        self._watch, self._failed_too, self._as_listed = watch, failed_too, as_listed
        # Ended trials, and reasons to stop: a SimpleQueue takes them from threads and signal handlers alike.
        self._arrivals: queue.SimpleQueue[Future[Outcome] | Stop] = queue.SimpleQueue()
        self._running: dict[Future[Outcome], Trial] = {}
        self._unrecorded: list[AnyEvent] = []
        self._again = Attempts(policy)
        self._failure_watch = FailureWatch(policy, engine.workers)
        self._nodes = NodeWatch()
        self._next_number = 1
        self._waiting: list[Trial] = []  # proposed, not begun
        self._stop: Stop | None = None

    def stop(self, stop: Stop) -> None:
        """Ask the campaign to stop and record what ran as interrupted. May be called by a signal handler."""
        self._arrivals.put(stop)

    def run(self) -> Stop | None:
        """Run trials until the search has no more; return why it stopped earlier, if it did.

        Whatever goes wrong, what ran is stopped, and what had ended is recorded, before the error goes on. Too many
        failures are a reason to start nothing more; what runs then may end.
        """
        engine = self._engine
        self._take_up_the_record()
        try:
            self._record_and_submit()
            while self._running:
                self._watch()
                self._wait_for_arrivals()
                self._record_and_submit()
        except BaseException:
            engine.stop()
            self._record_what_still_ends()
            raise
        stop = self._stop or self._failure_watch.stop
        self._record.append([CampaignStopped(time.time(), stop)])
        self._watch()
        return stop

    def _take_up_the_record(self) -> None:
        """Go on from what an earlier campaign left: its outcomes, and what the machine (or a bad node) interrupted.

        One that was killed has trials that ended and are not recorded: these are collected first.
        """
        history, engine, now = self._record.history, self._engine, time.time()
        bad_nodes = {excluded.node for excluded in history.excluded}
        ended = [(row.trial, outcome) for row in history.running.values() if (outcome := engine.collect(row.trial))]
        began = CampaignStarted(now, socket.gethostname(), os.getpid(), engine.workers, engine.job, engine.gpus)
        self._record.append([*(TrialFinished.of(trial, outcome, now) for trial, outcome in ended), began])
        for _, earlier in sorted(history.trials.items()):
            outcome = earlier.outcome or Outcome.interrupted("the campaign that ran it died")
            self._tell(earlier.trial, outcome)
            self._failure_watch.take_in_earlier(outcome)
            failed = outcome.status is not Status.COMPLETED
            if outcome.status is Status.INTERRUPTED or (
                failed and (self._failed_too or node_of(outcome.worker) in bad_nodes)
            ):
                self._again.once_more(self._as_listed(earlier.trial))

    def _record_and_submit(self) -> None:
        """Record what happened together with what starts now, and start it, until no worker is free or nothing is left.

        That is one synced append, or several where proposals take a while: no outcome and no worker waits for all of
        them, and neither does the user who asks to stop.
        """
        while self._record_and_start_some():
            with suppress(queue.Empty):
                self._take_in_arrivals(self._arrivals.get_nowait())

    def _record_and_start_some(self) -> bool:
        """Record and start what can be proposed in a moment; tell whether there may be more."""
        starting, may_be_more = self._trials_to_start(self._engine.workers - len(self._running))
        now = time.time()
        self._record.append([*self._unrecorded, *(TrialStarted.of(trial, now) for trial in starting)])
        self._unrecorded.clear()
        for trial in starting:
            try:
                future = self._engine.pool.submit(self._engine.run_trial, trial)
            except RuntimeError as error:
                raise MachineError(f"the trial {trial.id} cannot be started: {error}") from None
            self._running[future] = trial
            future.add_done_callback(self._arrivals.put)
        return may_be_more

    def _trials_to_start(self, free: int) -> tuple[list[Trial], bool]:
        """Return trials to start on free workers, and whether time ran out before there were enough."""
        starting: list[Trial] = []
        deadline = time.monotonic() + PROPOSE_SECONDS
        while len(starting) < free and not self._stop and not self._failure_watch.stop:
            if starting and time.monotonic() > deadline:
                return starting, True
            waiting = self._waiting_trials(len(self._running) + len(starting))
            if not waiting:
                break
            chosen = self._scheduler.choose(waiting, self._moment())
            if chosen is None:
                self._stop = Stop(StopReason.OUT_OF_TIME)
                break
            if chosen.attempt > 1:
                self._again.begin()
            else:
                self._waiting.remove(chosen)
            starting.append(chosen)
        return starting, False

    def _waiting_trials(self, running: int) -> Sequence[Trial]:
        """Return what the scheduler chooses from: a trial that is attempted again, or else what the search proposes."""
        again = self._again.first()
        if again is not None:
            return (again,)
        wanted = 1 + self._scheduler.look_ahead(self._engine.workers)
        while len(self._waiting) < wanted:
            while self._next_number in self._record.history.trials:  # a damaged record may lack some in between
                self._next_number += 1
            trial = self._search.propose(self._next_number, running + len(self._waiting))
            if trial is None:
                break
            self._waiting.append(trial)
            self._next_number += 1
        return self._waiting

    def _moment(self) -> Moment:
        deadline, workers = self._engine.deadline, self._engine.workers
        return Moment(workers) if deadline is None else Moment(workers, deadline - time.monotonic())

    def _wait_for_arrivals(self) -> None:
        """Wait until a trial ends or somebody asks to stop, and take in all that has come by then."""
        with suppress(queue.Empty):
            self._take_in_arrivals(self._arrivals.get(timeout=WAKE_SECONDS))
        self._exclude_bad_nodes()

    def _take_in_arrivals(self, arrival: Future[Outcome] | Stop) -> None:
        """Take in what has come, and all that is there besides it; raises `queue.Empty` after that."""
        while True:
            if isinstance(arrival, Stop):
                self._take_in_stop(arrival)
            else:
                self._unrecorded.append(self._event_of(arrival))
            arrival = self._arrivals.get_nowait()

    def _take_in_stop(self, stop: Stop) -> None:
        """Stop what runs; a reason that comes twice is impatient, another one is not. The last one counts."""
        _logger.info("asked to stop: %s", stop.reason.value)
        if self._stop is None or self._stop.reason in (StopReason.OUT_OF_TIME, stop.reason):
            self._engine.stop()
        self._stop = stop

    def _record_what_still_ends(self) -> None:
        """After an error: record how the trials that ran have ended, as far as the record can be written."""
        deadline = time.monotonic() + _LAST_WAIT_SECONDS
        while self._running and time.monotonic() < deadline:
            try:
                arrival = self._arrivals.get(timeout=0.5)
            except queue.Empty:
                continue
            if not isinstance(arrival, Stop):
                trial = self._running.pop(arrival)
                outcome = arrival.result() if arrival.exception() is None else self._engine.collect(trial) or _LOST
                self._unrecorded.append(TrialFinished.of(trial, outcome, time.time()))
        with suppress(MachineError):  # the record cannot be written, or is another campaign's by now
            self._record.append(self._unrecorded)
            lost = [TrialFinished.of(row.trial, _LOST, time.time()) for row in self._record.history.running.values()]
            self._record.append([*lost, CampaignStopped(time.time(), Stop(StopReason.ERROR))])

    def _event_of(self, future: Future[Outcome]) -> TrialFinished:
        trial = self._running.pop(future)
        try:
            outcome = future.result()
        except (OSError, MachineError) as error:  # the machine's fault; perhaps only the news of the end was lost
            outcome = self._engine.collect(trial) or Outcome.interrupted(str(error))
        self._again.take_in(trial, outcome)
        self._tell(trial, outcome)
        self._failure_watch.take_in(trial, outcome)
        self._nodes.take_in(trial, outcome)
        return TrialFinished.of(trial, outcome, time.time())

    def _tell(self, trial: Trial, outcome: Outcome) -> None:
        self._scheduler.ended(trial, outcome)
        self._search.tell(trial, outcome)

    def _exclude_bad_nodes(self) -> None:
        """Take nodes out of use that fail everything; what they failed is attempted again on others."""
        for node, failed in self._nodes.pick_out().items():
            self._engine.exclude(node)
            running = {trial.number for trial in self._running.values()}
            for trial in failed:
                self._failure_watch.forget(trial)
                is_its_last = self._record.history.trials[trial.number].trial.attempt == trial.attempt
                if is_its_last and trial.number not in running and not self._again.waits(trial.number):
                    self._again.once_more(trial)
            reason = f"it failed {len(failed)} trials in a row at once, while other nodes completed theirs"
            self._unrecorded.append(NodeExcluded(time.time(), node, reason))
