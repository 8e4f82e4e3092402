"""Until when a job's trials can run. SLURM alone knows: staff extend limits, and `--time` may say another than ours."""

from __future__ import annotations

import logging
import math
import time

from candle_hpo.core.errors import MachineError
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.job_text import time_left
from candle_hpo.engine.batch.slurm_text import warning_seconds

_ASK_AGAIN_SECONDS = 60.0  # at the earliest
_LATER_SECONDS = 30.0  # by which an end is later than the one that was known: SLURM's own clock ticks now and then

_logger = logging.getLogger(__name__)


class JobClock:
    """Knows the end of a job: SLURM is asked at first, and when somebody is about to act on it.

    Until it has answered, the job has its `walltime` in seconds; `warning` is for how long before the end no trial runs
    any more, None for what we ask for.
    """

    def __init__(self, job: str, walltime: int, warning: int | None = None) -> None:
        self._job, self._is_warned = job, False
        self._end, self._asked = time.monotonic() + walltime, -math.inf
        self._warning = warning_seconds(walltime) if warning is None else warning
        self._is_ours = warning is None

    def ask(self) -> None:
        """Ask SLURM for the first time."""
        left = self._ask()
        if left is not None:
            self._end = time.monotonic() + left
            if self._is_ours:
                self._warning = warning_seconds(int(min(left, 10**9)))

    @property
    def deadline(self) -> float | None:
        """When no trial may run any more, by `time.monotonic`; None for a job without a limit."""
        if self._is_warned:
            self._is_warned = False
            left = self._ask()
            self._end = time.monotonic() + (self._warning if left is None else left)
        return None if self._end == math.inf else self._end - self._warning

    @property
    def seconds_left(self) -> float:
        """For how long the job runs on, by what is known of it."""
        return self._end - time.monotonic()

    @property
    def is_near(self) -> bool:
        """Whether the end is so near that SLURM may warn of it: it does so up to a minute early."""
        return self.seconds_left < self._warning + 2 * _ASK_AGAIN_SECONDS

    def warn(self) -> None:
        """Hear SLURM's warning that the end is near: it is asked how near. May be called by a signal handler."""
        self._is_warned = True

    def renew(self) -> bool:
        """Return whether the job has got more time than was known; SLURM is not asked twice in a minute."""
        if time.monotonic() < self._asked + _ASK_AGAIN_SECONDS:
            return False
        before, left = self._end, self._ask()
        if left is not None:
            self._end = time.monotonic() + left
        if self._end <= before + _LATER_SECONDS:
            return False
        _logger.info("job %s has got more time: %.0f s are left", self._job, self.seconds_left)
        return True

    def _ask(self) -> float | None:
        self._asked = time.monotonic()
        try:
            return next((time_left(found.left) for found in slurm.find_jobs([self._job])), None)
        except MachineError:  # which has been logged
            return None
