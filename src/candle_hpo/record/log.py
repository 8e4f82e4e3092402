"""The record's file: one event a line, appended by one process, synced before it is acted on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from candle_hpo.core.errors import RecordError
from candle_hpo.record.events import AnyEvent, RecordHeader


class RecordFile:
    """Appends events to a record; makes it, with its header, where there is none.

    Only one process may hold it at a time. A torn last line, which a killed writer leaves, is cut off first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._encoder = msgspec.json.Encoder()
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self._end = _end_of_whole_lines(path)
            os.ftruncate(self._descriptor, self._end)
        except OSError as error:
            raise RecordError(f"{path}: the record cannot be opened: {error.strerror}") from None
        if self._end == 0:
            self.append([RecordHeader()])

    def append(self, events: Iterable[AnyEvent]) -> None:
        """Append events, which are on the disk when this returns.

        Raises `RecordError` where that cannot be done; the record then ends with its last whole event.
        """
        data = b"".join(self._encoder.encode(event) + b"\n" for event in events)
        if not data:
            return
        try:
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            os.fsync(self._descriptor)
        except OSError as error:
            self._take_back()
            raise RecordError(
                f"{self._path}: the record cannot be written: {error.strerror}; what is in it is safe"
            ) from None
        self._end += len(data)

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._end)
        except OSError:
            return  # the next writer cuts the torn line off; the error that the user sees is the first one

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)


def read_events(path: Path) -> Iterator[AnyEvent]:
    """Yield the events of a record, but for a torn last line.

    Raises `RecordError` where the file is missing, is no record, is of a newer version, or is damaged
    before its last line; the message names the line.
    """
    for event, _ in _events_with_their_ends(path, 0):
        yield event


class RecordTail:
    """Reads a record that another process appends to: each time what is new, never the whole again.

    `path` need not exist yet. The file is opened anew for each reading, for that is when a network file system asks
    its server.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = 0  # of the last whole line that was read

    def read(self) -> list[AnyEvent]:
        """Return the events that were appended since the last reading.

        Raises `RecordChanged` where the file is not what was read before: its writer took lines back that could
        not be synced. `RecordError` as `read_events` does.
        """
        try:
            if self._path.stat().st_size < self._end:
                raise RecordChanged(f"{self._path}: the record became shorter")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RecordError(f"{self._path}: the record cannot be read: {error.strerror}") from None
        events: list[AnyEvent] = []
        try:
            for event, end in _events_with_their_ends(self._path, self._end):
                events.append(event)
                self._end = end
        except RecordError as error:
            if self._end:
                raise RecordChanged(str(error)) from None
            raise
        return events


class RecordChanged(RecordError):
    """A record is not the one that was followed so far; read from its beginning, it may be sound."""


def _events_with_their_ends(path: Path, start: int) -> Iterator[tuple[AnyEvent, int]]:
    """Yield the events from this byte of the record on, each with the byte after it, but for a torn last line."""
    decoder = msgspec.json.Decoder(AnyEvent)
    end = start
    try:
        with path.open("rb") as lines:
            lines.seek(start)
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    return
                if number == 1 and start == 0:
                    _check_header(path, line)
                end += len(line)
                try:
                    event = decoder.decode(line)
                except msgspec.MsgspecError as error:
                    raise RecordError(f"{path}:{number}: the record is damaged here: {error}") from None
                yield event, end
    except OSError as error:
        raise RecordError(f"{path}: the record cannot be read: {error.strerror}") from None


def _check_header(path: Path, line: bytes) -> None:
    try:
        header = msgspec.json.decode(line, type=dict[str, object])
    except msgspec.MsgspecError:
        header = {}
    version = header.get("version")
    if header.get("format") != RecordHeader().format or not isinstance(version, int):
        raise RecordError(f"{path}:1: this is no record of candle")
    if version > RecordHeader.CURRENT:
        raise RecordError(
            f"{path}:1: the record is of version {version}, and this candle reads up to "
            f"{RecordHeader.CURRENT}; use the newer candle that wrote it"
        )


def _end_of_whole_lines(path: Path) -> int:
    """Return the size of the file without a torn last line."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            end = start
    return 0
