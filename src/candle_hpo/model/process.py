"""One process of a model: started in a process group of its own, waited for, stopped with all its children."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

GRACE_SECONDS = 10.0  # between asking a process to end (SIGTERM) and ending it (SIGKILL)


class Ended(NamedTuple):
    """How a process ended. `status` is its exit status, or minus the number of the signal that ended it."""

    status: int
    seconds: float
    timed_out: bool
    stopped: bool


class StopSwitch:
    """Stops all processes that were started with it, and every later one as soon as it starts."""

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self._grace = grace
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._killer: threading.Timer | None = None

    @property
    def is_on(self) -> bool:
        """Whether the processes have been asked to end."""
        return self._killer is not None

    def stop(self) -> None:
        """Ask all processes to end, and end them after the grace period; at once when called again."""
        with self._lock:
            if self._killer is not None:
                self._signal_all(signal.SIGKILL)
                return
            self._killer = threading.Timer(self._grace, self.stop)
            self._killer.daemon = True
            self._killer.start()
            self._signal_all(signal.SIGTERM)

    def close(self) -> None:
        """Forget the grace period; for when nothing runs any more."""
        if self._killer is not None:
            self._killer.cancel()

    def add(self, process: subprocess.Popen[bytes]) -> None:
        """Take care of a process, from now until `discard`."""
        with self._lock:
            self._running.add(process)
            if self.is_on:
                signal_group(process, signal.SIGTERM)

    def discard(self, process: subprocess.Popen[bytes]) -> None:
        """Leave a process alone: it has ended, and its number will soon be another's."""
        with self._lock:
            self._running.discard(process)

    def _signal_all(self, number: signal.Signals) -> None:
        for process in self._running:
            signal_group(process, number)


def run_process(
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    output: Path,
    timeout: float | None,
    switch: StopSwitch,
) -> Ended:
    """Run a program to its end, its output and errors in one file, and end what it leaves behind.

    `timeout` is in seconds. Raises `OSError` where it cannot be started.
    """
    began = time.monotonic()
    with output.open("wb") as sink:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    switch.add(process)
    try:
        timed_out = not _wait(process, timeout)
        if timed_out:
            signal_group(process, signal.SIGTERM)
            _wait(process, GRACE_SECONDS)
    finally:
        # The process is not yet reaped where the system lets us wait without that, so the number of its
        # group is still its own.
        signal_group(process, signal.SIGKILL)
        switch.discard(process)
        status = process.wait()
    return Ended(status, time.monotonic() - began, timed_out, stopped=switch.is_on and status != 0)


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a process and all its children that did not leave its group."""
    # A group of which only zombies are left answers EPERM on some systems.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _wait(process: subprocess.Popen[bytes], timeout: float | None) -> bool:
    """Wait until the process has ended; tell whether it did before `timeout` (seconds)."""
    if not hasattr(os, "pidfd_open"):  # macOS
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True
    descriptor = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))
    finally:
        os.close(descriptor)
