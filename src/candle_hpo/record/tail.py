"""Following a record that another process appends to."""

from __future__ import annotations

from pathlib import Path

import msgspec

from candle_hpo.core.errors import RecordError
from candle_hpo.core.objective import Objective
from candle_hpo.record.events import AnyEvent
from candle_hpo.record.history import History
from candle_hpo.record.log import WrongChecksum, event_of, read_events


class RecordChanged(RecordError):
    """A record is not the one that was followed so far; read from its beginning, it may be sound."""


class RecordTail:
    """Reads what a record has gained since the last time, never the whole again.

    `path` need not exist yet. The file is opened again for each reading, for that is when a network file system asks
    its server.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._decoder = msgspec.json.Decoder(AnyEvent)
        self._end = 0  # of the last whole line that was read

    def read(self) -> list[AnyEvent]:
        """Return the events that were appended since the last reading, without a torn last line.

        Raises `RecordChanged` where the file is not what was read before: its writer has taken lines back that could
        not be synced. `RecordError` as `read_events` does.
        """
        lines = self._new_lines()
        try:
            if self._end == 0 and lines:
                next(read_events(self._path))  # which looks at the header
            events = [event_of(line, self._decoder) for line in lines]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, WrongChecksum) as error:
            if self._end:
                raise RecordChanged(f"{self._path}: the record is not what it was: {error}") from None
            for _ in read_events(self._path):
                pass  # up to the damage, which it reports
            raise RecordChanged(f"{self._path}: the record was damaged a moment ago: {error}") from None
        self._end += sum(map(len, lines))
        return events

    def _new_lines(self) -> list[bytes]:
        try:
            with self._path.open("rb") as file:
                if file.seek(0, 2) < self._end:
                    raise RecordChanged(f"{self._path}: the record became shorter")
                file.seek(self._end)
                data = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RecordError(f"{self._path}: the record cannot be read: {error.strerror}") from None
        return data[: data.rfind(b"\n") + 1].splitlines(keepends=True)


class FollowedRecord:
    """A record that another process appends to, with the `history` that it adds up to so far."""

    def __init__(self, path: Path, objective: Objective) -> None:
        self._path, self._objective = path, objective
        self._begin()

    def _begin(self) -> None:
        self._tail, self.history = RecordTail(self._path), History(self._objective)

    def update(self) -> list[AnyEvent]:
        """Apply what is new, and return it: all events, to a new history, where the record is not what it was.

        Raises `RecordError`.
        """
        try:
            events = self._tail.read()
        except RecordChanged:
            self._begin()
            events = self._tail.read()
        for event in events:
            self.history.apply(event)
        return events
