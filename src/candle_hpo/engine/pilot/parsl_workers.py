"""A pool of workers that Parsl's managers keep on nodes. All that candle knows of Parsl is here and in the programs.

Of Parsl, its executor is used, with the two programs that it consists of (`parsl_programs.py`): the interchange beside
the campaign, and a manager on each node. Which managers there are, and when one is started, Parsl is not asked: that is
`managers.py`. Parsl promises little of this; tests/engine/test_parsl_workers.py says what an upgrade of it breaks.
"""

from __future__ import annotations

import logging
import re
import socket
import sys
from collections.abc import Callable
from concurrent.futures import Future
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil

from candle_hpo.core.errors import MachineError
from candle_hpo.engine.batch.slurm_environment import for_our_step
from candle_hpo.engine.pilot.parsl_programs import (
    INTERCHANGE,
    WHY_NOT_STARTED,
    WORKER_POOL,
    only_what_is_needed,
)
from candle_hpo.user_environment import is_found_by_pythonpath, only_this_environment, user_environment

_HEARTBEAT_SECONDS = 5
LOST_AFTER_SECONDS = 30  # without a heartbeat, a manager is lost and its trials are attempted on others
_ENDS_AFTER_SECONDS = 25  # without an answer, a manager ends, its trials with it: before they are attempted on others
_POLL_MILLISECONDS = 10  # on the way of every trial to its worker and back
_ANSWER_SECONDS = 60  # for the interchange, which runs beside the campaign, to answer

WORKER_NUMBER = "PARSL_WORKER_RANK"  # where a worker finds its number on its node
WORKERS_MANAGER = "PARSL_WORKER_BLOCK_ID"  # where a worker finds the name of its manager
GUEST = "@"  # in the name of a manager that has joined from another job, before that job

_HANDS_OUT = "the program that hands trials to the nodes"
_LOOPBACK = "127.0.0.1"

# Where Parsl's programs write what they do (as DEFAULT_FORMAT in its log_utils.py), and their steps what they print.
_FAULTS = {
    "*.err": r".*\S.*",
    **dict.fromkeys(("interchange.log", "manager.log"), r"[^:]*:\d\d:\d\d[^:]*:\d+ \S+ (WARNING|ERROR|CRITICAL): .*"),
}
_MOST_FILES, _MOST_LINES, _MOST_BYTES = 20, 20, 64_000

_logger = logging.getLogger("parsl.programs")


class Connected(NamedTuple):
    """A manager that is connected: so many workers are its own, and so many tasks are with it."""

    workers: int
    tasks: int


class Contact(msgspec.Struct, frozen=True):
    """What a manager needs to find the campaign: addresses, a port, and the folders for its keys and for its log.

    The keys are files that the user alone can read.
    """

    addresses: tuple[str, ...]
    port: int
    keys: str
    logs: str

    def manager(self, name: str, workers: int, seconds: float | None = None) -> list[str]:
        """Return the command of a manager with so many workers; its name is to be its own among all that there were.

        After so many seconds, it takes nothing more, and ends when it has nothing left.
        """
        options = {
            "--uid": name,
            "--block_id": name,
            "--max_workers_per_node": workers,
            "--addresses": ",".join(self.addresses),
            "--port": self.port,
            "--cert_dir": self.keys,
            "--logdir": self.logs,
            "--hb_period": _HEARTBEAT_SECONDS,
            "--hb_threshold": _ENDS_AFTER_SECONDS,
            "--poll": _POLL_MILLISECONDS,
            "--cores_per_worker": 1e-6,  # the number of workers is ours to say, not derived from the cores
            "--mem_per_worker": None,
            "--drain_period": None if seconds is None else max(1, int(seconds)),
            "--cpu-affinity": "none",
        }
        return [*_program(WORKER_POOL), *(f"{option}={value}" for option, value in options.items())]


class ParslWorkers:
    """The workers of managers that come and go; `faults` are the errors by which Parsl says that it lost one."""

    def __init__(self, folder: Path, ports: tuple[int, int], *, are_all_here: bool) -> None:
        """Wait for managers, on this machine alone or on others too; `folder` is for Parsl's files and keys.

        `ports` are the first one on which they may reach it, and the one behind the last.
        """
        with only_what_is_needed():
            from parsl.errors import ParslError
            from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost
            from parsl.executors.high_throughput.executor import HighThroughputExecutor

        self.faults: tuple[type[Exception], ...] = (ParslError, ManagerLost, WorkerLost)
        self._manager_lost = ManagerLost
        self.addresses = (_LOOPBACK,) if are_all_here else own_addresses()
        self._executor = HighThroughputExecutor(
            label="workers",
            address=_LOOPBACK if are_all_here else "*",  # without one, Parsl asks a public service for it
            worker_port_range=ports,
            encrypted=True,
            heartbeat_period=_HEARTBEAT_SECONDS,
            heartbeat_threshold=LOST_AFTER_SECONDS,
            poll_period=_POLL_MILLISECONDS,
            interchange_launch_cmd=_program(INTERCHANGE),
        )
        self._executor.run_dir = str(folder)
        self._executor.run_id = "candle"
        with only_this_environment(for_our_step(user_environment())):
            try:
                self._executor.start()
            except Exception as error:
                raise MachineError(f"{_HANDS_OUT} cannot be started: {_said(folder) or error}") from None

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Have a free worker call a function. Raises one of `faults` where that cannot be."""
        future: Future[Any] = self._executor.submit(function, {}, *args)
        return future

    @property
    def contact(self) -> Contact:
        """How managers reach it."""
        executor = self._executor
        return Contact(self.addresses, executor.worker_port, str(executor.cert_dir), str(executor.logdir))

    def connected(self) -> dict[str, Connected]:
        """Return the managers that are connected, by their names; one that takes no more tasks has as many workers.

        Raises `MachineError` where none can be any more.
        """
        program = self._executor.interchange_proc
        if program is None or program.poll() is not None:
            status = "" if program is None else f" ({program.returncode})"
            raise MachineError(f"{_HANDS_OUT} has ended{status}; see campaign.log")
        if self._executor.bad_state_is_set:
            raise MachineError(f"no more trials are handed to the nodes: {self._executor.executor_exception}")
        return {
            each["manager"]: Connected(
                min(each["worker_count"], each["tasks"]) if each["draining"] else each["worker_count"], each["tasks"]
            )
            for each in self._ask_interchange("MANAGERS")
        }

    def hand_no_more_to(self, manager: str) -> None:
        """Leave the workers of a manager with what they have. Raises `MachineError` as `connected` does."""
        self._ask_interchange(["HOLD_MANAGER", manager])

    def lost_manager(self, fault: BaseException) -> str | None:
        """Return the name of the manager that was lost, where that is what a fault says."""
        return fault.manager_id.decode() if isinstance(fault, self._manager_lost) else None

    def end(self) -> None:
        """Hand out nothing any more; the managers end by themselves then, if not before."""
        self._executor.shutdown()

    def _ask_interchange(self, command: object) -> Any:
        try:
            return self._executor.command_client.run(command, timeout_s=_ANSWER_SECONDS)
        except Exception as error:
            raise MachineError(f"{_HANDS_OUT} does not answer: {error}") from None


def _said(folder: Path) -> str:
    """Return why the interchange of this folder could not begin, as far as it could say so."""
    found = next(folder.rglob(WHY_NOT_STARTED), None)
    return found.read_text().strip() if found else ""


def own_addresses() -> tuple[str, ...]:
    """Return the addresses of this machine's network interfaces (IPv4): nobody is asked for them.

    Which of them another node can reach, only trying shows.
    """
    states = psutil.net_if_stats()
    found = {
        each.address
        for name, addresses in psutil.net_if_addrs().items()
        for each in addresses
        if each.family == socket.AF_INET and states[name].isup
    }
    return tuple(sorted(found))


def log_faults(folder: Path) -> None:
    """Log the last warnings and errors of the programs that have this folder, which is soon to go."""
    for name, fault in _FAULTS.items():
        for file in islice(folder.rglob(name), _MOST_FILES):
            try:
                with file.open("rb") as opened:
                    opened.seek(max(0, file.stat().st_size - _MOST_BYTES))
                    lines = opened.read().decode(errors="replace").splitlines()
            except OSError as error:
                _logger.warning("%s cannot be read: %s", file, error.strerror)
                continue
            for line in [line for line in lines if re.fullmatch(fault, line)][-_MOST_LINES:]:
                _logger.warning("%s: %s", file.name, line)


def own_program(module: str) -> list[str]:
    """Return the command that runs a module of ours as a program, by the Python that runs this one.

    It imports no module from the folder where a job begins (before Python 3.11 that cannot be asked for), nor from the
    folders of `PYTHONPATH`, which are for models: a module there may be called like one of ours.
    """
    options = ["-P"] if sys.version_info >= (3, 11) else []
    if not is_found_by_pythonpath():
        options += ["-E", "-s"] if sys.flags.no_user_site else ["-E"]
    return [sys.executable, *options, "-m", module]


def _program(name: str) -> list[str]:
    """Return the command of one of Parsl's programs."""
    return [*own_program("candle_hpo.engine.pilot.parsl_programs"), name]
