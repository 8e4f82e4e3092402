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
from candle_hpo.core.objective import Objective
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
    """Results, and where they are from, for people; the objective of their experiment, where that is known."""

    results: list[EarlierResult]
    source: str
    objective: Objective | None = None


def find_earlier_results(named: str, directory: Path) -> EarlierResults:
    """Return the completed trials of an experiment (`X003`, or its folder), or the rows with a result of a CSV file.

    With several levels of fidelity, the highest counts at which any has completed: a value of a lower one is
    another measurement.

    Raises `InputError` where there is no such thing, `RecordError` where a record cannot be read.
    """
    path = directory / named
    if path.suffix.lower() == ".csv":
        return EarlierResults(_of_table(path, named), named)
    paths = find_experiment(named, directory)
    objective = read_experiment_settings(paths).settings.objective
    history = History(objective, read_events(paths.record) if paths.record.exists() else ())
    trials = [row.trial for row in history.trials.values() if row.value is not None]
    level = max((trial.configuration.level for trial in trials), default=1)
    results = [
        EarlierResult(row.value, row.trial.hyperparameters)
        for _, row in sorted(history.trials.items())
        if row.value is not None and row.trial.configuration.level == level
    ]
    return EarlierResults(results, paths.root.name, objective)


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


def _of_table(path: Path, named: str) -> list[EarlierResult]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"warm_start: {named} cannot be read: {error}") from None
    if not rows or "result" not in rows[0]:
        raise InputError(
            f'warm_start: {named} has no row with a column "result"; candle aggregate-results writes such tables'
        )
    completed = [row for row in rows if _number(row["result"]) is not None]
    return [_result(float(row["result"]), row) for row in _at_highest_level(completed)]


def _at_highest_level(rows: list[dict[str | None, str]]) -> list[dict[str | None, str]]:
    """Return the rows that have the most of a fidelity: what was run again with 9 epochs is called `hpset_00001@9`."""
    again = [(row, row["id"].rpartition("@")[2]) for row in rows if "@" in (row.get("id") or "")]
    most = max((level for _, level in again), key=lambda text: _number(text) or -math.inf, default=None)
    columns = [name for name in (rows[0] if rows else ()) if name and name not in OWN_COLUMNS]
    budgets = [name for name in columns if all(row.get(name) == level for row, level in again)]
    if most is None or not budgets:
        return rows
    return [row for row in rows if all(row.get(name) == most for name in budgets)]  # another may be equal by chance


def _number(cell: str | None) -> float | None:
    try:
        value = float(cell or "")
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
