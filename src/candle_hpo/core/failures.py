"""What failures of trials mean for the whole: a broken script, or a machine that refuses everything."""

from __future__ import annotations

import re
from collections import Counter

import msgspec

from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Outcome, Status, Trial

ALL_OF_THE_FIRST = 10
SECOND_NODE_SECONDS = 120.0  # for a second node to end a trial, from the first failure on
REFUSALS_IN_A_ROW = 3

_NUMBERS = re.compile(r"0[xX][0-9a-fA-F]+|[0-9a-fA-F]*[0-9][0-9a-fA-F]*")


class FailurePolicy(msgspec.Struct, frozen=True):
    """What is attempted again, and when an experiment stops; all of one run.

    `retries` is how often a trial that the machine interrupted is attempted again, `retry_failed` the same of one that
    the model failed. After `max_failures` failed trials nothing more is started; 0 is never. None is for a script that
    is simply broken: the first ten trials have all failed, in the same way, and not on one node alone: where there are
    several, another one has two minutes to end a trial.
    """

    retries: int = 1
    retry_failed: int = 0
    max_failures: int | None = None


class FailureWatch:
    """Judges an experiment by the outcomes of its trials.

    `stop` is why no more trials should be started, and None as long as they should. It may be None again: while others
    still run, one of them can show that the script works after all. Of several `nodes`, no single one decides: another
    has two minutes to end a trial.
    """

    def __init__(self, policy: FailurePolicy, nodes: int = 1) -> None:
        self.stop: Stop | None = None
        self._most, self._nodes = policy.max_failures, nodes
        self._nodes_seen: set[str] = set()  # those on which a trial has ended
        self._first_failure: float | None = None
        self.workers = 0
        self._refusals = 0
        self._last, self._now = Outcome(Status.STOPPED), 0.0  # of the last attempt, and when it ended
        self._failed: dict[int, str] = {}  # the kind of failure of each trial that has failed, by its number
        self._kinds: Counter[str] = Counter()
        self._has_completed = False

    def add_earlier(self, outcome: Outcome) -> None:
        """Add how a trial ended in an earlier run: one that completed shows that the script works."""
        self._has_completed |= outcome.status is Status.COMPLETED

    def add(self, trial: Trial, outcome: Outcome, now: float = 0.0) -> None:
        """Add how a trial ended, at this moment (in seconds, by any clock)."""
        self._nodes_seen |= {outcome.place.node} if outcome.place else set()
        if outcome.status is Status.INTERRUPTED:
            self._refusals += 1
        else:
            self._refusals = 0
        if outcome.failure is None:
            self._has_completed |= outcome.status is Status.COMPLETED
            self.forget(trial)
        elif outcome.status is not Status.INTERRUPTED:
            self.forget(trial)
            kind = self._failed[trial.number] = kind_of_failure(trial, outcome)
            self._kinds[kind] += 1
        if outcome.failure is not None and self._first_failure is None:
            self._first_failure = now
        self._last, self._now = outcome, now
        self.stop = self._judge()

    def forget(self, trial: Trial) -> None:
        """Count a failure of a trial no more: it was the node's, or the trial has been attempted again."""
        kind = self._failed.pop(trial.number, None)
        if kind is not None:
            self._kinds[kind] -= 1
            self._kinds = +self._kinds  # without what is zero now
            self.stop = self._judge()

    def _judge(self) -> Stop | None:
        if self.is_about_one_node:
            return None
        if self._refusals >= max(REFUSALS_IN_A_ROW, 2 * self.workers):
            return Stop(StopReason.TRIALS_REFUSED, self._refusals, last=self._last.reason)
        failed = len(self._failed)
        if self._most is None:
            if failed < ALL_OF_THE_FIRST or self._has_completed or len(self._kinds) > 1:
                return None
            return Stop(StopReason.ALL_FAILED_ALIKE, failed, last=self._last.reason)
        if not self._most or failed < self._most:
            return None
        return Stop(StopReason.MAX_FAILURES, failed, limit=self._most)

    @property
    def is_about_one_node(self) -> bool:
        """Whether all that ended did so on one node of several, and the others may not have had the time."""
        is_early = self._first_failure is not None and self._now - self._first_failure < SECOND_NODE_SECONDS
        return is_early and self._nodes > 1 and len(self._nodes_seen) == 1


def kind_of_failure(trial: Trial, outcome: Outcome) -> str:
    """Return what failures of the same kind have in common: the reason without numbers and the trial's own name."""
    return f"{outcome.status.value}: {_NUMBERS.sub('#', outcome.reason.replace(trial.id, '#'))}"
