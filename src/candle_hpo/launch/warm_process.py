"""The process of a warm host, what is said on the socket to it, and the trials' processes that it forks.

The host's side is `hosts/python_warm_host.py`. Here nothing is decided: that is `warm_host.py`.
"""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from candle_hpo.launch.command import PARAMS_FILE, WARM_HOST, ModelCommand
from candle_hpo.launch.preload import known_libraries
from candle_hpo.process.group import end_of, is_readable_before

PRELOAD_SECONDS = 600.0  # for all imports of a host; a script whose imports take longer is started cold
_FORK_SECONDS = 60.0
_REAP_SECONDS = 20.0  # for a host to report the end of a process that was killed
_LONG_PATH = "/" * 4096  # in whose place each trial's process shows the path of its hyperparameters, to `leftovers`


class HostLost(OSError):
    """The host ended, and the trial that it ran with it."""


class Ready(msgspec.Struct, frozen=True):
    """The host has imported what it can; `waiting` is what it cannot, with the reasons."""

    waiting: dict[str, str]


class Unsafe(msgspec.Struct, frozen=True):
    """A module that cannot be imported beforehand, as the host has found out."""

    module: str
    because: str


class Stale(Exception):
    """What the host has imported has changed since: another host is needed."""


class Refused(Exception):
    """The host cannot fork any more; the text says why."""


class HostProcess:
    """The process of a host, and the socket to it."""

    def __init__(self, model: ModelCommand, environment: Mapping[str, str]) -> None:
        ours, its = socket.socketpair()
        with its, tempfile.TemporaryFile() as output:
            try:
                self.process = subprocess.Popen(
                    [*model.command[:-2], str(WARM_HOST)],
                    cwd=model.experiment,
                    env={**environment, PARAMS_FILE: _LONG_PATH},
                    stdin=its.fileno(),
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        self._socket = ours
        self._rest = b""
        self.seconds_of_imports: dict[str, float] = {}  # those that the last trial did itself

    def end(self) -> None:
        """End the host and what it runs."""
        self._socket.close()
        self.process.kill()
        self.process.wait()

    def prepare(self, model: ModelCommand, left: Mapping[str, str], deadline: float) -> Ready | Unsafe | str:
        """Have the host import all but what is `left`; return whether it is ready, or what is unsafe, or a problem."""
        assert model.preload is not None  # noqa: S101  # else there is no host
        known = known_libraries()
        plan = {
            "script": model.script,
            "modules": model.preload.modules,
            "left": dict(left),
            "libraries": known.known,
            "harmless": known.harmless,
            "patterns": known.without_end,
            "folders": known.folders,
            "generators": known.generators,
            "later": known.later,
            "at_start": known.at_start,
        }
        importing = ""
        try:
            self._send(plan)
            while True:
                if not self.wait(deadline - time.monotonic()):
                    return f"importing {importing or 'nothing yet'} took longer than {PRELOAD_SECONDS:g} s"
                message = self._receive()
                if "importing" in message:
                    importing = message["importing"]
                elif "unsafe" in message:
                    return Unsafe(message["unsafe"], message["because"])
                elif "useless" in message:
                    return str(message["useless"])
                elif message["process"] == [self.process.pid, _process_namespace()]:
                    return Ready(message["waiting"])
                else:
                    return "its interpreter is a wrapper that starts Python in its own process"
        except OSError:
            status = self.process.wait()
            if importing:
                return Unsafe(importing, f"its import ends the process ({status})")
            return f"its interpreter did not start a host (exit status {status})"

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
        """Wait until the host says something or is lost, or another descriptor can be read, at most so many seconds.

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
    """The process of a trial, a child of the host, which reaps it only on request: its number stays its own."""

    def __init__(self, host: HostProcess, pid: int) -> None:
        self._host = host
        self.pid = pid

    def wait(self, timeout: float | None) -> bool:
        """Wait until it has ended, or its host is lost, at most so many seconds; return whether it is so."""
        with end_of(self.pid) as descriptors:  # not by the host's word alone: it may hang, as everything may
            return self._host.wait(timeout, *descriptors)

    def reap(self) -> int:
        """Wait for its end; return its exit status, or minus the number of a signal. Raises `HostLost`."""
        if not self._host.wait(_REAP_SECONDS):
            raise HostLost(f"its warm host did not report its end within {_REAP_SECONDS:g} s")
        status = self._host.status()
        self._host.reap()
        return status


def _process_namespace() -> str:
    """Return in which namespace this process's numbers of processes are; "" where that is unknown."""
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""
