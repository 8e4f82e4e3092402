"""What a trial reports while it runs, from where its value is, too: its output, a file, or what `candle_report` says.

Each source is read as far as it has grown, and only whole lines; a step that it does not name is counted from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from candle_hpo.core.objective import LARGEST_STEP, STEPS, THE_VALUE
from candle_hpo.core.trial import Report
from candle_hpo.launch.measuring.growing_file import GrowingFile
from candle_hpo.launch.measuring.json_file import NotThereError, read_json, rows_of
from candle_hpo.launch.measuring.looks import Looks
from candle_hpo.launch.measuring.metrics import metrics_of
from candle_hpo.launch.measuring.number_texts import as_number, number_or_none, shortened

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

    def look(self, *, is_last: bool, is_finished: bool = False) -> Found:
        """Return what is new, in the last look perhaps with an unfinished line, which counts as one. Raises `OSError`.

        That is so of a trial that `is_finished`, and of no other, which was ended while it wrote it.
        """

    def close(self) -> None:
        """Close the file."""


class ReportedLines:
    """What a script says by `candle_report`, or by a line of its own making."""

    def __init__(self, path: Path, objective: str, refuse: Refuse, looks: Looks) -> None:
        self._name, self._objective, self._refuse = path.name, objective, refuse
        self._file = GrowingFile(path, looks)
        self.close = self._file.close
        self._count = 0

    def look(self, *, is_last: bool, is_finished: bool = False) -> Found:
        """Return the lines that are new."""
        piece = self._file.read(is_last=is_last)
        if piece.begins_again:
            self._count = 0
        reports = []
        for line in filter(None, map(bytes.strip, piece.with_rest(is_finished=is_finished).split(b"\n"))):
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

    The value is that of the key, as `rows_of` has it; without a key, all that the object has is reported.
    """
    if key is not None:
        return next(iter(reports_of(found, key, objective, count)), None)
    rest, number = _without_step(found, count)
    if THE_VALUE in rest:
        unnamed = rest.pop(THE_VALUE)
        raise_if_two(unnamed, rest.setdefault(objective, unnamed), objective)
    if objective in rest:
        return report_with(number, rest, objective, number_or_none(rest[objective], objective), objective)
    return Report(number, metrics_of(rest)) if rest else None


def reports_of(found: object, key: str, objective: str, count: float) -> Iterator[Report]:
    """Yield the reports in a document of JSON: one, or, of a key such as `a[*].b`, all that there are."""
    if not isinstance(found, dict) and not key.startswith("["):
        raise ValueError(f"there is something else than an object of JSON ({shortened(str(found))})")
    try:
        rows = rows_of(found, key, "it")
    except NotThereError:
        return
    for number, row in enumerate(row for row in rows if row.value is not None):
        others, step = _without_step(row.beside, count + number)
        others.pop(row.own, None)
        yield report_with(step, others, key, number_or_none(row.value, key), objective)


def raise_if_two(unnamed: object, named: object, objective: str) -> None:
    """Raise `ValueError` where a value without a name is another one than that with the name of the objective."""
    numbers = number_or_none(unnamed, THE_VALUE), number_or_none(named, objective)
    if numbers[0] != numbers[1]:
        raise ValueError(
            f"there are two values, {shortened(str(unnamed))} without a name and {shortened(str(named))} as "
            f"{objective}, which objectives says is optimized; keep one"
        )


def _without_step(found: object, count: float) -> tuple[dict[str, object], float]:
    """Return what an object has but its step, and that step, or the count where it has none."""
    if not isinstance(found, Mapping):
        raise ValueError(f"there is something else than an object of JSON ({shortened(str(found))})")
    names = {str(name).lower(): name for name in found}
    step = next((names[name] for name in STEPS if name in names), None)
    number = float(count) if step is None else step_of(found[step], step)
    return {name: value for name, value in found.items() if name != step}, number


def report_with(step: float, others: Mapping[str, object], key: str, value: float | None, objective: str) -> Report:
    """Return a report of the value, whose name was `key`, and of whatever else may be kept."""
    metrics = metrics_of({name: each for name, each in others.items() if name != key and name.lower() not in STEPS})
    return Report(step, {**metrics, objective: value})


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
