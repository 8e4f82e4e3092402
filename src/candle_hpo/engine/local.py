"""The local engine: workers of this machine, as a standard `Executor`."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.stopping import StopHow
from candle_hpo.core.trial import Attempt, Outcome, Place, Report
from candle_hpo.engine.workers import Worker
from candle_hpo.launch.command import ModelCommand
from candle_hpo.launch.run import run_attempt
from candle_hpo.launch.shared_host import SharedHost
from candle_hpo.launch.warm_host import WarmHost
from candle_hpo.process.group import StopSwitch
from candle_hpo.process.guard import Guard
from candle_hpo.script.version import ScriptWatch


class LocalPool(ThreadPoolExecutor):
    """One thread a worker; each waits on the process of one trial at a time.

    `stop` ends the processes that run, all of each, and all that would start later.
    """

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._free: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for worker in workers:
            self._free.put(worker)
        self._own = threading.local()
        self._warm: list[WarmHost] = []
        self._shared = SharedHost()
        self._guard = Guard()
        self._lock = threading.Lock()
        self._switches: dict[str, StopSwitch] = {}  # of attempts, by their names
        self._all: StopHow | None = None  # how all attempts are to end
        self._at_once = False
        self.report: Callable[[str, Report], None] = lambda _name, _report: None
        super().__init__(max_workers=len(workers), thread_name_prefix="worker", initializer=self._begin)

    def _begin(self) -> None:
        self._own.worker = self._free.get_nowait()

    def report_to(self, report: Callable[[str, Report], None]) -> None:
        """Have what attempts report passed on, with their names."""
        self.report = report

    def worker(self) -> Worker:
        """Return the worker whose thread asks."""
        worker: Worker = self._own.worker
        return worker

    def warm_host(self, model: ModelCommand) -> WarmHost:
        """Return what starts the processes of this model for the worker whose thread asks."""
        if not hasattr(self._own, "warm"):
            self._own.warm = WarmHost(model, self._shared)
            self._warm.append(self._own.warm)
        warm: WarmHost = self._own.warm
        return warm

    @contextmanager
    def switch_of(self, attempt: Attempt) -> Iterator[StopSwitch]:
        """Yield what stops an attempt, for as long as that runs."""
        with self._lock:
            switch = self._switch_of(attempt)
            self._stop_as_all(switch)
        try:
            yield switch
        finally:
            switch.close()
            with self._lock:
                del self._switches[attempt.name]

    def stop(self, attempt: Attempt | None, how: StopHow) -> None:
        """End an attempt, or all that run or will (None), within a grace period; all at once when called again."""
        with self._lock:
            if attempt is not None:
                self._switch_of(attempt).stop(how)  # before it begins, too; after its end that stops nothing
                return
            self._at_once = self._all is not None
            self._all = self._all or how
            for switch in self._switches.values():
                self._stop_as_all(switch)

    def _switch_of(self, attempt: Attempt) -> StopSwitch:
        return self._switches.setdefault(attempt.name, StopSwitch(guard=self._guard))

    def _stop_as_all(self, switch: StopSwitch) -> None:
        if self._all is not None:
            switch.stop(self._all)
        if self._at_once:
            switch.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for the workers, as every `Executor` does, and end what they have for their trials."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            self._guard.close()
            for warm in self._warm:
                warm.close()
            self._shared.close()


def local_runner(pool: LocalPool, model: ModelCommand, paths: ExperimentPaths) -> Callable[[Attempt], Outcome]:
    """Return the function that runs an attempt in one of the pool's threads, on that thread's worker."""
    script = ScriptWatch(model.script, model.language)

    def run(attempt: Attempt) -> Outcome:
        worker = pool.worker()
        place = Place(socket.gethostname(), worker.number)
        environment, warm = worker.environment, pool.warm_host(model)
        own = paths.trial(attempt.trial.id, attempt.trial.id_of_line)
        report = partial(pool.report, attempt.name)
        with pool.switch_of(attempt) as switch:
            return run_attempt(
                model, attempt, own, environment, switch, place=place, warm=warm, script=script, report=report
            )

    return run
