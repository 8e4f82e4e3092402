"""The grid search: every listed set once, in the order of the list while that keeps all workers busy to the end."""

from __future__ import annotations

import math
from collections import deque

from candle_hpo.core.space import GridSpace
from candle_hpo.core.trial import Hyperparameters, Outcome, Status, Trial
from candle_hpo.search.list_scheduling import next_to_start

SETS_A_WORKER, MOST_SETS = 10, 2000  # at the end of the list, that may leave its order
MOST_DURATIONS = 500  # that are learned from, those told last
GROWTH = 1.2  # of the number of durations, after which is learned anew
PATIENCE = 2.0  # times the longest trial that waits: the work left for each worker, above which it may wait on
_HAVE_A_DURATION = (Status.COMPLETED, Status.TIMED_OUT)


class GridSearch:
    """Proposes the sets of a grid. Their values change nothing; their durations, the order of the last ones.

    A long trial that starts last leaves all workers idle but its own. But people list first what they want to see
    first. So sets leave their places only when the longest is about to become the one that ends last.

    It has no clock. But a trial is proposed when another has ended, for the worker that this leaves free: so the
    durations alone tell when each began, as if nothing took time but trials.
    """

    def __init__(self, space: GridSpace, workers: int = 1) -> None:
        self._sets, self._workers = space.sets, workers
        at_end = min(SETS_A_WORKER * workers, MOST_SETS, len(self._sets)) if workers > 1 else 0
        self._end = len(self._sets) - at_end + 1  # the number of its first trial
        self._taken: set[int] = set()  # of the end
        self._waiting: list[Trial] | None = None  # of the end, in the order of the list
        self._seen: deque[tuple[Hyperparameters, float]] = deque(maxlen=MOST_DURATIONS)
        self._durations = self._durations_learned_from = 0
        self._expected: dict[int, float] = {}  # seconds, of the trials that wait and run
        self._now = 0.0  # seconds that the trials have taken so far, on the worker that is free
        self._running: dict[int, tuple[Trial, float]] = {}  # by number, with the time when it began

    def propose(self, number: int, running: int, seconds_left: float = math.inf) -> Trial | None:  # noqa: ARG002
        """Return the trial of this number, or, at the end of the list, one of those that are left; None after them."""
        trial = self._trial(number) if number < self._end else self._next_of_the_end(seconds_left)
        if trial is not None:
            self._running[trial.number] = (trial, self._now)
        return trial

    def _next_of_the_end(self, seconds_left: float) -> Trial | None:
        if self._waiting is None:
            numbers = (each for each in range(self._end, len(self._sets) + 1) if each not in self._taken)
            self._waiting = [self._trial(each) for each in numbers]
        self._waiting = [trial for trial in self._waiting if trial.number not in self._taken]
        if not self._waiting:
            return None
        if self._durations > GROWTH * self._durations_learned_from:
            self._learn(self._waiting)
        chosen = self._chosen(self._waiting, seconds_left)
        self._taken.add(chosen.number)
        return chosen

    def expected_seconds(self, trial: Trial) -> float | None:
        """Return how long a trial is expected to take; None where that is not known, as before the end of the list."""
        return self._expected.get(trial.number)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take in how a trial ended, perhaps one that an earlier campaign proposed."""
        if trial.number >= self._end:
            self._taken.add(trial.number)
        if trial.number in self._running:
            _, began = self._running.pop(trial.number)
            self._now = max(self._now, began + outcome.seconds)
        if outcome.status in _HAVE_A_DURATION:
            self._seen.append((trial.hyperparameters, outcome.seconds))
            self._durations += 1

    def as_listed(self, trial: Trial) -> Trial:
        """Return a trial of an earlier campaign with what its set has now: perhaps more than it had then."""
        listed = self._trial(trial.number)
        return Trial(trial.number, trial.id, listed.hyperparameters, trial.attempt)

    def _trial(self, number: int) -> Trial:
        found = self._sets[number - 1]
        return Trial(number, found.id, found.hyperparameters)

    def _learn(self, waiting: list[Trial]) -> None:
        from candle_hpo.search.durations import expected_seconds  # most of a grid needs no NumPy

        trials = [*waiting, *(trial for trial, _ in self._running.values())]
        found = expected_seconds(self._seen, [trial.hyperparameters for trial in trials])
        self._expected = {trial.number: seconds for trial, seconds in zip(trials, found, strict=True)}
        self._durations_learned_from = self._durations

    def _chosen(self, waiting: list[Trial], seconds_left: float) -> Trial:
        """Return the first of the list, or, once the longest must start, one with which all workers end together.

        Of those that end in time; where none does, the shortest.
        """
        if not self._expected:
            return waiting[0]
        expected = [(self._expected[trial.number], trial) for trial in waiting]
        in_time = [(seconds, trial) for seconds, trial in expected if seconds <= seconds_left]
        if not in_time:
            return min(expected, key=lambda one: one[0])[1]
        longest = max(seconds for seconds, _ in in_time)
        if sum(seconds for seconds, _ in in_time) > PATIENCE * self._workers * longest:
            return in_time[0][1]
        return in_time[next_to_start([seconds for seconds, _ in in_time], self._busy())][1]

    def _busy(self) -> list[float]:
        """Return for how many seconds each worker but the free one is expected to be busy yet."""
        ends = [began + self._expected.get(trial.number, 0.0) for trial, began in self._running.values()]
        left = [max(0.0, end - self._now) for end in ends]
        return [*left, *[0.0] * self._workers][: self._workers - 1]
