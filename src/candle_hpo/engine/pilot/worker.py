"""A worker of the cluster engine: a process on a node, without the pool and most of Parsl.

It runs one trial at a time, and ends, its trial with it, when its manager does.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from functools import cache, partial

from candle_hpo.core.errors import MachineError
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Attempt, FailureKind, Outcome, Place
from candle_hpo.engine.batch.slurm_environment import for_models
from candle_hpo.engine.channel import Address, WorkerEnd
from candle_hpo.engine.devices import LISTS, VISIBLE, GpuShare, gpus_of_slot, hidden_gpus
from candle_hpo.engine.pilot.parsl_workers import GUEST, WORKER_NUMBER, WORKERS_MANAGER
from candle_hpo.launch.command import ModelCommand
from candle_hpo.launch.run import run_attempt
from candle_hpo.launch.shared_host import SharedHost, new_name
from candle_hpo.launch.warm_host import WarmHost
from candle_hpo.process.group import StopSwitch, nothing
from candle_hpo.process.guard import Guard
from candle_hpo.process.leftovers import adopt_orphans
from candle_hpo.process.parent import end_with_parent
from candle_hpo.script.version import ScriptWatch
from candle_hpo.user_environment import set_user_environment, user_environment

_logger = logging.getLogger(__name__)

ENDED_TOGETHER_SECONDS = 2.0  # within which SLURM ends all processes of a node


class WorkerStopped(OSError):
    """The worker was stopped while its trial ran."""


class NotHere:
    """What a worker returns that is to be handed nothing."""


def call_on_worker(call: bytes, withheld: frozenset[str] = frozenset(), pause: float = 0.0) -> bytes | type[NotHere]:
    """Make a call on a worker, unless that or its node is `withheld`; return what it returns, or `NotHere`.

    The call is a function and its arguments, pickled, and so is what is returned: Parsl would do that in Python, which
    takes ten times as long. Parsl hands a task to any free worker, and cannot be asked for a certain one: one that is
    to have none keeps it for a `pause`, and then it is handed out again. An exception that cannot be sent becomes a
    `RuntimeError` with its traceback: Parsl would lose all that comes after.
    """
    here = own_place()
    if withheld.intersection((here.node, str(here))):
        time.sleep(pause)
        return NotHere
    try:
        function, args, kwargs = pickle.loads(call)  # noqa: S301  # it is our own
        return pickle.dumps(function(*args, **kwargs))
    except Exception as error:
        if _can_be_sent(error):
            raise
        raise RuntimeError("".join(traceback.format_exception(error))) from None


def _can_be_sent(error: Exception) -> bool:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # it is our own
    except Exception:
        return False
    return True


def node_name() -> str:
    """Return the name of this node: SLURM's, or else the system's."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def own_place() -> Place:
    """Return the place of this worker."""
    _, _, job = os.environ.get(WORKERS_MANAGER, "").partition(GUEST)
    return Place(node_name(), int(os.environ[WORKER_NUMBER]), job)


def cluster_runner(
    model: ModelCommand, paths: ExperimentPaths, campaign: Address, *, gpus: GpuShare | None
) -> Callable[[Attempt], Outcome]:
    """Return the function that runs an attempt on whatever worker it is sent to; `gpus`: what each has, if any."""
    return _OnAnyWorker(model, paths, campaign, gpus, new_name())


class _OnAnyWorker:
    """Runs attempts in a worker's process; sent there with what all trials have in common, which is read there once."""

    def __init__(
        self, model: ModelCommand, paths: ExperimentPaths, campaign: Address, gpus: GpuShare | None, host: str
    ) -> None:
        self._model, self._paths, self._campaign, self._gpus, self._host = model, paths, campaign, gpus, host
        self._pickled = pickle.dumps((model, paths, campaign, gpus, host))

    def __reduce__(self) -> tuple[Callable[[bytes], _OnAnyWorker], tuple[bytes]]:
        return _on_any_worker, (self._pickled,)

    def __call__(self, attempt: Attempt) -> Outcome:
        place, began = own_place(), time.monotonic()
        try:
            devices = _gpus_of_slot(place.slot, self._gpus) if self._gpus else hidden_gpus(os.environ)
            paths = self._paths.trial(attempt.trial.id, attempt.trial.id_of_line)
            process = _worker_process()
            warm, switch = (
                process.warm_host(self._model, f"{self._host} {place.node} {place.job}"),
                StopSwitch(guard=process.guard),
            )
            script = process.script_watch(self._model)
            run = partial(
                run_attempt, self._model, attempt, paths, devices, switch, place=place, warm=warm, script=script
            )
            with process.reachable(self._campaign, attempt, place, switch) as channel, closing(switch):
                report, say = (channel.report, channel.say) if channel else (None, nothing)
                return process.run(lambda: _unless_ended_too(run(report=report, when_it_lasts=say)))
        except (OSError, MachineError) as error:  # reported with the worker's name: the node may be to blame
            return Outcome.interrupted(str(error), seconds=time.monotonic() - began, place=place)


@cache
def _on_any_worker(pickled: bytes) -> _OnAnyWorker:
    return _OnAnyWorker(*pickle.loads(pickled))  # noqa: S301  # it is our own


def _unless_ended_too(outcome: Outcome) -> Outcome:
    """Return the outcome; that of a model which was killed only after a moment, for this worker may be killed with it.

    Where SLURM ends everything on a node, the model can go first. Its worker, ended too, then says nothing, and the
    trial counts as interrupted by the machine.
    """
    if outcome.failure and outcome.failure.kind is FailureKind.SIGNAL:
        time.sleep(ENDED_TOGETHER_SECONDS)
    return outcome


class _WorkerProcess:
    """The process of a worker, which ends, its trial with it, when its manager does: nothing is left behind."""

    def __init__(self) -> None:
        self._busy = False
        self._warm: WarmHost | None = None
        self._script: ScriptWatch | None = None
        self._channel: WorkerEnd | None = None
        set_user_environment(for_models(user_environment()))
        signal.signal(signal.SIGTERM, self._end)
        end_with_parent(signal.SIGTERM)
        self.guard = Guard()
        adopt_orphans()

    def warm_host(self, model: ModelCommand, shared: str) -> WarmHost:
        """Return what starts the processes of this worker's trials; all are of one experiment.

        The node's workers share a host of this name.
        """
        if self._warm is None:
            self._warm = WarmHost(model, SharedHost(shared))
        return self._warm

    def script_watch(self, model: ModelCommand) -> ScriptWatch:
        """Return what knows which version of the model script this worker's trials run."""
        if self._script is None:
            self._script = ScriptWatch(model.script, model.language)
        return self._script

    def reachable(
        self, campaign: Address, attempt: Attempt, place: Place, switch: StopSwitch
    ) -> AbstractContextManager[WorkerEnd | None]:
        """Return a block in which the campaign can stop an attempt, with the channel to it.

        Where no channel can be made, it runs without. It is made here, for it would not survive a fork.
        """
        try:
            self._channel = self._channel or WorkerEnd(campaign, str(place))
        except Exception as error:  # no threads, no sockets: whatever ZeroMQ says of it
            _logger.warning("%s cannot be reached while it runs %s: %s", place, attempt.name, error)
            return nullcontext()
        return self._channel.running(attempt.name, switch.stop)

    def run(self, function: Callable[[], Outcome]) -> Outcome:
        """Call a function that may have to be left at any moment, with its own clearing up."""
        self._busy = True
        try:
            return function()
        except _ManagerEnded:
            os._exit(128 + signal.SIGTERM)  # not by an exception: Parsl would hand it to the manager, which has ended
        finally:
            self._busy = False

    def _end(self, number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # its manager, its step and SLURM may all ask: the way out is taken once
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
    own = gpus_of_slot(slot, share, os.environ)
    if own is None:
        seen = (
            ", ".join(f"{name}={os.environ[name]}" for name in LISTS if name in os.environ) or f"{VISIBLE} is not set"
        )
        raise WorkerStopped(f"worker {slot} of {node_name()} has no GPU ({seen})")
    return own
