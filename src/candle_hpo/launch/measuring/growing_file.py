"""A file that somebody else writes, read as it grows: what is new in it, in whole lines, and whether it began again."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from candle_hpo.launch.measuring.looks import Looks

MOST_BYTES = 1 << 20  # that are read at once
ANCHOR = 256  # bytes before the place that was read to: where they are others now, the file was written again
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
    write out at once what a trial has just written. Whether it is there, or another file lies at its path by now, is
    asked when `looks` are due. As many bytes as `anchor` says, of what was read, are looked at again; where less is
    enough from here on, until the file begins again, it can be set.
    """

    def __init__(self, path: Path, looks: Looks | None = None, anchor: int = ANCHOR) -> None:
        self._path, self._looks = path, looks or Looks()
        self.anchor = self._first_anchor = anchor
        self._file = -1
        self._is: os.stat_result | None = None  # which file that is, and what was found at its path since
        self._found: os.stat_result | None = None
        self._offset = 0
        self._anchor = b""
        self._rest = b""
        self._is_too_long = False

    def close(self) -> None:
        """Leave the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def read(self, *, is_last: bool = False) -> Piece:
        """Return what is new since the last call; nothing of a file that is not there. Raises `OSError`."""
        began_before = self._offset > 0
        new, begins_again = b"", False
        if self._file >= 0:
            try:
                new, begins_again = self._new_bytes()
            except OSError as error:
                if error.errno != errno.ESTALE:  # another node has removed it, or put another in its place
                    raise
                self._leave()
        if not new and (is_last or self._looks.are_due) and self._is_another():
            self._leave()
            if not self._open():
                return Piece(b"", b"", begins_again=began_before, is_all=True)
            new, begins_again = self._new_bytes()[0], began_before
        return self._cut(new, begins_again or (began_before and not self._offset))

    def _is_another(self) -> bool:
        """Return whether another file lies there than the one that is open, if one is, or none any more."""
        its = None
        with suppress(FileNotFoundError, NotADirectoryError):
            its = os.stat(self._path)  # noqa: PTH116
        self._looks.asked(in_vain=its is None)
        if self._is is not None and its is not None and os.path.samestat(self._is, its):
            return False
        self._found = its
        return True

    def _open(self) -> bool:
        """Open what was found, if that is a file: a pipe would be waited for, and a device read for ever."""
        if self._found is None or not stat.S_ISREG(self._found.st_mode):
            return False
        self._looks.asked()
        with suppress(FileNotFoundError, NotADirectoryError):
            self._file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._is = self._found
        return self._file >= 0

    def _leave(self) -> None:
        self.close()
        self._is = None
        self._forget()

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
        self._anchor = (self._anchor + new)[-self.anchor :]
        return new, begins_again

    def _forget(self) -> None:
        self._offset, self._anchor, self._rest, self._is_too_long = 0, b"", b"", False
        self.anchor = self._first_anchor

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
