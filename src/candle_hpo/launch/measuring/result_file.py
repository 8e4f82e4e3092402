"""`result_file`: the value, and metrics beside it, in a JSON or CSV file that a model writes."""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from candle_hpo.core.trial import Metrics
from candle_hpo.launch.measuring.number_texts import as_number, finite, shortened

_MOST_BYTES = 64_000_000
_MOST_METRICS = 200
_LONGEST_TEXT = 200  # characters, of a metric or of its name
_FAULTS_OF_THE_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE)
NO_VALUE = ("", "-", "na", "n/a", "none", "null")  # what a cell without a value may say
_TABLES = (".csv", ".tsv")
DELIMITERS = ",;\t|"
_CUT_OFF = re.compile(r"(?:^[+-]?|\.|[ed][+-]?0?)\Z", re.IGNORECASE)  # what a number may begin with


class Measured(NamedTuple):
    """What a model measured: its objective, finite, and whatever else it returned, by name.

    `notes` are what the user should know of how that was found.
    """

    value: float
    metrics: Metrics
    notes: tuple[str, ...] = ()


class _Table(NamedTuple):
    """The last table in a CSV file: its headings, and its rows with the numbers of their lines."""

    headings: list[str]
    rows: list[tuple[int, list[str]]]


class _Repeated(list[object]):
    """What stands under a key that is there more than once in an object of JSON: no value of it."""

    def __str__(self) -> str:
        return f"there {len(self)} times ({', '.join(map(str, self))})"


def read_file(path: Path, key: str | None) -> Measured:
    """Return the value of `key` in a JSON file, or of that column in the last row of a CSV file that has one.

    In JSON, the last object of a list counts, and `test.loss` is `loss` within `test`. Raises `ValueError` for what is
    not there, no number, or in a file that is not what it should be.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"{path.name} is too large to be read ({_MOST_BYTES // 10**6} MB at most)")
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise_if_the_machines(error)
        raise ValueError(f"{path.name} cannot be read: {error.strerror}") from None
    if key is not None and is_table(path):
        return _in_table(text, path.name, key)
    return _in_object(_last_object(text, path.name), path.name, key)


def is_table(path: Path) -> bool:
    """Return whether a file is one of CSV, by its name; others are JSON."""
    return path.suffix.lower() in _TABLES


def raise_if_the_machines(error: OSError) -> None:
    """Raise an error again that says nothing of the model: no more open files, no memory, a disk that fails."""
    if error.errno in _FAULTS_OF_THE_MACHINE:
        raise error


def metrics_of(found: Mapping[str, object]) -> Metrics:
    """Return what can be kept as metrics: numbers, short texts, booleans; a number that is not finite is null."""
    kept: Metrics = {}
    for name, value in found.items():
        if len(name) <= _LONGEST_TEXT and len(kept) < _MOST_METRICS:
            match value:
                case float():
                    kept[name] = value if math.isfinite(value) else None
                case bool() | int() if abs(value) < 2**63:
                    kept[name] = value
                case None | str() if len(value or "") <= _LONGEST_TEXT:
                    kept[name] = value
    return kept


def read_json(text: str) -> object:
    """Return what a text in JSON says; a key that appears twice has no value. Raises `ValueError`."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        times = Counter(name for name, _ in pairs)
        found.update(
            {name: _Repeated(value for other, value in pairs if other == name) for name in times if times[name] > 1}
        )
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def _in_object(found: object, name: str, key: str | None) -> Measured:
    if key is None:
        return Measured(finite(found, name), {})
    metrics = metrics_of(found) if isinstance(found, dict) else {}
    metrics.pop(key, None)
    for part in [key] if isinstance(found, dict) and key in found else key.split("."):
        if not isinstance(found, dict) or part not in found:
            there = ", ".join(map(str, found)) if isinstance(found, dict) else "none"
            raise ValueError(f'{name} has no "{part}" (it has: {shortened(there)})')
        found = found[part]
    return Measured(finite(found, f"{key} in {name}"), metrics)


def _last_object(text: str, name: str) -> object:
    try:
        found = read_json(text)
    except ValueError:
        found = _last_line(text, name)
    return found[-1] if isinstance(found, list) and found else found


def _last_line(text: str, name: str) -> object:
    """Return what the last line says, of a file with an object of JSON on each line."""
    lines = [line for line in text.split("\n") if line.strip()]  # others that end lines may stand in a text
    try:
        read_json(lines[0] if lines else "")
    except ValueError:
        raise ValueError(f"{name} holds no JSON") from None
    try:
        return read_json(lines[-1])
    except ValueError:
        raise ValueError(f"the last line of {name} is not whole: {shortened(lines[-1])}") from None


def _in_table(text: str, name: str, key: str) -> Measured:
    table = _last_table(text, name, key)
    if table.headings.count(key) > 1:
        raise ValueError(f"{name} has {table.headings.count(key)} columns called {key}")
    for line, row in table.rows:
        if len(row) != len(table.headings):
            kind = "longer" if len(row) > len(table.headings) else "shorter"
            raise ValueError(
                f"line {line} of {name} is {kind} than its headings: {len(row)} cells, {len(table.headings)} headings "
                f"({shortened(' | '.join(row))}); a decimal comma, a mark between thousands, or only a part of a row?"
            )
    column = table.headings.index(key)
    for line, row in table.rows:
        if row[column].lower() not in NO_VALUE and not any(as_number(cell) is not None for cell in row):
            raise ValueError(f"line {line} of {name} looks like other headings ({shortened(' | '.join(row))})")
    filled = [row for _, row in table.rows if row[column]]
    if not filled:
        raise ValueError(f"{name} has no row below its headings" + (f" with a {key}" if table.rows else ""))
    last = filled[-1]
    cells: dict[str, object] = {}
    for heading, cell in zip(table.headings, last, strict=True):
        if heading != key and table.headings.count(heading) == 1:
            number = as_number(cell)
            cells[heading] = cell if number is None else number
    notes = (
        [] if last is table.rows[-1][1] else [f"{name}: the last row has no {key}; the last one that has one counts"]
    )
    if column == len(table.headings) - 1 and not text.endswith(("\n", "\r")):
        cell = table.rows[-1][1][column]
        if _CUT_OFF.search(cell):
            raise ValueError(
                f'{name} ends within a line, and with "{cell}", only a part of {key}; end its last line, too'
            )
        notes.append(f"{name} ends within a line; if that was cut off, {key} is only a part of the value")
    return Measured(finite(last[column], f"{key} in {name}"), metrics_of(cells), tuple(notes))


def _last_table(text: str, name: str, key: str) -> _Table:
    """Return the last table in a file: below the last row that has the key, and no number, among its cells."""
    try:
        delimiter = next((each for each in DELIMITERS if key in next((row for _, row in _rows(text, each)), ())), ",")
        table: _Table | None = None
        for line, row in _rows(text, delimiter):
            if row[0].startswith("#") and key not in row:  # a comment
                continue
            if table is None or (key in row and not any(as_number(cell) is not None for cell in row)):
                table = _Table(row, [])
            else:
                table.rows.append((line, row))
    except csv.Error as error:
        raise ValueError(f"{name} is not a CSV file: {error}") from None
    if table is None or key not in table.headings:
        there = ", ".join(table.headings) if table else "none"
        raise ValueError(f'{name} has no "{key}" (it has: {shortened(there)})')
    return table


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    for row in reader:
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield reader.line_num, cells
