"""`candle status`: how far an experiment is."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from candle_hpo.commands.screen import show
from candle_hpo.launch.preload import cold_start_note
from candle_hpo.record.experiment import Experiment
from candle_hpo.report.savings import savings_lines
from candle_hpo.report.script_versions import environment_lines, script_version_lines
from candle_hpo.report.silence import hint_on_silence
from candle_hpo.report.summary import best_line, counts_line, failure_lines, note_lines, running_lines
from candle_hpo.report.words import location
from candle_hpo.runner.liveness import holder_of, settle


def status(experiment: str | None, console: Console) -> None:
    """Show the state of an experiment: where it runs, counts, running trials, the best so far, failures."""
    opened = Experiment.open(experiment)
    paths, stored = opened.paths, opened.stored
    holder, history = holder_of(paths), opened.history
    state = settle(paths, history, holder)
    show(
        console,
        f"Experiment {opened.name} of {location(Path(stored.input_file))}",
        state.text,
        counts_line(history, stored.trials(history)),
        *savings_lines(history, stored),
        best_line(history, stored.names),
        *(f"  {line}" for line in running_lines(history, stored.names, paths, time.time())),
        *filter(None, [hint_on_silence(history, stored, paths, time.time())]),
        *(f"No workers on {reason}" for reason in history.lacking if history.places),
        *(f"{each.kind.capitalize()} {each.node} is out of use: {each.reason}" for each in history.excluded),
        *failure_lines(history, paths, lines_each=5),
        *script_version_lines(history, stored),
        *environment_lines(stored),
        *cold_start_note(stored.settings),
        *note_lines(history, stored),
        f"Folder: {location(paths.root)}",
    )
