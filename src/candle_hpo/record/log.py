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
    decoder = msgspec.json.Decoder(AnyEvent)
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    return
                if number == 1:
                    _check_header(path, line)
                try:
                    yield decoder.decode(line)
                except msgspec.MsgspecError as error:
                    raise RecordError(f"{path}:{number}: the record is damaged here: {error}") from None
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
