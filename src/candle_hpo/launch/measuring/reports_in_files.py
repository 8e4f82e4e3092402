"""What a trial reports by a `result_file`: rows of a table, or objects of JSON, in a file that grows or is replaced."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from candle_hpo.core.objective import STEPS
from candle_hpo.core.trial import Report
from candle_hpo.launch.measuring.growing_file import GrowingFile
from candle_hpo.launch.measuring.number_texts import as_number, shortened
from candle_hpo.launch.measuring.reports import (
    Found,
    Refuse,
    ReportSource,
    json_or_none,
    number_or_none,
    report_of,
    report_with,
    step_of,
)
from candle_hpo.launch.measuring.result_file import DELIMITERS, NO_VALUE, is_table

_LARGEST = 1 << 22  # bytes, of a file that is written again for each report, and so read again


def reports_in_file(path: Path, key: str | None, objective: str, refuse: Refuse) -> ReportSource:
    """Return the reports in a `result_file`."""
    if key is not None and is_table(path):
        return TableReports(path, key, objective, refuse)
    return JsonReports(path, key, objective, refuse)


class TableReports:
    """The rows of a CSV file below the last headings with the key, as far as they have one; those of a step are one.

    A logger may write what it has measured by a step in several rows, each with the other cells empty.
    """

    def __init__(self, path: Path, key: str, objective: str, refuse: Refuse) -> None:
        self._name, self._key, self._objective, self._refuse = path.name, key, objective, refuse
        self._file = GrowingFile(path)
        self.close = self._file.close
        self._begin_again()

    def _begin_again(self) -> None:
        self._headings: list[str] = []
        self._delimiter, self._line = ",", 0
        self._begin_table([])

    def _begin_table(self, headings: list[str]) -> None:
        self._headings, self._count = headings, 0
        self._columns = [number for number, heading in enumerate(headings) if headings.count(heading) == 1]
        lower = [heading.lower() for heading in headings]
        self._step = next((lower.index(name) for name in STEPS if name in lower), None)
        self._of_step: tuple[float, dict[str, object]] = (math.nan, {})

    def look(self, *, is_last: bool) -> Found:
        """Return the rows that are new."""
        piece = self._file.read(is_last=is_last)
        if piece.begins_again:
            self._begin_again()
        text = piece.lines.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
        reports = []
        for line in text.split("\n")[:-1]:
            self._line += 1
            try:
                report = self._read(line)
            except ValueError as error:
                self._refuse(f"line {self._line} of {self._name} {error}")
            else:
                reports += [] if report is None else [report]
        return Found(reports, piece.is_all, piece.begins_again)

    def _read(self, line: str) -> Report | None:
        """Return the report of a row, or None. Raises `ValueError` with what is wrong with it."""
        if not self._headings and self._key in line:
            self._delimiter = next((each for each in DELIMITERS if self._key in _cells(line, each)), ",")
        cells = _cells(line, self._delimiter)
        if not any(cells) or (cells[0].startswith("#") and self._key not in cells):
            return None
        if self._key in cells and not any(as_number(cell) is not None for cell in cells):
            self._begin_table(cells)
            return None
        if not self._headings:
            return None
        if len(cells) != len(self._headings):
            raise ValueError(f"has {len(cells)} cells, and there are {len(self._headings)} headings: {shortened(line)}")
        row: dict[str, object] = {
            self._headings[number]: cells[number] if (found := as_number(cells[number])) is None else found
            for number in self._columns
            if cells[number]
        }
        step = self._step_of(cells)
        if step is not None:
            of_step = self._of_step[1] if self._of_step[0] == step else {}
            self._of_step = step, {**of_step, **row}
        value = row.pop(self._key, "")
        if isinstance(value, str) and value.lower() in NO_VALUE:
            return None
        self._count += 1
        number = number_or_none(value, self._key)
        if self._step is not None:
            if step is None:
                raise ValueError(f"has no {self._headings[self._step]}: {shortened(line)}")
            row = {**self._of_step[1], **row}
        return report_with(float(self._count) if step is None else step, row, self._key, number, self._objective)

    def _step_of(self, cells: Sequence[str]) -> float | None:
        if self._step is None or not cells[self._step]:
            return None
        return step_of(cells[self._step], self._headings[self._step])


class JsonReports:
    """The lines of a file with an object of JSON on each, or what stands in a file that is written again each time."""

    def __init__(self, path: Path, key: str | None, objective: str, refuse: Refuse) -> None:
        self._name, self._key, self._objective, self._refuse = path.name, key, objective, refuse
        self._file = GrowingFile(path)
        self.close = self._file.close
        self._has_lines: bool | None = None  # not known yet
        self._whole = self._unfinished = b""
        self._count = 0  # of objects in the file
        self._again = 0  # how often one that stands alone was another than before
        self._last: object = None
        self._was_alone = False

    def look(self, *, is_last: bool) -> Found:
        """Return what the objects say that are new."""
        piece = self._file.read(is_last=is_last)
        if piece.begins_again:
            self._was_alone = self._count == 1 if self._count else self._was_alone
            self._has_lines, self._whole, self._unfinished, self._count = None, b"", b"", 0
        reports = [report for found in self._objects(piece.lines, piece.rest) if (report := self._report_of(found))]
        return Found(reports, piece.is_all, piece.begins_again or self._has_lines is False)

    def _objects(self, lines: bytes, rest: bytes) -> Sequence[object]:
        """Return the objects that are new, and whole; an object is whole when its last brace is there."""
        if self._has_lines is None:
            first = (lines + rest).strip().partition(b"\n")[0]
            is_line = isinstance(json_or_none(first), dict)
            if is_line or lines.strip() or first.endswith(b"]"):  # else it may not be whole
                self._has_lines = is_line
        if not self._has_lines:
            return self._all_objects(lines, rest) if self._has_lines is False else ()
        found = []
        for line in filter(None, map(bytes.strip, lines.split(b"\n"))):
            if line != self._unfinished:
                found.append(json_or_none(line))
            self._unfinished = b""
        unfinished = rest.strip()
        if unfinished != self._unfinished and isinstance(last := json_or_none(unfinished), dict):
            found.append(last)
            self._unfinished = unfinished
        return found

    def _all_objects(self, lines: bytes, rest: bytes) -> Sequence[object]:
        """Return what stands in a file as a whole, as far as that is so, and not what is known of a list."""
        if not lines and not rest:
            return ()
        self._whole += lines
        if len(self._whole) > _LARGEST:
            self._refuse(f"{self._name} is too large to be read again for each report")
            self._whole = b""
            return ()
        found = json_or_none(self._whole + rest)
        if isinstance(found, list):
            return found[self._count :]
        return [found] if isinstance(found, dict) and self._count == 0 else ()

    def _report_of(self, found: object) -> Report | None:
        self._count += 1
        if self._count == 1 and self._was_alone:
            if found == self._last:
                return None
            self._again += 1
        self._last = found
        try:
            return report_of(found, self._key, self._objective, self._count + self._again)
        except ValueError as error:
            self._refuse(f"{self._name}: {error}")
            return None


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error as error:
        raise ValueError(f"is not a line of a CSV file: {error}") from None
