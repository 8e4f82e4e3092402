"""The results of an experiment as a table: CSV, JSON, or for the screen.

The columns are those of CANDLE (`result,dirname,id`, then the hyperparameters of the search space in the order
of the input file), followed by the other metrics that models returned, and by `status,seconds,attempts`. Where trials
reported on their way, `last_step,last_value` follow: what each of them reported last. The best trial is first; those
without a value are last.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from candle_hpo.core.errors import InputError
from candle_hpo.core.objective import Direction
from candle_hpo.record.history import History
from candle_hpo.record.history_entries import TrialHistory
from candle_hpo.report.words import Value, column_texts, number_texts, plain

MOST_ROWS = 1000  # of a table on a screen


def result_rows(history: History) -> list[TrialHistory]:
    """Return the trials that have ended: the best first, those without a value last, equals by number."""
    return sorted((trial for trial in history.trials.values() if trial.outcome is not None), key=history.rank)


def check_result_format(result_format: str | None) -> None:
    """Raise `InputError` unless this is a printf format for one number, such as `%07.3f`."""
    if result_format is None:
        return
    if not re.fullmatch(r"%[-+ 0#]*\d{0,2}(\.\d{1,2})?[eEfFgG]", result_format):
        raise InputError(f'"{result_format}" is not a printf format for one number; write for instance %07.3f')


def as_csv(rows: Sequence[TrialHistory], names: Sequence[str], result_format: str | None) -> str:
    """Return the table as CSV: text as it is unless it reads as another value, all else as JSON."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    metrics, last = metric_names(rows), _last_headings(rows)
    headings = [*_FIRST, *_headings(names, last), *_metric_headings(metrics, names, last), *last]
    writer.writerow(headings)
    writer.writerows(_cells(row, names, metrics, result_format)[: len(headings)] for row in rows)
    return out.getvalue()


def as_json(rows: Sequence[TrialHistory], names: Sequence[str], result_format: str | None) -> str:
    """Return the table as JSON: a list of objects, with all hyperparameters, the default ones included."""
    table: list[dict[str, object]] = []
    reported = REPORTED if has_reports(rows) else ()
    for row in rows:
        outcome, values = row.outcome, row.trial.hyperparameters
        if outcome is not None:
            value = row.value
            if value is not None and result_format is not None:
                value = float(result_format % value)
            table.append(
                {
                    "result": value,
                    "dirname": row.trial.id,
                    "id": row.trial.id,
                    "hyperparameters": {name: values[name] for name in (*names, *values) if name in values},
                    "status": outcome.status,
                    "reason": outcome.reason,
                    "metrics": row.other_metrics,
                    "seconds": outcome.seconds,
                    "attempts": row.attempt.number,
                    "script": outcome.script,
                    **dict(zip(reported, (last_step(row), row.last_value), strict=False)),
                }
            )
    return json.dumps(table, ensure_ascii=False, indent=1) + "\n"


def as_table(
    rows: Sequence[TrialHistory], names: Sequence[str], result_format: str | None, direction: Direction
) -> Table:
    """Return the table for a terminal."""
    metrics = metric_names(rows)
    last = _last_headings(rows)
    columns = ["result", "id", *_headings(names, last), *_metric_headings(metrics, names, last), *last]
    table = _table(columns, _shown(rows[:MOST_ROWS], names, metrics, result_format), _caption(rows, direction))
    if len(rows) > MOST_ROWS:
        table.caption = f"{table.caption}; {len(rows) - MOST_ROWS:,} more rows in --format csv"
    return table


def best_table(rows: Sequence[TrialHistory], names: Sequence[str], direction: Direction) -> Table:
    """Return a table of completed trials with nothing but their results and what varies."""
    columns = ["result", "id", *_headings(names, _LAST)]
    return _table(columns, _shown(rows, names, (), None), _caption(rows, direction))


def _caption(rows: Sequence[TrialHistory], direction: Direction) -> str:
    best = "the lowest result" if direction is Direction.MINIMIZE else "the highest result"
    has_levels = any(row.trial.configuration.level > 1 for row in rows)
    return f"best first: {best}" + (" at the highest level of fidelity" if has_levels else "")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> Table:
    table = Table(caption=caption, caption_justify="left", box=None, header_style="bold", min_width=len(caption))
    for column in columns:
        table.add_column(
            Text(column),
            justify="right" if column in ("result", "seconds", "attempts", *REPORTED) else "left",
            overflow="fold",
            no_wrap=column in ("result", "id"),
        )
    for row in rows:
        table.add_row(*map(Text, row[: len(columns)]))
    return table


def _shown(
    rows: Sequence[TrialHistory], names: Sequence[str], metrics: Sequence[str], result_format: str | None
) -> list[list[str]]:
    """Return the cells of a table on a screen: short, but no two that differ look alike."""
    table = [_cells(row, names, metrics, result_format) for row in rows]
    if result_format is None:
        _put(table, 0, {place: row.value for place, row in enumerate(rows) if row.value is not None}, number_texts)
    last_values = {place: row.last_value for place, row in enumerate(rows) if row.last_value is not None}
    _put(table, -1, last_values, number_texts)
    sets = [row.trial.hyperparameters for row in rows]
    measured = [row.other_metrics for row in rows]
    for column, name in enumerate(names, start=len(_FIRST)):
        _put(table, column, {place: each[name] for place, each in enumerate(sets) if name in each}, column_texts)
    for column, name in enumerate(metrics, start=len(_FIRST) + len(names)):
        found = {place: each[name] for place, each in enumerate(measured) if each.get(name) is not None}
        _put(table, column, found, column_texts)
    return [[result, *rest] for result, _, *rest in table]


def _put(
    table: list[list[str]], column: int, values: Mapping[int, Value], texts: Callable[[Sequence[Value]], list[str]]
) -> None:
    """Put the texts of values into a column of a table, in the rows that they are of."""
    for row, text in zip(values, texts(list(values.values())), strict=True):
        table[row][column] = text


_FIRST, _LAST = ("result", "dirname", "id"), ("status", "seconds", "attempts")
REPORTED = ("last_step", "last_value")  # the last columns, where any trial has reported on its way


def has_reports(rows: Sequence[TrialHistory]) -> bool:
    """Return whether any of these trials has reported on its way."""
    return any(row.last_report is not None for row in rows)


def last_step(row: TrialHistory) -> int | float | None:
    """Return the step that a trial reported last, a whole one as such."""
    step = None if row.last_report is None else row.last_report.step
    return int(step) if step is not None and step.is_integer() else step


def metric_names(rows: Sequence[TrialHistory]) -> list[str]:
    """Return the names of all metrics that models returned besides their value, in the order of their first use."""
    return list(dict.fromkeys(name for row in rows for name in row.other_metrics))


def _last_headings(rows: Sequence[TrialHistory]) -> tuple[str, ...]:
    return (*_LAST, *REPORTED) if has_reports(rows) else _LAST


def _headings(names: Sequence[str], last: Sequence[str]) -> list[str]:
    """Return the headings of hyperparameters; one that is called like a column of ours says what it is."""
    return [f"hyperparameter_{name}" if name in (*_FIRST, *last) else name for name in names]


def _metric_headings(metrics: Sequence[str], names: Sequence[str], last: Sequence[str]) -> list[str]:
    """Return the headings of metrics; one that is called like another column says what it is."""
    return [f"metric_{name}" if name in (*_FIRST, *last, *names) else name for name in metrics]


def _cells(row: TrialHistory, names: Sequence[str], metrics: Sequence[str], result_format: str | None) -> list[str]:
    trial, outcome = row.trial, row.outcome
    result = "" if row.value is None else repr(row.value) if result_format is None else result_format % row.value
    values = [plain(trial.hyperparameters[name]) if name in trial.hyperparameters else "" for name in names]
    measured = row.other_metrics
    values += ["" if measured.get(name) is None else plain(measured[name]) for name in metrics]
    ended = [outcome.status.value, f"{outcome.seconds:.3f}"] if outcome else ["running", ""]
    step, value = last_step(row), row.last_value
    reported = ["" if step is None else str(step), "" if value is None else repr(value)]
    return [result, trial.id, trial.id, *values, *ended, str(row.attempt.number), *reported]
