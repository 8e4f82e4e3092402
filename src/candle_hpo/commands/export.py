"""`candle export`: an experiment's trials for other programs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from rich.console import Console

from candle_hpo.commands.formats import format_called
from candle_hpo.commands.screen import show
from candle_hpo.core.errors import ExitStatus, MachineError
from candle_hpo.files import replace_file
from candle_hpo.record.experiment import Experiment
from candle_hpo.report.frame import write_parquet
from candle_hpo.report.results import as_csv, as_json, result_rows
from candle_hpo.report.words import count, location
from candle_hpo.runner.liveness import replay_now


class ExportFormat(str, Enum):
    """What is written."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    OPTUNA = "optuna"

    @property
    def suffix(self) -> str:
        """What the file's name ends with."""
        return ".optuna.log" if self is ExportFormat.OPTUNA else f".{self.value}"


def export(experiment: str | None, format_name: str, output: Path | None, console: Console) -> ExitStatus:
    """Write the trials of an experiment in a format of another program."""
    kind = format_called(format_name, ExportFormat, "an export")
    opened = Experiment.open(experiment)
    opened.refuse_unless_started("export")
    paths = opened.paths
    target = output or paths.export(kind.suffix)
    rows = _write(opened, kind, target)
    how = f"; optuna-dashboard {location(target)} shows it" if kind is ExportFormat.OPTUNA else ""
    show(console, f"{count(rows, 'trial')} of {paths.root.name} in {location(target)}{how}")
    return ExitStatus.ALL_WELL


def _write(opened: Experiment, kind: ExportFormat, target: Path) -> int:
    paths, history, names = opened.paths, replay_now(opened), opened.stored.names
    ended = result_rows(history)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        match kind:
            case ExportFormat.CSV:
                replace_file(target, as_csv(ended, names, None).encode())
            case ExportFormat.JSON:
                replace_file(target, as_json(ended, names, None).encode())
            case ExportFormat.PARQUET:
                _put_in_place(target, lambda path: write_parquet(path, ended, names))
            case ExportFormat.OPTUNA:
                from candle_hpo.report.optuna_study import write_journal

                by_number = sorted(ended, key=lambda row: row.trial.number)
                write = write_journal
                _put_in_place(target, lambda path: write(path, paths.root.name, history.direction, by_number, names))
    except OSError as error:
        raise MachineError(f"{target} cannot be written: {error.strerror}; name another place with --output") from None
    return len(ended)


def _put_in_place(target: Path, write: Callable[[Path], None]) -> None:
    """Let a library write a file aside, and put it in place whole."""
    with tempfile.TemporaryDirectory() as folder:  # on a local disk: some libraries write and sync line by line
        aside = Path(folder) / target.name
        write(aside)
        beside = target.with_name(f".{target.name}.aside")
        shutil.copyfile(aside, beside)
        beside.replace(target)
