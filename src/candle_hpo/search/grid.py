"""The grid search: every listed set once, in the order of the list."""

from __future__ import annotations

from candle_hpo.core.space import GridSpace
from candle_hpo.core.trial import Outcome, Trial


class GridSearch:
    """Proposes the sets of a grid. Nothing is learned from how they end."""

    def __init__(self, space: GridSpace) -> None:
        self._sets = space.sets

    def propose(self, number: int, running: int) -> Trial | None:  # noqa: ARG002
        """Return the trial of this number; None after the last."""
        if number > len(self._sets):
            return None
        found = self._sets[number - 1]
        return Trial(number, found.id, found.hyperparameters)

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Do nothing: the list is what it is."""

    def as_listed(self, trial: Trial) -> Trial:
        """Return a trial of an earlier campaign with what its set has now: perhaps more than it had then."""
        listed = self._sets[trial.number - 1]
        return Trial(trial.number, trial.id, listed.hyperparameters, trial.attempt)
