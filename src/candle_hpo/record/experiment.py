"""One experiment, opened: its settings, what its record adds up to, and the right to change them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.space import ParameterSet
from candle_hpo.record.campaign_log import logging_to
from candle_hpo.record.events import AnyEvent
from candle_hpo.record.folder import (
    StoredExperiment,
    add_sets,
    find_experiment,
    read_experiment_settings,
    write_experiment_settings,
)
from candle_hpo.record.history import History
from candle_hpo.record.lock import ExperimentLock
from candle_hpo.record.log import read_events
from candle_hpo.record.record import Record

_logger = logging.getLogger(__name__)


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
    def history(self) -> History:
        """What its record adds up to; nothing where it has none yet."""
        return History(self.settings.objective, self.events())

    def events(self) -> Iterator[AnyEvent]:
        """Yield the events of its record; none where it has none yet."""
        if self.paths.record.exists():
            yield from read_events(self.paths.record)

    def refuse_unless_started(self, verb: str) -> None:
        """Raise `InputError` where nothing has run yet of which something could be made."""
        if not self.history.campaigns and not self.history.trials:
            raise InputError(f"{self.name} has not begun, so there is nothing to {verb}; see candle status")

    @contextmanager
    def claim(
        self,
        job_has_ended: Callable[[str], bool | None],
        say: Callable[[str], None] = lambda _: None,
        *,
        job: str = "",
        patience: float = 0.0,
    ) -> Iterator[Claim]:
        """Give a block the right to run and to change it, in this `job` or in none; see `ExperimentLock`.

        Raises `InputError` where somebody else has it. What was read before may have changed, and is read again. What
        happens meanwhile is logged; so is an error that ends the block, unless it is the user's own.
        """
        lock = ExperimentLock(self.paths.lock, job, job_has_ended, say, patience)
        try:
            for name in ("stored", "history"):
                vars(self).pop(name, None)
            with logging_to(self.paths.log):
                claim = Claim(self, lock)
                try:
                    yield claim
                except InputError:
                    raise
                except BaseException as error:
                    _logger.error("%s", error, exc_info=error)
                    raise
                finally:
                    claim.close()
        finally:
            lock.release()


class Claim:
    """The right to run an experiment and to change what is kept of it."""

    def __init__(self, experiment: Experiment, lock: ExperimentLock) -> None:
        self.experiment, self._lock = experiment, lock

    def keep(self, stored: StoredExperiment, added: Sequence[ParameterSet] = ()) -> None:
        """Keep other settings, and put sets behind those of a grid, which they count. Raises `OSError`."""
        self._lock.keep()
        before = self.experiment.stored
        if added:
            add_sets(self.experiment.paths, before, added)
        write_experiment_settings(self.experiment.paths, stored)
        self.experiment.stored = stored
        if stored.settings.objective != before.settings.objective:
            self.close()
            vars(self.experiment).pop("history", None)

    @cached_property
    def record(self) -> Record:
        """The record, to be written: open from its first use until the block ends, once for all who write it."""
        experiment = self.experiment
        return Record(experiment.paths.record, experiment.settings.objective, self._lock.keep, experiment.history)

    def close(self) -> None:
        """Close the record, where it was opened; it is opened again with its next use."""
        record: Record | None = vars(self).pop("record", None)
        if record is not None:
            record.close()
