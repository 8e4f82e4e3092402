"""The display of a running experiment: a live page on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.history import History
from candle_hpo.report.progress import best_text, counts_and_time, plain_line, seconds_left
from candle_hpo.report.script_versions import script_version_note
from candle_hpo.report.words import duration

LIVE_SECONDS = 0.1  # between two pictures of the live page
PLAIN_SECONDS = 10.0  # between two plain lines, so that a log of 100,000 trials can still be read


class Progress:
    """Shows how far an experiment is. Reads the history only; `update` is called when it may have changed.

    `stopping` is set, by a signal handler too, once the user has asked the experiment to stop.
    """

    def __init__(self, history: History, stored: StoredExperiment, console: Console) -> None:
        self.stopping = False
        self._history, self._stored = history, stored
        self._console = console
        self._began = time.monotonic()
        self._next_picture = 0.0
        self._last_line = ""
        self._versions: list[str] = []  # of the script, when that was last looked at
        # Without a scroll-back of half pages: the page is drawn again in place, and never wider than the terminal.
        self._live = Live(console=console, auto_refresh=False) if console.file.isatty() else None

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live:
            self._live.update(self._page(), refresh=True)
            self._live.stop()
        else:
            self._print_line()

    def update(self) -> None:
        """Show the state of now; cheap enough to be called after every trial."""
        now = time.monotonic()
        if now < self._next_picture:
            return
        self._next_picture = now + (LIVE_SECONDS if self._live else PLAIN_SECONDS)
        if self._live:
            self._live.update(self._page(), refresh=True)
        else:
            self._print_line()

    def _print_line(self) -> None:
        line = plain_line(self._history, self._stored, self._left())
        if line != self._last_line:
            self._console.print(Text(f"{duration(time.monotonic() - self._began)}  {line}"), soft_wrap=True)
        self._last_line = line
        versions = list(self._history.scripts)
        if versions != self._versions and (note := script_version_note(self._history, self._stored)):
            self._console.print(Text(note), soft_wrap=True)
        self._versions = versions

    def _page(self) -> Group:
        bar, total = Table.grid(padding=(0, 1), expand=False), self._stored.trials(self._history)
        share = f"{self._history.ended / total:4.0%}" if total else ""
        bar.add_row(
            ProgressBar(total=total, completed=self._history.ended, width=min(48, self._console.width - 36)),
            Text(f"{self._history.ended:,}/{total:,}"),
            Text(share),
            Text(duration(time.monotonic() - self._began)),
        )
        lines = [counts_and_time(self._history, self._left()), best_text(self._history, self._stored.names)]
        if note := script_version_note(self._history, self._stored):
            lines.append(note)
        if self.stopping:
            lines.append("Stopping: trials get 10 seconds to end; Ctrl-C again ends them now")
        # A line that is full would wrap when the terminal echoes ^C, and the page would leave traces of itself.
        widest = max(20, self._console.width - 4)
        return Group(bar, *(Text(line[:widest], overflow="ellipsis", no_wrap=True) for line in lines))

    def _left(self) -> float | None:
        return None if self.stopping else seconds_left(self._history, self._stored.trials(self._history))
