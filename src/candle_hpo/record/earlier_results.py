"""Results of an earlier experiment, from its folder or from a CSV file of results, for a search to begin with."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from candle_hpo.core.errors import InputError, RecordError
from candle_hpo.core.objective import THE_VALUE, Objective
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.files import replace_file
from candle_hpo.record.folder import find_experiment, read_experiment_settings
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events

# What `candle aggregate-results` writes besides hyperparameters and metrics (`report.results`).
OWN_COLUMNS = ("result", "dirname", "id", "status", "seconds", "attempts", "last_step", "last_value")
_PREFIX = "hyperparameter_"  # of a hyperparameter that is called like one of these


class EarlierResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a set of hyperparameters came to. `texts` are the cells of a table, from which they were read."""

    value: float
    hyperparameters: Hyperparameters
    texts: dict[str, str] = {}


class EarlierResults(NamedTuple):
    """Results, and where they are from, for people; the objective of their experiment, where that is known.

    With `beside`, they are what was measured by that name beside the objective.
    """

    results: list[EarlierResult]
    source: str
    objective: Objective | None = None
    beside: str = ""


def find_earlier_results(named: str, directory: Path, measured: str = THE_VALUE) -> EarlierResults:
    """Return the completed trials of an experiment (`X003`, or its folder), or the rows with a result of a CSV file.

    With several levels of fidelity, the highest counts at which any has completed: a value of a lower one is
    another measurement. Where something else was optimized, and what is now was `measured` beside it, that counts.

    Raises `InputError` where there is no such thing, `RecordError` where a record cannot be read.
    """
    path = directory / named
    if path.suffix.lower() == ".csv":
        return _of_table(path, named, measured)
    paths = find_experiment(named, directory)
    objective = read_experiment_settings(paths).settings.objective
    history = History(objective, read_events(paths.record) if paths.record.exists() else ())
    trials = [row.trial for row in history.trials.values() if row.value is not None]
    level = max((trial.configuration.level for trial in trials), default=1)
    rows = [
        row
        for _, row in sorted(history.trials.items())
        if row.value is not None and row.trial.configuration.level == level
    ]
    name = objective.name
    if name != measured and any(_number(row.other_metrics.get(measured)) is not None for row in rows):
        name = measured
    values = [row.value if name == objective.name else _number(row.other_metrics.get(name)) for row in rows]
    results = [
        EarlierResult(value, row.trial.hyperparameters)
        for row, value in zip(rows, values, strict=True)
        if value is not None
    ]
    return EarlierResults(results, paths.root.name, objective, "" if name == objective.name else name)


def write_earlier_results(paths: ExperimentPaths, results: Sequence[EarlierResult]) -> None:
    """Keep earlier results, if there are any, with the experiment that begins with them. Raises `OSError`."""
    if not results:
        return
    replace_file(paths.earlier_results, msgspec.json.Encoder().encode_lines(results), synced=True)


def read_earlier_results(paths: ExperimentPaths) -> list[EarlierResult]:
    """Return the results that an experiment began with; none where it began with none. Raises `RecordError`."""
    try:
        return msgspec.json.Decoder(EarlierResult).decode_lines(paths.earlier_results.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(f"{paths.earlier_results} cannot be read: {error}") from None


def _of_table(path: Path, named: str, measured: str) -> EarlierResults:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"warm_start: {named} cannot be read: {error}") from None
    if not rows or "result" not in rows[0]:
        raise InputError(
            f'warm_start: {named} has no row with a column "result"; candle aggregate-results writes such tables'
        )
    name = measured if any(_number(row.get(measured)) is not None for row in rows) else "result"
    completed = [row for row in rows if _number(row["result"]) is not None and _number(row.get(name)) is not None]
    results = [_result(float(row[name]), row) for row in _at_highest_level(completed)]
    return EarlierResults(results, named, beside="" if name == "result" else name)


def _at_highest_level(rows: list[dict[str | None, str]]) -> list[dict[str | None, str]]:
    """Return the rows that have the most of a fidelity: what was run again with 9 epochs is called `hpset_00001@9`."""
    again = [(row, row["id"].rpartition("@")[2]) for row in rows if "@" in (row.get("id") or "")]
    most = max((level for _, level in again), key=lambda text: _number(text) or -math.inf, default=None)
    columns = [name for name in (rows[0] if rows else ()) if name and name not in OWN_COLUMNS]
    budgets = [name for name in columns if all(row.get(name) == level for row, level in again)]
    if most is None or not budgets:
        return rows
    return [row for row in rows if all(row.get(name) == most for name in budgets)]  # another may be equal by chance


def _number(cell: object) -> float | None:
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _result(value: float, row: Mapping[str | None, object]) -> EarlierResult:
    """Return what the cells of a row hold: JSON, or else text as it is."""
    hyperparameters: Hyperparameters = {}
    texts: dict[str, str] = {}
    for heading, cell in row.items():
        if isinstance(heading, str) and isinstance(cell, str) and heading not in OWN_COLUMNS:
            plain = heading.removeprefix(_PREFIX)
            name = plain if plain in OWN_COLUMNS else heading
            texts[name] = cell
            try:
                hyperparameters[name] = json.loads(cell)
            except (ValueError, RecursionError):
                hyperparameters[name] = cell
    return EarlierResult(value, hyperparameters, texts)
