"""`candle logs`: what a trial printed, all of it, and what it prints while it runs."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.core.trial import Status
from candle_hpo.launch.command_file import command_shown
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.history_entries import TrialHistory
from candle_hpo.record.tail import FollowedRecord
from candle_hpo.report.summary import last_report_words, status_words
from candle_hpo.report.words import duration, location, number

_LOOK_SECONDS = 1.0  # between two looks at a trial that is followed
_MOST_NAMED = 5


def logs(names: Sequence[str], follow: bool, attempt: int | None) -> None:
    """Copy a trial's output to this process's own; `names` are [the experiment and] the trial."""
    if not 1 <= len(names) <= 2:
        raise InputError("name one trial, or an experiment and one trial: candle logs X003 hpset_00001")
    followed = _FollowedTrial(Experiment.open(names[0] if len(names) == 2 else None), names[-1])
    if attempt is not None and attempt != followed.attempt:
        _copy(followed.output_of(attempt))
        return
    if sys.stderr.isatty() or follow:
        print(*followed.command(), sep="\n", end="", file=sys.stderr)  # noqa: T201
    try:
        _copy_while_it_runs(followed) if follow else _copy(followed.output_of(None))
    except BrokenPipeError:  # whoever reads it has seen enough
        return
    if sys.stderr.isatty() or follow:
        print(followed.how_it_is(), file=sys.stderr)  # noqa: T201


class _FollowedTrial:
    """A trial of an experiment, by its id or its number, and how it is by the record."""

    def __init__(self, experiment: Experiment, name: str) -> None:
        self._paths = experiment.paths
        self._record = FollowedRecord(self._paths.record, experiment.settings.objective)
        self._record.update()
        self.id = self._find(name)

    def _find(self, name: str) -> str:
        history = self._record.history
        ids = {row.trial.id for row in history.trials.values()}
        if name in ids:
            return name
        numbered = history.trials.get(int(name)) if name.isdecimal() and len(name) < 10 else None
        if numbered is not None:
            return numbered.trial.id
        if not ids:
            raise InputError(f"no trial of {self._paths.root.name} has begun; see candle status")
        running = [row.trial.id for row in history.running.values()]
        shown = running or sorted(ids)
        which = "running are" if running else "there are"
        more = f", … ({len(shown):,} in all)" if len(shown) > _MOST_NAMED else ""
        raise InputError(
            f'{self._paths.root.name} has no trial "{name}" that has begun; {which} '
            f"{', '.join(shown[:_MOST_NAMED])}{more}"
        )

    @property
    def _row(self) -> TrialHistory:
        return next(row for row in self._record.history.trials.values() if row.trial.id == self.id)

    @property
    def attempt(self) -> int:
        """The last attempt at it, which is the one that runs, if one does."""
        return self._row.attempt.number

    def output_of(self, attempt: int | None) -> Path:
        """Return the file of an attempt's output (None: of the last). Raises `InputError` where there is none."""
        paths = self._paths.trial(self.id)
        path = paths.output if attempt is None else paths.output_of_attempt(attempt)
        if not path.is_file():
            tried = f"attempt {attempt} at {self.id}" if attempt else self.id
            raise InputError(f"there is no output of {tried}: {location(path)} does not exist")
        return path

    def command(self) -> list[str]:
        """Return the lines to be shown before what it printed: the command line that ran, where it is there."""
        shown = command_shown(self._paths.trial(self.id))
        return [f"$ {_harmless(shown)}", ""] if shown else []

    def output_is_there(self) -> bool:
        """Return whether the running attempt has begun to write."""
        return self._paths.trial(self.id).output.is_file()

    def still_runs(self) -> bool:
        """Read on in the record, and return whether this trial runs."""
        self._record.update()
        return self._row.outcome is None and self._record.history.stopped is None

    def how_it_is(self) -> str:
        """Return in one line how the trial is, or how it ended."""
        outcome = self._row.outcome
        if outcome is None:
            return f"{self.id} has not ended"
        words = f"{self.id}: {status_words(outcome.status)} after {duration(outcome.seconds)}"
        if outcome.status is Status.STOPPED:
            return words + last_report_words(self._row)
        return f"{words}: {outcome.reason if self._row.value is None else number(self._row.value)}"


def _copy(path: Path) -> None:
    try:
        with path.open("rb") as file:
            _copy_rest(file)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror}") from None


def _copy_while_it_runs(trial: _FollowedTrial) -> None:
    """Copy the output of a trial until it has ended, and that of a next attempt, which begins its own file."""
    while trial.still_runs() and not trial.output_is_there():
        time.sleep(_LOOK_SECONDS)
    attempt = trial.attempt
    with trial.output_of(None).open("rb") as file:
        runs = True
        while runs:
            runs = trial.still_runs() and trial.attempt == attempt
            _copy_rest(file)
            if runs:
                time.sleep(_LOOK_SECONDS)
    if trial.attempt != attempt:
        _copy_while_it_runs(trial)


def _harmless(text: str) -> str:
    """Return a text without what could command a terminal."""
    return "".join(each for each in text if each.isprintable() or each in "\n\r\t")


def _copy_rest(file: BinaryIO) -> None:
    """Copy what is left of a file: byte by byte, or, to a terminal, without what could command that."""
    if sys.stdout.isatty():
        while data := file.read(65_536):
            sys.stdout.write(_harmless(data.decode(errors="replace")))
        sys.stdout.flush()
        return
    shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()
