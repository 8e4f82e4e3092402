"""An error in what a program has printed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import NamedTuple

LONGEST = 300  # characters, of a line


class ErrorText(NamedTuple):
    """An error in an output: the line where it begins, the first one behind it, how it reads, and where it was.

    `head` is the line where its text begins, `frame` that of its place in a traceback, where they are others than the
    first. With `is_apart`, what follows its head is not its own. One that `is_aside` has ended nothing: it was in a
    thread, or while the program was ending anyway.
    """

    begin: int
    end: int
    text: str
    place: str = ""
    head: int | None = None
    frame: int | None = None
    is_apart: bool = False
    is_aside: bool = False

    def __str__(self) -> str:
        return f"{self.text[:LONGEST]} ({self.place})" if self.place else self.text[:LONGEST]


def at(pattern: re.Pattern[str], lines: Sequence[str]) -> Iterator[tuple[int, re.Match[str]]]:
    """Yield the lines that begin with a pattern, with their numbers."""
    return ((number, match) for number, line in enumerate(lines) if (match := pattern.match(line)))


def place(file: str, line: str) -> str:
    """Return a place in a file as people read it."""
    return f"{PurePath(file).name}, line {line}"
