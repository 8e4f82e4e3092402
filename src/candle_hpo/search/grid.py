"""The grid search: every listed set once, in the order of the list."""

from __future__ import annotations

from candle_hpo.core.errors import RecordError
from candle_hpo.core.space import GridSpace
from candle_hpo.core.trial import Configuration, Outcome, Report, Trial


class GridSearch:
    """Proposes the sets of a grid. Nothing is learned from how they end."""

    def __init__(self, space: GridSpace) -> None:
        self._sets = space.sets
        self._numbers: dict[str, int] = {}  # by id, once one was asked for

    def propose(self, number: int, running: int) -> Configuration | None:  # noqa: ARG002
        """Return the configuration of this number; None after the last."""
        if number > len(self._sets):
            return None
        found = self._sets[number - 1]
        return Configuration(number, found.id, found.hyperparameters)

    def observe(self, trial: Trial, seen: Report | Outcome) -> None:
        """Do nothing: the list is what it is."""

    def as_listed(self, configuration: Configuration) -> Configuration:
        """Return a trial of an earlier campaign with what its set has now: perhaps more than it had then."""
        listed = self._sets[configuration.number - 1]
        return Configuration(configuration.number, configuration.id, listed.hyperparameters)

    def number_of(self, set_id: str) -> int:
        """Return the number of the set with this id. Raises `RecordError` where there is none."""
        if not self._numbers:
            self._numbers = {one.id: number for number, one in enumerate(self._sets, start=1)}
        try:
            return self._numbers[set_id]
        except KeyError:
            raise RecordError(f"{set_id} is not one of this experiment's sets") from None
