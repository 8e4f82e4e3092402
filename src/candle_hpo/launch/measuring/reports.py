"""What a trial reports while it runs, from where its value is, too: its output, a file, or what `candle_report` says.

Each source is read as far as it has grown, and only whole lines; a step that it does not name is counted from 1.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from candle_hpo.core.objective import STEPS, THE_VALUE
from candle_hpo.core.trial import Report
from candle_hpo.launch.measuring.growing_file import GrowingFile
from candle_hpo.launch.measuring.number_texts import as_number, shortened
from candle_hpo.launch.measuring.result_file import DELIMITERS, NO_VALUE, is_table, metrics_of, read_json
from candle_hpo.launch.measuring.result_pattern import ResultPattern

# The output and what `candle_report` appends to are replaced by other files hardly ever.
_SECONDS_BETWEEN_LOOKS = 10.0
_NEAR = 8000  # characters behind the last match that are searched again, for one over several lines
_LARGEST = 1 << 22  # bytes, of a file that is written again for each report, and so read again

Refuse = Callable[[str], None]  # called with the reason why something is left out


class Found(NamedTuple):
    """What one look at a source has found.

    `is_all` is whether it was read to its end; `is_again` whether there may be reports that were there before.
    """

    reports: Sequence[Report]
    is_all: bool = True
    is_again: bool = False


class ReportSource(Protocol):
    """Where a trial's reports are."""

    def look(self, *, is_last: bool) -> Found:
        """Return what is new. Raises `OSError`."""

    def close(self) -> None:
        """Close the file."""


class PrintedReports:
    """The matches of a `result_pattern` in the output."""

    def __init__(self, pattern: ResultPattern, output: Path, objective: str, refuse: Refuse) -> None:
        self._pattern, self._objective, self._refuse = pattern, objective, refuse
        self._file = GrowingFile(output, _SECONDS_BETWEEN_LOOKS)
        self.close = self._file.close
        self._begin_again()

    def _begin_again(self) -> None:
        self._text, self._begin, self._count = "", 0, 0
        self._word: str | None = None  # that the label ends

    def look(self, *, is_last: bool) -> Found:
        """Return the matches that are new."""
        piece = self._file.read(is_last=is_last)
        if piece.begins_again:
            self._begin_again()
        if not piece.lines:
            return Found((), piece.is_all, piece.begins_again)
        seen, text = len(self._text), self._text + self._pattern.as_read(piece.lines)
        found = [each for each in self._pattern.occurrences(text, self._begin) if each.end > seen]
        if found and self._word is None:
            words = {each.word for each in found}
            self._word = "" if "" in words else words.pop() if len(words) == 1 else "\n"  # no word at all
        reports = []
        for each in found:
            if each.word != self._word:
                self._refuse(self._pattern.error_of_label(text, each.end))
                continue
            self._count += 1
            if each.refused:
                self._refuse(each.refused)
            else:
                step = self._count if each.step is None else each.step
                reports.append(Report(float(step), {**each.metrics, self._objective: each.value}))
        end = max([self._begin, *(each.end for each in found)])
        kept = max(text.rfind("\n", 0, end), text.find("\n", len(text) - _NEAR) if len(text) > _NEAR else -1) + 1
        self._text, self._begin = text[kept:], max(0, end - kept)
        return Found(reports, piece.is_all, piece.begins_again)


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
        number = _number(value, self._key)
        if self._step is not None:
            if step is None:
                raise ValueError(f"has no {self._headings[self._step]}: {shortened(line)}")
            row = {**self._of_step[1], **row}
        return _report(float(self._count) if step is None else step, row, self._key, number, self._objective)

    def _step_of(self, cells: Sequence[str]) -> float | None:
        if self._step is None or not cells[self._step]:
            return None
        return _step(cells[self._step], self._headings[self._step])


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
            is_line = isinstance(_json(first), dict)
            if is_line or lines.strip() or first.endswith(b"]"):  # else it may not be whole
                self._has_lines = is_line
        if not self._has_lines:
            return self._all_objects(lines, rest) if self._has_lines is False else ()
        found = []
        for line in filter(None, map(bytes.strip, lines.split(b"\n"))):
            if line != self._unfinished:
                found.append(_json(line))
            self._unfinished = b""
        unfinished = rest.strip()
        if unfinished != self._unfinished and isinstance(last := _json(unfinished), dict):
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
        found = _json(self._whole + rest)
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


class ReportedLines:
    """What a script says by `candle_report`, or by a line of its own making."""

    def __init__(self, path: Path, objective: str, refuse: Refuse) -> None:
        self._name, self._objective, self._refuse = path.name, objective, refuse
        self._file = GrowingFile(path, _SECONDS_BETWEEN_LOOKS)
        self.close = self._file.close
        self._count = 0

    def look(self, *, is_last: bool) -> Found:
        """Return the lines that are new."""
        piece = self._file.read(is_last=is_last)
        if piece.begins_again:
            self._count = 0
        reports = []
        for line in filter(None, map(bytes.strip, piece.lines.split(b"\n"))):
            self._count += 1
            try:
                found = _json(line)
                if found is None:
                    raise ValueError(f"holds no JSON: {shortened(line.decode(errors='replace'))}")
                found = _with_numbers(found) if isinstance(found, dict) else {THE_VALUE: found}
                report = report_of(found, None, self._objective, self._count)
            except ValueError as error:
                self._refuse(f"{self._name}, line {self._count}: {error}")
            else:
                reports += [] if report is None else [report]
        return Found(reports, piece.is_all, piece.begins_again)


def _with_numbers(found: Mapping[str, object]) -> dict[str, object]:
    """Return a report with the objective by its name, and numbers that a shell has written as text."""
    numbers = {name: as_number(value) if isinstance(value, str) else None for name, value in found.items()}
    return {name: value if (number := numbers[name]) is None else number for name, value in found.items()}


def report_of(found: object, key: str | None, objective: str, count: int) -> Report | None:
    """Return the report in an object of JSON; None where it has no value. Raises `ValueError` for what is wrong.

    The value is that of the key, `a.b` for `b` within `a`; without a key, all that the object has is reported.
    """
    if not isinstance(found, dict):
        raise ValueError(f"there is something else than an object of JSON ({shortened(str(found))})")
    names = {str(name).lower(): name for name in found}
    step = next((names[name] for name in STEPS if name in names), None)
    number = float(count) if step is None else _step(found[step], step)
    rest = {name: value for name, value in found.items() if name != step}
    if key is None:
        if THE_VALUE in rest:
            rest.setdefault(objective, rest.pop(THE_VALUE))
        if objective in rest:
            return _report(number, rest, objective, _number(rest[objective], objective), objective)
        return Report(number, metrics_of(rest)) if rest else None
    value: object = found
    for part in [key] if key in found else key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return None if value is None else _report(number, rest, key, _number(value, key), objective)


def _report(step: float, others: Mapping[str, object], key: str, value: float | None, objective: str) -> Report:
    metrics = metrics_of({name: each for name, each in others.items() if name != key and name.lower() not in STEPS})
    return Report(step, {**metrics, objective: value})


def _number(value: object, name: str) -> float | None:
    """Return a value as a number, None for NaN and the infinities. Raises `ValueError` for anything else."""
    if isinstance(value, str) and (read := as_number(value)) is not None:
        value = read
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is {shortened(str(value))}, not a number")
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _step(value: object, name: str) -> float:
    number = _number(value, name)
    if number is None:
        raise ValueError(f"{name} is {shortened(str(value))}, not a finite number")
    return number


def _json(text: bytes) -> object:
    """Return what a text in JSON says; None where it is none, or not whole yet."""
    try:
        return read_json(text.decode("utf-8-sig", errors="replace"))
    except ValueError:
        return None


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error as error:
        raise ValueError(f"is not a line of a CSV file: {error}") from None


def reports_in_file(path: Path, key: str | None, objective: str, refuse: Refuse) -> ReportSource:
    """Return the reports in a `result_file`."""
    if key is not None and is_table(path):
        return TableReports(path, key, objective, refuse)
    return JsonReports(path, key, objective, refuse)
