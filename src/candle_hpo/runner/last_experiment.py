"""What to say of the last experiment of a folder when its input file is submitted once more."""

from __future__ import annotations

from pathlib import Path

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.slurm_text import JobState
from candle_hpo.record.folder import find_experiment, read_experiment_settings, read_jobs
from candle_hpo.record.history import History
from candle_hpo.record.holder import is_dead, read_holder
from candle_hpo.record.log import read_events
from candle_hpo.report.words import count


def notes_on_the_last(directory: Path, text: str) -> list[str]:
    """Return how to go on with the last experiment of a folder, where its input file is this text and it is not done.

    Nothing is asked: who submits may be a script.
    """
    try:
        paths = find_experiment(None, directory)
        if paths.input_file.read_bytes() != text.encode():
            return []
        return _notes(paths)
    except InputError:  # there is none
        return []
    except (OSError, MachineError) as error:
        return [f"The last experiment here cannot be read: {error}"]


def _notes(paths: ExperimentPaths) -> list[str]:
    name = paths.root.name
    if _runs(paths):
        return [f"{name} has the same input file and runs, or waits; candle status {name} shows it. This is a new one"]
    stored = read_experiment_settings(paths)
    history = History(stored.settings.direction, read_events(paths.record) if paths.record.exists() else ())
    left = history.left(stored.total)
    if not left:
        return []
    return [
        f"{name} has the same input file, and of its {count(stored.total, 'trial')} {left:,} were interrupted or never "
        f"begun: candle resume {name} goes on with it. This is a new experiment"
    ]


def _runs(paths: ExperimentPaths) -> bool:
    holder = read_holder(paths.lock)
    if holder is not None and not is_dead(holder, slurm.job_has_ended):
        return True
    jobs = read_jobs(paths)
    found = slurm.find_jobs([jobs[-1].id]) if jobs else ()
    return any(job.state is not JobState.ENDED for job in found)
