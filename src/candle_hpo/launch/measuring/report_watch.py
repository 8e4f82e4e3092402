"""Watches what a trial reports while it runs: a thread beside the one that waits for its process, once that lasts.

Nothing here changes how a trial runs or ends: whatever goes wrong costs reports alone.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType

import msgspec

from candle_hpo.core.objective import LARGEST_STEP
from candle_hpo.core.paths import TrialPaths
from candle_hpo.core.result_files import FileKind, is_pattern_of_names
from candle_hpo.core.trial import Report
from candle_hpo.files import replace_file
from candle_hpo.launch.measuring.growing_file import MOST_BYTES
from candle_hpo.launch.measuring.looks import Looks
from candle_hpo.launch.measuring.objective import ResultSource
from candle_hpo.launch.measuring.printed_matches import PrintedReports
from candle_hpo.launch.measuring.reports import ReportedLines, ReportSource
from candle_hpo.launch.measuring.reports_in_files import EventReports, JsonReports, NewestFile, TableReports
from candle_hpo.launch.measuring.result_file import ResultFiles
from candle_hpo.launch.measuring.result_pattern import ResultPattern

LOOK_SECONDS = 0.5  # between two looks
_SHARE = 0.1  # of the time that is spent with looking, at most
_ALL_OF = 1000  # reports are kept; of later ones, those whose steps are so much larger than the last one kept:
_GROWTH = 0.002
_MOST_AT_ONCE = 20  # reports that a look passes on; of more, those whose steps are so many times the one before:
_GROWTH_AT_ONCE = 1.1
_LAST_LOOKS = 8  # at so many bytes each (`MOST_BYTES`), of what has not been read when the process has ended
_OF_A_FILE = 1 << 16  # bytes that are read again, of one with a pattern, lest another text of the same length be missed
_LARGE_FILE = 1_000_000  # bytes, from which on a trial's own file is replaced by what was kept of it

_logger = logging.getLogger(__name__)


class Series:
    """The reports of a trial in the order of their steps: all of the first ones, and then ever fewer."""

    def __init__(self, objective: str) -> None:
        self.objective = objective
        self.last: Report | None = None
        self.has_objective = False  # any of them
        self.late = 0  # so many were left out, since a report with their step, or a later one, was there already
        self._kept = 0
        self._last_kept = 0.0
        self._was_none = False

    def add(self, report: Report, *, is_again: bool = False) -> Report | None:
        """Add a report; return it where it is to be kept.

        One that may have been read before is not missed, nor one that says the same of the same step, as each of the
        processes of a trial may. What is reported of one step in several parts, each with other metrics, belongs
        together; it is news where it brings the objective.
        """
        last = self.last
        self.has_objective |= report.has(self.objective)
        is_more = last is not None and report.step == last.step and last.metrics.keys().isdisjoint(report.metrics)
        if last is not None and is_more:
            self.last = report = Report(report.step, {**last.metrics, **report.metrics})
            if last.has(self.objective) or not report.has(self.objective):
                return None
        elif last is not None and report.step <= last.step:
            says_the_same = report.step == last.step and report.metrics.items() <= last.metrics.items()
            self.late += not is_again and not says_the_same
            return None
        self.last = report
        is_none = report.has(self.objective) and report.value_of(self.objective) is None
        is_first_none, self._was_none = is_none and not self._was_none, self._was_none or is_none
        beyond = report.step - self._last_kept
        is_next = beyond >= _GROWTH * abs(self._last_kept) or (is_more and beyond == 0)
        if self._kept >= _ALL_OF and not is_next and not is_first_none:
            return None
        self._kept, self._last_kept = self._kept + 1, report.step
        return report


class ReportWatch:
    """Reads what a trial reports, at the end of the block and from `begin` on, and passes it on to `report`.

    `folder` is where the model runs. What is found in the output or a file of the model's is kept in
    `TrialPaths.reports`; what the model itself has written there is replaced at the end where it is long.
    """

    def __init__(
        self, source: ResultSource, folder: Path, paths: TrialPaths, report: Callable[[Report], None] | None = None
    ) -> None:
        self.is_finished = False  # the trial has ended by itself, so that its last line is whole
        self.also_look: Callable[[], None] = lambda: None
        self._has_all = self._has_written_left_out = False
        self._report, self._paths, self._is_own_file = report, paths, source.is_reported
        self._series = Series(source.objective)
        self._lines: list[bytes] = []  # what was kept of the model's own file
        self._file = -1  # where what is kept of others is written
        self._refused: list[str] = []  # the first reason
        self._faults: list[str] = []
        self._refusals = 0
        self._is_over: threading.Event | None = None
        self._thread: threading.Thread | None = None
        self._looks = Looks(paths.reports.parent if source.file is None else folder)
        self._source = _source(source, folder, paths, self._refuse, self._looks)
        if source.file is not None:  # what is there before it starts is not its own
            with _Guard(self._faults):
                while not self._source.look(is_last=False).is_all:
                    pass
            self._refused, self._refusals = [], 0

    @property
    def last(self) -> Report | None:
        """What was reported last."""
        return self._series.last

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of reports that were left out."""
        notes = list(self._faults)
        if self._refused:
            name = self._paths.reports_left_out.name
            notes.append(f"reports of some trials were left out; {name} in the trial's folder quotes the first")
        if self._series.late:
            notes.append("reports were left out whose step is not beyond that of the report before")
        if self.last is not None and not self._series.has_objective:
            notes.append(
                f"its reports have {', '.join(self.last.metrics)}, and none has {self._series.objective}, which is "
                "what is optimized: give candle_report that value without a name or by this one, or name another in "
                "objectives"
            )
        if not self._is_own_file and self._paths.reports_unread.exists():
            notes.append("what candle_report says is not read where result_pattern or result_file is set")
        return tuple(notes)

    @property
    def left_out(self) -> str:
        """Why the first report that was left out was, and how many more were; it may quote what the model printed.

        So it is for the trial's folder alone, and no note: those are in logs, and in what people send each other.
        """
        more = f" (and {self._refusals - 1:,} more)" if self._refusals > 1 else ""
        return f"a report was left out{more}: {self._refused[0]}\n" if self._refused else ""

    def begin(self) -> None:
        """Look now, and from now on every half second; not again where it has begun."""
        if self._is_over is None:
            self._is_over = threading.Event()
            thread = threading.Thread(target=self._watch, args=(self._is_over,), name="reports", daemon=True)
            with suppress(RuntimeError):  # no more threads: then all is read at the end
                thread.start()
                self._thread = thread

    def __enter__(self) -> ReportWatch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._is_over is not None:
            self._is_over.set()
        if kind is not None and not issubclass(kind, Exception):  # all that runs is to end now
            return
        if self._thread is not None:
            self._thread.join()
        with _Guard(self._faults):
            is_all = self.look(is_last=True)
            if not is_all:
                megabytes = _LAST_LOOKS * MOST_BYTES // 10**6
                self._faults.append(
                    f"its last reports were not read, of more than {megabytes} MB that it wrote at its end"
                )
            self._source.close()
            if self._file >= 0:
                os.close(self._file)
            self._write_left_out(is_over=True)
            self._has_all = is_all

    def look(self, *, is_last: bool = False) -> bool:
        """Read what is new, and pass it on: at most so much, and much more in the last look; return whether it was all.

        Raises `OSError`.
        """
        reports: list[Report] = []
        self._looks.begin()
        for _ in range(_LAST_LOOKS if is_last else 1):
            found = self._source.look(is_last=is_last, is_finished=is_last and self.is_finished)
            news = (self._series.add(report, is_again=found.is_again) for report in found.reports)
            kept = [report for report in news if report is not None]
            self._keep(kept)
            reports += kept
            if found.is_all:
                break
        self._pass_on(reports)
        return found.is_all

    def _refuse(self, why: str) -> None:
        self._refusals += 1
        if not self._refused:
            self._refused.append(why)

    def _watch(self, is_over: threading.Event) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are for the thread that waits
        pause = 0.0
        with _Guard(self._faults):
            while not is_over.wait(pause):
                began = time.monotonic()
                self.also_look()
                is_all = self.look()
                self._write_left_out(is_over=False)
                pause = max(LOOK_SECONDS if is_all else 0.0, (time.monotonic() - began) * (1 / _SHARE - 1))

    def _write_left_out(self, *, is_over: bool) -> None:
        """Write why a report was left out, as soon as one was, and in the end how many more."""
        if self.left_out and (is_over or not self._has_written_left_out):
            self._has_written_left_out = True
            replace_file(self._paths.reports_left_out, self.left_out.encode())

    def _pass_on(self, reports: Sequence[Report]) -> None:
        """Pass reports on; of very many those that stand for the ones between them, and all that decide by themselves.

        What is compared at a step is the first report there: so none is passed over for one that is much further.
        """
        if self._report is None:
            return
        passed, was_none = None, False
        for report in reports:
            is_none = report.has(self._series.objective) and report.value_of(self._series.objective) is None
            is_next = passed is None or report.step >= passed + (_GROWTH_AT_ONCE - 1) * abs(passed)
            if len(reports) <= _MOST_AT_ONCE or is_next or report is reports[-1] or (is_none and not was_none):
                self._report(report)
                passed, was_none = report.step, is_none

    def _keep(self, reports: Sequence[Report]) -> None:
        lines = [_line_of(report) for report in reports]
        if self._is_own_file:
            self._lines += lines
        elif lines:
            if self._file < 0:  # it stays open, lest a network file system write each line at once
                self._file = os.open(self._paths.reports, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            os.write(self._file, b"".join(lines))

    def keep_less(self) -> None:
        """Replace a long file of the model's by what was kept of it, once nobody needs the whole one."""
        if not (self._has_all and self._is_own_file and (self._lines or self._refused)):
            return
        with _Guard(self._faults), suppress(FileNotFoundError):
            if self._paths.reports.stat().st_size > _LARGE_FILE:
                replace_file(self._paths.reports, b"".join(self._lines))


def _line_of(report: Report) -> bytes:
    step = int(report.step) if report.step.is_integer() and abs(report.step) < LARGEST_STEP else report.step
    return msgspec.json.encode({"step": step, **report.metrics}) + b"\n"


class _Guard:
    """A block in which nothing goes wrong that anybody outside would notice; what does is noted."""

    def __init__(self, faults: list[str]) -> None:
        self._faults = faults

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if isinstance(error, OSError):
            self._faults.append(f"not all of its reports could be read: {error}")
        elif isinstance(error, Exception):
            _logger.error("reports are not read any more", exc_info=error)
            self._faults.append(f"not all of its reports could be read: internal error: {error!r}")
        return error is None or isinstance(error, Exception)


def _source(
    source: ResultSource, folder: Path, paths: TrialPaths, refuse: Callable[[str], None], looks: Looks
) -> ReportSource:
    """Return where a trial's reports are, by where its value is."""
    if source.is_printed and source.pattern is not None:
        with suppress(OSError):
            os.truncate(paths.output, 0)  # as it is when the process begins
        pattern = ResultPattern(source.pattern, objective=source.objective)
        return PrintedReports(pattern, paths.output, source.objective, refuse, looks)
    if source.file is None:
        return ReportedLines(paths.reports, source.objective, refuse, looks)
    of_file = partial(reports_in_file, source, refuse, looks)
    if is_pattern_of_names(source.file):
        return NewestFile(ResultFiles(folder, source.file, source.shared), of_file, looks)
    return of_file(folder / source.file)


def reports_in_file(source: ResultSource, refuse: Callable[[str], None], looks: Looks, path: Path) -> ReportSource:
    """Return the reports in a file that this source of values has."""
    objective, kind = source.objective, FileKind.of(path)
    if source.pattern is not None:
        return PrintedReports(
            ResultPattern(source.pattern, path.name, objective), path, objective, refuse, looks, _OF_A_FILE
        )
    if source.key is not None and kind is FileKind.TABLE:
        return TableReports(path, source.key, objective, refuse, looks)
    if source.key is not None and kind is FileKind.EVENTS:
        return EventReports(path, source.key, objective, refuse, looks)
    return JsonReports(path, source.key, objective, refuse, looks)
