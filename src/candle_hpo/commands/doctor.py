"""`candle doctor`: one file with what others need to know to help."""

from __future__ import annotations

import itertools
from pathlib import Path

from rich.console import Console

from candle_hpo import __version__
from candle_hpo.commands.screen import show
from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.files import new_file
from candle_hpo.record.experiment import Experiment
from candle_hpo.report.words import cut
from candle_hpo.runner.doctor import Section, examine
from candle_hpo.runner.redaction import REMOVED

_HEAD = f"""What candle doctor found (candle {__version__}).

No hyperparameters are in it, and nothing that a model printed. The user's name is
USER here, the home directory ~, and what looks like a secret {REMOVED}. No rule
finds every secret: read this before you send it.
"""


def doctor(named: str | None, console: Console) -> None:
    """Look at this machine and at an experiment, the last one here where none is named, and write down what is seen."""
    here = Path.cwd()
    try:
        experiment: Experiment | None = Experiment.open(named)
    except InputError:
        if named is not None:
            raise
        experiment = None
    show(console, "Looking at this machine" + (f" and at {experiment.name} ..." if experiment else " ..."))
    sections = examine(experiment, here)
    try:
        numbers = ("" if number == 1 else f"_{number}" for number in itertools.count(1))
        with new_file(here / f"candle_doctor{number}.txt" for number in numbers) as file:
            file.write(_text(sections))
    except OSError as error:
        raise MachineError(
            f"candle_doctor.txt cannot be written here: {error.strerror}; go to another folder"
        ) from None
    show(
        console,
        *(cut(f"{title}: {lines[0]}", console.width) for title, lines in sections),
        *([] if experiment else ["No experiment here; name one to have it looked at, too: candle doctor EXP-DIR"]),
        f"Written to {Path(file.name).name}. Read it before you send it.",
    )


def _text(sections: list[Section]) -> str:
    parts = (f"\n## {title}\n\n" + "".join(f"{line}\n" for line in lines) for title, lines in sections)
    return _HEAD + "".join(parts)
