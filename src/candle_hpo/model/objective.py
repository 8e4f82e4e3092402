"""Where a model's value is found: what it reported, a line of its output, or a file that it wrote."""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import mmap
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from candle_hpo.core.trial import Metrics

_MOST_BYTES = 1_000_000  # of a reported result; what is longer is none
_MOST_FILE_BYTES = 64_000_000  # of a file of results that the model writes
_BLOCK = 1 << 18  # bytes of output that are searched at once, from its end
_LONGEST_LINE = 1 << 24
_MOST_METRICS = 200
_FAULTS_OF_THE_MACHINE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.ESTALE)
_LONGEST_TEXT = 200  # characters, of a metric or of its name
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE | re.ASCII)


class ResultSource(msgspec.Struct, frozen=True):
    """Where the value is: the last match of `pattern` in the output, or `key` in `file`; else what was reported."""

    pattern: str | None = None
    file: str | None = None
    key: str | None = None


class Measured(NamedTuple):
    """What a model measured: its objective, finite, and whatever else it returned."""

    value: float
    metrics: Metrics


def measurement(
    source: ResultSource, folder: Path, reported: Path, output: Path, how_to_report: str
) -> Callable[[], Measured]:
    """Return the function that finds what a model measured, to be made before the model starts, and called after it.

    `folder` is where the model runs. The function raises `ValueError` with the reason where there is no finite
    number; a file that the model did not write in the meantime holds none.
    """
    before = _signature(folder / source.file) if source.file else None

    def measure() -> Measured:
        if source.pattern is not None:
            return Measured(find_in_output(output, source.pattern), {})
        if source.file is None:
            return read_reported(reported, how_to_report)
        if _signature(folder / source.file) in (None, before):
            raise ValueError(f"it did not write the result_file {source.file} in the folder where it ran")
        return read_file(folder / source.file, source.key)

    return measure


def _signature(file: Path) -> tuple[int, ...] | None:
    """Return what tells whether a file was written again; None for a file that is not there, or is none."""
    try:
        status = file.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, and a device read for ever
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def read_reported(reported: Path, how_to_report: str) -> Measured:
    """Return what the model reported: a number, or an object with `val_to_return`.

    Raises `ValueError` with the reason where there is no finite number; `how_to_report` says how to leave one.
    """
    try:
        if not stat.S_ISREG(reported.stat().st_mode):  # a pipe would be waited for, and a device read for ever
            raise ValueError(f"{reported.name} is no file")
        with reported.open("rb") as file:
            text = file.read(_MOST_BYTES).decode(errors="replace").strip()
    except FileNotFoundError:
        raise ValueError(f"it ended without a value; {how_to_report}") from None
    except OSError as error:
        _raise_if_the_machines(error)
        raise ValueError(f"{reported.name} cannot be read: {error.strerror}") from None
    try:
        found: object = float(text) if _NUMBER.fullmatch(text) else json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{reported.name} holds neither a number nor a JSON object") from None
    if not isinstance(found, dict):
        return Measured(finite(found, "val_to_return"), {})
    if "val_to_return" not in found:
        raise ValueError(f"{reported.name} holds no val_to_return")
    return Measured(finite(found.pop("val_to_return"), "val_to_return"), metrics_of(found))


def _raise_if_the_machines(error: OSError) -> None:
    """Raise an error again that says nothing of the model: no more open files, no memory, a disk that fails."""
    if error.errno in _FAULTS_OF_THE_MACHINE:
        raise error


def finite(value: object, name: str) -> float:
    """Return the value as a finite number; raise `ValueError` for what is none."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is {value}, not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number}, not a finite number")
    return number


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


def find_in_output(output: Path, pattern: str) -> float:
    """Return the number in the last match of a pattern in the output: in its first group, if it has one.

    A match lies within one line, or within lines that are near each other. Raises `ValueError`.
    """
    expression = re.compile(pattern.encode(), re.MULTILINE)
    with output.open("rb") as file:
        if file.seek(0, 2) == 0:
            raise ValueError("it printed nothing, so result_pattern found nothing")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            end = len(text)
            while end > 0:
                start = max(text.rfind(b"\n", 0, max(0, end - _BLOCK)) + 1, end - _LONGEST_LINE)
                matches = list(expression.finditer(text[start:end]))
                if matches:
                    found = matches[-1][1 if expression.groups else 0] or b""
                    return finite(found.decode(errors="replace"), "what result_pattern found")
                end = start
    raise ValueError(f"result_pattern found nothing in its output ({pattern})")


def read_file(path: Path, key: str | None) -> Measured:
    """Return the value of `key` in a JSON file, or of that column in the last row of a CSV file.

    In JSON, the last object of a list counts, and `test.loss` is `loss` within `test`. Raises `ValueError`.
    """
    try:
        if path.stat().st_size > _MOST_FILE_BYTES:
            raise ValueError(f"{path.name} is too large to be read ({_MOST_FILE_BYTES // 10**6} MB at most)")
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        _raise_if_the_machines(error)
        raise ValueError(f"{path.name} cannot be read: {error.strerror}") from None
    found: object = _last_row(text, path.name) if path.suffix.lower() == ".csv" else _last_object(text, path.name)
    if key is None:
        return Measured(finite(found, path.name), {})
    metrics = metrics_of(found) if isinstance(found, dict) else {}
    metrics.pop(key, None)
    for part in [key] if isinstance(found, dict) and key in found else key.split("."):
        if not isinstance(found, dict) or part not in found:
            there = ", ".join(map(str, found)) if isinstance(found, dict) else "none"
            raise ValueError(f'{path.name} has no "{part}" (it has: {there[:200]})')
        found = found[part]
    return Measured(finite(found, f"{key} in {path.name}"), metrics)


def _last_row(text: str, name: str) -> dict[str, object]:
    headings: list[str] = []
    last: list[str] = []
    try:
        for row in csv.reader(io.StringIO(text, newline="")):
            if any(cell.strip() for cell in row):
                headings, last = (headings, row) if headings else (row, last)
    except csv.Error as error:
        raise ValueError(f"{name} is no CSV file: {error}") from None
    if not last:
        raise ValueError(f"{name} has no row below its headings")
    cells: dict[str, object] = {}
    for heading, cell in zip(headings, last, strict=False):
        cells[heading.strip()] = float(cell) if _NUMBER.fullmatch(cell.strip()) else cell.strip()
    return cells


def _last_object(text: str, name: str) -> object:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            found = json.loads(lines[-1] if lines else "")  # JSON lines: the last one counts
        except (ValueError, RecursionError):
            raise ValueError(f"{name} holds no JSON") from None
    return found[-1] if isinstance(found, list) and found else found
