"""Processes that end when their parent does, however that ended (Linux: `PR_SET_PDEATHSIG`, prctl(2))."""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent(number: signal.Signals, parent: int | None = None) -> None:
    """Ask the system to send this process a signal when its parent ends; at once if that has happened.

    A parent that may have ended before this is called has to be named, by its number. Does nothing where the system
    cannot (macOS).
    """
    if sys.platform != "linux":
        return
    import ctypes

    parent = os.getppid() if parent is None else parent
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)
