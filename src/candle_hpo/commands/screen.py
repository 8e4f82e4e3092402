"""What the commands print on: a screen that may be closed, full or unable to show a character, and is never fatal."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

from candle_hpo.core.objective import Direction
from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.history import History, TrialHistory

if TYPE_CHECKING:
    from candle_hpo.report.progress import Progress


class LenientStream(io.TextIOBase):
    """Writes to a stream as long as that works; a closed pipe or a full disk silences it, and nothing else.

    What an experiment comes to is in its record: a terminal that went away must not stop it.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be shown of a text."""
        if self._stream is not None:
            try:
                encoding = self._stream.encoding or "utf-8"
                self._stream.write(text.encode(encoding, "replace").decode(encoding))
            except (OSError, ValueError):
                self._stream = None
        return len(text)

    def flush(self) -> None:
        """Let the text out."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._stream = None

    def isatty(self) -> bool:
        """Return whether a person looks at it."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's descriptor, by which the width of the terminal is asked."""
        if self._stream is None:
            raise OSError("there is no screen")
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's encoding, from which is chosen what lines are drawn with."""
        return getattr(self._stream, "encoding", None) or "utf-8"


def open_screen() -> Console:
    """Return the console of this process's output; what goes to a file or a pipe is as wide as it needs to be."""
    stream = LenientStream(sys.stdout)
    terminal = stream.isatty()
    return Console(file=stream, highlight=False, width=None if terminal else 10_000, force_terminal=terminal)  # type: ignore[arg-type]


def show(console: Console, *lines: str) -> None:
    """Print lines as they are: nothing in them is markup, and none is broken where a terminal ends."""
    for line in lines:
        console.print(Text(line), soft_wrap=True)


class Screen:
    """Shows on a console what the `Listener` of a campaign hears."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, *lines: str) -> None:
        """Print lines as they are."""
        show(self._console, *lines)

    def best(self, rows: Sequence[TrialHistory], names: Sequence[str], direction: Direction) -> None:
        """Show the best trials as a table."""
        from candle_hpo.report.results import best_table

        self._console.print()
        self._console.print(best_table(rows, names, direction))

    def progress(self, history: History, stored: StoredExperiment) -> AbstractContextManager[Progress]:
        """Show a live page, or lines, while a campaign runs."""
        from candle_hpo.report.progress import Progress

        return Progress(history, stored, self._console)
