"""What to say of the last experiment of a folder when its input file is submitted again."""

from __future__ import annotations

from pathlib import Path

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.record.experiment import Experiment
from candle_hpo.report.words import count
from candle_hpo.runner.liveness import look


def notes_on_the_last(directory: Path, text: str) -> list[str]:
    """Return how to resume the last experiment of a folder, where its input file is this text and it is not done.

    Nothing is asked: who submits may be a script.
    """
    try:
        last = Experiment.open(None, directory)
        return _notes(last) if last.paths.input_file.read_bytes() == text.encode() else []
    except InputError:  # there is none
        return []
    except (OSError, MachineError) as error:
        return [f"The last experiment here cannot be read: {error}"]


def _notes(last: Experiment) -> list[str]:
    name, seen = last.name, look(last.paths)
    if seen.is_held or seen.has_job:
        return [f"{name} has the same input file and runs, or waits; candle status {name} shows it. This is a new one"]
    left = last.history.left(last.stored.total)
    if not left:
        return []
    return [
        f"{name} has the same input file, and of its {count(last.stored.total, 'trial')} {left:,} were interrupted or "
        f"never started: candle resume {name} continues it. This is a new experiment"
    ]
