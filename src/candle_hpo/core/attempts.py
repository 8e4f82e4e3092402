"""Which trials are attempted again, and how often."""

from __future__ import annotations

from collections import Counter, deque

from candle_hpo.core.failures import FailurePolicy
from candle_hpo.core.trial import Attempt, Outcome, Status


class Attempts:
    """The trials of one campaign that wait for another attempt, in the order in which that was decided.

    What the machine interrupts is attempted again `policy.retries` times, what the model fails `policy.retry_failed`
    times; counted for each campaign.
    """

    def __init__(self, policy: FailurePolicy) -> None:
        self._policy = policy
        self._waiting: deque[Attempt] = deque()
        self._interruptions: Counter[int] = Counter()  # of each trial by its number, in this campaign
        self._failures: Counter[int] = Counter()  # the same

    def add(self, attempt: Attempt, outcome: Outcome) -> None:
        """Add how an attempt ended."""
        if outcome.failure is None:
            return
        was_interrupted = outcome.status is Status.INTERRUPTED
        counts = self._interruptions if was_interrupted else self._failures
        counts[attempt.trial.number] += 1
        if counts[attempt.trial.number] <= (self._policy.retries if was_interrupted else self._policy.retry_failed):
            self.add_waiting(attempt.again())

    def add_waiting(self, attempt: Attempt) -> None:
        """Let an attempt wait, whatever became of those before."""
        self._waiting.append(attempt)

    def add_next(self, attempt: Attempt) -> None:
        """Let an attempt be the next one."""
        self._waiting.appendleft(attempt)

    def bring_forward(self, number: int) -> bool:
        """Let the attempt that waits at the trial of this number be the next one; return whether there is one."""
        found = next((each for each in self._waiting if each.trial.number == number), None)
        if found is not None:
            self._waiting.remove(found)
            self._waiting.appendleft(found)
        return found is not None

    def first(self) -> Attempt | None:
        """Return the next attempt; None: none waits."""
        return self._waiting[0] if self._waiting else None

    def begin(self) -> None:
        """Let the next attempt wait no more."""
        self._waiting.popleft()

    def waits(self, number: int) -> bool:
        """Return whether the trial of this number waits for another attempt."""
        return any(attempt.trial.number == number for attempt in self._waiting)
