"""What a trial reports by a `result_file`: rows of a table, objects of JSON, numbers in a file of TensorBoard's."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from candle_hpo.core.objective import STEPS
from candle_hpo.core.trial import Report
from candle_hpo.launch.measuring.event_file import EventFileError, records, scalars_of
from candle_hpo.launch.measuring.growing_file import ANCHOR, GrowingFile
from candle_hpo.launch.measuring.json_file import has_many
from candle_hpo.launch.measuring.looks import Looks
from candle_hpo.launch.measuring.metrics import metrics_of
from candle_hpo.launch.measuring.number_texts import as_number, number_or_none, shortened
from candle_hpo.launch.measuring.reports import (
    Found,
    Refuse,
    ReportSource,
    json_or_none,
    report_of,
    report_with,
    reports_of,
    step_of,
)
from candle_hpo.launch.measuring.result_file import ResultFiles
from candle_hpo.launch.measuring.table import DELIMITERS, NO_VALUE

_LARGEST = 1 << 22  # bytes, of a file that is written again for each report, and so read again


class NewestFile:
    """The reports in the newest of the files that a pattern of names stands for: see `ResultFiles`."""

    def __init__(self, files: ResultFiles, source_of: Callable[[Path], ReportSource], looks: Looks) -> None:
        self._files, self._source_of, self._looks = files, source_of, looks
        self._path: Path | None = None
        self._source: ReportSource | None = None

    def close(self) -> None:
        """Close the file."""
        if self._source is not None:
            self._source.close()

    def look(self, *, is_last: bool, is_finished: bool = False) -> Found:
        """Return what is new; of another file than before, all that it says."""
        has_changed = (is_last or self._looks.are_due) and self._search()
        if self._source is None:
            return Found(())
        found = self._source.look(is_last=is_last, is_finished=is_finished)
        return found._replace(is_again=found.is_again or has_changed)

    def _search(self) -> bool:
        """Look for files, and return whether there is a newer one."""
        newest, calls = self._files.newest(self._path)
        self._looks.asked(calls, in_vain=newest is None)
        if newest is None or newest == self._path:
            return False
        self.close()
        self._path, self._source = newest, self._source_of(newest)
        return True


class EventReports:
    """The numbers under a tag in a file of TensorBoard's, with the others of the same step."""

    def __init__(self, path: Path, key: str, objective: str, refuse: Refuse, looks: Looks) -> None:
        self._path, self._key, self._objective, self._refuse, self._looks = path, key, objective, refuse, looks
        self._file: BinaryIO | None = None
        self._step: int | None = None  # at which the objective was last
        self._beside: tuple[int | None, dict[str, float]] = (None, {})  # of the last step of all

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def look(self, *, is_last: bool, is_finished: bool = False) -> Found:  # noqa: ARG002  # records are whole or not
        """Return the steps that are new."""
        if self._file is None and (is_last or self._looks.are_due):
            with suppress(FileNotFoundError, NotADirectoryError):
                self._file = self._path.open("rb")
            self._looks.asked(in_vain=self._file is None)
        return Found([] if self._file is None else list(self._reports(self._file)))

    def _reports(self, file: BinaryIO) -> Iterator[Report]:
        try:
            for step, values in map(scalars_of, records(file)):
                before = self._beside[1] if self._beside[0] == step else {}
                self._beside = step, {**before, **values}
                if self._key in values:
                    self._step = step
                    others = {tag: value for tag, value in self._beside[1].items() if tag != self._key}
                    value = number_or_none(values[self._key], self._key)
                    yield report_with(float(step), others, self._key, value, self._objective)
                elif values and step == self._step:
                    yield Report(float(step), metrics_of(values))
        except EventFileError as error:
            self._refuse(f"{self._path.name} {error}")
            file.seek(0, 2)


class TableReports:
    """The rows of a CSV file below the last headings with the key, as far as they have one; those of a step are one.

    A logger may write what it has measured by a step in several rows, each with the other cells empty.
    """

    def __init__(self, path: Path, key: str, objective: str, refuse: Refuse, looks: Looks) -> None:
        self._name, self._key, self._objective, self._refuse = path.name, key, objective, refuse
        self._file = GrowingFile(path, looks)
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

    def look(self, *, is_last: bool, is_finished: bool = False) -> Found:
        """Return the rows that are new."""
        piece = self._file.read(is_last=is_last)
        if piece.begins_again:
            self._begin_again()
        lines = piece.with_rest(is_finished=is_finished)
        text = lines.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
        reports = []
        for line in text.removesuffix("\n").split("\n") if text else ():
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

    def __init__(self, path: Path, key: str | None, objective: str, refuse: Refuse, looks: Looks) -> None:
        self._name, self._key, self._objective, self._refuse = path.name, key, objective, refuse
        self._file = GrowingFile(path, looks, _LARGEST)
        self.close = self._file.close
        self._has_lines: bool | None = None  # not known yet
        self._whole = self._unfinished = b""
        self._count = 0  # of objects in the file
        self._again = 0  # how often one that stands alone was another than before
        self._last: object = None
        self._was_alone = False

    def look(self, *, is_last: bool, is_finished: bool = False) -> Found:  # noqa: ARG002  # objects are whole or not
        """Return what the objects say that are new."""
        piece = self._file.read(is_last=is_last)
        if piece.begins_again:
            self._was_alone = self._count == 1 if self._count else self._was_alone
            self._has_lines, self._whole, self._unfinished, self._count = None, b"", b"", 0
        objects = self._objects(piece.lines, piece.rest)
        reports = [report for found in objects for report in self._reports_of(found)]
        if self._has_lines and self._count > 1:  # one line alone may be a whole document
            self._file.anchor = ANCHOR
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

    def _reports_of(self, found: object) -> Sequence[Report]:
        try:
            if self._key is not None and has_many(self._key):
                reports = list(reports_of(found, self._key, self._objective, self._count + 1))
                self._count += len(reports)
                return reports
            report = self._report_of(found)
        except ValueError as error:
            self._refuse(f"{self._name}: {error}")
            return ()
        return () if report is None else (report,)

    def _report_of(self, found: object) -> Report | None:
        self._count += 1
        if self._count == 1 and self._was_alone:
            if found == self._last:
                return None
            self._again += 1
        self._last = found
        return report_of(found, self._key, self._objective, self._count + self._again)


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error as error:
        raise ValueError(f"is not a line of a CSV file: {error}") from None
