"""What a history is made of: each trial so far, each attempt that ended, each campaign and each job."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from candle_hpo.core.trial import Attempt, Metrics, Outcome, Report, Trial
from candle_hpo.record.events import CampaignStarted, JobEnded, TrialReported


class TrialHistory(msgspec.Struct, gc=False):
    """One trial so far: its last attempt, when that began, and how it ended, if it did.

    `value` is what a completed trial measured of the objective, None of any other; `other_metrics`, all else. `weighed`
    is the last report of which a decision was made, and `last_report` the last that is known, with its `last_value`.
    """

    attempt: Attempt
    started: float
    outcome: Outcome | None = None
    value: float | None = None
    other_metrics: Metrics = {}
    weighed: TrialReported | None = None
    last_report: Report | None = None
    last_value: float | None = None

    @property
    def trial(self) -> Trial:
        """What was attempted."""
        return self.attempt.trial


class EndedAttempt(msgspec.Struct, frozen=True, gc=False):
    """One attempt that ended; `began` and `ended` are in seconds since 1970."""

    attempt: Attempt
    outcome: Outcome
    began: float
    ended: float


@dataclass
class NodeCounts:
    """What has ended on a node since the campaign began."""

    ended: int = 0
    failed: int = 0


@dataclass
class CampaignHistory:
    """A process that ran trials, until its last event in seconds since 1970, and what it added up to.

    `worked` is for how many seconds its workers ran the attempts that ended; `places` has how many workers there were,
    each time with the time since when, and `lacking` why there are no more now, a line for each reason.
    """

    started: CampaignStarted
    ended: float
    worked: float = 0.0
    nodes: dict[str, NodeCounts] = field(default_factory=dict)
    places: list[tuple[float, int]] = field(default_factory=list)
    lacking: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.places.append((self.started.time, self.started.workers))

    def place_seconds(self, until: float) -> float:
        """Return for how many seconds there were places, all of them added up, until a time in seconds since 1970."""
        ends = [*(time for time, _ in self.places[1:]), until]
        return sum(max(0.0, end - began) * places for (began, places), end in zip(self.places, ends, strict=True))

    def add(self, outcome: Outcome) -> None:
        """Count an attempt that ended."""
        self.worked += outcome.seconds
        name = "not known" if outcome.place is None else outcome.place.node
        node = self.nodes.get(name) or self.nodes.setdefault(name, NodeCounts())
        node.ended += 1
        node.failed += outcome.failure is not None


class JobHistory(NamedTuple):
    """A job that was submitted, and how it ended; None: it may still wait or run, the batch system has to be asked."""

    id: str
    ended: JobEnded | None = None
    mark: str = ""
    campaigns_before: int = 0  # that had begun when it was submitted
    completed_before: int = 0  # trials, then
