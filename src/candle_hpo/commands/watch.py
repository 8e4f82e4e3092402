"""`candle watch`: the live view of an experiment, from any shell that sees its folder."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
from rich.console import Console
from rich.live import Live

from candle_hpo.commands.keys import reading_keys
from candle_hpo.commands.progress import PLAIN_SECONDS
from candle_hpo.commands.screen import show
from candle_hpo.launch.measuring.result import last_lines
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.history import History
from candle_hpo.record.tail import FollowedRecord
from candle_hpo.report.curves import Point, last_points
from candle_hpo.report.live_page import Frame, live_page, trials_on_page
from candle_hpo.report.progress import plain_line, seconds_left
from candle_hpo.report.savings import savings_lines
from candle_hpo.report.script_versions import script_version_lines
from candle_hpo.report.silence import hint_on_silence
from candle_hpo.report.summary import best_line, counts_line, failure_lines, note_lines
from candle_hpo.report.words import count, duration, location
from candle_hpo.runner.liveness import holder_of, settle

TICK_SECONDS = 1.0  # between two readings of the record
STATE_SECONDS = 20.0  # between two questions to the batch system
TRIAL_SECONDS = 4.0  # between two readings of what trials print and report


def watch(experiment: str | None, console: Console) -> None:
    """Show an experiment until it has ended, or `q` or Ctrl-C is pressed; nothing of it is touched."""
    opened = Experiment.open(experiment)
    paths, watched = opened.paths, Watched(opened)
    try:
        if console.file.isatty():
            _show_page(watched, console)
        else:
            _print_lines(watched, console)
    except KeyboardInterrupt:
        show(console, f"{paths.root.name} keeps running; candle watch {paths.root.name} shows it again")
        return
    if watched.is_over:
        _conclude(watched, console)


class Watched:
    """An experiment as it can be seen from here: its record, its lock, its job, the output of its trials."""

    def __init__(self, experiment: Experiment) -> None:
        self.paths, self.stored = experiment.paths, experiment.stored
        self.state, self.is_over = "", False
        self._outputs: dict[str, str] = {}
        self._curves: dict[str, list[Point]] = {}
        self._hint = ""
        self._next_state = self._next_look = 0.0
        self._record = FollowedRecord(self.paths.record, self.stored.settings.objective)

    @property
    def history(self) -> History:
        """What its record adds up to so far."""
        return self._record.history

    @property
    def title(self) -> str:
        """What the page is about."""
        return f"{self.paths.root.name} of {location(Path(self.stored.input_file))}"

    def update(self) -> None:
        """Read what is new. Raises `RecordError` where the record is damaged."""
        holder, before = holder_of(self.paths), self._turning_points()
        self._record.update()
        if time.monotonic() >= self._next_state or self._turning_points() != before:
            self._next_state = time.monotonic() + STATE_SECONDS
            now = settle(self.paths, self.history, holder)
            self.state, self.is_over = now.text, now.is_over

    def _turning_points(self) -> tuple[object, ...]:
        """Return what the state depends on, of the record: where it differs, the state is another."""
        history = self.history
        return history.campaign, history.stopped, history.job, history.places > 0, history.lacking

    def look_at_trials(self, frame: Frame) -> Frame:
        """Return a frame with what each trial on a page of its size reported and printed last, read now and then."""
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + TRIAL_SECONDS
            self._read_trials(frame)
        return msgspec.structs.replace(frame, outputs=self._outputs, curves=self._curves, hint=self._hint)

    def hint(self) -> str:
        """Return what is missing of all trials, from now and then."""
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + TRIAL_SECONDS
            self._hint = hint_on_silence(self.history, self.stored, self.paths, time.time())
        return self._hint

    def _read_trials(self, frame: Frame) -> None:
        trials = {row.trial.id: self.paths.trial(row.trial.id) for row in trials_on_page(self.history, frame)}
        objective = self.history.objective
        self._curves = {name: last_points(trial.reports, objective) for name, trial in trials.items()}
        printing = trials if frame.shows_output else {}
        self._hint = hint_on_silence(self.history, self.stored, self.paths, frame.now)
        self._outputs = {name: (last_lines(trial.output, 1) or [""])[0] for name, trial in printing.items()}


def _show_page(watched: Watched, console: Console) -> None:
    with (
        reading_keys() as key,
        Live(console=console, auto_refresh=False, screen=True, vertical_overflow="crop") as live,
    ):
        while True:
            watched.update()
            size = console.size
            frame = Frame(size.width, size.height, time.time(), watched.title, watched.state)
            page = live_page(watched.history, watched.stored, watched.look_at_trials(frame))
            live.update(page, refresh=True)
            if watched.is_over or key(TICK_SECONDS) in ("q", "Q"):
                return


def _print_lines(watched: Watched, console: Console) -> None:
    show(console, watched.title)
    shown_state = shown_line = ""
    has_hinted = False
    next_line = 0.0
    while True:
        watched.update()
        if watched.state != shown_state:
            shown_state = watched.state
            show(console, shown_state)
        if watched.is_over:
            return
        history = watched.history
        line = plain_line(history, watched.stored, seconds_left(history, watched.stored.trials(history)))
        if line != shown_line and time.monotonic() >= next_line:
            next_line = time.monotonic() + PLAIN_SECONDS
            shown_line = line
            show(console, f"{duration(history.elapsed(time.time()))}  {line}")
        if not has_hinted and (hint := watched.hint()):
            has_hinted = True
            show(console, hint)
        time.sleep(TICK_SECONDS)


def _conclude(watched: Watched, console: Console) -> None:
    history, stored, name = watched.history, watched.stored, watched.paths.root.name
    show(
        console,
        *([watched.title, watched.state] if console.file.isatty() else []),
        counts_line(history, stored.trials(history)),
        *savings_lines(history, stored),
        best_line(history, stored.names),
        *failure_lines(history, watched.paths),
        *note_lines(history, stored),
        *script_version_lines(history, stored),
    )
    if history.ended:
        show(console, f"Everything on one page: candle report {name}")
    else:
        show(console, f"{count(stored.trials(history), 'trial')} have not begun; candle resume {name} runs them")
