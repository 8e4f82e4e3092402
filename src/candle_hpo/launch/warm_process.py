"""A worker's branch of a warm host, what is said on the connection to it, and the trials' processes that it forks.

The host's side is `hosts/python_warm_host.py`. Here nothing is decided: that is `warm_host.py`.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from socket import MSG_DONTWAIT, MSG_PEEK
from typing import Any

import msgspec

from candle_hpo.core.command_words import OF_A_WORKER
from candle_hpo.launch.command import ModelCommand
from candle_hpo.launch.preload import known_libraries
from candle_hpo.launch.shared_host import Call
from candle_hpo.process.group import end_of, is_readable_before

PRELOAD_SECONDS = 600.0  # for all imports of a host; a script whose imports take longer is started cold
_FORK_SECONDS = 60.0
_REAP_SECONDS = 20.0  # for a branch to report the end of a process that was killed
_LOOK_SECONDS = 0.1  # between two looks whether somebody wants no more


class HostLost(OSError):
    """The branch ended, and the trial that it ran with it."""


class Ready(msgspec.Struct, frozen=True):
    """The host has imported what it can; `waiting` is what it cannot, with the reasons, and `left` what it has tried.

    `looked` is whether an import has looked at a variable that may be different for another worker.
    """

    waiting: dict[str, str]
    left: dict[str, str]
    looked: bool


class Useless(msgspec.Struct, frozen=True):
    """There can be no host, for this reason; `left` is as of `Ready`."""

    reason: str
    left: dict[str, str] = {}


class Stale(Exception):
    """What the host has imported has changed since: another host is needed."""


class Refused(Exception):
    """The branch cannot fork any more; the text says why."""


class Branch:
    """The connection to a branch, the process that a host has forked for this worker alone: `pid`, once it is ready."""

    def __init__(self, call: Call) -> None:
        self._socket, self._process = call
        self._rest = b""
        self.pid = 0
        self.seconds_of_imports: dict[str, float] = {}  # those that the last trial did itself

    def end(self) -> None:
        """Let it end, with what it runs and what its trials have left."""
        self._socket.close()

    def kill(self) -> None:
        """End it at once, where it hangs."""
        if self.pid and not self._is_gone():
            with suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)

    def _is_gone(self) -> bool:
        """Return whether it has ended: its number may be another's then."""
        with suppress(BlockingIOError):
            return not self._socket.recv(1, MSG_PEEK | MSG_DONTWAIT)
        return False

    def prepare(self, model: ModelCommand, deadline: float, is_over: Callable[[], bool]) -> Ready | Useless | None:
        """Wait for the host to be ready, and to have forked this branch; return None where it is over before that.

        Raises `HostLost` where another one has to be called.
        """
        assert model.preload is not None  # noqa: S101  # else there is no host
        known = known_libraries()
        plan = {
            "script": model.script,
            "modules": model.preload.modules,
            "libraries": known.known,
            "harmless": known.harmless,
            "patterns": known.without_end,
            "folders": known.folders,
            "generators": known.generators,
            "later": known.later,
            "at_start": known.at_start,
            "of_a_worker": OF_A_WORKER,
        }
        importing = ""
        try:
            self._send(plan)
            while True:
                while not self.wait(_LOOK_SECONDS):
                    if is_over():
                        return None
                    if time.monotonic() > deadline:
                        return Useless(f"importing {importing or 'nothing yet'} took longer than {PRELOAD_SECONDS:g} s")
                message = self._receive()
                if "importing" in message:
                    importing = message["importing"]
                elif "useless" in message:
                    return Useless(message["useless"], message["left"])
                else:
                    self.pid = message["process"]
                    return Ready(message["waiting"], message["left"], message["looked"])
        except HostLost:
            if self._process is not None and (status := self._process.wait()) != 0:
                return Useless(f"its interpreter did not start a host (exit status {status})")
            raise

    def start(self, request: dict[str, Any]) -> WarmProcess:
        """Fork a process for a trial. Raises `OSError` where that fails, `HostLost`, `Stale` or `Refused`."""
        self._send({"run": request})
        if not self.wait(_FORK_SECONDS):
            raise HostLost(f"its warm host did not fork within {_FORK_SECONDS:g} s")
        answer = self._receive()
        if "pid" in answer:
            return WarmProcess(self, answer["pid"])
        if "stale" in answer:
            raise Stale
        number, text = answer["error"]
        if number == 0:
            raise Refused(text)
        if answer.get("forked"):
            self.status()
            self.reap()
        raise OSError(number, text)

    def wait(self, timeout: float | None, *others: int) -> bool:
        """Wait until the branch says something or is lost, or another descriptor can be read, at most so many seconds.

        Return whether it was so.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        return b"\n" in self._rest or is_readable_before((self._socket.fileno(), *others), deadline)

    def status(self) -> int:
        """Return how the process of the trial ended, once it has."""
        message = self._receive()
        self.seconds_of_imports = message["seconds"]
        return int(message["status"])

    def reap(self) -> None:
        """Give the number of the ended process back."""
        self._send({"reap": True})

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise HostLost(f"its warm host was lost ({error.strerror})") from None

    def _receive(self) -> Any:
        while b"\n" not in self._rest:
            try:
                data = self._socket.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                raise HostLost("its warm host was lost")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)


class WarmProcess:
    """The process of a trial, a child of the branch, which reaps it only on request: its number stays its own."""

    def __init__(self, branch: Branch, pid: int) -> None:
        self._branch = branch
        self.pid, self.reaper = pid, branch.pid

    def wait(self, timeout: float | None) -> bool:
        """Wait until it has ended, or its host is lost, at most so many seconds; return whether it is so."""
        with end_of(self.pid) as descriptors:  # not by the host's word alone: it may hang, as everything may
            return self._branch.wait(timeout, *descriptors)

    def reap(self) -> int:
        """Wait for its end; return its exit status, or minus the number of a signal. Raises `HostLost`."""
        if not self._branch.wait(_REAP_SECONDS):
            raise HostLost(f"its warm host did not report its end within {_REAP_SECONDS:g} s")
        status = self._branch.status()
        self._branch.reap()
        return status
