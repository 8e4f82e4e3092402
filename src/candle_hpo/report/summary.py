"""What an experiment has come to, in a few lines: for the end of a run and for `candle status`."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Status
from candle_hpo.launch.measuring.result import lines_that_explain
from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.history import History
from candle_hpo.record.history_entries import TrialHistory
from candle_hpo.report.curves import Point, last_points
from candle_hpo.report.words import (
    count,
    duration,
    hyperparameter_lines,
    hyperparameters,
    location,
    number,
    step_text,
)

_MOST_FAILURES = 5
_MOST_RUNNING = 20
_FEWEST_CONFIGURATIONS = 3  # of one value, that can hardly be coincidence


def counts_line(history: History, total: int) -> str:
    """Return `25 trials: 20 completed, 3 failed, 2 running`, with nothing that is zero."""
    parts = [status_text(status, history.counts[status]) for status in Status if history.counts[status]]
    if history.running:
        parts.append(f"{len(history.running):,} running")
    waiting = total - len(history.trials)
    if waiting > 0:
        parts.append(f"{waiting:,} not started")
    return f"{count(total, 'trial')}: " + (", ".join(parts) or "none yet")


def status_text(status: Status, amount: int) -> str:
    """Return how many trials ended so: `1,200 timed out`."""
    return f"{amount:,} {status_words(status)}"


def status_words(status: Status) -> str:
    """Return how a trial ended, in words: `timed out`."""
    return "stopped early" if status is Status.STOPPED else status.value.replace("_", " ")


def stop_text(stop: Stop) -> str:
    """Return why a campaign stopped before everything was done."""
    match stop.reason:
        case StopReason.ALL_FAILED_ALIKE:
            return f"too many failures: the first {stop.trials} trials all failed in the same way: {stop.last}"
        case StopReason.MAX_FAILURES:
            return f"too many failures: {stop.trials} trials have failed, and max_failures={stop.limit}"
        case StopReason.TRIALS_REFUSED:
            return f"system errors ended one trial after the other, the last {stop.trials}: {stop.last}"
        case StopReason.NO_WORKERS:
            return f"there are no workers: {stop.last}"
        case StopReason.OUT_OF_TIME:
            return "the time left is too short for another trial"
        case StopReason.WALLTIME:
            return "the walltime is nearly over"
        case StopReason.PREEMPTED:
            return "the job was warned that it will be ended, long before its walltime"
        case StopReason.JOB_CANCELLED:
            return "the job was cancelled"
        case StopReason.CTRL_C:
            return "Ctrl-C"
        case StopReason.TERMINATED:
            return "SIGTERM, which candle cancel sends"
        case StopReason.HANGUP:
            return "SIGHUP, as its terminal went away"
        case StopReason.ERROR:
            return "an internal or a system error"


def best_line(history: History, names: Sequence[str]) -> str:
    """Return the best value so far with its trial and what it has of the hyperparameters that vary."""
    best = history.best
    if best is None or best.value is None:
        return "best: none, no trial has completed"
    values = hyperparameters(best.trial.hyperparameters, names)
    return f"best ({history.direction.value}): {number(best.value)} by {best.trial.id}: {values}"


def note_on_one_value(history: History, unread: Sequence[str]) -> str:
    """Return the note on several configurations that have exactly the same value, and none another; or "".

    `unread` are hyperparameters that the script is not seen to read.
    """
    best = history.best
    completed = (row for row in history.trials.values() if row.value is not None)
    different: set[bytes] = set()
    while best is not None and not history.values_differ and len(different) < _FEWEST_CONFIGURATIONS:
        row = next(completed, None)
        if row is None:
            return ""
        different.add(msgspec.json.encode(row.trial.hyperparameters))
    if best is None or history.values_differ:
        return ""
    suspects = f" (the script is not seen to read {', '.join(unread)})" if unread else ""
    return (
        f"all {history.counts[Status.COMPLETED]:,} completed trials have exactly the same value "
        f"{best.value!r}: a hyperparameter may not arrive{suspects}; look at how the script gets its hyperparameters, "
        f"and at where its value comes from (candle logs {best.trial.id})"
    )


def note_lines(history: History, stored: StoredExperiment) -> Iterator[str]:
    """Yield what to know of the values and of how trials start; all of them wait for their own slow imports."""
    total = stored.trials(history)
    if note := note_on_one_value(history, stored.latest.unread):
        yield note
    yield from history.notes
    for slow in history.slow_imports.values():
        yield (
            f"{slow.module} is imported by each trial itself, which takes {slow.seconds:.1f} s: {slow.because}. "
            f'preload="{slow.module}" would save {duration(slow.seconds * total)} in all, if nothing of a trial '
            "matters to its import: no argument, folder, variable, time or random number"
        )


def running_lines(history: History, names: Sequence[str], paths: ExperimentPaths, now: float) -> Iterator[str]:
    """Yield a line for each running trial, up to a screenful, with the step that it reported last."""
    running = sorted(history.running.values(), key=lambda trial: trial.started)
    shown = running[:_MOST_RUNNING]
    lines = hyperparameter_lines([row.trial.hyperparameters for row in shown], names)
    for row, values in zip(shown, lines, strict=True):
        step = furthest_step(row, last_points(paths.trial(row.trial.id).reports, history.objective))
        at = "" if step is None else f" at step {step_text(step)}"
        yield f"{row.trial.id} for {duration(max(0.0, now - row.started))}{at}: {values}"
    if len(running) > _MOST_RUNNING:
        yield f"… and {len(running) - _MOST_RUNNING} more"


def last_report_words(row: TrialHistory) -> str:
    """Return what a trial reported last: ` at step 9, where it had 0.25`; empty where it did not report."""
    if row.last_report is None:
        return ""
    value = "" if row.last_value is None else f", where it had {number(row.last_value)}"
    return f" at step {step_text(row.last_report.step)}{value}"


def furthest_step(row: TrialHistory, points: Sequence[Point]) -> float | None:
    """Return the step that a trial reported last, by the record or by the points of its own file."""
    known = [points[-1].step] if points else []
    return max([*known, *([row.last_report.step] if row.last_report else [])], default=None)


class FailureGroup(NamedTuple):
    """Trials that ended without a value in the same way: the first of them stands for all, and some ids are named."""

    amount: int
    first: TrialHistory
    status: Status
    reason: str
    ids: tuple[str, ...]

    def __str__(self) -> str:
        more = ", …" if self.amount > len(self.ids) else ""
        return f"{status_text(self.status, self.amount)} ({', '.join(self.ids)}{more}): {self.reason}"


def failures_by_reason(history: History, named: int = 3) -> list[FailureGroup]:
    """Return the ways in which trials ended without a value, the most frequent first; of each, so many ids are named.

    Reasons that differ in numbers alone are the same way.
    """
    return sorted(
        (_kind(rows, named) for rows in history.failures.values()),
        key=lambda kind: (-kind.amount, kind.first.trial.number),
    )


def _kind(rows: Mapping[int, TrialHistory], named: int) -> FailureGroup:
    firsts = [rows[number] for number in heapq.nsmallest(named, rows)]
    outcome = firsts[0].outcome
    assert outcome is not None  # noqa: S101  # else it has not ended
    return FailureGroup(len(rows), firsts[0], outcome.status, outcome.reason, tuple(row.trial.id for row in firsts))


def failure_lines(history: History, paths: ExperimentPaths, lines_each: int = 0) -> Iterator[str]:
    """Yield what went wrong, trials that ended for the same reason together.

    `lines_each` is how many lines of the output of one trial of each kind are shown.
    """
    by_frequency = failures_by_reason(history)
    for kind in by_frequency[:_MOST_FAILURES]:
        yield str(kind)
        output = paths.trial(kind.first.trial.id).output
        if output.exists():  # else it never began
            yield f"  see {location(output)}"
        for line in lines_that_explain(output, lines_each, kind.reason) if lines_each else ():
            yield f"  | {line}"
    if len(by_frequency) > _MOST_FAILURES:
        yield f"… and {len(by_frequency) - _MOST_FAILURES} more kinds (all: candle aggregate-results --format json)"
