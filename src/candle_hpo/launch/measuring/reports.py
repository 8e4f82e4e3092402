"""What a trial reports while it runs, from where its value is, too: its output, a file, or what `candle_report` says.

Each source is read as far as it has grown, and only whole lines; a step that it does not name is counted from 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from candle_hpo.core.objective import LARGEST_STEP, STEPS, THE_VALUE
from candle_hpo.core.trial import Report
from candle_hpo.launch.measuring.growing_file import GrowingFile
from candle_hpo.launch.measuring.number_texts import as_number, number_given, shortened
from candle_hpo.launch.measuring.result_file import metrics_of, read_json
from candle_hpo.launch.measuring.result_pattern import ResultPattern

# The output and what `candle_report` appends to are replaced by other files hardly ever.
_SECONDS_BETWEEN_LOOKS = 10.0
_NEAR = 8000  # characters behind the last match that are searched again, for one over several lines

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
        self._unfinished = b""  # that is still written over
        self._word: str | None = None  # that the label ends

    def look(self, *, is_last: bool) -> Found:
        """Return the matches that are new."""
        piece = self._file.read(is_last=is_last)
        if piece.begins_again:
            self._begin_again()
        lines = self._finished(piece.lines, is_last=is_last and piece.is_all)
        if not lines:
            return Found((), piece.is_all, piece.begins_again)
        seen, text = len(self._text), self._text + self._pattern.as_read(_as_left(lines))
        found = [each for each in self._pattern.occurrences(text, self._begin) if each.end > seen]
        if found and self._word is None:
            words = {each.word for each in found}
            self._word = "" if "" in words else words.pop() if len(words) == 1 else "\n"  # no word at all
        reports = []
        for each in found:
            if not each.word:  # as the label of the result, where both are there
                self._word = ""
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

    def _finished(self, lines: bytes, *, is_last: bool) -> bytes:
        """Return the lines that nobody writes over any more: a carriage return alone does not end one."""
        lines = self._unfinished + lines
        end = len(lines) if is_last else lines.rfind(b"\n") + 1
        self._unfinished = lines[max(end, lines.rfind(b"\r", end, max(end, len(lines) - 1)) + 1) :]
        return lines[:end]


def _as_left(lines: bytes) -> bytes:
    """Return lines as they are in the end: of what a progress bar writes over itself, the last."""
    if b"\r" not in lines:
        return lines
    return b"\n".join(line.rstrip(b"\r").rpartition(b"\r")[2] for line in lines.split(b"\n"))


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
                report = report_in_line(line, self._objective, self._count)
            except ValueError as error:
                self._refuse(f"{self._name}, line {self._count}: {error}")
            else:
                reports += [] if report is None else [report]
        return Found(reports, piece.is_all, piece.begins_again)


def report_in_line(line: bytes, objective: str, count: float) -> Report | None:
    """Return what a script reports by a line, which is the step, by its `count`, where it names none.

    None where it has no value. Raises `ValueError` for what is not a report.
    """
    found = json_or_none(line)
    if found is None:
        raise ValueError(f"holds no JSON: {shortened(line.decode(errors='replace'))}")
    named = _with_numbers(found) if isinstance(found, dict) else {THE_VALUE: found}
    return report_of(named, None, objective, count)


def _with_numbers(found: Mapping[str, object]) -> dict[str, object]:
    """Return a report with the objective by its name, and numbers that a shell has written as text."""
    numbers = {name: as_number(value) if isinstance(value, str) else None for name, value in found.items()}
    return {name: value if (number := numbers[name]) is None else number for name, value in found.items()}


def report_of(found: object, key: str | None, objective: str, count: float) -> Report | None:
    """Return the report in an object of JSON; None where it has no value. Raises `ValueError` for what is wrong.

    The value is that of the key, `a.b` for `b` within `a`; without a key, all that the object has is reported.
    """
    if not isinstance(found, dict):
        raise ValueError(f"there is something else than an object of JSON ({shortened(str(found))})")
    names = {str(name).lower(): name for name in found}
    step = next((names[name] for name in STEPS if name in names), None)
    number = float(count) if step is None else step_of(found[step], step)
    rest = {name: value for name, value in found.items() if name != step}
    if key is None:
        if THE_VALUE in rest:
            rest.setdefault(objective, rest.pop(THE_VALUE))
        if objective in rest:
            return report_with(number, rest, objective, number_or_none(rest[objective], objective), objective)
        return Report(number, metrics_of(rest)) if rest else None
    value: object = found
    for part in [key] if key in found else key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return None if value is None else report_with(number, rest, key, number_or_none(value, key), objective)


def report_with(step: float, others: Mapping[str, object], key: str, value: float | None, objective: str) -> Report:
    """Return a report of the value, whose name was `key`, and of whatever else may be kept."""
    metrics = metrics_of({name: each for name, each in others.items() if name != key and name.lower() not in STEPS})
    return Report(step, {**metrics, objective: value})


def number_or_none(value: object, name: str) -> float | None:
    """Return a value as a number, None for NaN and the infinities. Raises `ValueError` for anything else."""
    number = number_given(value, name)
    return number if math.isfinite(number) else None


def step_of(value: object, name: str) -> float:
    """Return a value as the number of a step. Raises `ValueError`."""
    number = number_or_none(value, name)
    if number is None or abs(number) > LARGEST_STEP:
        raise ValueError(f"{name} is {shortened(str(value))}, not a number that can be a step")
    return number


def json_or_none(text: bytes) -> object:
    """Return what a text in JSON says; None where it is none, or not whole yet."""
    try:
        return read_json(text.decode(errors="replace").lstrip("\ufeff"))
    except ValueError:
        return None
