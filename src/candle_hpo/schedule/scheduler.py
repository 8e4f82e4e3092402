"""Which of the trials that wait starts next on a worker that is free, and whether one that runs continues."""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from candle_hpo.core.trial import Attempt, Hyperparameters, Outcome, Report, Status

MOST_DURATIONS = 500  # that expectations are made of: the latest ones
SETS_A_WORKER, MOST_SETS = 10, 2000  # at the end of a list, that may leave its order
PATIENCE = 3.0  # times the longest trial that waits: while more work than that is left for each worker, it may wait
AS_LONG = 1.1  # times as long as another is about as long
GROWTH = 1.2  # of the number of durations, after which expectations are made again
_HAVE_A_DURATION = (Status.COMPLETED, Status.TIMED_OUT)


class Moment(NamedTuple):
    """When a trial is chosen: how many workers there are, and the seconds until they all go."""

    workers: int
    seconds_left: float = math.inf


class VerdictKind(Enum):
    """What follows from a report: nothing, or, where it was weighed against others, that the trial continues or not."""

    UNHEEDED = "unheeded"
    CONTINUE = "continue"
    STOP = "stop"


class Verdict(NamedTuple):
    """What follows from a report: it had this `rank`, from 1, among so many, and was weighed at this `rung`.

    All 0 where there was no comparison.
    """

    kind: VerdictKind
    rank: int = 0
    among: int = 0
    rung: float = 0


UNHEEDED = Verdict(VerdictKind.UNHEEDED)


class Scheduler(Protocol):
    """Chooses the trial that starts next, and judges those that run. It has no clock: the moment is handed in."""

    def look_ahead(self, workers: int) -> int:
        """Return how many waiting trials it wants to choose from, besides the first of them.

        With fewer than that waiting, it takes them for the last ones of the experiment.
        """

    def choose(self, waiting: Sequence[Attempt], now: Moment) -> Attempt | None:
        """Return the trial of those that wait that starts now; None: none of them would end in the time left."""

    def judge(self, attempt: Attempt, report: Report, rung: float | None = None) -> Verdict:
        """Return what follows from a report of an attempt, perhaps one of an earlier campaign, weighed at a `rung`.

        The same reports in the same order have the same verdicts. Those that were `UNHEEDED` may be left out.
        """

    def ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """Note how a trial ended, perhaps one of an earlier campaign."""


class FirstCome:
    """Chooses the first, as long as a trial is expected to end in the time left: one of the usual duration."""

    def __init__(self) -> None:
        self._seen: deque[tuple[Hyperparameters, float]] = deque(maxlen=MOST_DURATIONS)
        self._count = 0  # of all durations so far

    def look_ahead(self, workers: int) -> int:  # noqa: ARG002
        """Return 0: the first is enough, so that a search which learns is asked as late as can be."""
        return 0

    def choose(self, waiting: Sequence[Attempt], now: Moment) -> Attempt | None:
        """Return the first; None where the median of the durations so far is longer than the time left."""
        is_known = self._seen and now.seconds_left < math.inf
        usual = statistics.median_high(seconds for _, seconds in self._seen) if is_known else 0.0
        return waiting[0] if usual <= now.seconds_left else None

    def judge(self, attempt: Attempt, report: Report, rung: float | None = None) -> Verdict:  # noqa: ARG002
        """Return that nothing follows: each trial runs its whole length."""
        return UNHEEDED

    def ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """Note how long a trial took."""
        if outcome.status in _HAVE_A_DURATION:
            self._seen.append((attempt.trial.hyperparameters, outcome.seconds))
            self._count += 1


class LongestFirst(FirstCome):
    """Chooses the first, and at the end of the list the longest, as soon as that would otherwise end last.

    A long trial that starts last leaves all workers idle but its own; with the longest first, workers end nearly
    together (Graham, "Bounds on multiprocessing timing anomalies", SIAM Journal on Applied Mathematics 17, 1969). But
    people list first what they want to see first. So sets leave their places only among the last ones, and only while
    little work is left for each worker beside the longest of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._expected: dict[int, float] = {}  # seconds, by the trial's number
        self._learned_from = 0  # durations

    def look_ahead(self, workers: int) -> int:
        """Return how many sets at the end of a list may leave its order: with one worker, none gains by it."""
        return min(SETS_A_WORKER * workers, MOST_SETS) if workers > 1 else 0

    def choose(self, waiting: Sequence[Attempt], now: Moment) -> Attempt | None:
        """Return the first, or the longest of the last ones; of these, one that is expected to end in the time left."""
        if len(waiting) > self.look_ahead(now.workers) or not self._seen:
            return super().choose(waiting, now)
        expected = zip(self._seconds_of(waiting), waiting, strict=True)
        in_time = [(seconds, attempt) for seconds, attempt in expected if seconds <= now.seconds_left]
        if not in_time:
            return None
        longest = max(seconds for seconds, _ in in_time)
        if sum(seconds for seconds, _ in in_time) > PATIENCE * now.workers * longest:
            return in_time[0][1]
        return next(attempt for seconds, attempt in in_time if seconds * AS_LONG >= longest)

    def _seconds_of(self, attempts: Sequence[Attempt]) -> list[float]:
        """Return how long trials are expected to take, which is learned again when much more is known."""
        from candle_hpo.schedule.durations import expected_seconds  # most of a grid needs no NumPy

        if self._count > GROWTH * self._learned_from:
            self._expected.clear()
            self._learned_from = self._count
        trials = [attempt.trial for attempt in attempts]
        fresh = [trial for trial in trials if trial.number not in self._expected]
        if fresh:
            found = expected_seconds(self._seen, [trial.hyperparameters for trial in fresh])
            self._expected.update(zip((trial.number for trial in fresh), found, strict=True))
        return [self._expected[trial.number] for trial in trials]
