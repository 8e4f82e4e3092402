"""The events of an experiment: every kind of line that its record may hold.

The version in the header grows when a reader of the earlier version would misunderstand a record: an event
that is new, a field that is gone or means something else. A new field with a default is not a new version.
Times are in seconds since 1970 (UTC), by the clock of the machine that ran the campaign.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

import msgspec

from candle_hpo.core.stopping import Stop
from candle_hpo.core.trial import Attempt, Configuration, Continued, Hyperparameters, Outcome, Report, Trial


class Event(msgspec.Struct, frozen=True, tag_field="event", gc=False):
    """What all events have: the name of their kind, in the field `event`."""


class RecordHeader(Event, frozen=True, tag=True):
    """The first line: what this file is."""

    CURRENT: ClassVar[int] = 2

    version: int = CURRENT
    format: str = "candle record"


class JobRequested(Event, frozen=True, tag=True, omit_defaults=True):
    """A job is about to be submitted that is to run the experiment, to one of these `clusters`, if they are named.

    The `mark` in its comment is drawn for it. A `JobSubmitted` or a `JobRefused` of that mark says what came of it:
    else nobody lived to record that, and the batch system is asked for a job with this mark.
    """

    time: float
    mark: str
    clusters: str = ""


class JobSubmitted(Event, frozen=True, tag=True):
    """A job of a batch system was submitted that is to run the experiment; `job` is what it is called there.

    That is its number, and, where its cluster was named at submission, that behind a semicolon: `9;other`.
    """

    time: float
    job: str
    batch_system: str = "slurm"
    mark: str = ""


class JobRefused(Event, frozen=True, tag=True):
    """What came of a `JobRequested`: no job, for this `reason`, in the batch system's own words."""

    time: float
    mark: str
    reason: str


class JobEnd(str, Enum):
    """How it is known that a job runs the experiment no more, as the record keeps it."""

    CAMPAIGN_ENDED = "campaign_ended"  # it said so itself, as the last thing
    ENDED = "ended"  # says the batch system, with the state
    FORGOTTEN = "forgotten"  # by the batch system, which forgets jobs that ended a while ago


class JobEnded(Event, frozen=True, tag=True, omit_defaults=True):
    """A job runs the experiment no more; `state` is the batch system's word where `how` is that it said so.

    One that was killed could not say so: whoever submits the next job asks the batch system, and records it.
    """

    time: float
    job: str
    how: JobEnd
    state: str = ""


class CampaignStarted(Event, frozen=True, tag=True, omit_defaults=True):
    """A process began to run the experiment's trials, in the SLURM job `job`, on a machine with these `gpus`.

    It had so many `workers` then.
    """

    time: float
    host: str
    process: int
    workers: int
    job: str = ""
    gpus: tuple[str, ...] = ()


class PlacesChanged(Event, frozen=True, tag=True, omit_defaults=True):
    """Workers came or went: from now on, so many trials can run at a time.

    `lacking` is why there are no more, as far as that is known: a line for each reason, which names its nodes.
    """

    time: float
    places: int
    lacking: tuple[str, ...] = ()


class TrialStarted(Event, frozen=True, tag=True, omit_defaults=True):
    """An attempt at a trial is about to be handed to a worker; with `fidelity`, it may continue an earlier trial."""

    time: float
    number: int
    id: str
    attempt: int
    hyperparameters: Hyperparameters
    repeat: int = 1
    continues: Continued | None = None

    @classmethod
    def of(cls, attempt: Attempt, time: float) -> TrialStarted:
        """Return the event for this attempt."""
        one = attempt.trial.configuration
        return cls(time, one.number, one.id, attempt.number, one.hyperparameters, attempt.trial.repeat, one.continues)

    @property
    def begun(self) -> Attempt:
        """The attempt that the event is about."""
        one = Configuration(self.number, self.id, self.hyperparameters, self.continues)
        return Attempt(Trial(one, self.repeat), self.attempt)


class TrialReported(Event, frozen=True, tag=True, omit_defaults=True):
    """A running attempt measured something of which a decision was made: others are in the trial's folder alone.

    It had this `rank`, from 1, `among` so many trials at this `rung`, a step that it had reached, itself included; all
    0 where it was compared with none. A metric that was not a finite number is null.
    """

    time: float
    number: int
    attempt: int
    report: Report
    rank: int = 0
    among: int = 0
    repeat: int = 1
    rung: float = 0


class TrialStopAsked(Event, frozen=True, tag=True, omit_defaults=True):
    """An attempt is to end early, for its report at this `step` was not good enough; `TrialFinished` follows."""

    time: float
    number: int
    attempt: int
    step: float
    repeat: int = 1


class TrialFinished(Event, frozen=True, tag=True, omit_defaults=True):
    """An attempt at a trial ended."""

    time: float
    number: int
    attempt: int
    outcome: Outcome
    repeat: int = 1

    @classmethod
    def of(cls, attempt: Attempt, outcome: Outcome, time: float) -> TrialFinished:
        """Return the event that says how this attempt ended."""
        return cls(time, attempt.trial.number, attempt.number, outcome, attempt.trial.repeat)


class NodeExcluded(Event, frozen=True, tag=True):
    """A node, or one worker of it (`n1:0`), gets no more trials: what failed there works elsewhere."""

    time: float
    node: str
    reason: str

    @property
    def kind(self) -> str:
        """What it is that gets no more trials: a node or a worker."""
        return "worker" if ":" in self.node else "node"


class CampaignStopped(Event, frozen=True, tag=True, omit_defaults=True):
    """The process stopped running trials; `stop` says why, unless nothing was left to do."""

    time: float
    stop: Stop | None = None


AnyEvent = (
    RecordHeader
    | JobRequested
    | JobSubmitted
    | JobRefused
    | CampaignStarted
    | PlacesChanged
    | TrialStarted
    | TrialReported
    | TrialStopAsked
    | TrialFinished
    | NodeExcluded
    | CampaignStopped
    | JobEnded
)
