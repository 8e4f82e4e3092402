"""`outcome.json` in a trial's folder: how its last attempt ended, whole, and which attempt that was."""

from __future__ import annotations

import stat
from collections.abc import Callable

import msgspec

from candle_hpo.core.paths import ExperimentPaths, TrialPaths
from candle_hpo.core.trial import Attempt, FailureKind, Outcome, Status
from candle_hpo.files import replace_file

_MOST_BYTES = 1_000_000


class _OutcomeFile(msgspec.Struct, frozen=True):
    """An outcome, and the attempt that it belongs to."""

    id: str
    number: int
    attempt: int
    outcome: Outcome


def write_outcome(paths: TrialPaths, attempt: Attempt, outcome: Outcome) -> None:
    """Put the outcome of this attempt in place. Raises `OSError`."""
    of_attempt = _OutcomeFile(attempt.trial.id, attempt.trial.number, attempt.number, outcome)
    replace_file(paths.outcome, msgspec.json.encode(of_attempt) + b"\n")


def read_outcome(paths: TrialPaths, attempt: Attempt, objective: str) -> Outcome | None:
    """Return how this attempt ended, as its worker left it; None where nothing whole is there, or of another attempt.

    An interrupted attempt has not ended by itself; it counts as none. Neither does one that a signal ended: what ended
    its worker, before that could report it, may have ended it too.
    """
    try:
        status = paths.outcome.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
            return None
        found = msgspec.json.decode(paths.outcome.read_bytes(), type=_OutcomeFile)
        if (found.id, found.number, found.attempt) != (attempt.trial.id, attempt.trial.number, attempt.number):
            return None
        found.outcome.value_of(objective)
    except (OSError, ValueError):  # not there, or not written to its end: then it is attempted again
        return None
    ended, failure = found.outcome, found.outcome.failure
    is_interrupted = ended.status is Status.INTERRUPTED or (failure and failure.kind is FailureKind.SIGNAL)
    return None if is_interrupted else ended


def collector(paths: ExperimentPaths, objective: str) -> Callable[[Attempt], Outcome | None]:
    """Return the function that finds how an attempt at a trial of this experiment ended, if its worker left that."""
    return lambda attempt: read_outcome(paths.trial(attempt.trial.id), attempt, objective)
