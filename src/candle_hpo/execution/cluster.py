"""The cluster engine: workers on all nodes of a SLURM job, as a standard `Executor` over Parsl.

SLURM gives out the machines and Parsl's high-throughput executor keeps the workers busy; what is here only
joins the two. One manager runs on each node (one `srun` step), with as many workers as the job has tasks there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from functools import cache, partial
from pathlib import Path
from typing import Any

from candle_hpo.core.errors import MachineError
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Outcome, Status, Trial
from candle_hpo.execution.devices import VISIBLE, GpuShare, parse_visible
from candle_hpo.execution.own_program import own_program
from candle_hpo.execution.parsl_import import (
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
from candle_hpo.execution.parsl_program import INTERCHANGE, WORKER_POOL
from candle_hpo.model.command import ModelCommand
from candle_hpo.model.guard import Guard
from candle_hpo.model.leftovers import adopt_orphans
from candle_hpo.model.parent import end_with_parent
from candle_hpo.model.process import StopSwitch
from candle_hpo.model.result import ENDED_BY_SIGNAL
from candle_hpo.model.run import run_trial
from candle_hpo.model.warm_host import WarmHost

HEARTBEAT_SECONDS = 5
ENDED_TOGETHER_SECONDS = 2.0  # within which SLURM ends all processes of a node
LOST_AFTER_SECONDS = 30  # without a heartbeat, a node is lost and its trials are attempted on others

# A step of its own for the managers, with everything that the job has on each node, bound to nothing less.
_SRUN = "--overlap --ntasks-per-node=1 --cpu-bind=none --mem=0 --export=ALL --kill-on-bad-exit=0 --no-kill --wait=0"

# What the job's request says of its tasks: to `srun` it would mean fewer CPUs for the managers, and to a model with
# distributed training that it is one of several processes.
_OF_TASKS = re.compile(
    r"SRUN_CPUS_PER_TASK|SLURM_(CPUS|GPUS)_PER_TASK|SLURM_(NTASKS|NPROCS|TASKS_PER_NODE|NTASKS_PER_NODE)"
    r"|SLURM_(PROCID|LOCALID|GTIDS)|SLURM_STEP.*|PMI.*|SLURM_PMI.*"
)

# Evaluated on each node (hence the backslashes: two shells read it before): how many workers it has.
_WORKERS_HERE = "--max_workers_per_node=\\$(cut -d, -f\\$((SLURM_NODEID+1)) <<< \\$CANDLE_WORKERS_BY_NODE)"


class WorkerStopped(OSError):
    """The worker was stopped while its trial ran."""


class ClusterPool(Executor):
    """Runs functions on the workers of this job. `stop()` gives up on what runs, at once."""

    def __init__(self, folder: Path, workers_by_node: Sequence[int]) -> None:
        """Start the workers; `folder` is for Parsl's files and keys: the user's own, shared by all nodes, and empty."""
        self._outstanding: set[Future[Any]] = set()
        self._managers: dict[str, str] = {}  # of each node that has answered, Parsl's name of its manager
        self._folder = folder
        _forget_tasks()
        os.environ["CANDLE_WORKERS_BY_NODE"] = ",".join(map(str, workers_by_node))
        nodes = len(workers_by_node)
        self._executor = HighThroughputExecutor(
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
                init_blocks=1,
                min_blocks=1,
                max_blocks=1,
                nodes_per_block=nodes,
                launcher=SrunLauncher(overrides=_SRUN),
            ),
        )
        self._pool = ParslPoolExecutor(
            parsl.Config(
                executors=[self._executor],
                strategy="none",
                strategy_period=0.5,
                usage_tracking=0,
                retries=0,
                run_dir=str(folder),
                initialize_logging=False,
            )
        )

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
            self._pool.submit(_with_its_place, function, args, kwargs).add_done_callback(settle)
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


def _launch_command() -> str:
    """Return what the step runs on each node: a manager, and the end of what a killed one leaves in its process group.

    The shell must outlive that signal itself; a handler, unlike an ignored signal, is not handed down to the manager. A
    manager that ends has failed, whatever it says: so Parsl sees it when all have.
    """
    arguments = DEFAULT_LAUNCH_CMD.partition(" ")[2].replace("{max_workers_per_node}", _WORKERS_HERE)
    return f"trap : TERM; {shlex.join(_parsl_program(WORKER_POOL))} {arguments}; kill -TERM 0; exit 1"


def _parsl_program(name: str) -> list[str]:
    """Return the command of one of Parsl's programs."""
    return [*own_program("candle_hpo.execution.parsl_program"), name]


def _as_machine_fault(error: BaseException) -> BaseException:
    """Return Parsl's ways of losing a worker as the machine's fault that they are; others as they are."""
    if isinstance(error, ParslError | ManagerLost | WorkerLost):
        return WorkerStopped(f"its worker was lost: {error}")
    return error


def _with_its_place(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str, str, Any]:
    """Call a function on a worker; return the node, Parsl's name of its manager, and what the function returns."""
    result = function(*args, **kwargs)
    return node_name(), os.environ["PARSL_WORKER_POOL_ID"], result


def node_name() -> str:
    """Return the name of this node: SLURM's, or else the system's."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def cluster_runner(model: ModelCommand, paths: ExperimentPaths, *, gpus: GpuShare | None) -> Callable[[Trial], Outcome]:
    """Return the function that runs a trial on whatever worker it is sent to; `gpus`: what each has, if any."""
    return _OnAnyWorker(model, paths, gpus)


def _forget_tasks() -> None:
    for name in list(os.environ):
        if _OF_TASKS.fullmatch(name):
            del os.environ[name]


class _OnAnyWorker:
    """Runs trials in a worker's process; sent there with what all trials have in common."""

    def __init__(self, model: ModelCommand, paths: ExperimentPaths, gpus: GpuShare | None) -> None:
        self._model, self._paths, self._gpus = model, paths, gpus

    def __call__(self, trial: Trial) -> Outcome:
        slot = int(os.environ["PARSL_WORKER_RANK"])
        worker, began = f"{node_name()}:{slot}", time.monotonic()
        try:
            devices = _gpus_of_slot(slot, self._gpus) if self._gpus else _no_gpu()
            paths = self._paths.trial(trial.id)
            process = _worker_process()
            warm, switch = process.warm_host(self._model), StopSwitch(guard=process.guard)
            run = partial(run_trial, self._model, trial, paths, devices, switch, worker=worker, warm=warm)
            return process.run(lambda: _unless_ended_too(run()))
        except (OSError, MachineError) as error:  # told with the worker's name: the node may be to blame
            return Outcome(Status.INTERRUPTED, None, str(error), time.monotonic() - began, worker)


def _unless_ended_too(outcome: Outcome) -> Outcome:
    """Return the outcome; that of a model which was killed only after a moment, for this worker may be killed with it.

    Where SLURM ends everything on a node, the model can go first. Its worker, ended too, then says nothing, and the
    trial counts as interrupted by the machine.
    """
    if outcome.reason.startswith(ENDED_BY_SIGNAL):
        time.sleep(ENDED_TOGETHER_SECONDS)
    return outcome


class _WorkerProcess:
    """The process of a worker, which ends, its trial with it, when its manager does: nothing is left behind."""

    def __init__(self) -> None:
        self._busy = False
        self._warm: WarmHost | None = None
        _forget_tasks()
        signal.signal(signal.SIGTERM, self._end)
        end_with_parent(signal.SIGTERM)
        adopt_orphans()
        self.guard = Guard()

    def warm_host(self, model: ModelCommand) -> WarmHost:
        """Return what starts the processes of this worker's trials; all are of one experiment."""
        if self._warm is None:
            self._warm = WarmHost(model)
        return self._warm

    def run(self, function: Callable[[], Outcome]) -> Outcome:
        """Call a function that may have to be left at any moment, with its own clearing up."""
        self._busy = True
        try:
            return function()
        except _ManagerEnded:
            os._exit(128 + signal.SIGTERM)  # not by an exception: Parsl would hand it to the manager that is no more
        finally:
            self._busy = False

    def _end(self, number: int, _frame: object) -> None:
        if self._busy:
            raise _ManagerEnded
        os._exit(128 + number)


class _ManagerEnded(BaseException):
    """The manager of this worker has ended; the trial that runs is to be ended too."""


@cache
def _worker_process() -> _WorkerProcess:
    return _WorkerProcess()


def _gpus_of_slot(slot: int, share: GpuShare) -> dict[str, str]:
    """Return the environment that shows a worker its GPUs: those at its place among the step's on this node."""
    gpus = parse_visible(os.environ.get(VISIBLE, ""))
    own = share.of_worker(slot, gpus)
    if len(own) < share.gpus:
        raise WorkerStopped(f"worker {slot} of {node_name()} has no GPU of its own ({VISIBLE}={','.join(gpus)})")
    return {VISIBLE: ",".join(own)}


def _no_gpu() -> dict[str, str]:
    """Return the environment of a worker that has none: what the login node's or SLURM's list says is not its own."""
    return {VISIBLE: ""} if VISIBLE in os.environ else {}
