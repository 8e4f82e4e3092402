"""The cluster engine: workers on all nodes of a SLURM job, as a standard `Executor` over Parsl.

SLURM gives out the machines and Parsl's high-throughput executor keeps the workers busy; what is here only
joins the two. One manager runs on each node (one `srun` step), with as many workers as the job has tasks there; what a
worker does is `cluster_worker.py`.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from candle_hpo.engine.pilot.own_program import own_program
from candle_hpo.engine.pilot.parsl_import import (
    DEFAULT_LAUNCH_CMD,
    HighThroughputExecutor,
    LocalProvider,
    ManagerLost,
    ParslError,
    ParslPoolExecutor,
    SrunLauncher,
    WorkerLost,
    parsl,
)
from candle_hpo.engine.pilot.parsl_program import INTERCHANGE, WORKER_POOL
from candle_hpo.engine.pilot.worker import WORKERS_BY_NODE, WorkerStopped, forget_tasks, with_its_place
from candle_hpo.user_environment import only_the_users_environment

HEARTBEAT_SECONDS = 5
LOST_AFTER_SECONDS = 30  # without a heartbeat, a node is lost and its trials are attempted on others

# A step of its own for the managers, with everything that the job has on each node, bound to nothing less.
_SRUN = "--overlap --ntasks-per-node=1 --cpu-bind=none --mem=0 --export=ALL --kill-on-bad-exit=0 --no-kill --wait=0"

# Evaluated on each node (hence the backslashes: two shells read it before): how many workers it has.
_WORKERS_HERE = f"--max_workers_per_node=\\$(cut -d, -f\\$((SLURM_NODEID+1)) <<< \\${WORKERS_BY_NODE})"


class ClusterPool(Executor):
    """Runs functions on the workers of this job. `stop()` gives up on what runs, at once."""

    def __init__(self, folder: Path, workers_by_node: Sequence[int]) -> None:
        """Start the workers; `folder` is for Parsl's files and keys: the user's own, shared by all nodes, and empty."""
        self._outstanding: set[Future[Any]] = set()
        self._managers: dict[str, str] = {}  # of each node that has answered, Parsl's name of its manager
        self._folder = folder
        forget_tasks()
        nodes = len(workers_by_node)
        self._executor = _StartedAtOnce(
            label="workers",
            address="127.0.0.1" if nodes == 1 else None,
            encrypted=True,
            max_workers_per_node=max(workers_by_node),
            cores_per_worker=1e-6,  # the number of workers is ours to say, not derived from the cores
            heartbeat_period=HEARTBEAT_SECONDS,
            heartbeat_threshold=LOST_AFTER_SECONDS,
            poll_period=10,  # milliseconds, on the way of every trial to its worker and back
            interchange_launch_cmd=_parsl_program(INTERCHANGE),
            launch_cmd=_launch_command(),
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
        with only_the_users_environment(**{WORKERS_BY_NODE: ",".join(map(str, workers_by_node))}):
            self._pool = ParslPoolExecutor(config)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function on a free worker. Raises `RuntimeError` when there will never be one again."""
        if self._executor.bad_state_is_set:
            raise RuntimeError("all workers of the job are lost")
        future: Future[Any] = Future()
        self._outstanding.add(future)

        def settle(done: Future[Any]) -> None:
            error = done.exception()
            if error is None:
                node, manager, result = done.result()
                self._managers[node] = manager
                self._settle(future, result, None)
            else:
                self._settle(future, None, _as_machine_fault(error))

        try:
            self._pool.submit(with_its_place, function, args, kwargs).add_done_callback(settle)
        except ParslError as error:
            self._settle(future, None, _as_machine_fault(error))
        return future

    def _settle(self, future: Future[Any], result: Any, error: BaseException | None) -> None:
        """Give a future its end, unless `stop` or an answer was faster; removing it tells who was."""
        try:
            self._outstanding.remove(future)
        except KeyError:
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def stop(self) -> None:
        """Give up on everything that runs: its futures fail now, its processes end with the pool."""
        for future in list(self._outstanding):
            self._settle(future, None, WorkerStopped("stopped while it ran"))

    def exclude(self, node: str) -> None:
        """Hand no more work to the node of this name."""
        if node in self._managers:
            self._executor._hold_manager(self._managers[node])

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """End the workers and all that runs on them, now: nothing that could be waited for is left."""
        self.stop()
        parsl.dfk().cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)


class _StartedAtOnce(HighThroughputExecutor):  # type: ignore[misc]
    """Starts its managers itself, before Parsl looks for the first time whether something is to be started."""

    def start(self) -> None:
        """Start the interchange, and then the managers."""
        super().start()
        self.scale_out_facade(1)


def _launch_command() -> str:
    """Return what the step runs on each node: a manager, and the end of what a killed one leaves in its process group.

    The shell must outlive that signal itself; a handler, unlike an ignored signal, is not handed down to the manager. A
    manager that ends has failed, whatever it says: so Parsl sees it when all have.
    """
    arguments = DEFAULT_LAUNCH_CMD.partition(" ")[2].replace("{max_workers_per_node}", _WORKERS_HERE)
    return f"trap : TERM; {shlex.join(_parsl_program(WORKER_POOL))} {arguments}; kill -TERM 0; exit 1"


def _parsl_program(name: str) -> list[str]:
    """Return the command of one of Parsl's programs."""
    return [*own_program("candle_hpo.engine.pilot.parsl_program"), name]


def _as_machine_fault(error: BaseException) -> BaseException:
    """Return Parsl's ways of losing a worker as the machine's fault that they are; others as they are."""
    if isinstance(error, ParslError | ManagerLost | WorkerLost):
        return WorkerStopped(f"its worker was lost: {error}")
    return error
