"""How far a running experiment is, in words."""

from __future__ import annotations

from collections.abc import Sequence

from candle_hpo.core.trial import Status
from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.history import History
from candle_hpo.report.summary import status_text
from candle_hpo.report.words import duration, hyperparameters, number


def plain_line(history: History, stored: StoredExperiment, left: float | None) -> str:
    """Return in a line how far an experiment is, `left` seconds before its end; None: nobody knows."""
    ended, best = f"{history.ended:,}/{stored.trials(history):,} ended", best_text(history, stored.names)
    return f"{ended}, {counts_and_time(history, left)}, {best}"


def counts_and_time(history: History, left: float | None) -> str:
    """Return how many trials are what, and the time left where it is known."""
    return counts_text(history) + ("" if left is None else f", about {duration(left)} left")


def counts_text(history: History) -> str:
    """Return how many trials are completed, running, failed and, if there are any, ended in other ways."""
    always = (Status.COMPLETED, Status.FAILED)
    parts = [status_text(each, history.counts[each]) for each in Status if each in always or history.counts[each]]
    return ", ".join([parts[0], f"{len(history.running):,} running", *parts[1:]])


def seconds_left(history: History, total: int) -> float | None:
    """Return the time left, if durations stay as they were and all workers busy; None where nothing shows it."""
    ended, left = history.ended, total - history.ended
    if not ended or left <= 0 or not history.running:
        return None
    return history.seconds_of_ended / ended * left / min(max(1, history.places), left)


def best_text(history: History, names: Sequence[str]) -> str:
    """Return the best value so far, whose it is, and what it has of the hyperparameters that vary."""
    best = history.best
    if best is None or best.value is None:
        return "best: none yet"
    values = hyperparameters(best.trial.hyperparameters, names)
    return f"best: {number(best.value)} {best.trial.id} {values}"
