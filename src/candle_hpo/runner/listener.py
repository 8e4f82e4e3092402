"""Who hears what happens while something runs: the verbs hand one in, and print what it hears."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from candle_hpo.core.objective import Direction
from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.history import History
from candle_hpo.record.history_entries import TrialHistory

Say = Callable[..., None]  # takes lines, each a str


class Progress(Protocol):
    """Shows how far an experiment is; `stopping` is set once somebody has asked it to stop."""

    stopping: bool

    def update(self) -> None:
        """Hear that the history may have changed."""


class Listener(Protocol):
    """Hears what is to be said of a campaign that is assembled and runs."""

    def say(self, *lines: str) -> None:
        """Hear some lines."""

    def best(self, rows: Sequence[TrialHistory], names: Sequence[str], direction: Direction) -> None:
        """Hear of the best trials, with what they have of the hyperparameters of these names."""

    def progress(self, history: History, stored: StoredExperiment) -> AbstractContextManager[Progress]:
        """Return what shows the progress of a campaign while it runs."""
