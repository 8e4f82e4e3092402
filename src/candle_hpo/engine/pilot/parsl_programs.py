"""Parsl's two programs: its interchange, which is beside the campaign, and its manager, on each node.

    python -m candle_hpo.engine.pilot.parsl_programs NAME ARGUMENTS       those of Parsl's NAME.py

For all of their imports a job's first trial waits, for some of them on each node. So SQLAlchemy is not imported, which
only Parsl's monitoring needs, nor all kinds of executors and providers. In seconds of processor time (medians of five,
2 cores that did other things too, Python 3.11, Parsl 2026.10):

    imports of                    the campaign   the interchange   a manager   all, one after the other
    whole                             2.2             2.0             2.0              6.2
    all but SQLAlchemy                1.4             1.3             1.3              4.0
    what is needed                    1.1             0.7             0.7              2.5

And the workers of a node are forked from one process that has imported what they need (multiprocessing's fork server,
its own interpreter, without threads). Started each by itself, as Parsl does, they take half a second of processor time
and 50 MB each, and all read the same thousand files of a shared file system.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import re
import runpy
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from candle_hpo.core.errors import MachineError
from candle_hpo.engine.open_files import allow_many_connections, allow_workers_of_a_node
from candle_hpo.engine.pilot.node_limits import socket_folder
from candle_hpo.process.awake import AwakeClock
from candle_hpo.process.parent import end_with_parent

INTERCHANGE, WORKER_POOL = "interchange", "process_worker_pool"
WHY_NOT_STARTED = "interchange.err"  # where the interchange says so

_SHUT_DOWN = pickle.dumps(2**32 - 2)  # by which the interchange has a manager end
_COUNTED_OF_A_PAUSE = 0.6  # of the time without contact that a manager has: what is left is for an answer
_CONTACT_THREAD = "Interchange-Communicator"  # of a manager, which is nothing without it
_LEAVING_SECONDS, _LOOK_SECONDS = 5.0, 1.0  # for a manager to end its workers itself


def main() -> None:
    """Run one of Parsl's programs to its end."""
    name = sys.argv.pop(1)
    # Else it would outlive a killed campaign, or a killed shell of its step, where SLURM does not end what is left.
    end_with_parent(signal.SIGTERM)
    if name == INTERCHANGE:
        _let_time_stand_still_when_stopped(0.0)
        allow_many_connections()
        with only_what_is_needed():
            _run_interchange()
    if name == WORKER_POOL:
        _let_time_stand_still_when_stopped(_COUNTED_OF_A_PAUSE * int(_option("--hb_threshold", sys.argv)))
        try:
            _prepare_node(sys.argv)
        except MachineError as error:
            sys.exit(str(error))
        threading.Thread(target=_leave_when_contact_ends, daemon=True).start()
        with only_what_is_needed():
            _run_manager()
        _leave_without_contact()  # a manager ends by itself only then


def _run_interchange() -> None:
    """Run the interchange; managers that it gives up are to end.

    A node that was suspended alone finds that as soon as it wakes, when its trials are attempted elsewhere. It has no
    title, as Parsl's own main program gives it: of a process with a blank in its name, SLURM's proctrack/linuxproc does
    not see that it is the job's, and neither suspends nor ends it.
    """
    import zmq

    module = importlib.import_module(_module_of(INTERCHANGE))
    options = pickle.load(sys.stdin.buffer)  # noqa: S301  # from Parsl, in the campaign
    try:
        interchange = module.Interchange(**options)
    except Exception as error:  # no free port, memory, open file: whatever ZeroMQ says of it
        lowest, highest = options["worker_port_range"]
        is_for_a_port = isinstance(error, zmq.ZMQBindError)
        ports = f" (it needs a free one of the ports {lowest} to {highest - 1})" if is_for_a_port else ""
        Path(options["logdir"], WHY_NOT_STARTED).write_text(f"{error}{ports}\n")
        sys.exit(1)
    expire = interchange.expire_bad_managers

    def expire_and_end(*arguments: object) -> None:
        before = set(interchange._ready_managers)  # Parsl has no other place for it
        expire(*arguments)
        for manager in before.difference(interchange._ready_managers):
            interchange.manager_sock.send_multipart([manager, _SHUT_DOWN])

    interchange.expire_bad_managers = expire_and_end
    interchange.start()


def _run_manager() -> None:
    """Run a manager, which forks its workers; it ends by itself when it has lost contact."""
    import multiprocessing
    import multiprocessing.forkserver

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["candle_hpo.engine.pilot.fork_server"])
    multiprocessing.forkserver.ensure_running()  # while this process imports, too
    import parsl.multiprocessing

    parsl.multiprocessing.SpawnContext = context
    try:
        runpy.run_module(_module_of(WORKER_POOL), run_name="__main__", alter_sys=True)
    except ConnectionError as error:
        urls = re.findall(r"tcp://([^\s,]+)", str(error))  # that were tried; those of the loopback nobody means
        if not urls:
            raise
        sys.exit(f"cannot reach {', '.join(sorted(url for url in urls if not url.startswith('127.')) or urls)}")


def _let_time_stand_still_when_stopped(counted: float) -> None:
    """Let this whole program have the time of an `AwakeClock`, by which Parsl then judges who is lost.

    So neither a suspended job loses all its managers at once when it wakes, nor a node whose clock is set.
    """
    clock, began = AwakeClock(counted), time.time()
    first = clock.now()

    def look() -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            clock.now()

    time.time = lambda: began + clock.now() - first
    threading.Thread(target=look, daemon=True).start()


def _leave_when_contact_ends() -> None:
    """End this manager, and its workers with it, a moment after the thread that is in contact with the campaign.

    By itself a manager ends its workers then, but may never come to that: one of its threads can wait for good, for the
    rest of a result whose worker is stopped, or to hand one to the thread that has ended.
    """
    while not (contact := [each for each in threading.enumerate() if each.name == _CONTACT_THREAD and each.is_alive()]):
        time.sleep(_LOOK_SECONDS)  # it may be there, and not have begun
    contact[0].join()
    time.sleep(_LEAVING_SECONDS)
    _leave_without_contact()


def _leave_without_contact() -> NoReturn:
    os.write(2, b"lost contact with the campaign\n")
    os._exit(1)


def _prepare_node(arguments: Sequence[str]) -> None:
    """Let a manager with these arguments have what it needs on its node. Raises `MachineError` where that cannot be."""
    allow_workers_of_a_node(int(_option("--max_workers_per_node", arguments)))
    tempfile.tempdir = socket_folder()


def _option(name: str, arguments: Sequence[str]) -> str:
    return next(each.partition("=")[2] for each in arguments if each.startswith(f"{name}="))


def import_what_workers_need() -> None:
    """Import what a worker imports of Parsl, into the process that workers are forked from."""
    module = _module_of(WORKER_POOL)
    with only_what_is_needed():
        importlib.import_module(module)
    sys.modules.pop(module)  # a worker runs it again, as the main module that it is in its manager


def _module_of(program: str) -> str:
    return f"parsl.executors.high_throughput.{program}"


@contextmanager
def only_what_is_needed() -> Iterator[None]:
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
