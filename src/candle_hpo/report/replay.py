"""What the record of an experiment says now, whoever runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from candle_hpo.core.errors import MachineError
from candle_hpo.core.experiment import Direction
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.record.history import History
from candle_hpo.record.holder import is_dead, read_holder
from candle_hpo.record.log import read_events


def replay_now(paths: ExperimentPaths, direction: Direction, job_has_ended: Callable[[str], bool]) -> History:
    """Return what the record of an experiment tells now; nothing where it has none yet.

    What a campaign left running that certainly runs no more counts as interrupted. Raises `RecordError`.
    """
    told = _replay_file(paths.record, direction)
    if told.running and _is_left(paths, job_has_ended):
        told = _replay_file(paths.record, direction)  # the campaign may have ended in between, and another have begun
        if told.running and _is_left(paths, job_has_ended):
            told.end_running("its campaign died")
    return told


def _replay_file(path: Path, direction: Direction) -> History:
    return History(direction, read_events(path) if path.exists() else ())


def _is_left(paths: ExperimentPaths, job_has_ended: Callable[[str], bool]) -> bool:
    """Tell whether nobody runs an experiment, as far as that can be known."""
    try:
        holder = read_holder(paths.lock)
        return holder is None or is_dead(holder, job_has_ended)
    except MachineError:  # a lock that is just being written, a batch system that does not answer
        return False
