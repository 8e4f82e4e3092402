"""What would never end, or take far too long, is noticed: by a wait that only fails then, and by processor time.

A test asserts nothing of the wall's clock, for machines are busy; and nothing of seconds of processor time, for they
are slow. It compares those with what a fixed piece of work takes on the same machine at the same time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Value = TypeVar("Value")

HANGS_SECONDS = 300.0
_PACE_ROUNDS = 2_000_000


def unless_it_hangs(function: Callable[[], Value]) -> Value:
    """Return what a function returns, or raise what it raises; raise `TimeoutError` where it does neither."""
    future: Future[Value] = Future()

    def call() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return future.result(HANGS_SECONDS)


def pace() -> float:
    """Return the processor time, in seconds, of a fixed piece of work: about 0.1 on a machine of 2020."""
    began = time.process_time()
    for _ in range(_PACE_ROUNDS):
        pass
    return time.process_time() - began
