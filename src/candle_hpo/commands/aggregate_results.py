"""`candle aggregate-results`: the results of an experiment as one table."""

from __future__ import annotations

from enum import Enum

from rich.console import Console
from rich.text import Text

from candle_hpo.commands.formats import format_called
from candle_hpo.core.errors import ExitStatus, MachineError
from candle_hpo.files import replace_file
from candle_hpo.record.experiment import Experiment
from candle_hpo.report.results import as_csv, as_json, as_table, check_result_format, result_rows
from candle_hpo.report.words import count, location
from candle_hpo.runner.liveness import replay_now


class ResultsFormat(str, Enum):
    """How the table is given."""

    CSV = "csv"
    JSON = "json"
    TABLE = "table"


def aggregate_results(
    experiment: str | None, result_format: str | None, format_name: str, console: Console
) -> ExitStatus:
    """Write the table of an experiment to a file, or show it."""
    kind = format_called(format_name, ResultsFormat, "results")
    if experiment and "%" in experiment and result_format is None:
        experiment, result_format = None, experiment
    check_result_format(result_format)
    opened = Experiment.open(experiment)
    opened.refuse_unless_started("aggregate")
    paths, stored, history = opened.paths, opened.stored, replay_now(opened)
    rows = result_rows(history)
    if kind is ResultsFormat.TABLE:
        console.print(as_table(rows, stored.names, result_format, history.direction))
        return ExitStatus.ALL_WELL
    make = as_csv if kind is ResultsFormat.CSV else as_json
    target = paths.results(kind.value)
    try:
        replace_file(target, make(rows, stored.names, result_format).encode(), behind_link=True)
    except OSError as error:
        raise MachineError(f"{target} cannot be written: {error.strerror}") from None
    missing = stored.total - len(rows)
    still = f" ({missing:,} of {stored.total:,} have not ended)" if missing else ""
    console.print(
        Text(f"{count(len(rows), 'trial')} of {paths.root.name}{still} in {location(target)}"), soft_wrap=True
    )
    return ExitStatus.ALL_WELL
