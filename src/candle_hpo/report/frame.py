"""An experiment's trials as the columns of a data frame, or of a Parquet file."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from candle_hpo.record.history_entries import TrialHistory
from candle_hpo.report.columns import are_numbers
from candle_hpo.report.extras import need
from candle_hpo.report.results import REPORTED, has_reports, last_step, metric_names
from candle_hpo.report.words import plain

_END_OF_INT64 = 2**63
_FIRST, _LAST = ("number", "id", "value"), ("status", "reason", "seconds", "attempt", "worker", "started", "script")


def frame_columns(rows: Sequence[TrialHistory], names: Sequence[str]) -> dict[str, list[object]]:
    """Return the columns of a table of trials, in the order of `rows`, with what is not there as None.

    They are `number`, `id`, `value`; the hyperparameters of these names, each as it is; other metrics; and `status`,
    `reason`, `seconds`, `attempt`, `worker`, `started` (a time with its zone, UTC), `script` (its version); where any
    trial reported on its way, `last_step` and `last_value`, what each reported last. A hyperparameter or metric that is
    called like another column becomes `hyperparameter_…` or `metric_…`.
    """
    last = (*_LAST, *REPORTED) if has_reports(rows) else _LAST
    columns: dict[str, list[object]] = {
        "number": [row.trial.number for row in rows],
        "id": [row.trial.id for row in rows],
        "value": [row.value for row in rows],
    }
    for name in names:
        heading = f"hyperparameter_{name}" if name in (*_FIRST, *last) else name
        columns[heading] = [row.trial.hyperparameters.get(name) for row in rows]
    for name in metric_names(rows):
        heading = f"metric_{name}" if name in columns or name in last else name
        columns[heading] = [row.other_metrics.get(name) for row in rows]
    columns |= {
        "status": [row.outcome.status.value if row.outcome else "running" for row in rows],
        "reason": [row.outcome.reason if row.outcome else "" for row in rows],
        "seconds": [row.outcome.seconds if row.outcome else None for row in rows],
        "attempt": [row.attempt.number for row in rows],
        "worker": [row.outcome.worker if row.outcome else "" for row in rows],
        "started": [datetime.datetime.fromtimestamp(row.started, datetime.timezone.utc) for row in rows],
        "script": [row.outcome.script if row.outcome else "" for row in rows],
    }
    if last != _LAST:
        columns |= {"last_step": [last_step(row) for row in rows], "last_value": [row.last_value for row in rows]}
    return columns


def data_frame(rows: Sequence[TrialHistory], names: Sequence[str]) -> Any:
    """Return the trials as a pandas `DataFrame`, a row each. Raises `InputError` where pandas is not installed."""
    need("pandas", "pandas", "a data frame")
    import pandas as pd

    return pd.DataFrame({name: _series(values) for name, values in frame_columns(rows, names).items()})


def _series(values: Sequence[object]) -> Any:
    """Return a column of a data frame in which no value has become another one.

    pandas makes floats of whole numbers where a value is missing or another one is a float.
    """
    import pandas as pd

    there = [value for value in values if value is not None]
    if not there or not all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        return pd.Series(values)
    if all(isinstance(value, int) and abs(value) < _END_OF_INT64 for value in there):
        return pd.Series(values, dtype="int64" if len(there) == len(values) else "Int64")
    return pd.Series(values, dtype="float64" if are_numbers(there) else "object")


def write_parquet(path: Path, rows: Sequence[TrialHistory], names: Sequence[str]) -> None:
    """Write the trials as a Parquet file, a row each.

    A column of one type is of that type; in one of several, text stands as it is and everything else as JSON. Raises
    `InputError` where pyarrow is not installed, and `OSError`.
    """
    need("pyarrow", "pyarrow", "a Parquet file")
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: _of_one_type(values) for name, values in frame_columns(rows, names).items()}
    pq.write_table(pa.table(columns), path)


def _of_one_type(values: list[object]) -> list[object]:
    there = [value for value in values if value is not None]
    if all(isinstance(value, str) for value in there) or all(isinstance(value, bool) for value in there):
        return values
    if are_numbers(there):
        whole = all(isinstance(value, int) for value in there)
        return values if whole else [float(value) if isinstance(value, int) else value for value in values]
    if all(isinstance(value, datetime.datetime) for value in there):
        return values
    return [None if value is None else plain(value) for value in values]
