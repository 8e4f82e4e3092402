"""Where a model's value is found: what it returned or reported, a line of its output, or a file that it wrote."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from candle_hpo.core.objective import THE_VALUE, Direction, ResultFrom
from candle_hpo.core.paths import TrialPaths
from candle_hpo.core.result_files import FileKind
from candle_hpo.core.trial import Metrics, Report
from candle_hpo.launch.measuring.event_file import in_event_files
from candle_hpo.launch.measuring.json_file import read_json
from candle_hpo.launch.measuring.metrics import metrics_of
from candle_hpo.launch.measuring.number_texts import as_number, finite, shortened
from candle_hpo.launch.measuring.printed_matches import all_readings
from candle_hpo.launch.measuring.printed_text import WHOLE, finished_part
from candle_hpo.launch.measuring.readings import LAST, Choice, Measured, Reading, chosen
from candle_hpo.launch.measuring.reports import raise_if_two, report_in_line
from candle_hpo.launch.measuring.result_file import ResultFiles, Written, raise_if_the_machines, read_file
from candle_hpo.launch.measuring.result_pattern import NothingFoundError, ResultPattern

_MOST_BYTES = 1_000_000  # of a reported result; what is longer is none
_LONGEST_REPORT = 1 << 22


class ResultSource(msgspec.Struct, frozen=True):
    """Where the value is: in matches of `pattern`, in the output or in `file`; at `key` in `file`; else it is returned.

    `objective` is its name among the metrics; `result_from` says which of several is the value, by `direction`, and
    that what a script reports counts where it returns none. With None it is the last one, and no report. `shared` are
    what all trials share, links in their working directories.
    """

    pattern: str | None = None
    file: str | None = None
    key: str | None = None
    objective: str = THE_VALUE
    result_from: ResultFrom | None = None
    direction: Direction = Direction.MINIMIZE
    shared: tuple[str, ...] = ()

    @property
    def is_reported(self) -> bool:
        """Whether the model itself says what it measured, and it is not looked for."""
        return self.pattern is None and self.file is None

    @property
    def is_printed(self) -> bool:
        """Whether the value is looked for in the output."""
        return self.pattern is not None and self.file is None

    @property
    def choice(self) -> Choice:
        """Which of several measurements is the value."""
        return LAST if self.result_from is None else Choice(self.result_from, self.direction)


class Measurement:
    """Finds what a model measured; to be made before the model starts, and asked after it.

    `folder` is where the model runs. What stood in its files before is not its own.
    """

    def __init__(self, source: ResultSource, folder: Path, paths: TrialPaths, how_to_report: str) -> None:
        self._source, self._paths, self._how = source, paths, how_to_report
        self._files = ResultFiles(folder, source.file, source.shared) if source.file else None

    def look(self) -> None:
        """See what a model does to its files while it runs."""
        if self._files is not None:
            self._files.look()

    def metrics(self) -> tuple[Metrics, tuple[str, ...]]:
        """Return all metrics, the value under its name among them, and the notes of `find`."""
        return self._named(self.find())

    def metrics_so_far(self, printed: int) -> tuple[Metrics, tuple[str, ...]]:
        """Return the same of a model that was asked to end when it had printed so many bytes."""
        return self._named(self.find(is_over=False, printed=printed))

    def _named(self, found: Measured) -> tuple[Metrics, tuple[str, ...]]:
        return {**found.metrics, self._source.objective: found.value}, found.notes

    def find(self, *, is_over: bool = True, printed: int = 0) -> Measured:
        """Return the value and the metrics beside it, with notes on how they were found.

        Unless the model `is_over` by itself, the value so far is looked for: an unfinished line does not count, and
        of a script that reports, it is what it has reported. What it prints once it is asked to end, when it had
        `printed` so many bytes, counts only where there is nothing before, and no crash there does. Raises
        `ValueError` with the reason where there is no finite number, or it is in doubt which one.
        """
        source, files = self._source, self._files
        try:
            if files is not None:
                return self._in_file(files.written(), is_over=is_over)
            if source.pattern is not None:
                pattern, output = ResultPattern(source.pattern, objective=source.objective), self._paths.output
                if is_over:
                    return _printed(pattern, output, source.choice, WHOLE)
                with suppress(NothingFoundError):
                    return _printed(pattern, output, source.choice, finished_part(output, end=printed))
                return _printed(pattern, output, source.choice, finished_part(output), is_over=False)
            return self._reported(is_over=is_over)
        except OSError as error:
            raise_if_the_machines(error)
            raise ValueError(f"{Path(error.filename or '').name} cannot be read: {error.strerror}") from None

    def _in_file(self, written: Written, *, is_over: bool) -> Measured:
        """Return the value in a file, of what the trial has added to it.

        Whether that is all its own, where it begins with the same bytes as before, nobody can know; where it
        matters to the value, there is none.
        """
        found = self._read(written, written.begin, is_over=is_over)
        if written.begin and not self._source.choice.is_last:
            with_earlier = self._read(written, 0, is_over=is_over)
            if (with_earlier.value, with_earlier.metrics) != (found.value, found.metrics):
                raise ValueError(
                    f"{written.path.name} begins with what was there before the trial began, which would change what "
                    f"{self._source.choice.how} is; let the script begin the file again"
                )
        return found._replace(notes=(*written.notes, *found.notes))

    def _read(self, written: Written, begin: int, *, is_over: bool) -> Measured:
        source, path = self._source, written.path
        if source.pattern is None and source.key is not None and FileKind.of(path) is FileKind.EVENTS:
            return in_event_files(written.of_folder, source.key, source.choice, is_over=is_over)
        if source.pattern is None:
            return read_file(path, source.key, source.choice, begin, is_over=is_over)
        part = slice(begin, None) if is_over else finished_part(path, begin)
        pattern = ResultPattern(source.pattern, path.name, source.objective)
        return _printed(pattern, path, source.choice, part, is_over=is_over)

    def _reported(self, *, is_over: bool) -> Measured:
        source, paths = self._source, self._paths
        if source.result_from is None and is_over:
            return read_reported(paths.reported, self._how, source.objective)
        if is_over and paths.reported.exists():
            returned = read_reported(paths.reported, self._how, source.objective)
            if source.choice.is_last:
                return returned._replace(notes=(*returned.notes, *self._notes_on_returned(returned.value)))
            raise ValueError(
                f"it returned a value, {returned.value:g}, and result_from={source.result_from} chooses among its "
                "reports; leave one of them out"
            )
        found = chosen(_reports(paths.reports, source.objective, is_over=is_over), source.choice, "its reports")
        if found is None:
            raise ValueError(self._why_none_was_reported(is_over=is_over))
        return found

    def _notes_on_returned(self, value: float) -> Iterator[str]:
        """Yield a note on a value that is taken for what `objectives` names, though no report of that has it."""
        objective = self._source.objective
        with suppress(ValueError):  # of a line that cannot be read, other notes speak
            reported = {reading.value for reading in _reports(self._paths.reports, objective, is_over=True)}
            if objective != THE_VALUE and reported and value not in reported:
                yield f"what it returned counts as {objective}, and is none of the {objective} that it reported"

    def _why_none_was_reported(self, *, is_over: bool) -> str:
        objective = self._source.objective
        first = next(filter(None, _reports_in_lines(self._paths.reports, objective, is_over=is_over)), None)
        what = "nothing" if objective == THE_VALUE and first is None else f"no {objective}"
        reason = f"it reported {what} on its way{'' if is_over else ' so far'}"
        if first is None:
            return f"{reason}; candle_report does that"
        return f"{reason} (but {shortened(', '.join(first.metrics))}); objectives names what is optimized"


def _printed(pattern: ResultPattern, output: Path, choice: Choice, part: slice, *, is_over: bool = True) -> Measured:
    if choice.how.which in ("last", "mean"):
        last = pattern.find(output, part, is_over=is_over)
        if choice.is_last:
            return last
    if is_over:
        pattern.raise_if_crashed(output, part)
    found = chosen(all_readings(pattern, output, part), choice, f"result_pattern in {pattern.where}")
    if found is None:
        raise pattern.nothing()
    return found


def _reports(file: Path, objective: str, *, is_over: bool) -> Iterator[Reading]:
    """Yield what a script has reported of its objective; what it says of one step by other names belongs to that.

    Raises `ValueError` for a line that is not a report.
    """
    earlier: Report | None = None
    for report in filter(None, _reports_in_lines(file, objective, is_over=is_over)):
        if earlier and report.step == earlier.step and earlier.metrics.keys().isdisjoint(report.metrics):
            earlier = Report(report.step, {**earlier.metrics, **report.metrics})
            continue
        if earlier and earlier.has(objective):
            yield _as_reading(earlier, objective)
        earlier = report
    if earlier and earlier.has(objective):
        yield _as_reading(earlier, objective)


def _reports_in_lines(file: Path, objective: str, *, is_over: bool) -> Iterator[Report | None]:
    if not file.is_file():
        return
    with file.open("rb") as opened:
        lines = filter(bytes.strip, iter(lambda: opened.readline(_LONGEST_REPORT), b""))
        for count, line in enumerate(lines, start=1):
            if len(line) == _LONGEST_REPORT and not line.endswith(b"\n"):  # a part of it may be a number
                raise ValueError(f"line {count} of {file.name} is too long to be read")
            if not is_over and not line.endswith(b"\n"):
                return
            try:
                yield report_in_line(line, objective, count)
            except ValueError as error:
                raise ValueError(f"line {count} of {file.name}: {error}") from None


def _as_reading(report: Report, objective: str) -> Reading:
    others = {name: value for name, value in report.metrics.items() if name != objective}
    return Reading(report.value_of(objective), others)


def _begin_of(file: Path) -> bytes:
    """Return the first bytes of a file. Raises `OSError`, and `ValueError` where it is none."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # a pipe would be waited for, and a device read for ever
            raise ValueError(f"{file.name} is not a regular file")
        data = b""
        while len(data) < _MOST_BYTES and (more := os.read(descriptor, _MOST_BYTES - len(data))):
            data += more
        return data
    finally:
        os.close(descriptor)


def read_reported(reported: Path, how_to_report: str, objective: str = THE_VALUE) -> Measured:
    """Return what the model reported: a number, or an object with the objective by its name, or as `val_to_return`.

    Raises `ValueError` with the reason where there is no finite number; `how_to_report` says how to leave one.
    """
    try:
        text = _begin_of(reported).decode(errors="replace").strip()
    except FileNotFoundError:
        raise ValueError(f"it ended without a value; {how_to_report}") from None
    except OSError as error:
        raise_if_the_machines(error)
        raise ValueError(f"{reported.name} cannot be read: {error.strerror}") from None
    found: object = as_number(text)
    if found is None:
        try:
            found = read_json(text)
        except ValueError:
            shown = f": {shortened(text)}" if text else ""
            raise ValueError(f"{reported.name} holds neither a number nor a JSON object{shown}") from None
    if not isinstance(found, dict):
        return Measured(finite(found, "val_to_return"), {})
    if objective in found:
        value = found.pop(objective)
        if THE_VALUE in found:
            raise_if_two(found.pop(THE_VALUE), value, objective)
        return Measured(finite(value, objective), metrics_of(found))
    if found.keys() != {THE_VALUE}:
        there = shortened(", ".join(sorted(found))) or "nothing"
        raise ValueError(f"{reported.name} holds no {objective} (it has: {there}); objectives names what is optimized")
    return Measured(finite(found.pop(THE_VALUE), objective), {})
