"""What came of an experiment: the last lines of a run, and the exit status that says the same."""

from __future__ import annotations

from candle_hpo.core.errors import ExitStatus
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Status
from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.history import History
from candle_hpo.report.results import result_rows
from candle_hpo.report.savings import savings_lines
from candle_hpo.report.script_versions import environment_lines, script_version_lines
from candle_hpo.report.summary import best_line, counts_line, failure_lines, note_lines, stop_text
from candle_hpo.report.words import location
from candle_hpo.runner.listener import Listener

_SHOWN_OF_THE_BEST = 5
_EXIT_STATUSES = {
    StopReason.ALL_FAILED_ALIKE: ExitStatus.TRIALS_FAILED,
    StopReason.MAX_FAILURES: ExitStatus.TRIALS_FAILED,
    StopReason.TRIALS_REFUSED: ExitStatus.SYSTEM_ERROR,
    StopReason.NO_WORKERS: ExitStatus.SYSTEM_ERROR,
}


def conclude(
    history: History, stored: StoredExperiment, paths: ExperimentPaths, stop: Stop | None, listener: Listener
) -> ExitStatus:
    """Say what came of a run; `stop` is why it ended before its time, if it did."""
    completed = [row for row in result_rows(history) if row.value is not None]
    if completed:
        listener.best(completed[:_SHOWN_OF_THE_BEST], stored.names, history.direction)
    listener.say("")
    total = stored.trials(history)
    listener.say(counts_line(history, total), *savings_lines(history, stored), best_line(history, stored.names))
    listener.say(*failure_lines(history, paths))
    listener.say(*script_version_lines(history, stored), *environment_lines(stored), *note_lines(history, stored))
    listener.say(
        f"Each trial's folder: {location(paths.runs)}",
        "Table of all results: candle aggregate-results",
        f"Everything on one page: candle report {paths.root.name}",
    )
    if stop is not None and stop.reason in _EXIT_STATUSES:
        listener.say(f"Stopped: {stop_text(stop)}", how_to_resume(history, paths.root.name))
        return _EXIT_STATUSES[stop.reason]
    if stop is not None:
        listener.say(
            f"Stopped ({stop_text(stop)}): what was done is kept; candle resume {paths.root.name} continues it"
        )
        return ExitStatus.INTERRUPTED
    if history.counts[Status.INTERRUPTED]:
        listener.say(f"Trials were interrupted; candle resume {paths.root.name} attempts them again")
        return ExitStatus.SYSTEM_ERROR
    if history.with_failure:
        listener.say(
            f"With the script fixed: candle resume {paths.root.name} --retry-failed",
            "With the input file fixed: submit it again, as a new experiment, or with "
            f"restart_from_exp={paths.root.name} to keep its sets and what is completed",
        )
        return ExitStatus.TRIALS_FAILED
    return ExitStatus.ALL_WELL


def how_to_resume(history: History, name: str) -> str:
    """Return which command resumes an experiment, and which one attempts its failed trials again."""
    failed = history.failed
    again = f"; candle resume {name} --retry-failed attempts the {failed:,} that failed again, too" if failed else ""
    return f"candle resume {name} continues it{again}"
