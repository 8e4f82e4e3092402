"""The display of a running experiment: a live page on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from candle_hpo.core.trial import Status
from candle_hpo.record.history import History
from candle_hpo.report.words import duration, hyperparameters, number

LIVE_SECONDS = 0.5  # between two pictures of the live page while nothing happens
PLAIN_SECONDS = 10.0  # between two plain lines, so that a log of 100,000 trials can still be read


class Progress:
    """Shows how far an experiment is. Reads the history only; `update` is called when it may have changed."""

    def __init__(self, history: History, total: int, workers: int, console: Console) -> None:
        self._history, self._total, self._workers, self._console = history, total, workers, console
        self._began = time.monotonic()
        self._plain_at = 0.0
        self._ended_at_last_line = -1
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    @property
    def seconds_between_updates(self) -> float | None:
        """How often it wants to be updated while nothing happens; None: not at all."""
        return LIVE_SECONDS if self._live else None

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
        elif self._history.ended != self._ended_at_last_line:
            self._print_line()

    def update(self) -> None:
        """Show the state of now; cheap enough to be called after every trial."""
        now = time.monotonic()
        if self._live:
            if now >= self._plain_at:
                self._plain_at = now + LIVE_SECONDS / 5
                self._live.update(self._page(), refresh=True)
        elif now >= self._plain_at and self._history.ended != self._ended_at_last_line:
            self._print_line()

    def _print_line(self) -> None:
        self._plain_at = time.monotonic() + PLAIN_SECONDS
        self._ended_at_last_line = self._history.ended
        self._console.print(Text(f"{self._counts()}, {self._best()}"), soft_wrap=True)

    def _page(self) -> Group:
        bar = Table.grid(padding=(0, 1), expand=False)
        share = f"{self._history.ended / self._total:4.0%}" if self._total else ""
        width = max(10, min(48, self._console.width - 32))
        bar.add_row(
            ProgressBar(total=self._total, completed=self._history.ended, width=width),
            Text(f"{self._history.ended:,}/{self._total:,}"),
            Text(share),
        )
        return Group(bar, Text(self._counts(short=True)), Text(self._best(), overflow="ellipsis", no_wrap=True))

    def _counts(self, *, short: bool = False) -> str:
        history = self._history
        failed = history.ended - history.counts[Status.COMPLETED]
        elapsed = duration(time.monotonic() - self._began)
        done = (
            f"{history.counts[Status.COMPLETED]:,} done" if short else f"{history.ended:,}/{self._total:,} ended"
        )
        return f"{done}, {len(history.running):,} running, {failed:,} failed, {elapsed} passed{self._left()}"

    def _left(self) -> str:
        """Return the time left, if durations go on as they were and all workers stay busy."""
        ended, left = self._history.ended, self._total - self._history.ended
        if not ended or not left:
            return ""
        mean = self._history.seconds_of_ended / ended
        return f", about {duration(mean * left / min(self._workers, left))} left"

    def _best(self) -> str:
        best = self._history.best
        if best is None or best.outcome is None or best.outcome.value is None:
            return "best: none yet"
        values = hyperparameters(best.trial.hyperparameters)
        return f"best: {number(best.outcome.value)} {best.trial.id} {values}"
