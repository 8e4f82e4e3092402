"""A hint while trials run, and nothing of their value is found: the pattern, the file, or a name may be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.paths import ExperimentPaths, TrialPaths
from candle_hpo.core.trial import Report, Status
from candle_hpo.launch.measuring.reports import report_in_line
from candle_hpo.launch.measuring.result import last_lines
from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.history import History
from candle_hpo.report.words import count, cut

PATIENCE_SECONDS = 20.0  # a trial may print and load much before it measures anything
_MOST_LOOKED_AT = 20  # running trials
_COUNTED_BYTES = 1_000_000  # of output, whose lines are counted
_BYTES_OF_REPORTS = 1 << 16  # of a script's own, in which names are looked for
_LONGEST_LINE = 120  # characters


def hint_on_silence(history: History, stored: StoredExperiment, paths: ExperimentPaths, now: float) -> str:
    """Return what is missing, where all trials so far lack it; empty where anything was found, or it is too early.

    Without a rule that stops trials early, one that has completed shows that the value is found in the end.
    """
    settings = stored.settings
    if not (settings.result_pattern or settings.result_file):
        return _hint_on_names(history, settings, paths, now) if settings.stopping else ""
    if not settings.stopping and history.counts[Status.COMPLETED]:
        return ""
    if any(row.last_report is not None for row in history.trials.values()):
        return ""
    running = sorted(history.running.values(), key=lambda row: row.started)[:_MOST_LOOKED_AT]
    trials = [paths.trial(row.trial.id) for row in running]
    if not running or now - running[0].started < PATIENCE_SECONDS or any(_size(trial.reports) for trial in trials):
        return ""
    return _hint(settings, running[0].trial.id, trials[0])


def _hint_on_names(history: History, settings: Settings, paths: ExperimentPaths, now: float) -> str:
    """Return which names a script reports, where none is what is optimized, so that nothing can be stopped early."""
    objective = settings.objective.name
    known = [row.last_report for row in history.trials.values() if row.last_report is not None]
    first = min(history.running.values(), key=lambda row: row.started, default=None)
    if first is None or now - first.started < PATIENCE_SECONDS or any(report.has(objective) for report in known):
        return ""
    reports = _reports(paths.trial(first.trial.id).reports, objective)
    names = dict.fromkeys(name for report in reports for name in report.metrics)
    if not names or objective in names:
        return ""
    shown = cut(", ".join(names), _LONGEST_LINE)
    what = "the value without a name" if objective == THE_VALUE else objective
    return (
        f"{first.trial.id} reports {shown}, and not {what}, so no trial is stopped early; "
        "objectives says by which name it is reported"
    )


def _reports(file: Path, objective: str) -> Iterator[Report]:
    """Yield the first reports in a script's own file, those that can be read."""
    with suppress(OSError), file.open("rb") as opened:
        for at, line in enumerate(opened.readlines(_BYTES_OF_REPORTS), start=1):
            with suppress(ValueError):
                report = report_in_line(line, objective, at)
                if report is not None:
                    yield report


def _hint(settings: Settings, name: str, trial: TrialPaths) -> str:
    printed = _amount_printed(trial.output)
    if not printed:
        return ""
    last = "".join(last_lines(trial.output, 1))
    tail = f'; its last line: "{cut(last, _LONGEST_LINE)}"'
    if trial.reports_left_out.is_file():
        reason = "".join(last_lines(trial.reports_left_out, 1))
        return f"{name}: {cut(reason, 3 * _LONGEST_LINE)}"
    if settings.result_file:
        return f"result_file {settings.result_file} has shown no value yet in {name}, which has printed {printed}{tail}"
    return f"result_pattern has not matched yet in the {printed} that {name} has printed{tail}"


def _amount_printed(output: Path) -> str:
    """Return how many lines were printed, or, of many, how many megabytes; empty where nothing was."""
    size = _size(output)
    if size > _COUNTED_BYTES:
        return f"{size / 1_000_000:.1f} MB"
    with suppress(OSError):
        lines = output.read_bytes().count(b"\n")
        return count(max(1, lines), "line") if size else ""
    return ""


def _size(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_size
    return 0
