"""`candle aggregate-results`: the results of an experiment as one table."""

from __future__ import annotations

from rich.console import Console

from candle_hpo.commands.screen import show
from candle_hpo.core.errors import InputError, MachineError, nearest
from candle_hpo.files import replace_file
from candle_hpo.record.experiment import Experiment
from candle_hpo.report.results import as_csv, as_json, as_table, check_result_format, result_rows
from candle_hpo.report.words import count, location
from candle_hpo.runner.liveness import replay_now

FORMATS = ("csv", "json", "table")


def aggregate_results(experiment: str | None, result_format: str | None, kind: str, console: Console) -> None:
    """Write the table of an experiment to a file, or show it."""
    if kind not in FORMATS:
        raise InputError(f'"{kind}" is not a format of results; ' + nearest(kind, FORMATS))
    if experiment and "%" in experiment and result_format is None:
        experiment, result_format = None, experiment
    check_result_format(result_format)
    opened = Experiment.open(experiment)
    opened.refuse_unless_started("aggregate")
    paths, stored, history = opened.paths, opened.stored, replay_now(opened)
    rows = result_rows(history)
    if kind == "table":
        console.print(as_table(rows, stored.names, result_format, history.direction))
        return
    make = as_csv if kind == "csv" else as_json
    target = paths.results(kind)
    try:
        replace_file(target, make(rows, stored.names, result_format).encode(), behind_link=True)
    except OSError as error:
        raise MachineError(f"{target} cannot be written: {error.strerror}") from None
    total = stored.trials(history)
    missing = total - len(rows)
    still = f" ({missing:,} of {total:,} have not ended)" if missing else ""
    show(console, f"{count(len(rows), 'trial')} of {paths.root.name}{still} in {location(target)}")
