"""The grid search: every listed set once; in the order of the list, but for its end."""

from __future__ import annotations

import math
from collections import deque

from candle_hpo.core.space import GridSpace
from candle_hpo.core.trial import Hyperparameters, Outcome, Status, Trial

SETS_A_WORKER, MOST_SETS = 10, 2000  # at the end of the list
MOST_DURATIONS = 500  # that are learned from, the latest
GROWTH = 1.2  # of the number of durations, after which the order is made anew
LEAD = 1.1  # times longer: sets that differ less keep their order
_HAVE_A_DURATION = (Status.COMPLETED, Status.TIMED_OUT)


class GridSearch:
    """Proposes the sets of a grid. Their values change nothing; their durations, the order of the last ones.

    A long trial that starts last leaves all workers idle but its own. So of the last sets, those that are expected to
    take longest come first: Graham, "Bounds on multiprocessing timing anomalies", SIAM Journal on Applied Mathematics
    17, 1969.
    """

    def __init__(self, space: GridSpace, workers: int = 1) -> None:
        self._sets = space.sets
        at_end = min(SETS_A_WORKER * workers, MOST_SETS, len(self._sets)) if workers > 1 else 0
        self._end = len(self._sets) - at_end
        self._taken: set[int] = set()  # of the end
        self._waiting: list[Trial] | None = None  # of the end, the next one last
        self._seen: deque[tuple[Hyperparameters, float]] = deque(maxlen=MOST_DURATIONS)
        self._durations = self._durations_in_order = 0

    def propose(self, number: int, running: int) -> Trial | None:  # noqa: ARG002
        """Return the trial of this number, or, at the end of the list, one of those that are left; None after them."""
        if number < self._end:
            return self._trial(number)
        if self._waiting is None:
            self._waiting = [self._trial(each) for each in range(len(self._sets) - 1, self._end - 1, -1)]
        self._waiting = [trial for trial in self._waiting if trial.number not in self._taken]
        if self._durations > GROWTH * self._durations_in_order:
            self._put_in_order(self._waiting)
        if not self._waiting:
            return None
        trial = self._waiting.pop()
        self._taken.add(trial.number)
        return trial

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take in how a trial ended, perhaps one that an earlier campaign proposed."""
        if trial.number >= self._end:
            self._taken.add(trial.number)
        if outcome.status in _HAVE_A_DURATION:
            self._seen.append((trial.hyperparameters, outcome.seconds))
            self._durations += 1

    def _trial(self, number: int) -> Trial:
        found = self._sets[number]
        return Trial(number, found.id, found.hyperparameters)

    def _put_in_order(self, waiting: list[Trial]) -> None:
        """Put those last that are expected to take longest, and of others the first of the list."""
        from candle_hpo.search.durations import expected_seconds  # most of a grid needs no NumPy

        found = expected_seconds(self._seen, [trial.hyperparameters for trial in waiting])
        longest = max(found, default=1.0)
        behind = [math.log(longest / seconds) // math.log(LEAD) for seconds in found]
        ranks = {trial.number: (rank, trial.number) for trial, rank in zip(waiting, behind, strict=True)}
        waiting.sort(key=lambda trial: ranks[trial.number], reverse=True)
        self._durations_in_order = self._durations
