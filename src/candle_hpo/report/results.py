"""The results of an experiment as a table: CSV, JSON, or for the screen.

The columns are those of CANDLE (`result,dirname,id`, then the hyperparameters of the search space in the order
of the input file), followed by `status,seconds,attempts`. The best trial is first; those without a value
are last.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Direction
from candle_hpo.record.history import History, TrialHistory
from candle_hpo.report.words import plain


def result_rows(history: History) -> list[TrialHistory]:
    """Return the trials that have ended: the best first, those without a value last, equals by number."""

    def order(row: TrialHistory) -> tuple[bool, float, int]:
        value = row.outcome.value if row.outcome else None
        key = 0.0 if value is None else history.direction.sort_key(value)
        return value is None, key, row.trial.number

    return sorted((trial for trial in history.trials.values() if trial.outcome is not None), key=order)


def check_result_format(result_format: str | None) -> None:
    """Raise `InputError` unless this is a printf format for one number, such as `%07.3f`."""
    if result_format is None:
        return
    try:
        shown = result_format % math.pi
    except (TypeError, ValueError):
        shown = ""
    if not shown or shown == result_format:
        raise InputError(f'"{result_format}" is no printf format for one number; write for instance %07.3f')


def as_csv(rows: Sequence[TrialHistory], names: Sequence[str], result_format: str | None) -> str:
    """Return the table as CSV: text as it is, every other value as JSON, nothing where there is nothing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_columns(names))
    writer.writerows(_cells(row, names, result_format) for row in rows)
    return out.getvalue()


def as_json(rows: Sequence[TrialHistory], names: Sequence[str], result_format: str | None) -> str:
    """Return the table as JSON: a list of objects, with all hyperparameters, the default model's included."""
    table = []
    for row in rows:
        outcome = row.outcome
        if outcome is not None:
            value = outcome.value
            if value is not None and result_format is not None:
                value = float(result_format % value)
            table.append(
                {
                    "result": value,
                    "dirname": row.trial.id,
                    "id": row.trial.id,
                    "hyperparameters": _in_order(row.trial.hyperparameters, names),
                    "status": outcome.status,
                    "reason": outcome.reason,
                    "seconds": outcome.seconds,
                    "attempts": row.trial.attempt,
                }
            )
    return json.dumps(table, ensure_ascii=False, indent=1) + "\n"


def as_table(
    rows: Sequence[TrialHistory], names: Sequence[str], result_format: str | None, direction: Direction
) -> Table:
    """Return the table for a terminal."""
    caption = "lowest" if direction is Direction.MINIMIZE else "highest"
    table = Table(
        caption=f"best first: the {caption} result", caption_justify="left", box=None, header_style="bold"
    )
    for column in _columns(names):
        if column != "dirname":
            numeric = column in ("result", "seconds", "attempts")
            table.add_column(Text(column), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        result, _, *rest = _cells(row, names, result_format or "%.6g")
        table.add_row(*(Text(cell) for cell in (result, *rest)))
    return table


def _columns(names: Sequence[str]) -> list[str]:
    return ["result", "dirname", "id", *names, "status", "seconds", "attempts"]


def _cells(row: TrialHistory, names: Sequence[str], result_format: str | None) -> list[str]:
    trial, outcome = row.trial, row.outcome
    value = outcome.value if outcome else None
    result = "" if value is None else repr(value) if result_format is None else result_format % value
    values = [plain(trial.hyperparameters[name]) if name in trial.hyperparameters else "" for name in names]
    ended = [outcome.status.value, f"{outcome.seconds:.3f}"] if outcome else ["running", ""]
    return [result, trial.id, trial.id, *values, *ended, str(trial.attempt)]


def _in_order(hyperparameters: dict[str, object], names: Sequence[str]) -> dict[str, object]:
    return {name: hyperparameters[name] for name in (*names, *hyperparameters) if name in hyperparameters}
