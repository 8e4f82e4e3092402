"""The record's file: one event a line, appended by one process, synced before it is acted on."""

from __future__ import annotations

import errno
import os
import shlex
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from candle_hpo.core.errors import RecordError
from candle_hpo.files import is_at
from candle_hpo.record.events import AnyEvent, RecordHeader

# Each line ends with the checksum of what is before it, as one more field: CRC-32 (zlib), in hexadecimal.
_CHECKSUM = b',"crc":"'
_CHECKSUM_BYTES = len(_CHECKSUM) + len('01234567"}\n')
_SHOWN = 5  # damaged lines that a message names
_NOT_SYNCED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)  # a file system that syncs no folders


class RecordFile:
    """Appends events to a record; makes it, with its header, where there is none.

    Only one process may hold it at a time. A torn last line, which a killed writer leaves, is cut off first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._encoder = msgspec.json.Encoder()
        self._broken = ""
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            self._end = _end_of_whole_lines(path)
            os.ftruncate(self._descriptor, self._end)
            _sync_folder(path.parent)
        except OSError as error:
            raise RecordError(f"{path}: the record cannot be opened: {error.strerror}") from None
        if self._end == 0:
            self.append([RecordHeader()])

    def append(self, events: Iterable[AnyEvent]) -> None:
        """Append events, which are on the disk when this returns.

        Raises `RecordError` where that cannot be done; the record then ends with its last whole event. Once a sync has
        failed, nobody knows what is on the disk of all that was written since the last one (fsync(2)): then that is cut
        off, and nothing more is taken.
        """
        data = b"".join(self._line(event) for event in events)
        if not data:
            return
        if self._broken:
            raise RecordError(self._broken)
        try:
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            self._take_back()
            raise RecordError(self._refusal("written", error)) from None
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._take_back()
            self._broken = self._refusal("synced to the disk", error)
            raise RecordError(self._broken) from None
        self._end += len(data)
        if not is_at(self._descriptor, self._path):
            raise RecordError(f"{self._path} is gone; was the experiment's folder removed or replaced while it ran?")

    def _line(self, event: AnyEvent) -> bytes:
        text = self._encoder.encode(event)[:-1]
        return b'%b%b%08x"}\n' % (text, _CHECKSUM, zlib.crc32(text))

    def _refusal(self, what: str, error: OSError) -> str:
        free = "free some space there, then " if error.errno in (errno.ENOSPC, errno.EDQUOT) else "once that works, "
        return (
            f"{self._path}: the record cannot be {what}: {error.strerror}; what is in it is safe: {free}"
            f"candle resume {self._path.parent.name} continues it"
        )

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

    Raises `RecordError` where the file is missing, is not a record, is of another version, or is damaged
    before its last line; the message names the line, and says what can be saved.
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
                    event = event_of(line, decoder)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, WrongChecksum) as error:
                    raise RecordError(_damage(path, number, error)) from None
                yield event
    except OSError as error:
        raise RecordError(f"{path}: the record cannot be read: {error.strerror}") from None


class WrongChecksum(Exception):
    """A line of a record is not what was written."""


def event_of(line: bytes, decoder: msgspec.json.Decoder[AnyEvent]) -> AnyEvent:
    """Return the event of a line. The first one alone may have no checksum: somebody has repaired it.

    Raises `WrongChecksum`, `msgspec.MsgspecError`, `UnicodeDecodeError` and `RecursionError` for a line that
    is damaged.
    """
    if _has_its_checksum(line):
        return decoder.decode(line)
    if not _has_none(line):
        raise WrongChecksum("its checksum is another")
    event = decoder.decode(line)
    if not isinstance(event, RecordHeader):
        raise WrongChecksum("it has no checksum")
    return event


def _has_its_checksum(line: bytes) -> bool:
    text, end = line[:-_CHECKSUM_BYTES], line[-_CHECKSUM_BYTES:]
    return end == b'%b%08x"}\n' % (_CHECKSUM, zlib.crc32(text))


def _has_none(line: bytes) -> bool:
    return not line[-_CHECKSUM_BYTES:].startswith(_CHECKSUM)


def how_to_save(path: str, lines: Iterable[int]) -> str:
    """Return what to do about lines that cannot be used, so that all others can be."""
    deletions = " ".join(f"-e {line}d" for line in lines)
    return (
        f"every other line is whole: sed -i.damaged {deletions} {path} keeps them, and the file as it is beside it; "
        "what that line said of a trial is found in its folder by candle resume, or else the trial is attempted again"
    )


def _damage(path: Path, first: int, error: Exception) -> str:
    """Return the message about a damaged record, of which all lines are looked at again."""
    decoder = msgspec.json.Decoder(AnyEvent)
    damaged: list[int] = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if number >= first and line.endswith(b"\n"):
                try:
                    event_of(line, decoder)
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, WrongChecksum):
                    damaged.append(number)
    also = [str(number) for number in damaged[1:_SHOWN]]
    others = f" (and in line {', '.join(also)}{' …' if len(damaged) > _SHOWN else ''})" if also else ""
    return (
        f"{path}:{first}: the record is damaged here{others}: {error}; {how_to_save(shlex.quote(str(path)), damaged)}"
    )


def _check_header(path: Path, line: bytes) -> None:
    try:
        header = msgspec.json.decode(line, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        header = {}
    version = header.get("version")
    if (
        header.get("format") != RecordHeader().format
        or not isinstance(version, int)
        or not (_has_its_checksum(line) or _has_none(line))
    ):
        whole = msgspec.json.encode(RecordHeader()).decode()
        raise RecordError(
            f"{path}:1: this is not a record of candle, or its first line is damaged; if the others are those of one, "
            f"sed -i.damaged '1c {whole}' {shlex.quote(str(path))} repairs it"
        )
    if version != RecordHeader.CURRENT:
        other = "a newer" if version > RecordHeader.CURRENT else "an earlier"
        raise RecordError(
            f"{path}:1: the record is of version {version}, which {other} candle wrote, and this one reads version "
            f"{RecordHeader.CURRENT}; read it, and resume it, with that candle (a search here can begin with the "
            "table of its candle aggregate-results: warm_start)"
        )


def _sync_folder(folder: Path) -> None:
    """Put a new file's name on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_SYNCED:
            raise
    finally:
        os.close(descriptor)


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
