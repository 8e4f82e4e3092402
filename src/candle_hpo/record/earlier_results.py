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
from candle_hpo.core.experiment import Direction
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.files import replace_file
from candle_hpo.record.folder import find_experiment
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events


class EarlierValue(msgspec.Struct, frozen=True):
    """What a set of hyperparameters came to; names that are columns of the table have no prefix here."""

    value: float
    hyperparameters: Hyperparameters


class Found(NamedTuple):
    """The results, and where they are from, for people."""

    values: list[EarlierValue]
    source: str


def find_earlier_results(named: str, directory: Path) -> Found:
    """Return the completed trials of an experiment (`X003`, or its folder), or the rows with a result of a CSV file.

    Raises `InputError` where there is no such thing, `RecordError` where a record cannot be read.
    """
    path = directory / named
    if path.suffix.lower() == ".csv":
        return Found(_of_table(path, named), named)
    paths = find_experiment(named, directory)
    history = History(Direction.MINIMIZE, read_events(paths.record) if paths.record.exists() else ())
    values = [
        EarlierValue(row.outcome.value, row.trial.hyperparameters)
        for _, row in sorted(history.trials.items())
        if row.outcome is not None and row.outcome.value is not None
    ]
    return Found(values, paths.root.name)


def write_earlier_results(paths: ExperimentPaths, values: Sequence[EarlierValue]) -> None:
    """Keep earlier results, if there are any, with the experiment that begins with them. Raises `OSError`."""
    if not values:
        return
    encode = msgspec.json.Encoder().encode
    replace_file(paths.earlier_results, b"".join(encode(value) + b"\n" for value in values), synced=True)


def read_earlier_results(paths: ExperimentPaths) -> list[EarlierValue]:
    """Return the results that an experiment began with; none where it began with none. Raises `RecordError`."""
    try:
        lines = paths.earlier_results.read_bytes().splitlines()
        return [msgspec.json.decode(line, type=EarlierValue) for line in lines]
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError) as error:
        raise RecordError(f"{paths.earlier_results} cannot be read: {error}") from None


def _of_table(path: Path, named: str) -> list[EarlierValue]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"warm_start: {named} cannot be read: {error}") from None
    if not rows or "result" not in rows[0]:
        raise InputError(
            f'warm_start: {named} has no row with a column "result"; candle aggregate-results writes such tables'
        )
    return [EarlierValue(value, _hyperparameters(row)) for row in rows if (value := _number(row["result"])) is not None]


def _number(cell: str | None) -> float | None:
    try:
        value = float(cell or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _hyperparameters(row: Mapping[str | None, object]) -> Hyperparameters:
    """Return what the cells of a row hold: JSON, or else text as it is; nothing for an empty one."""
    values: Hyperparameters = {}
    for heading, cell in row.items():
        if isinstance(heading, str) and isinstance(cell, str) and cell:
            try:
                values[heading.removeprefix("hyperparameter_")] = json.loads(cell)
            except (ValueError, RecursionError):
                values[heading.removeprefix("hyperparameter_")] = cell
    return values
