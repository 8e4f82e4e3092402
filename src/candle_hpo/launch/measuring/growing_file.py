"""A file that somebody else writes, read as it grows: what is new in it, in whole lines, and whether it began again."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MOST_BYTES = 1 << 20  # that are read at once
_ANCHOR = 256  # bytes before the place that was read to: where they are others now, the file was written again
_LONGEST_LINE = 1 << 22


class Piece(NamedTuple):
    """What is new in a file: whole lines, or as many as are read at once.

    `rest` is what stands behind them, an unfinished line; `begins_again` is whether the file was written again from
    its beginning; `is_all` whether there was no more.
    """

    lines: bytes
    rest: bytes
    begins_again: bool
    is_all: bool

    def with_rest(self, *, is_finished: bool) -> bytes:
        """Return the lines, and the last one without its end, too, where nobody writes any more of it."""
        return self.lines + self.rest if is_finished and self.is_all else self.lines


class GrowingFile:
    """Reads a file that may not be there yet, be cut, written again, or replaced by another while it is read.

    It is kept open and read on, without a look at its size: on a network file system, asking for that makes the node
    write out at once what a trial has just written. Whether another file lies at its path by now is asked only so
    often, in seconds.
    """

    def __init__(self, path: Path, seconds_between_looks: float = 0.0) -> None:
        self._path, self._seconds = path, seconds_between_looks
        self._file = -1
        self._is: os.stat_result  # which file that is: asked once, for each question may be one to a server
        self._offset = 0
        self._anchor = b""
        self._rest = b""
        self._is_too_long = False
        self._next_look = 0.0

    def close(self) -> None:
        """Leave the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def read(self, *, is_last: bool = False) -> Piece:
        """Return what is new since the last call; nothing of a file that is not there. Raises `OSError`."""
        began_before = self._offset > 0
        if self._file < 0 and not self._open():
            return Piece(b"", b"", begins_again=False, is_all=True)
        new, begins_again = self._new_bytes()
        if not new and (is_last or time.monotonic() >= self._next_look) and self._is_another():
            self.close()
            self._forget()
            if not self._open():
                return Piece(b"", b"", begins_again=began_before, is_all=True)
            new, begins_again = self._new_bytes()[0], began_before
        return self._cut(new, begins_again)

    def _open(self) -> bool:
        """Open the file, if it is there, and is one: a pipe would be waited for, and a device read for ever."""
        try:
            found = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return False
        its = os.fstat(found)
        if not stat.S_ISREG(its.st_mode):
            os.close(found)
            return False
        self._is = its
        self._file, self._next_look = found, time.monotonic() + self._seconds
        return True

    def _is_another(self) -> bool:
        self._next_look = time.monotonic() + self._seconds
        with suppress(FileNotFoundError, NotADirectoryError):
            return not os.path.samestat(self._is, os.stat(self._path))  # noqa: PTH116
        return True

    def _new_bytes(self) -> tuple[bytes, bool]:
        """Return what stands behind what was read, and whether that is no longer what it was."""
        anchor = self._anchor
        found = os.pread(self._file, len(anchor) + MOST_BYTES, self._offset - len(anchor))
        begins_again = not found.startswith(anchor)
        if begins_again:
            self._forget()
            found = os.pread(self._file, MOST_BYTES, 0)
        new = found[len(self._anchor) :]
        self._offset += len(new)
        self._anchor = (self._anchor + new)[-_ANCHOR:]
        return new, begins_again

    def _forget(self) -> None:
        self._offset, self._anchor, self._rest, self._is_too_long = 0, b"", b"", False

    def _cut(self, new: bytes, begins_again: bool) -> Piece:
        """Return the whole lines in what is new; a carriage return ends one, too, but not before what may follow it."""
        is_all = len(new) < MOST_BYTES
        text = self._rest + new
        end = max(text.rfind(b"\n"), text.rfind(b"\r", 0, len(text) - 1)) + 1
        lines, self._rest = text[:end], text[end:]
        if self._is_too_long and end:
            lines = lines[min(at for at in (lines.find(b"\n"), lines.find(b"\r")) if at >= 0) + 1 :]
            self._is_too_long = False
        if len(self._rest) > _LONGEST_LINE:
            self._rest, self._is_too_long = b"", True
        return Piece(lines, self._rest, begins_again, is_all)
