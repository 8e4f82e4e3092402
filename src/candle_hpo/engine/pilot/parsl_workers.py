"""All that candle knows of Parsl: a pool of workers that its managers keep on nodes, and its programs.

    python -m candle_hpo.engine.pilot.parsl_workers NAME ARGUMENTS       those of Parsl's NAME.py

Of Parsl, its executor is used, with the two programs that it consists of: the interchange beside the campaign, and a
manager on each node. Which managers there are, and when one is started, Parsl is not asked: that is `managers.py`.
Parsl promises little of this; tests/engine/test_parsl_workers.py says what an upgrade of it breaks.

For all of these imports a job's first trial waits, for some of them on each node. So SQLAlchemy is not imported, which
only Parsl's monitoring needs, nor all kinds of executors and providers: that halves the time until the first trial. And
the workers of a node are forked from one process that has imported what they need (multiprocessing's fork server, its
own interpreter, without threads). Started each by itself, as Parsl does, they take half a second of processor time and
50 MB each, and all read the same thousand files of a shared file system.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import runpy
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import psutil

from candle_hpo.core.errors import MachineError
from candle_hpo.engine.batch.slurm_environment import for_our_step
from candle_hpo.engine.channel import PORTS
from candle_hpo.engine.open_files import allow_many_connections, allow_workers_of_a_node
from candle_hpo.engine.pilot.node_limits import socket_folder
from candle_hpo.process.parent import end_with_parent
from candle_hpo.user_environment import is_found_by_pythonpath, only_this_environment, user_environment

_HEARTBEAT_SECONDS = 5
LOST_AFTER_SECONDS = 30  # without a heartbeat, a manager is lost and its trials are attempted on others
_ENDS_AFTER_SECONDS = 25  # without an answer, a manager ends, its trials with it: before they are attempted on others
_ANSWER_SECONDS = 60  # for the interchange, which runs beside the campaign, to answer

WORKER_NUMBER = "PARSL_WORKER_RANK"  # where a worker finds its number on its node

_CONTACT_THREAD = "Interchange-Communicator"  # of a manager, which is nothing without it
_LEAVING_SECONDS, _LOOK_SECONDS = 5.0, 1.0  # for a manager to end its workers itself

_INTERCHANGE, _WORKER_POOL = "interchange", "process_worker_pool"
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


class ParslWorkers:
    """The workers of managers that come and go; `faults` are the errors by which Parsl says that it lost one."""

    def __init__(self, folder: Path, *, are_all_here: bool) -> None:
        """Wait for managers, on this machine alone or on others too; `folder` is for Parsl's files and keys."""
        with _only_what_is_needed():
            from parsl.errors import ParslError
            from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost
            from parsl.executors.high_throughput.executor import HighThroughputExecutor

        self.faults: tuple[type[Exception], ...] = (ParslError, ManagerLost, WorkerLost)
        self._manager_lost = ManagerLost
        self.addresses = (_LOOPBACK,) if are_all_here else own_addresses()
        self._executor = HighThroughputExecutor(
            label="workers",
            address=_LOOPBACK if are_all_here else "*",  # without one, Parsl asks a public service for it
            worker_port_range=PORTS,
            encrypted=True,
            heartbeat_period=_HEARTBEAT_SECONDS,
            heartbeat_threshold=LOST_AFTER_SECONDS,
            poll_period=10,  # milliseconds, on the way of every trial to its worker and back
            interchange_launch_cmd=_program(_INTERCHANGE),
        )
        self._executor.run_dir = str(folder)
        self._executor.run_id = "candle"
        with only_this_environment(for_our_step(user_environment())):
            self._executor.start()

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Have a free worker call a function. Raises one of `faults` where that cannot be."""
        future: Future[Any] = self._executor.submit(function, {}, *args)
        return future

    def manager(self, name: str, workers: int) -> list[str]:
        """Return the command of a manager with so many workers; its name is to be its own among all that there were."""
        executor = self._executor
        options = {
            "--uid": name,
            "--block_id": name,
            "--max_workers_per_node": workers,
            "--addresses": ",".join(self.addresses),
            "--port": executor.worker_port,
            "--cert_dir": executor.cert_dir,
            "--logdir": executor.logdir,
            "--hb_period": _HEARTBEAT_SECONDS,
            "--hb_threshold": _ENDS_AFTER_SECONDS,
            "--poll": executor.poll_period,
            "--cores_per_worker": 1e-6,  # the number of workers is ours to say, not derived from the cores
            "--mem_per_worker": None,
            "--drain_period": None,
            "--cpu-affinity": "none",
        }
        return [*_program(_WORKER_POOL), *(f"{option}={value}" for option, value in options.items())]

    def connected(self) -> dict[str, Connected]:
        """Return the managers that are connected, by their names. Raises `MachineError` where none can be any more."""
        program = self._executor.interchange_proc
        if program is None or program.poll() is not None:
            status = "" if program is None else f" ({program.returncode})"
            raise MachineError(f"the program that hands trials to the nodes has ended{status}; see campaign.log")
        if self._executor.bad_state_is_set:
            raise MachineError(f"no more trials are handed to the nodes: {self._executor.executor_exception}")
        return {
            each["manager"]: Connected(each["worker_count"], each["tasks"])
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
            raise MachineError(f"the program that hands trials to the nodes does not answer: {error}") from None


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
    return [*own_program("candle_hpo.engine.pilot.parsl_workers"), name]


def main() -> None:
    """Run one of Parsl's programs to its end."""
    import multiprocessing
    import multiprocessing.forkserver

    name = sys.argv.pop(1)
    context = multiprocessing.get_context("forkserver")
    # Else it would outlive a killed campaign, or a killed shell of its step, where SLURM does not end what is left.
    end_with_parent(signal.SIGTERM)
    if name == _INTERCHANGE:
        allow_many_connections()
    if name == _WORKER_POOL:
        try:
            _prepare_node(sys.argv)
        except MachineError as error:
            sys.exit(str(error))
        threading.Thread(target=_leave_when_contact_ends, daemon=True).start()
        context.set_forkserver_preload(["candle_hpo.engine.pilot.fork_server"])
        multiprocessing.forkserver.ensure_running()  # while this process imports, too
    with _only_what_is_needed():
        import parsl.multiprocessing

        parsl.multiprocessing.SpawnContext = context
        try:
            runpy.run_module(_module_of(name), run_name="__main__", alter_sys=True)
        except ConnectionError as error:
            urls = re.findall(r"tcp://([^\s,]+)", str(error))  # that were tried; those of the loopback nobody means
            if not urls:
                raise
            sys.exit(f"cannot reach {', '.join(sorted(url for url in urls if not url.startswith('127.')) or urls)}")
        if name == _WORKER_POOL:  # which ends by itself only then
            _leave_without_contact()


def _leave_when_contact_ends() -> None:
    """End this manager, and its workers with it, a moment after the thread that is in contact with the campaign.

    By itself a manager ends its workers then, but may never come to that: one of its threads can wait for good, for the
    rest of a result whose worker is stopped, or to hand one to the thread that has ended.
    """
    while not (contact := [each for each in threading.enumerate() if each.name == _CONTACT_THREAD]):
        time.sleep(_LOOK_SECONDS)
    contact[0].join()
    time.sleep(_LEAVING_SECONDS)
    _leave_without_contact()


def _leave_without_contact() -> NoReturn:
    os.write(2, b"lost contact with the campaign\n")
    os._exit(1)


def _prepare_node(arguments: Sequence[str]) -> None:
    """Let a manager with these arguments have what it needs on its node. Raises `MachineError` where that cannot be."""
    workers = (each.partition("=")[2] for each in arguments if each.startswith("--max_workers_per_node="))
    allow_workers_of_a_node(int(next(workers)))
    tempfile.tempdir = socket_folder()


def import_what_workers_need() -> None:
    """Import what a worker imports of Parsl, into the process that workers are forked from."""
    module = _module_of(_WORKER_POOL)
    with _only_what_is_needed():
        importlib.import_module(module)
    sys.modules.pop(module)  # a worker runs it again, as the main module that it is in its manager


def _module_of(program: str) -> str:
    return f"parsl.executors.high_throughput.{program}"


@contextmanager
def _only_what_is_needed() -> Iterator[None]:
    """Let Parsl's packages be folders alone: their modules can be imported; what their `__init__.py` imports is not."""
    for package in ("parsl", "parsl.executors"):
        specification = importlib.util.find_spec(package)
        if specification is None:
            raise ModuleNotFoundError(f"there is no {package}")
        sys.modules[package] = importlib.util.module_from_spec(specification)
    there = sys.modules.get("sqlalchemy")
    sys.modules["sqlalchemy"] = there  # type: ignore[assignment]  # None makes an import of it an ImportError
    try:
        yield
    finally:
        if there is None:
            del sys.modules["sqlalchemy"]


if __name__ == "__main__":
    main()
