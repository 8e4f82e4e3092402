"""Time as a process lives through it: it stands still while the process does.

A batch system may suspend a job (`scontrol suspend`, or for another job that goes first), and stops all its processes.
None of them is slow or silent then, and none is notified. But one that looks at the clock every second, and finds that
it has jumped, was stopped meanwhile, or held up as badly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_PAUSE_SECONDS = 5.0  # between two looks at the clock, from which on the process counts as stopped


class AwakeClock:
    """Counts the seconds in which this process could run, if somebody looks every second or two.

    Of a time in which it was stopped, so many seconds are `counted`, at most.
    """

    def __init__(self, counted: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._counted, self._clock = counted, clock
        self._lock = threading.Lock()
        self._looked, self._left_out = clock(), 0.0

    def now(self) -> float:
        """Return the seconds since some moment; may be called by any thread."""
        with self._lock:
            now = self._clock()
            passed = now - self._looked
            if passed > _PAUSE_SECONDS:
                self._left_out += max(0.0, passed - self._counted)
            self._looked = now
            return now - self._left_out
