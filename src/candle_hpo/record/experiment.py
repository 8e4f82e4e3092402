"""One experiment, opened: its settings, its jobs, what its record adds up to, and the right to change it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.record.events import AnyEvent
from candle_hpo.record.folder import (
    StoredExperiment,
    SubmittedJob,
    find_experiment,
    read_experiment_settings,
    read_jobs,
)
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events


class Experiment:
    """An experiment's folder; what is read of it is read once, when it is first asked for.

    Reading raises `RecordError`.
    """

    def __init__(self, paths: ExperimentPaths) -> None:
        self.paths = paths

    @classmethod
    def open(cls, named: str | None = None, directory: Path | None = None) -> Experiment:
        """Return the experiment of this name (`X003`) or path; without one the last of `directory`, which is here.

        Raises `InputError` where there is none.
        """
        return cls(find_experiment(named, directory or Path.cwd()))

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.paths.root.name

    @cached_property
    def stored(self) -> StoredExperiment:
        """What was submitted, as it was understood."""
        return read_experiment_settings(self.paths)

    @property
    def settings(self) -> Settings:
        """The keywords of its input file."""
        return self.stored.settings

    @cached_property
    def jobs(self) -> list[SubmittedJob]:
        """The jobs that were submitted for it, the last one last."""
        return read_jobs(self.paths)

    @cached_property
    def history(self) -> History:
        """What its record adds up to; nothing where it has none yet."""
        return History(self.settings.direction, self.events())

    def events(self) -> Iterator[AnyEvent]:
        """Yield the events of its record; none where it has none yet."""
        if self.paths.record.exists():
            yield from read_events(self.paths.record)

    def refuse_unless_begun(self, verb: str) -> None:
        """Raise `InputError` where there is no record yet of which something could be made."""
        if not self.paths.record.exists():
            raise InputError(f"{self.name} has not begun, so there is nothing to {verb}; see candle status")
