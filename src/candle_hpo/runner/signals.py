"""Signals that ask to stop, as calls instead of sudden death."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from candle_hpo.core.stopping import Stop, StopReason

STOP_SIGNALS = {
    signal.SIGINT: StopReason.CTRL_C,
    signal.SIGTERM: StopReason.TERMINATED,
    signal.SIGHUP: StopReason.HANGUP,
}


@contextmanager
def calling_on_signals(stop: Callable[[Stop], None], reasons: dict[signal.Signals, StopReason]) -> Iterator[None]:
    """Call `stop` with the reason of a signal, instead of dying of it, within the block.

    A signal that the process was started to ignore, as `nohup` does with SIGHUP, stays ignored. `stop` must do
    nothing that takes a lock: it interrupts whatever the process does.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        stop(Stop(reasons[signal.Signals(number)]))

    heard = [number for number in reasons if signal.getsignal(number) is not signal.SIG_IGN]
    earlier = {number: signal.signal(number, handle) for number in heard}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
