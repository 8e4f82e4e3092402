"""What is run, and how it ended: a configuration, its trials, attempts at them, and their outcomes."""

from __future__ import annotations

import math
from enum import Enum

import msgspec

from candle_hpo.core.stopping import StopHow

# Name -> value; the values are those of JSON: number, string, boolean, null, list, object.
Hyperparameters = dict[str, object]

# Name -> value; what a model measured: its objective, by its name, and whatever else it returned.
Metrics = dict[str, float | int | str | bool | None]


def default_trial_id(number: int) -> str:
    """Return the id of the trial with this number where its set names none: hpset_00001 is that of number 1."""
    return f"hpset_{number:05d}"


class Continued(msgspec.Struct, frozen=True, gc=False):
    """Which line a configuration continues: `number` and `id` of the first one of it, and the `level`, from 2."""

    number: int
    id: str
    level: int


class Configuration(msgspec.Struct, frozen=True, gc=False):
    """One set of hyperparameters, as a search proposes it.

    `number` counts from 1: the place in a grid's list, or the order of the proposals. With `fidelity`, one that
    `continues` another is the same set with a larger budget; the first of such a line continues none.
    """

    number: int
    id: str
    hyperparameters: Hyperparameters
    continues: Continued | None = None

    @property
    def level(self) -> int:
        """The level of its fidelity, from 1; 1 of all that continue none."""
        return 1 if self.continues is None else self.continues.level


class Trial(msgspec.Struct, frozen=True, gc=False):
    """A configuration that is run, with its own seed; `repeat` counts the trials of one configuration, from 1."""

    configuration: Configuration
    repeat: int = 1

    @property
    def number(self) -> int:
        """The number of the configuration."""
        return self.configuration.number

    @property
    def id(self) -> str:
        """The name of the trial and its folder: the configuration's id, and `.2` after it for its second trial."""
        return self._with_repeat(self.configuration.id)

    @property
    def id_of_line(self) -> str:
        """The id of the first trial of its line, whose checkpoints are its own, too."""
        line = self.configuration.continues
        return self.id if line is None else self._with_repeat(line.id)

    @property
    def number_of_line(self) -> int:
        """The number of the first trial of its line, whose seed is its own, too."""
        line = self.configuration.continues
        return self.number if line is None else line.number

    def _with_repeat(self, name: str) -> str:
        return name if self.repeat == 1 else f"{name}.{self.repeat}"

    @property
    def hyperparameters(self) -> Hyperparameters:
        """Those of the configuration."""
        return self.configuration.hyperparameters


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One try at a trial, of a `number` that counts from 1: what the machine interrupts is attempted again."""

    trial: Trial
    number: int = 1

    @property
    def name(self) -> str:
        """What no other attempt of the experiment is called: the id of the trial, and which attempt at it."""
        return f"{self.trial.id}/{self.number}"

    def again(self) -> Attempt:
        """Return the next attempt at the same trial."""
        return Attempt(self.trial, self.number + 1)


class Status(str, Enum):
    """How an attempt ended. Only a completed one has a value; one that was `stopped` on purpose has not failed."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"

    def __str__(self) -> str:
        return self.value


class FailureKind(str, Enum):
    """What kept an attempt from having a value.

    The model: it ended with an `exit_status` other than 0, or by a `signal`; it left `no_value`; it could not be
    started (`not_started`); its `output` was too much, or did not arrive. A limit: `time`, `memory`. Neither: it was
    `stopped` with the whole campaign, or the `machine` failed.
    """

    EXIT_STATUS = "exit_status"
    SIGNAL = "signal"
    NO_VALUE = "no_value"
    NOT_STARTED = "not_started"
    OUTPUT = "output"
    TIME = "time"
    MEMORY = "memory"
    STOPPED = "stopped"
    MACHINE = "machine"


class Failure(msgspec.Struct, frozen=True):
    """Why an attempt has no value: of which kind that is, and the reason in one line, for people."""

    kind: FailureKind
    reason: str


class SlowImport(msgspec.Struct, frozen=True):
    """A module that each trial imports itself, in so many seconds, and why it is not imported beforehand."""

    module: str
    seconds: float
    because: str


class Place(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Where an attempt runs: a node, and one of the slots for trials there, from 0.

    Those of a `job` that has joined another one's campaign have its name: both may be on that node.
    """

    node: str
    slot: int
    job: str = ""

    def __str__(self) -> str:
        return f"{self.node}:{self.slot}" + (f" of job {self.job}" if self.job else "")


class Report(msgspec.Struct, frozen=True, gc=False):
    """What a trial has measured by a step: an epoch, an iteration, whatever its script counts.

    A metric that is not a finite number is None here, as it is in a record: so a value that has become NaN is one that
    is reported, and is None.
    """

    step: float
    metrics: Metrics

    def has(self, objective: str) -> bool:
        """Return whether it says anything of this objective."""
        return objective in self.metrics

    def value_of(self, objective: str) -> float | None:
        """Return the value of an objective; None where it is not reported, or is not a finite number."""
        value = self.metrics.get(objective)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return float(value) if is_number and value is not None else None


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How an attempt ended.

    `metrics` are what a completed model measured, and nothing else has any; `failure` is why every other has none.
    `seconds` is the duration of the attempt; `place` is where it ran.
    `notes` are what the user should know besides: of how its value was found, and, with a worker's first trials, of
    how that starts them; with these comes what each trial waits for, as `slow_imports`.
    `script` is the version of the model script that ran (`core.provenance.ScriptState`), or, where that changed
    meanwhile, those at the beginning and the end with `-` between them; empty where that is not known.
    `last_report` is what it reported last, however it ended.
    """

    status: Status
    metrics: Metrics = {}
    failure: Failure | None = None
    seconds: float = 0.0
    place: Place | None = None
    notes: tuple[str, ...] = ()
    slow_imports: tuple[SlowImport, ...] = ()
    script: str = ""
    last_report: Report | None = None

    def __post_init__(self) -> None:
        if bool(self.metrics) != (self.status is Status.COMPLETED):
            raise ValueError(f"an outcome has metrics if and only if it is completed: {self!r}")
        if (self.failure is None) != (self.status in (Status.COMPLETED, Status.STOPPED)):
            raise ValueError(f"an outcome has a failure if and only if it is neither completed nor stopped: {self!r}")

    @classmethod
    def interrupted(cls, reason: str, *, seconds: float = 0.0, place: Place | None = None) -> Outcome:
        """Return the outcome of an attempt that the machine ended, or did not let begin."""
        failure = Failure(FailureKind.MACHINE, reason)
        return cls(Status.INTERRUPTED, failure=failure, seconds=seconds, place=place)

    def value_of(self, objective: str) -> float | None:
        """Return what was measured of an objective; None of a trial that has not completed.

        Raises `ValueError` where one that has completed did not measure it, or it is not a finite number.
        """
        if self.status is not Status.COMPLETED:
            return None
        value = self.metrics.get(objective)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"it has completed, and its {objective} is {value!r}, not a finite number")
        return value

    @property
    def worker(self) -> str:
        """The name of the worker, such as `cn0605:1`; empty where no worker had the attempt."""
        return "" if self.place is None else str(self.place)

    @classmethod
    def stopped(cls, how: StopHow, *, seconds: float = 0.0) -> Outcome:
        """Return the outcome of an attempt that was stopped while it ran."""
        if how is StopHow.PURPOSE:
            return cls(Status.STOPPED, seconds=seconds)
        return cls(Status.INTERRUPTED, failure=Failure(FailureKind.STOPPED, "stopped while it ran"), seconds=seconds)

    def as_asked(self) -> Outcome:
        """Return the outcome of an attempt that was to end early: what the machine ended first is stopped, too."""
        if self.status is not Status.INTERRUPTED:
            return self
        return msgspec.structs.replace(self, status=Status.STOPPED, failure=None)

    @property
    def reason(self) -> str:
        """Why there is no value, in one line; empty where there is one."""
        return "" if self.failure is None else self.failure.reason
