"""A trial and how it ended."""

from __future__ import annotations

import math
from enum import Enum

import msgspec

# Name -> value; the values are those of JSON: number, string, boolean, null, list, object.
Hyperparameters = dict[str, object]

# Name -> value; what a model measured besides its objective.
Metrics = dict[str, float | int | str | bool | None]


def default_trial_id(number: int) -> str:
    """Return the id of the trial with this number where its set names none: hpset_00001 is that of number 1."""
    return f"hpset_{number:05d}"


class Trial(msgspec.Struct, frozen=True):
    """One attempt at running the model script with one set of hyperparameters.

    `number` counts from 1: the place in a grid's list, or the order of the proposals. So does `attempt`.
    """

    number: int
    id: str
    hyperparameters: Hyperparameters
    attempt: int = 1


class Status(str, Enum):
    """How an attempt ended. Only a completed one has a value."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    INTERRUPTED = "interrupted"

    def __str__(self) -> str:
        return self.value


class SlowImport(msgspec.Struct, frozen=True):
    """A module that each trial imports itself, in so many seconds, and why it is not imported beforehand."""

    module: str
    seconds: float
    because: str


class Outcome(msgspec.Struct, frozen=True):
    """How an attempt ended.

    `value` is the objective: finite, and present if and only if the status is `completed`. `reason`
    says in one line why there is no value. `seconds` is the duration of the attempt; `worker` is where it ran,
    a node and one of its slots (`cn0605:1`). `metrics` is what a completed model returned besides its value.
    `notes` are what the user should know besides: of how its value was found, and, with a worker's first trials, of
    how that starts them; with these comes what each trial waits for, as `slow_imports`.
    `script` is the version of the model script that ran (`core.provenance.ScriptState`), or, where that changed
    meanwhile, those at the beginning and the end with `-` between them; empty where that is not known.
    """

    status: Status
    value: float | None = None
    reason: str = ""
    seconds: float = 0.0
    worker: str = ""
    metrics: Metrics = {}
    notes: tuple[str, ...] = ()
    slow_imports: tuple[SlowImport, ...] = ()
    script: str = ""

    def __post_init__(self) -> None:
        if (self.value is not None) != (self.status is Status.COMPLETED):
            raise ValueError(f"an outcome has a value if and only if it is completed: {self!r}")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"a value is a finite number: {self!r}")
