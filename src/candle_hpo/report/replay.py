"""A record, replayed with everything that the history of the trials leaves out: all attempts, all campaigns."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from candle_hpo.core.experiment import Direction
from candle_hpo.core.trial import Outcome, Trial
from candle_hpo.record.events import AnyEvent, CampaignStarted, CampaignStopped, TrialFinished
from candle_hpo.record.history import History


class Attempt(msgspec.Struct, frozen=True):
    """One attempt at a trial that ended; `began` and `ended` are in seconds since 1970."""

    trial: Trial
    outcome: Outcome
    began: float
    ended: float


class CampaignSpan(msgspec.Struct, frozen=True):
    """A process ran trials from `began` to `ended` (seconds since 1970), on so many workers at the most."""

    began: float
    ended: float
    workers: int
    host: str
    job: str
    gpus: tuple[str, ...] = ()


class Replay(msgspec.Struct, frozen=True):
    """What a record tells: the history of the trials, each attempt in the order of its end, and each campaign."""

    history: History
    attempts: tuple[Attempt, ...]
    campaigns: tuple[CampaignSpan, ...]


def replay(direction: Direction, events: Iterable[AnyEvent]) -> Replay:
    """Return what these events tell. Raises `RecordError` where one cannot follow those before it."""
    history = History(direction)
    attempts: list[Attempt] = []
    campaigns: list[CampaignSpan] = []
    campaign: CampaignStarted | None = None
    latest = 0.0  # the last time that an event of the current campaign tells

    def close() -> None:
        if campaign is not None:
            ended = max(latest, campaign.time)
            campaigns.append(
                CampaignSpan(campaign.time, ended, campaign.workers, campaign.host, campaign.job, campaign.gpus)
            )

    for event in events:
        if isinstance(event, CampaignStarted):
            close()
            campaign, latest = event, event.time
        elif isinstance(event, TrialFinished) and event.number in history.running:
            running = history.running[event.number]
            # What lies between the start that was recorded and the model's own is waiting, not work.
            began = max(running.started, event.time - event.seconds)
            attempts.append(Attempt(running.trial, event.outcome, min(began, event.time), event.time))
        history.apply(event)
        latest = max(latest, getattr(event, "time", 0.0))
        if isinstance(event, CampaignStopped):
            close()
            campaign = None
    close()
    return Replay(history, tuple(attempts), tuple(campaigns))
