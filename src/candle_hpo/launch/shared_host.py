"""The warm host that the workers of a node share: where it is found, and who starts it."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from candle_hpo.launch.command import PARAMS_FILE, WARM_HOST, ModelCommand
from candle_hpo.process.inherited import inherited

LONG_PATH = "/" * 4096  # in whose place each trial's process shows the path of its hyperparameters, to `leftovers`
_ANSWER_SECONDS, _PAUSE = 60.0, 0.01  # while somebody else is about to start it
_END_SECONDS = 10.0


class NoHost(Exception):
    """There can be no socket here for a host; the text says why."""


class Call(NamedTuple):
    """A connection to a host; `process` is its first process, where it was started for this call."""

    socket: socket.socket
    process: subprocess.Popen[bytes] | None


class SharedHost:
    """Calls the host that has a certain environment, on this node; whoever comes first starts it.

    Workers share one that make this with the same `name`. It is at an abstract socket (unix(7)), which is gone as soon
    as nobody listens there, and has an address that only those know who know this name; it serves this user alone. It
    ends when nobody is connected any more.
    """

    def __init__(self, name: str = "") -> None:
        self._name = name or new_name()
        self._started: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def call(self, model: ModelCommand, environment: Mapping[str, str]) -> Call:
        """Return a connection to the host for a model and an environment. Raises `NoHost`, or `OSError`.

        What a trial inherits from it has to be what it would inherit from this thread, so workers in which that differs
        do not share one.
        """
        address = _address([self._name, model.command, model.preload, sorted(environment.items()), inherited()])
        latest = time.monotonic() + _ANSWER_SECONDS
        while time.monotonic() < latest:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            if connection.connect_ex(address) == 0:
                return Call(connection, None)
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
                    if _listens(listening, address):
                        connection.connect(address)
                        return Call(connection, self._start(model, environment, listening))
            except BaseException:
                connection.close()
                raise
            connection.close()
            time.sleep(_PAUSE)
        raise NoHost("somebody listens in place of its warm host, and does not answer")

    def _start(
        self, model: ModelCommand, environment: Mapping[str, str], listening: socket.socket
    ) -> subprocess.Popen[bytes]:
        namespace = ""
        with suppress(OSError):
            namespace = str(Path("/proc/self/ns/pid").readlink())
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                [*model.command[:-2], str(WARM_HOST), str(os.getpid()), namespace],
                cwd=model.experiment,
                env={**environment, PARAMS_FILE: LONG_PATH},
                stdin=listening.fileno(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        with self._lock:
            self._started = [each for each in self._started if each.poll() is None]
            self._started.append(process)
        return process

    def close(self) -> None:
        """Wait for the end of the hosts that were started here; to be called when nobody is connected any more."""
        for process in self._started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)
        self._started = []


def _address(alike: list[object]) -> str:
    """Return the abstract address of all those for whom this is the same."""
    return f"\0candle-{hashlib.sha256(msgspec.json.encode(alike)).hexdigest()[:40]}"


def _listens(listening: socket.socket, address: str) -> bool:
    """Listen there, unless somebody else has just begun to; return whether that is so. Raises `NoHost`."""
    try:
        listening.bind(address)
        listening.listen(socket.SOMAXCONN)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise NoHost(f"there can be no socket for its warm host ({error.strerror})") from None
    return True


def new_name() -> str:
    """Return a name that nobody guesses."""
    return secrets.token_hex(16)
