"""What stopping trials early has saved, by the steps that they reported."""

from __future__ import annotations

from typing import NamedTuple

from candle_hpo.core.trial import Status
from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.history import History


class Savings(NamedTuple):
    """How many of the trials that ended were stopped early, and the share of the steps that were not run for that.

    The share is of the steps of all that completed or were stopped; None where it is not known. It is an estimate where
    whole trials are not all of one length.
    """

    stopped: int
    ended: int
    share: float | None
    is_estimate: bool = False

    def __str__(self) -> str:
        said = f"{self.stopped:,} of {self.ended:,} trials stopped early"
        return said if self.share is None else f"{said}; {self.percent} of the steps were not run"

    @property
    def percent(self) -> str:
        """The share, in percent; that it is not known, where it is not."""
        about = "about " if self.is_estimate else ""
        return "not known" if self.share is None else f"{about}{100 * self.share:.0f} %"


def savings(history: History, stored: StoredExperiment) -> Savings | None:
    """Return what was saved; None where no trial was stopped early.

    A whole trial has as many steps as those that completed had on average, or, where none has, `max_steps`. A
    trial whose last step nobody knows counts as if it had run them all. With `fidelity`, no two levels have the same
    whole trials, and the share is not known.
    """
    if not history.counts[Status.STOPPED]:
        return None
    if stored.settings.levels is not None:
        return Savings(history.counts[Status.STOPPED], history.ended, None)
    last: dict[Status, list[float | None]] = {Status.COMPLETED: [], Status.STOPPED: []}
    for row in history.trials.values():
        if row.outcome is not None and row.outcome.status in last:
            # One that completed continued beyond the report that it was last weighed by.
            is_whole = row.outcome.status is Status.COMPLETED
            report = row.outcome.last_report if is_whole else row.last_report
            last[row.outcome.status].append(None if report is None else report.step)
    run = [step for step in last[Status.COMPLETED] if step is not None]
    whole = sum(run) / len(run) if run else stored.settings.max_steps
    share = None
    if whole is not None and whole > 0 and any(step is not None for step in last[Status.STOPPED]):
        saved = sum(max(0.0, whole - step) for step in last[Status.STOPPED] if step is not None)
        ran = sum(whole if step is None else step for steps in last.values() for step in steps)
        share = saved / (saved + ran)
    return Savings(history.counts[Status.STOPPED], history.ended, share, is_estimate=len(set(run)) != 1)


def savings_lines(history: History, stored: StoredExperiment) -> list[str]:
    """Return the line on what was saved, where something was."""
    found = savings(history, stored)
    return [] if found is None else [str(found)]
