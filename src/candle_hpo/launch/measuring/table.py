"""`result_file`: the value, and metrics beside it, in a column of a CSV file that a model writes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from candle_hpo.core.trial import Metrics
from candle_hpo.launch.measuring.metrics import metrics_of
from candle_hpo.launch.measuring.number_texts import as_number, finite, number_or_none, shortened
from candle_hpo.launch.measuring.readings import Choice, Measured, Reading, chosen

NO_VALUE = ("", "-", "na", "n/a", "none", "null")  # what a cell without a value may say
DELIMITERS = ",;\t|"
_CUT_OFF = re.compile(r"(?:^[+-]?|\.|[ed][+-]?0?)\Z", re.IGNORECASE)  # what a number may begin with


class _Table(NamedTuple):
    """The last table in a CSV file: its headings, and its rows with the numbers of their lines."""

    headings: list[str]
    rows: list[tuple[int, list[str]]]


def in_table(text: str, name: str, key: str, choice: Choice, lines_before: int = 0) -> Measured:
    """Return the value of a column in the last table of a CSV file: of the last row that has one, or of all.

    The first lines, so many of them, were there before. Raises `ValueError` for what is not a table, or has no number.
    """
    table = _last_table(text, name, key)
    _raise_unless_sound(table, name, key)
    column = table.headings.index(key)
    own = [row for line, row in table.rows if line > lines_before]
    filled = [row for row in own if row[column]]
    if not filled:
        raise ValueError(f"{name} has no row below its headings" + (f" with a {key}" if own else ""))
    notes = _notes_on_the_end(text, name, key, table)
    if choice.is_last:
        if filled[-1] is not own[-1]:
            notes = (f"{name}: the last row has no {key}; the last one that has one counts", *notes)
        value = finite(filled[-1][column], f"{key} in {name}")
        return Measured(value, _beside(filled[-1], table.headings, key), notes)
    with_value = (row for row in filled if row[column].lower() not in NO_VALUE)
    readings = (
        Reading(number_or_none(row[column], f"{key} in {name}"), _beside(row, table.headings, key))
        for row in with_value
    )
    found = chosen(readings, choice, f"{key} in {name}")
    if found is None:
        raise ValueError(f"{name} has no row below its headings with a {key}")
    return found._replace(notes=(*found.notes, *notes))


def _raise_unless_sound(table: _Table, name: str, key: str) -> None:
    if table.headings.count(key) > 1:
        raise ValueError(f"{name} has {table.headings.count(key)} columns called {key}")
    column = table.headings.index(key)
    for line, row in table.rows:
        if len(row) != len(table.headings):
            kind = "longer" if len(row) > len(table.headings) else "shorter"
            raise ValueError(
                f"line {line} of {name} is {kind} than its headings: {len(row)} cells, {len(table.headings)} headings "
                f"({shortened(' | '.join(row))}); a decimal comma, a mark between thousands, or only a part of a row?"
            )
    for line, row in table.rows:
        if row[column].lower() not in NO_VALUE and not any(as_number(cell) is not None for cell in row):
            raise ValueError(f"line {line} of {name} looks like other headings ({shortened(' | '.join(row))})")


def _beside(row: Sequence[str], headings: list[str], key: str) -> Metrics:
    """Return the metrics of a row: its other cells, but those of a heading that appears twice."""
    cells: dict[str, object] = {}
    for heading, cell in zip(headings, row, strict=True):
        if heading != key and headings.count(heading) == 1:
            number = as_number(cell)
            cells[heading] = cell if number is None else number
    return metrics_of(cells)


def _notes_on_the_end(text: str, name: str, key: str, table: _Table) -> tuple[str, ...]:
    """Return a note where the file ends in a value that may not be whole. Raises `ValueError` where it is not."""
    column = table.headings.index(key)
    if column < len(table.headings) - 1 or text.endswith(("\n", "\r")):
        return ()
    cell = table.rows[-1][1][column]
    if _CUT_OFF.search(cell):
        raise ValueError(f'{name} ends within a line, and with "{cell}", only a part of {key}; end its last line, too')
    return (f"{name} ends within a line; if that was cut off, {key} is only a part of the value",)


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
