"""What the host of a node does once it has imported: it forks a branch for each worker, which forks the trials.

Read by `python_warm_host.py`, in the user's interpreter. Neither has a thread or a handler of signals: what waits for
the end of a child and for a word at once waits for two signals that it has blocked, which a trial gets back as they
were.
"""

from __future__ import annotations

import _socket  # what `socket` stands on, which the script may import for itself
import contextlib
import ctypes
import fcntl
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PR_SET_CHILD_SUBREAPER = 36
LOOK_SECONDS = 10.0  # for a kernel that does not announce what happens on a socket
END_SECONDS = 2.0  # for processes to go that were killed


class Wakes:
    """Wakes this process, which has one thread, when a child has ended or something has come on a channel.

    Both are signals that are blocked from now on; what happens between a look and `wait` is not missed.
    """

    _SIGNALS = (signal.SIGCHLD, signal.SIGIO)

    def __init__(self) -> None:
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._SIGNALS)

    def watch(self, channel: Any) -> None:
        """Be woken by what comes on a channel."""
        fcntl.fcntl(channel.descriptor, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(channel.descriptor, fcntl.F_GETFL)
        fcntl.fcntl(channel.descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)

    def wait(self) -> None:
        """Wait until it was so since the last time."""
        signal.sigtimedwait(self._SIGNALS, LOOK_SECONDS)

    def end(self) -> None:
        """In a process that was forked: let signals be what they were."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)


def fork_branches(keeper: Any, is_stale: Callable[[], bool]) -> tuple[Any, Wakes]:
    """Fork a branch for each worker that the keeper passes on; return in such a branch, with the channel to its worker.

    Ends this process where what it has imported is not what there is now, or the keeper has ended.
    """
    wakes = Wakes()
    wakes.watch(keeper)
    branches, taken, reported = 0, 0, 0
    while True:
        while branches and os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG) is not None:
            branches -= 1
        if not branches and reported != taken:
            keeper.write({"unused": taken})
            reported = taken
        if not keeper.has_word():
            wakes.wait()
            continue
        worker = taken_from(keeper)
        if worker is None:
            os._exit(0)
        taken += 1
        if is_stale():
            keeper.write({"stale": True})
            os._exit(0)
        with contextlib.suppress(OSError):  # too many processes: the worker sees that it has none
            if os.fork() == 0:
                keeper.close()
                ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
                wakes.watch(worker)
                return worker, wakes
            branches += 1
        worker.close()
        keeper.write({"forked": True})


def taken_from(keeper: Any) -> Any:
    """Return the worker that the keeper passes on; None where it has ended."""
    try:
        _, ancillary, _, _ = keeper.socket.recvmsg(1, _socket.CMSG_SPACE(4))
    except OSError:
        return None
    for _, _, data in ancillary:
        return type(keeper)(_socket.socket(fileno=int.from_bytes(data[:4], sys.byteorder)))
    return None


def hear(worker: Any, wakes: Wakes, running: int) -> Any:
    """Return what the worker says next; while its trial has been ended and not reaped, reap nothing."""
    while True:
        end_of(running)
        message = worker.next()
        if message is not None:
            return message
        wait_for(worker, wakes, running)


def wait_for_end(worker: Any, wakes: Wakes, running: int) -> Any:
    """Return how the trial has ended that runs, as soon as it has."""
    while True:
        end = end_of(running)
        if end is not None:
            return end
        wait_for(worker, wakes, running)


def wait_for(worker: Any, wakes: Wakes, running: int) -> None:
    """Wait for a word or the end of a child; end this process, and all that is below it, with its worker."""
    if not worker.has_word():
        wakes.wait()
    elif not worker.receive():
        end_with_all(running)


def end_of(trial: int) -> Any:
    """Return how a trial's process has ended, which is not yet reaped, or None; reap all others that have ended."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return None
        if found is None or found.si_pid == trial:
            return found
        os.waitpid(found.si_pid, 0)


def end_with_all(trial: int) -> None:
    """End this branch, the trial that it runs, if any, and all that its trials have left behind."""
    if trial:
        with contextlib.suppress(OSError):
            os.killpg(trial, signal.SIGKILL)
    latest = time.monotonic() + END_SECONDS
    while time.monotonic() < latest:
        end_of(0)
        left: list[str] = []
        with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as file:
            left = file.read().split()  # not where the kernel lists none
        if not left:
            break
        for each in left:
            with contextlib.suppress(OSError):
                os.kill(int(each), signal.SIGKILL)
        signal.sigtimedwait((signal.SIGCHLD,), 0.1)
    os._exit(0)
