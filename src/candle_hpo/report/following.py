"""An experiment that is followed while it runs: its history, and what a live view needs besides, event by event."""

from __future__ import annotations

from dataclasses import dataclass

from candle_hpo.core.experiment import Direction
from candle_hpo.core.nodes import node_of
from candle_hpo.core.trial import Outcome, Status
from candle_hpo.record.events import AnyEvent, CampaignStarted, TrialFinished
from candle_hpo.record.history import History


@dataclass
class NodeCounts:
    """What has ended on a node since the campaign began."""

    ended: int = 0
    failed: int = 0


class Following:
    """Takes events in, each in constant time, and keeps the sums that a live view shows.

    `improvements` are the times at which the best value fell (or rose), with that value.
    """

    def __init__(self, direction: Direction) -> None:
        self.history = History(direction)
        self.improvements: list[tuple[float, float]] = []
        self.nodes: dict[str, NodeCounts] = {}
        self._worked = 0.0  # seconds of all attempts that ended in this campaign

    def take_in(self, event: AnyEvent) -> None:
        """Take one more event in. Raises `RecordError` for one that cannot follow what came before."""
        best = self.history.best
        before = None if best is None else best.value
        self.history.apply(event)
        if isinstance(event, CampaignStarted):
            self._worked = 0.0
            self.nodes.clear()
        elif isinstance(event, TrialFinished):
            self._finish(event.outcome)
            value = event.outcome.value
            if value is not None and self.history.direction.is_better(value, before):
                self.improvements.append((event.time, value))

    def _finish(self, outcome: Outcome) -> None:
        self._worked += outcome.seconds
        node = self.nodes.setdefault(node_of(outcome.worker) or "not known", NodeCounts())
        node.ended += 1
        if outcome.status is not Status.COMPLETED:
            node.failed += 1

    def elapsed(self, now: float) -> float:
        """Return for how many seconds the campaign has run, or ran."""
        campaign, stopped = self.history.campaign, self.history.stopped
        if campaign is None:
            return 0.0
        return max(0.0, (now if stopped is None else stopped.time) - campaign.time)

    def busy_share(self, now: float) -> float | None:
        """Return the share of the workers' time, since the campaign began, in which they ran trials."""
        campaign, elapsed = self.history.campaign, self.elapsed(now)
        if campaign is None or elapsed <= 0 or campaign.workers <= 0:
            return None
        running = sum(max(0.0, now - trial.started) for trial in self.history.running.values())
        return min(1.0, (self._worked + running) / (campaign.workers * elapsed))
