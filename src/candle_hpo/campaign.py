"""The campaign: propose, run, record, tell, until nothing is left to do or somebody stops it.

It knows neither the search that it drives nor the engine that it runs on: a pool is any standard `Executor`.
A fresh start and a resumed one are the same: both go on from what the record says.
"""

from __future__ import annotations

import os
import queue
import socket
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Protocol

from candle_hpo.core.space import ParameterSet
from candle_hpo.core.trial import Outcome, Status, Trial
from candle_hpo.record.events import AnyEvent, CampaignStarted, CampaignStopped, TrialFinished, TrialStarted
from candle_hpo.record.record import Record


class Search(Protocol):
    """Proposes sets of hyperparameters and is told what came of them."""

    def propose(self, number: int) -> ParameterSet | None:
        """Return the set for the trial of this number (from 0); None when there is none to run now."""

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take in how a trial ended."""


class Campaign:
    """Runs the trials that a search proposes, at most `workers` at a time.

    `run_trial` is handed to the pool for each trial. `watch` is called after every change, and at least every
    `watch_seconds` while nothing changes (None: only after changes).
    """

    def __init__(
        self,
        search: Search,
        pool: Executor,
        run_trial: Callable[[Trial], Outcome],
        record: Record,
        *,
        workers: int,
        retries: int,
        stop_pool: Callable[[], None],
        watch: Callable[[], None] = lambda: None,
        watch_seconds: float | None = None,
    ) -> None:
        self._search, self._pool, self._run_trial, self._record = search, pool, run_trial, record
        self._workers, self._retries, self._stop_pool = workers, retries, stop_pool
        self._watch, self._watch_seconds = watch, watch_seconds
        # Ended trials, and reasons to stop: a SimpleQueue takes them from threads and signal handlers alike.
        self._arrivals: queue.SimpleQueue[Future[Outcome] | str] = queue.SimpleQueue()
        self._running: dict[Future[Outcome], Trial] = {}
        self._again: deque[Trial] = deque()
        self._next_number = 0
        self._stop_reason = ""

    def stop(self, reason: str) -> None:
        """Ask the campaign to stop and record what ran as interrupted. May be called by a signal handler."""
        self._arrivals.put(reason)

    def run(self) -> str:
        """Run trials until the search has no more; return the reason why it stopped earlier, or ""."""
        self._take_up_the_record()
        self._record_and_submit([CampaignStarted(time.time(), socket.gethostname(), os.getpid(), self._workers)])
        try:
            while self._running:
                self._watch()
                self._record_and_submit(self._events_of_arrivals())
        except BaseException:
            self._stop_pool()
            raise
        self._record.append([CampaignStopped(time.time(), self._stop_reason)])
        self._watch()
        return self._stop_reason

    def _take_up_the_record(self) -> None:
        """Go on from what an earlier campaign left: its outcomes, and what the machine interrupted."""
        trials = self._record.history.trials
        self._next_number = len(trials)
        for _, earlier in sorted(trials.items()):
            outcome = earlier.outcome or Outcome(Status.INTERRUPTED)
            self._search.tell(earlier.trial, outcome)
            if outcome.status is Status.INTERRUPTED:
                self._again.append(_next_attempt(earlier.trial))

    def _record_and_submit(self, events: list[AnyEvent]) -> None:
        """Record what happened together with what starts now, in one synced append; then start it."""
        starting = self._trials_to_start(self._workers - len(self._running))
        now = time.time()
        self._record.append([*events, *(TrialStarted.of(trial, now) for trial in starting)])
        for trial in starting:
            future = self._pool.submit(self._run_trial, trial)
            self._running[future] = trial
            future.add_done_callback(self._arrivals.put)

    def _trials_to_start(self, free: int) -> list[Trial]:
        starting: list[Trial] = []
        while len(starting) < free and not self._stop_reason:
            if self._again:
                starting.append(self._again.popleft())
                continue
            proposal = self._search.propose(self._next_number)
            if proposal is None:
                break
            starting.append(Trial(self._next_number, proposal.id, proposal.hyperparameters))
            self._next_number += 1
        return starting

    def _events_of_arrivals(self) -> list[AnyEvent]:
        """Wait for trials to end; return the events that tell of all that have."""
        events: list[AnyEvent] = []
        try:
            arrival = self._arrivals.get(timeout=self._watch_seconds)
            while True:
                if isinstance(arrival, str):
                    self._stop_reason = self._stop_reason or arrival
                    self._stop_pool()
                else:
                    events.append(self._event_of(arrival))
                arrival = self._arrivals.get_nowait()
        except queue.Empty:
            return events

    def _event_of(self, future: Future[Outcome]) -> TrialFinished:
        trial = self._running.pop(future)
        try:
            outcome = future.result()
        except OSError as error:  # the machine's fault, not the model's
            outcome = Outcome(Status.INTERRUPTED, reason=f"the machine did not let it run: {error}")
        if outcome.status is Status.INTERRUPTED and trial.attempt <= self._retries:
            self._again.append(_next_attempt(trial))
        self._search.tell(trial, outcome)
        return TrialFinished.of(trial, outcome, time.time())


def _next_attempt(trial: Trial) -> Trial:
    return Trial(trial.number, trial.id, trial.hyperparameters, trial.attempt + 1)
