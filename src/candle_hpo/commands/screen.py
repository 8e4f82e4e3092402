"""What the commands print on: a screen that may be closed, full or unable to show a character, and is never fatal."""

from __future__ import annotations

import io
import re
import sys
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

from rich.console import Console
from rich.text import Text

from candle_hpo.core.objective import Direction
from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.history import History
from candle_hpo.record.history_entries import TrialHistory

if TYPE_CHECKING:
    from candle_hpo.commands.progress import Progress


_COMMAND = re.compile(r"candle [a-z]+(?:-[a-z]+)*(?: X\d+\b| --[a-z-]+| [\w./-]+\.in\b)*")
_BEFORE_TEXT = re.compile(r" +(?:\d+ +|ok +|note +|\| )?")


class LenientStream:
    """A stream that loses what it cannot write, as to a closed pipe or a full disk, and is else what it was.

    What an experiment comes to is in its record: a terminal that went away must not stop it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, if that works."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Let the text out, if that works."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def open_screen(stream: TextIO | None = None) -> Console:
    """Return the console of this process's output; what goes to a file or a pipe is as wide as it needs to be."""
    stream = stream or sys.stdout or io.StringIO()  # it may have been closed
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # of what the terminal cannot show
    terminal, lenient = stream.isatty(), cast("TextIO", LenientStream(stream))
    return Console(file=lenient, highlight=False, width=None if terminal else 10_000, force_terminal=terminal)


def show_whole(console: Console, *lines: str) -> None:
    """Print lines as they are: nothing in them is markup, and none is broken where a terminal ends."""
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def show(console: Console, *lines: str) -> None:
    """Print lines as they are, but where a terminal ends, in the middle of none of their words and commands.

    What continues a line begins below its text: behind the bullet, the number or the label with which it starts.
    """
    for line in lines:
        if not console.is_terminal or len(line) < console.width:
            show_whole(console, line)
            continue
        begin = _BEFORE_TEXT.match(line)
        indent = " " * min(len(begin[0]) if begin else 0, console.width // 2)
        pieces = textwrap.wrap(
            _COMMAND.sub(lambda command: command[0].replace(" ", "\0"), line),
            console.width - 1,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        show_whole(console, *(piece.replace("\0", " ") for piece in pieces))


class Screen:
    """Shows on a console what the `Listener` of a campaign hears."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, *lines: str) -> None:
        """Print lines for people, which are not broken within words where a terminal ends."""
        show(self._console, *lines)

    def copy(self, *lines: str) -> None:
        """Print lines that are to be copied, whole."""
        show_whole(self._console, *lines)

    def best(self, rows: Sequence[TrialHistory], names: Sequence[str], direction: Direction) -> None:
        """Show the best trials as a table."""
        from candle_hpo.report.results import best_table

        self._console.print()
        self._console.print(best_table(rows, names, direction))

    def progress(self, history: History, stored: StoredExperiment) -> AbstractContextManager[Progress]:
        """Show a live page, or lines, while a campaign runs."""
        from candle_hpo.commands.progress import Progress

        return Progress(history, stored, self._console)
