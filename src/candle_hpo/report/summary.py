"""What an experiment has come to, in a few lines: for the end of a run and for `candle status`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from candle_hpo.core.failures import kind_of_failure
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Status
from candle_hpo.model.result import last_lines
from candle_hpo.record.history import History, TrialHistory
from candle_hpo.report.words import count, duration, hyperparameters, location, number

_MOST_FAILURES = 5
_MOST_RUNNING = 20


def counts_line(history: History, total: int) -> str:
    """Return `25 trials: 20 completed, 3 failed, 2 running`, with nothing that is zero."""
    parts = [
        f"{history.counts[status]:,} {status.value.replace('_', ' ')}" for status in Status if history.counts[status]
    ]
    if history.running:
        parts.append(f"{len(history.running):,} running")
    waiting = total - len(history.trials)
    if waiting > 0:
        parts.append(f"{waiting:,} not started")
    return f"{count(total, 'trial')}: " + (", ".join(parts) or "none yet")


def best_line(history: History, names: Sequence[str]) -> str:
    """Return the best value so far with its trial and what it has of the hyperparameters that vary."""
    best = history.best
    if best is None or best.outcome is None or best.outcome.value is None:
        return "best: none, no trial has completed"
    values = hyperparameters(best.trial.hyperparameters, names)
    return f"best ({history.direction.value}): {number(best.outcome.value)} by {best.trial.id}: {values}"


def note_lines(history: History, total: int) -> Iterator[str]:
    """Yield what workers found out of how trials start, and what their own slow imports cost all `total` of them."""
    yield from history.notes
    for slow in history.slow_imports.values():
        yield (
            f"{slow.module} is imported by each trial itself, which takes {slow.seconds:.1f} s: {slow.because}. "
            f'preload="{slow.module}" would save {duration(slow.seconds * total)} in all, if nothing of a trial '
            "matters to its import: no argument, folder, variable, time or random number"
        )


def running_lines(history: History, names: Sequence[str], now: float) -> Iterator[str]:
    """Yield a line for each running trial, up to a screenful."""
    running = sorted(history.running.values(), key=lambda trial: trial.started)
    for row in running[:_MOST_RUNNING]:
        values = hyperparameters(row.trial.hyperparameters, names)
        yield f"{row.trial.id} for {duration(max(0.0, now - row.started))}: {values}"
    if len(running) > _MOST_RUNNING:
        yield f"… and {len(running) - _MOST_RUNNING} more"


def failures_by_reason(history: History) -> list[tuple[tuple[Status, str], list[TrialHistory]]]:
    """Return the trials that ended without a value, those that ended in the same way together, the most frequent first.

    Reasons that differ in numbers alone are the same way; the first of them stands for all, with its status.
    """
    kinds: dict[str, tuple[tuple[Status, str], list[TrialHistory]]] = {}
    for row in history.not_completed:
        if row.outcome is not None:
            first = (row.outcome.status, row.outcome.reason)
            kinds.setdefault(kind_of_failure(row.trial, row.outcome), (first, []))[1].append(row)
    return sorted(kinds.values(), key=lambda kind: -len(kind[1]))


def failure_lines(history: History, paths: ExperimentPaths, lines_each: int = 0) -> Iterator[str]:
    """Yield what went wrong, trials that ended for the same reason together.

    `lines_each` is how many of the last lines of the output of one trial of each kind are shown.
    """
    by_frequency = failures_by_reason(history)
    for (status, reason), rows in by_frequency[:_MOST_FAILURES]:
        ids = ", ".join(row.trial.id for row in rows[:3]) + (", …" if len(rows) > 3 else "")
        yield f"{len(rows):,} {status.value.replace('_', ' ')} ({ids}): {reason}"
        output = paths.trial(rows[0].trial.id).output
        yield f"  see {location(output)}"
        for line in last_lines(output, lines_each) if lines_each else ():
            yield f"  | {line}"
    if len(by_frequency) > _MOST_FAILURES:
        yield f"… and {len(by_frequency) - _MOST_FAILURES} more kinds (all: candle aggregate-results --format json)"
