"""An engine whose workers are those of a standard `Executor`."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import NamedTuple

from candle_hpo.core.errors import MachineError
from candle_hpo.core.news import Broke, Ended, News, PlacesChanged, StopAsked
from candle_hpo.core.stopping import Stop
from candle_hpo.core.trial import Attempt, Outcome


class _Settled(NamedTuple):
    """An attempt whose future has ended: no news yet, for a pool's thread puts it there."""

    attempt: Attempt
    future: Future[Outcome]


class PooledEngine:
    """Runs attempts in a pool, and makes news of the ends of its futures.

    `run_attempt` is what the pool is handed for each attempt; there are so many `places`. `stop`, `exclude` and
    `collect` do what `core.news.Engine` says.
    """

    def __init__(
        self,
        pool: Executor,
        run_attempt: Callable[[Attempt], Outcome],
        places: int,
        stop: Callable[[], None],
        exclude: Callable[[str], None] = lambda _: None,
        collect: Callable[[Attempt], Outcome | None] = lambda _: None,
        job: str = "",
        deadline: float | None = None,
        gpus: tuple[str, ...] = (),
    ) -> None:
        self.stop, self.exclude, self.collect = stop, exclude, collect
        self.job, self.deadline, self.gpus = job, deadline, gpus
        self._pool, self._run_attempt = pool, run_attempt
        # A SimpleQueue takes what the pool's threads and signal handlers put into it, whatever they interrupt.
        self._arrivals: queue.SimpleQueue[_Settled | News] = queue.SimpleQueue()
        self._arrivals.put(PlacesChanged(places))

    def start(self, attempt: Attempt) -> None:
        """Hand an attempt to the pool. Raises `MachineError` where that takes none any more."""
        try:
            future = self._pool.submit(self._run_attempt, attempt)
        except RuntimeError as error:
            raise MachineError(f"the trial {attempt.trial.id} cannot be started: {error}") from None
        future.add_done_callback(lambda done: self._arrivals.put(_Settled(attempt, done)))

    def ask_to_stop(self, stop: Stop) -> None:
        """Let this reason to stop be news. May be called by a signal handler."""
        self._arrivals.put(StopAsked(stop))

    def news(self, timeout: float) -> Sequence[News]:
        """Return what has happened since the last call; wait so many seconds for something to happen."""
        found: list[News] = []
        with suppress(queue.Empty):
            arrival = self._arrivals.get(timeout=timeout) if timeout > 0 else self._arrivals.get_nowait()
            while True:
                found.append(self._end_of(arrival) if isinstance(arrival, _Settled) else arrival)
                arrival = self._arrivals.get_nowait()
        return found

    def _end_of(self, settled: _Settled) -> News:
        attempt = settled.attempt
        try:
            return Ended(attempt, settled.future.result())
        except (OSError, MachineError) as error:  # the machine's fault; perhaps only the news of the end was lost
            return Ended(attempt, self.collect(attempt) or Outcome.interrupted(str(error)))
        except BaseException as error:
            return Broke(attempt, error)
