"""The one writer of an experiment: the log on the disk and the history in memory, always in step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from candle_hpo.core.objective import Objective
from candle_hpo.record.campaign_log import log_events
from candle_hpo.record.events import AnyEvent
from candle_hpo.record.history import History
from candle_hpo.record.log import RecordFile, read_events


class Record:
    """Appends events and keeps the history that they add up to.

    A record that exists is replayed; one that does not is made, and replays to an empty history. `check` is called
    before each append; it raises where this process may write no more. `history` is what the record adds up to, where
    that is known already.
    """

    def __init__(
        self,
        path: Path,
        objective: Objective,
        check: Callable[[], None] = lambda: None,
        history: History | None = None,
    ) -> None:
        self._file, self._check = RecordFile(path), check
        self.history = History(objective, read_events(path)) if history is None else history

    def append(self, events: Sequence[AnyEvent]) -> None:
        """Write the events and sync them once; then, and only then, take them into the history."""
        self._check()
        self._file.append(events)
        log_events(events, self.history.notes)
        for event in events:
            self.history.apply(event)

    def close(self) -> None:
        """Give the log back."""
        self._file.close()
