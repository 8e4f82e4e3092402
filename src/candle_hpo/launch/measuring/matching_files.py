"""The files that a pattern of names stands for, such as `checkpoint-*/trainer_state.json`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fnmatch import translate
from pathlib import Path, PurePath

_CALLS_TO_LIST = 5  # a folder, if it has few entries: to open it, to ask what it is, to read it twice; one is spare


class MatchingFiles:
    """A search for files by a pattern, as it stands for names in `Path.glob`: the last by their numbers come first.

    `calls` is about how often it has asked the file system so far; it asks no more than what is taken from it needs.
    """

    def __init__(self, folder: Path, pattern: str) -> None:
        self.calls = 0
        self._found = self._within(folder, PurePath(pattern).parts)

    def __iter__(self) -> Iterator[Path]:
        return self._found

    def _within(self, folder: Path, parts: Sequence[str]) -> Iterator[Path]:
        part, *rest = parts
        if part == "**":
            found = {path for each in self._folders_in(folder) for path in self._within(each, rest or ["*"])}
            yield from sorted(found, key=by_numbers, reverse=True)
        elif any(map(part.__contains__, "*?[")):
            fits = re.compile(translate(part)).match
            entries = [each for each in self._entries(folder) if fits(each.name) and (not rest or each.is_dir())]
            for path in sorted((folder / each.name for each in entries), key=by_numbers, reverse=True):
                yield from self._within(path, rest) if rest else (path,)
        elif rest:
            yield from self._within(folder / part, rest)
        else:
            self.calls += 1
            if os.path.exists(folder / part):  # noqa: PTH110  # what may not be looked at is not there
                yield folder / part

    def _folders_in(self, folder: Path) -> Iterator[Path]:
        yield folder
        for each in self._entries(folder):
            if each.is_dir(follow_symlinks=False):
                yield from self._folders_in(folder / each.name)

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        self.calls += _CALLS_TO_LIST
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError), os.scandir(folder) as entries:
            return list(entries)
        return []


def by_numbers(path: Path) -> list[list[tuple[int, int, str]]]:
    """Return what sorts `checkpoint-500` before `checkpoint-1000`."""
    return [
        [(0, int(digits), "") if digits else (1, 0, other) for digits, other in _parts(each)] for each in path.parts
    ]


def _parts(name: str) -> list[tuple[str, str]]:
    return re.findall(r"(\d+)|(\D+)", name)
