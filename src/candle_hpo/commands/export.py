"""`candle export`: an experiment's trials for other programs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from candle_hpo.commands.screen import show
from candle_hpo.core.errors import InputError, MachineError, nearest
from candle_hpo.files import replace_file
from candle_hpo.record.experiment import Experiment
from candle_hpo.report.curves import MOST_AT_ONCE, curves_of
from candle_hpo.report.frame import write_parquet
from candle_hpo.report.results import as_csv, as_json, result_rows
from candle_hpo.report.words import count, location
from candle_hpo.runner.liveness import replay_now

FORMATS = ("csv", "json", "parquet", "optuna")


def export(experiment: str | None, kind: str, output: Path | None, console: Console) -> None:
    """Write the trials of an experiment in a format of another program."""
    if kind not in FORMATS:
        raise InputError(f'"{kind}" is not a format of an export; ' + nearest(kind, FORMATS))
    opened = Experiment.open(experiment)
    opened.refuse_unless_started("export")
    paths = opened.paths
    target = output or paths.export(".optuna.log" if kind == "optuna" else f".{kind}")
    rows = _write(opened, kind, target)
    how = f"; optuna-dashboard {location(target)} shows it" if kind == "optuna" else ""
    show(console, f"{count(rows, 'trial')} of {paths.root.name} in {location(target)}{how}")


def _write(opened: Experiment, kind: str, target: Path) -> int:
    paths, history, names = opened.paths, replay_now(opened), opened.stored.names
    ended = result_rows(history)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        match kind:
            case "csv":
                replace_file(target, as_csv(ended, names, None).encode())
            case "json":
                replace_file(target, as_json(ended, names, None).encode())
            case "parquet":
                _put_in_place(target, lambda path: write_parquet(path, ended, names))
            case "optuna":
                from candle_hpo.report.optuna_study import write_journal

                by_number = sorted(ended, key=lambda row: row.trial.number)
                write, name, direction = write_journal, paths.root.name, history.direction
                curves = curves_of(paths, history, len(history.trials), MOST_AT_ONCE).points
                levels = opened.stored.settings.levels
                _put_in_place(target, lambda path: write(path, name, direction, by_number, names, curves, levels))
    except OSError as error:
        raise MachineError(f"{target} cannot be written: {error.strerror}; name another place with --output") from None
    return len(ended)


def _put_in_place(target: Path, write: Callable[[Path], None]) -> None:
    """Let a library write a file aside, and put it in place whole."""
    with tempfile.TemporaryDirectory() as folder:  # on a local disk: some libraries write and sync line by line
        aside = Path(folder) / target.name
        write(aside)
        replace_file(target, aside.read_bytes())
