"""What signals have asked of a job, before there is a campaign and after it too."""

from __future__ import annotations

from candle_hpo.campaign import Campaign
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.runner.job_clock import JobClock


class HeardSignals:
    """What signals have asked of the job, before there is a campaign and after it too.

    SLURM's warning alone stops nothing: the clock does, and asks SLURM then. But one that comes early is that of a
    preemption, and a job that `is_continued` hands on at once: later there may be no time for it.
    """

    def __init__(self, clock: JobClock, *, is_continued: bool) -> None:
        self.heard: list[Stop] = []
        self.clock, self._is_continued = clock, is_continued
        self._campaign: Campaign | None = None

    def hear(self, stop: Stop) -> None:
        """Remember a reason to stop, and let it be news; called by signal handlers."""
        if stop.reason is StopReason.WALLTIME:
            if not self._is_continued or self.clock.is_near:
                self.clock.warn()
                return
            stop = Stop(StopReason.PREEMPTED)
        self.heard.append(stop)
        if self._campaign is not None:
            self._campaign.stop(stop)

    def end(self, stop: Stop) -> None:
        """Have the campaign stop, for another reason than a signal; called by any thread."""
        if self._campaign is not None:
            self._campaign.stop(stop)

    def hand_to(self, campaign: Campaign) -> None:
        """Let a campaign know what was heard before it, and what will be."""
        self._campaign = campaign
        for stop in self.heard:
            campaign.stop(stop)
