"""Single keys from the terminal, without Enter, while something else is shown."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def reading_keys() -> Iterator[Callable[[float], str]]:
    """Give a function that waits so many seconds for a key, and returns it, or "" when none was pressed.

    Where no person can press one (no terminal, a process in the background), it only waits. The terminal is as it
    was when the block ends.
    """
    terminal = _own_terminal()
    if terminal is None:
        yield _only_wait
        return
    import termios
    import tty

    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)

        def wait(seconds: float) -> str:
            ready, _, _ = select.select([terminal], [], [], seconds)
            key = os.read(terminal, 1).decode(errors="replace") if ready else ""
            if ready and not key:  # the terminal went away; it would be ready for ever
                time.sleep(seconds)
            return key

        yield wait
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _own_terminal() -> int | None:
    try:
        terminal = sys.stdin.fileno()
        in_front = os.isatty(terminal) and os.tcgetpgrp(terminal) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return None
    return terminal if in_front else None


def _only_wait(seconds: float) -> str:
    time.sleep(seconds)
    return ""
