"""The grid search: every listed set once, in the order of the list."""

from __future__ import annotations

from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.core.trial import Outcome, Trial


class GridSearch:
    """Proposes the sets of a grid; what comes of them changes nothing."""

    def __init__(self, space: GridSpace) -> None:
        self._sets = space.sets

    def propose(self, number: int, running: int) -> ParameterSet | None:  # noqa: ARG002
        """Return the set of this number, counted from 0, however many run; None after the last."""
        return self._sets[number] if number < len(self._sets) else None

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take an outcome in; a grid learns nothing from it."""
