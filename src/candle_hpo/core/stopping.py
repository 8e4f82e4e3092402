"""Why a campaign stopped before everything was done, and how an attempt is stopped."""

from __future__ import annotations

from enum import Enum

import msgspec


class StopHow(str, Enum):
    """How an attempt is stopped.

    On `purpose`, for it is not worth its time: then it counts as `stopped`, and is not attempted again. Or by an
    `interrupt`, as all are with their campaign: then it counts as `interrupted`.
    """

    PURPOSE = "purpose"
    INTERRUPT = "interrupt"


class StopReason(str, Enum):
    """What made a campaign stop, as the record keeps it."""

    ALL_FAILED_ALIKE = "all_failed_alike"
    MAX_FAILURES = "max_failures"
    TRIALS_REFUSED = "trials_refused"
    NO_WORKERS = "no_workers"
    OUT_OF_TIME = "out_of_time"
    WALLTIME = "walltime"
    PREEMPTED = "preempted"
    JOB_CANCELLED = "job_cancelled"
    CTRL_C = "ctrl_c"
    TERMINATED = "terminated"
    HANGUP = "hangup"
    ERROR = "error"


class Stop(msgspec.Struct, frozen=True, omit_defaults=True):
    """A reason to stop: where it lies in trials, how many they are, the limit they reached, what the last one said."""

    reason: StopReason
    trials: int = 0
    limit: int = 0
    last: str = ""
