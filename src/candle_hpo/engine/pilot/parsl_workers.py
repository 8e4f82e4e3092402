"""All that candle knows of Parsl: a pool of workers on the nodes of a job, and the programs that it consists of.

    python -m candle_hpo.engine.pilot.parsl_workers NAME ARGUMENTS       those of Parsl's NAME.py

Parsl promises little of this; tests/engine/test_parsl_workers.py says what an upgrade of it breaks.

For all of these imports a job's first trial waits, for some of them on each node. So SQLAlchemy is not imported, which
only Parsl's monitoring needs, nor, into the programs, all kinds of executors and providers: that halves the time until
the first trial. And the workers of a node are forked from one process that has imported what they need
(multiprocessing's fork server, its own interpreter, without threads). Started each by itself, as Parsl does, they
take half a second of processor time and 50 MB each, and all read the same thousand files of a shared file system.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import runpy
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from candle_hpo.core.errors import MachineError
from candle_hpo.engine.batch.slurm_environment import for_our_step
from candle_hpo.engine.open_files import allow_many_connections, allow_workers_of_a_node
from candle_hpo.engine.pilot.node_limits import socket_folder
from candle_hpo.process.parent import end_with_parent
from candle_hpo.user_environment import is_found_by_pythonpath, only_this_environment, user_environment

_HEARTBEAT_SECONDS = 5
_LOST_AFTER_SECONDS = 30  # without a heartbeat, a node is lost and its trials are attempted on others

# What a worker finds in its environment: its number on its node, and Parsl's name of the node's manager.
WORKER_NUMBER, MANAGER = "PARSL_WORKER_RANK", "PARSL_WORKER_POOL_ID"
WORKERS_BY_NODE = "CANDLE_WORKERS_BY_NODE"  # what the managers of a job are to know

_INTERCHANGE, _WORKER_POOL = "interchange", "process_worker_pool"

# A separate step for the managers, with everything that the job has on each node, bound to nothing less.
_SRUN = (
    "--overlap --ntasks-per-node=1 --cpu-bind=none --mpi=none --mem=0 --export=ALL --kill-on-bad-exit=0 --no-kill "
    "--wait=0"
)

# Evaluated on each node (hence the backslashes: two shells read it before): how many workers it has.
_WORKERS_HERE = f"--max_workers_per_node=\\$(cut -d, -f\\$((SLURM_NODEID+1)) <<< \\${WORKERS_BY_NODE})"


# Where Parsl's programs write what they do (as DEFAULT_FORMAT in its log_utils.py), and their step what it prints.
_FAULTS = {
    "*.err": r".*\S.*",
    **dict.fromkeys(("interchange.log", "manager.log"), r"[^:]*:\d\d:\d\d[^:]*:\d+ \S+ (WARNING|ERROR|CRITICAL): .*"),
}
_MOST_FILES, _MOST_LINES, _MOST_BYTES = 20, 20, 64_000

_logger = logging.getLogger("parsl.programs")


class ParslWorkers:
    """Workers on all nodes of this job; `faults` are the errors of a task by which Parsl says that it lost a worker."""

    def __init__(self, folder: Path, workers_by_node: Sequence[int]) -> None:
        """Start them; `folder` is for Parsl's files and keys."""
        with _without_sqlalchemy():
            import parsl
            from parsl.concurrent import ParslPoolExecutor
            from parsl.errors import ParslError
            from parsl.executors import HighThroughputExecutor
            from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost
            from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD
            from parsl.launchers import SrunLauncher
            from parsl.providers import LocalProvider

        self.faults: tuple[type[Exception], ...] = (ParslError, ManagerLost, WorkerLost)
        nodes = len(workers_by_node)
        self._executor = HighThroughputExecutor(
            label="workers",
            address="127.0.0.1" if nodes == 1 else None,
            encrypted=True,
            max_workers_per_node=max(workers_by_node),
            cores_per_worker=1e-6,  # the number of workers is ours to say, not derived from the cores
            heartbeat_period=_HEARTBEAT_SECONDS,
            heartbeat_threshold=_LOST_AFTER_SECONDS,
            poll_period=10,  # milliseconds, on the way of every trial to its worker and back
            interchange_launch_cmd=_program(_INTERCHANGE),
            launch_cmd=_launch_command(DEFAULT_LAUNCH_CMD),
            provider=LocalProvider(
                init_blocks=0,
                min_blocks=0,
                max_blocks=1,
                nodes_per_block=nodes,
                launcher=SrunLauncher(overrides=_SRUN),
            ),
        )
        config = parsl.Config(
            executors=[self._executor],
            strategy="none",
            strategy_period=0.5,
            usage_tracking=0,
            retries=0,
            run_dir=str(folder),
            initialize_logging=False,
        )
        ours = {WORKERS_BY_NODE: ",".join(map(str, workers_by_node))}
        with only_this_environment({**for_our_step(user_environment()), **ours}):
            self._pool = ParslPoolExecutor(config)
            self._executor.scale_out_facade(1)  # now, and not when Parsl looks for the first time what is to be started
        self._end = parsl.dfk().cleanup

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Have a free worker call a function. Raises one of `faults` where that cannot be."""
        future: Future[Any] = self._pool.submit(function, *args)
        return future

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of this machine at which workers may reach it, as Parsl's own try them, one after another."""
        return tuple(sorted(self._executor.all_addresses))

    def are_all_lost(self) -> bool:
        """Return whether there will never be a worker again."""
        return bool(self._executor.bad_state_is_set)

    def hand_no_more_to(self, manager: str) -> None:
        """Leave the workers of a manager with what they have."""
        self._executor._hold_manager(manager)

    def end(self) -> None:
        """End all workers, now; nothing is waited for."""
        self._end()


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


def _launch_command(of_parsl: str) -> str:
    """Return what the step runs on each node: a manager, and the end of what a killed one leaves in its process group.

    The shell must outlive that signal itself; a handler, unlike an ignored signal, is not handed down to the manager. A
    manager that ends has failed, whatever it says: so Parsl sees it when all have.
    """
    arguments = of_parsl.partition(" ")[2].replace("{max_workers_per_node}", _WORKERS_HERE)
    return f"trap : TERM; {shlex.join(_program(_WORKER_POOL))} {arguments}; kill -TERM 0; exit 1"


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
    if name == _INTERCHANGE:
        end_with_parent(signal.SIGTERM)  # else it would outlive a killed campaign where SLURM does not end what is left
        allow_many_connections()
    if name == _WORKER_POOL:
        try:
            _prepare_node(sys.argv)
        except MachineError as error:
            sys.exit(str(error))
        context.set_forkserver_preload(["candle_hpo.engine.pilot.fork_server"])
        multiprocessing.forkserver.ensure_running()  # while this process imports, too
    with _only_what_programs_need():
        import parsl.multiprocessing

        parsl.multiprocessing.SpawnContext = context
        runpy.run_module(_module_of(name), run_name="__main__", alter_sys=True)


def _prepare_node(arguments: Sequence[str]) -> None:
    """Let a manager with these arguments have what it needs on its node. Raises `MachineError` where that cannot be."""
    workers = (each.partition("=")[2] for each in arguments if each.startswith("--max_workers_per_node="))
    allow_workers_of_a_node(int(next(workers)))
    tempfile.tempdir = socket_folder()


def import_what_workers_need() -> None:
    """Import what a worker imports of Parsl, into the process that workers are forked from."""
    module = _module_of(_WORKER_POOL)
    with _only_what_programs_need():
        importlib.import_module(module)
    sys.modules.pop(module)  # a worker runs it again, as the main module that it is in its manager


def _module_of(program: str) -> str:
    return f"parsl.executors.high_throughput.{program}"


@contextmanager
def _only_what_programs_need() -> Iterator[None]:
    """Let Parsl's packages be folders alone: their modules can be imported; what their `__init__.py` imports is not."""
    for package in ("parsl", "parsl.executors"):
        specification = importlib.util.find_spec(package)
        if specification is None:
            raise ModuleNotFoundError(f"there is no {package}")
        sys.modules[package] = importlib.util.module_from_spec(specification)
    with _without_sqlalchemy():
        yield


@contextmanager
def _without_sqlalchemy() -> Iterator[None]:
    """Make imports of it fail meanwhile, unless it is imported already."""
    there = sys.modules.get("sqlalchemy")
    sys.modules["sqlalchemy"] = there  # type: ignore[assignment]  # None makes an import of it an ImportError
    try:
        yield
    finally:
        if there is None:
            del sys.modules["sqlalchemy"]


if __name__ == "__main__":
    main()
