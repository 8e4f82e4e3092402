"""The cluster engine: workers on all nodes of a SLURM job, as a standard `Executor` over Parsl.

SLURM gives out the machines and Parsl keeps the workers busy (`parsl_workers.py`); what is here only joins the two. One
manager runs on each node (`managers.py`), in its own `srun` step (`step.py`), with as many workers as the job has
tasks there; what a worker does is `worker.py`.
"""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from candle_hpo.core.stopping import StopHow
from candle_hpo.core.trial import Attempt, Report
from candle_hpo.engine.channel import PORTS, Address, CampaignEnd
from candle_hpo.engine.open_files import allow_connections
from candle_hpo.engine.pilot.managers import Announce, Managers
from candle_hpo.engine.pilot.parsl_workers import LOST_AFTER_SECONDS, Contact, ParslWorkers, log_faults
from candle_hpo.engine.pilot.step import Step, soft_limit_of_files
from candle_hpo.engine.pilot.worker import NotHere, WorkerStopped, call_on_worker

_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds in which a worker that is to have nothing keeps what it is handed


class ClusterPool(Executor):
    """Runs functions on the workers of this job, once there are some. `stop` for all gives up on what runs, at once."""

    def __init__(self, folder: Path, workers_of_nodes: Mapping[str, int], guests: int = 0) -> None:
        """Prepare for so many workers on each node, and for so many `guests`: workers of other jobs that join.

        `folder` is for files and keys: the user's own, shared by all nodes, and empty.
        """
        self._outstanding: set[Future[Any]] = set()
        self._withheld: frozenset[str] = frozenset()
        self._folder, self._workers_of_nodes = folder, workers_of_nodes
        self._managers: Managers | None = None
        self._files = soft_limit_of_files()
        allow_connections(sum(workers_of_nodes.values()) + guests)  # not for the workers and their models
        self._workers = ParslWorkers(folder, PORTS, are_all_here=len(workers_of_nodes) == 1 and not guests)
        try:
            self._channel = CampaignEnd(self._workers.addresses)
        except BaseException:
            self._workers.end()
            raise

    @property
    def contact(self) -> Contact:
        """Where managers of other jobs reach it."""
        return self._workers.contact

    @property
    def channel(self) -> Address:
        """Where its workers reach the campaign."""
        return self._channel.address

    def start_workers(
        self, announce: Announce, report: Callable[[str, Report], None] = lambda _name, _report: None
    ) -> None:
        """Start workers on all nodes, and keep them there; how many there are is announced whenever that changes.

        `report` is called with what attempts report, and their names.
        """
        self._channel.report_to(report)
        workers = self._workers
        self._managers = Managers(
            self._workers_of_nodes, self._start_step, workers.connected, workers.hand_no_more_to, announce
        )

    def _start_step(self, node: str, manager: str, workers: int) -> Step:
        return Step(node, self.contact.manager(manager, workers), self._folder / f"{manager}.err", self._files)

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function on a free worker. Raises `RuntimeError` when there will never be one again."""
        if self._managers is not None and self._managers.is_over:
            raise RuntimeError(f"all workers of the job are lost: {self._managers.is_over}")
        future: Future[Any] = Future()
        self._outstanding.add(future)
        self._hand_out(future, pickle.dumps((function, args, kwargs)))
        return future

    def _hand_out(self, future: Future[Any], call: bytes, times: int = 0) -> None:
        """Hand a call to whichever worker is free; where that is to have none, again, and more slowly each time."""

        def settle(done: Future[Any]) -> None:
            error = done.exception()
            if error is not None:
                self._settle(future, None, self._as_machine_fault(error))
            elif done.result() is not NotHere:
                self._settle(future, pickle.loads(done.result()), None)  # noqa: S301  # from our own worker
            elif future in self._outstanding:
                self._hand_out(future, call, times + 1)

        pause = min(times * _PAUSE, _LONGEST_PAUSE)
        try:
            self._workers.submit(call_on_worker, call, self._withheld, pause).add_done_callback(settle)
        except self._workers.faults as error:
            self._settle(future, None, self._as_machine_fault(error))

    def _settle(self, future: Future[Any], result: Any, error: BaseException | None) -> None:
        """Give a future its end, unless `stop` or an answer was faster; removing it shows who was."""
        try:
            self._outstanding.remove(future)
        except KeyError:
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def stop(self, attempt: Attempt | None, how: StopHow) -> None:
        """Have an attempt's worker end it, or (None) give up on all: their processes end with the pool."""
        if attempt is not None:
            self._channel.stop(attempt.name, how)
        else:
            self._give_up()

    def _give_up(self) -> None:
        """Let the futures of everything that runs fail now."""
        for future in list(self._outstanding):
            self._settle(future, None, WorkerStopped("stopped while it ran"))

    def withhold(self, withheld: frozenset[str]) -> int:
        """Hand nothing to these nodes and workers, and to all others again; return how many workers that leaves out."""
        self._withheld = withheld
        if self._managers is None:
            return 0
        places = self._managers.places()
        single = {place for place in withheld if ":" in place and places.get(place.partition(":")[0])}
        single = {place for place in single if place.partition(":")[0] not in withheld}
        return sum(places.get(name, 0) for name in withheld) + len(single)

    def workers_on(self, node: str) -> int:
        """Return how many workers a node has, or is to have."""
        there = self._managers.places() if self._managers is not None else {}
        return max(self._workers_of_nodes.get(node, 0), there.get(node, 0))

    def exclude(self, where: str) -> None:
        """Hand nothing to a node any more; a worker is withheld for ever."""
        if self._managers is not None and ":" not in where:
            self._managers.exclude(where)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """End the workers and all that runs on them, now; SLURM ends what does not end in a few seconds."""
        self._give_up()
        log_faults(self._folder)  # before they are ended, which each of Parsl's programs has a word for
        if self._managers is not None:
            self._managers.end()
        self._workers.end()
        self._channel.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _as_machine_fault(self, error: BaseException) -> BaseException:
        """Return Parsl's ways of losing a worker as the machine's fault that they are; others as they are."""
        if not isinstance(error, self._workers.faults):
            return error
        manager = self._workers.lost_manager(error)
        if manager is None or self._managers is None:
            return WorkerStopped(f"its worker was lost: {error}")
        cause = self._managers.cause_of(manager) or f"no sign of life for {LOST_AFTER_SECONDS} s"
        return WorkerStopped(f"its worker was lost: {manager}: {cause}")
