"""`result_file`: which file of a trial's it is, what of it the trial has written itself, and the value in there."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from candle_hpo.core.result_files import FileKind, is_pattern_of_names
from candle_hpo.launch.measuring.json_file import in_json
from candle_hpo.launch.measuring.looks import Looks
from candle_hpo.launch.measuring.matching_files import MatchingFiles
from candle_hpo.launch.measuring.readings import LAST, Choice, Measured
from candle_hpo.launch.measuring.table import in_table

_MOST_BYTES = 64_000_000
_FAULTS_OF_THE_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE)
_LESS_OFTEN = 12  # than reports are looked for
_SEEN = 2  # times a file that has become shorter, until that is believed
_ANCHOR = 256  # bytes, by which a file is known again that was added to


class _State(NamedTuple):
    """What shows whether a file was written again since, or added to."""

    signature: tuple[int, ...]
    size: int
    end: bytes


class Written(NamedTuple):
    """A file that a trial has written; its first bytes, so many of them, may have been there before.

    `of_folder` are all files of its folder that the trial has written, this one among them, each with that number.
    """

    path: Path
    begin: int
    of_folder: tuple[tuple[Path, int], ...]
    notes: tuple[str, ...] = ()


class ResultFiles:
    """The files that a `result_file` names, as they were before the trial began: what was written since is its own.

    Of several, as in `checkpoint-*/trainer_state.json`, the last one by the numbers in its path is the one. None is in
    what is `shared` with other trials, which may write there meanwhile.
    """

    def __init__(self, folder: Path, name: str, shared: Sequence[str] = ()) -> None:
        self._folder, self.name, self._shared = folder, name, [folder / place for place in shared]
        self._before = {path: state for path in self.paths() if (state := _state(path))}
        self._shorter = Counter[Path]()
        self._looks = Looks(folder) if self._before else None

    def look(self) -> None:
        """See whether a file has become shorter than it was before: the trial has begun it again.

        That is so where it is seen twice. A script that continues may write the whole file again for each new line.
        """
        if self._looks is None:
            return
        self._looks.begin()
        asked = [path for path in self._before if self._shorter[path] < _SEEN] if self._looks.are_due else []
        for path in asked:
            now = _state(path, with_end=False)
            self._shorter[path] += now is None or now.size < self._before[path].size
        if asked:
            self._looks.asked(_LESS_OFTEN * len(asked), in_vain=True)

    def paths(self) -> list[Path]:
        """Return the files that there are by now, by the numbers in their paths."""
        if not is_pattern_of_names(self.name):
            return [self._folder / self.name]
        return list(self._last_first(MatchingFiles(self._folder, self.name)))[::-1]

    def newest(self, known: Path | None) -> tuple[Path | None, int]:
        """Return the last one that was written since, or that one that is known to be, and how many calls that took."""
        search = MatchingFiles(self._folder, self.name)
        looked_at = 0
        for path in self._last_first(search):
            looked_at += path != known
            if path == known or self.is_own(path):
                return path, search.calls + looked_at
        return None, search.calls + looked_at

    def _last_first(self, found: Iterable[Path]) -> Iterator[Path]:
        with suppress(OSError):
            yield from (path for path in found if not any(map(path.is_relative_to, self._shared)))

    def own(self) -> list[Path]:
        """Return those that were written since, by the numbers in their paths."""
        return list(filter(self.is_own, self.paths()))

    def is_own(self, path: Path) -> bool:
        """Return whether one of them was written since."""
        now, before = _state(path, with_end=False), self._before.get(path)
        return now is not None and (before is None or now.signature != before.signature)

    def written(self) -> Written:
        """Return the file with the result. Raises `ValueError` where there is none, or it is not clear which."""
        own = self.own()
        if not own:
            raise ValueError(f"it did not write the result_file {self.name} in the folder where it ran")
        last = own[-1]
        times = {path: path.stat().st_mtime_ns for path in own}
        newest = max(own, key=lambda path: times[path])
        is_one_run = FileKind.of(last) is FileKind.EVENTS and newest.parent == last.parent
        if times[newest] > times[last] and not is_one_run:
            raise ValueError(
                f"which file is the result_file {self.name}: {self._shown(last)} has the larger number, and "
                f"{self._shown(newest)} was written later"
            )
        of_folder = tuple((path, self._begin_of(path)) for path in own if path.parent == last.parent)
        several = (f"of the files {self.name}, the one with the largest number has the value",) if own[1:] else ()
        return Written(last, self._begin_of(last), of_folder, several)

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self._folder))

    def _begin_of(self, path: Path) -> int:
        """Return how much of a file was there before, and still is; 0 of one that was written again as it was."""
        before = self._before.get(path)
        with path.open("rb") as file:
            if before is None or self._shorter[path] >= _SEEN or file.seek(0, os.SEEK_END) <= before.size:
                return 0
            file.seek(before.size - len(before.end))
            return before.size if file.read(len(before.end)) == before.end else 0


def _state(path: Path, *, with_end: bool = True) -> _State | None:
    """Return the state of a file; None of one that is not there, or is none."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, and a device read for ever
            return None
        end = b""
        if with_end:
            with path.open("rb") as file:
                file.seek(max(0, status.st_size - _ANCHOR))
                end = file.read(_ANCHOR)
    except OSError:
        return None
    return _State((status.st_mtime_ns, status.st_size, status.st_ino), status.st_size, end)


def read_file(path: Path, key: str | None, choice: Choice = LAST, begin: int = 0, *, is_over: bool = True) -> Measured:
    """Return the value of `key` in a JSON file, or of that column in a CSV file.

    Of several, `choice` says which one. Its first bytes, as many as `begin`, are not the trial's. Unless the trial
    `is_over` by itself, an unfinished last line does not count. Raises `ValueError` for what is not there, no number,
    or in a file that is not what it should be.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"{path.name} is too large to be read ({_MOST_BYTES // 10**6} MB at most)")
        data = path.read_bytes()
    except OSError as error:
        raise_if_the_machines(error)
        raise ValueError(f"{path.name} cannot be read: {error.strerror}") from None
    text, before = _as_text(data), _lines_in(_as_text(data[:begin]))
    if key is not None and FileKind.of(path) is FileKind.TABLE:
        finished = text if is_over else text[: text.rfind("\n") + 1]
        return in_table(finished, path.name, key, choice, before)
    return in_json(text, path.name, key, choice, before, is_over=is_over)


def _as_text(data: bytes) -> str:
    return data.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def _lines_in(text: str) -> int:
    """Return the number of lines, an unfinished one, too."""
    return text.count("\n") + (bool(text) and not text.endswith("\n"))


def raise_if_the_machines(error: OSError) -> None:
    """Raise an error again that says nothing of the model: no more open files, no memory, a disk that fails."""
    if error.errno in _FAULTS_OF_THE_MACHINE:
        raise error
