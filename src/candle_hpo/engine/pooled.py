"""An engine whose workers are those of a standard `Executor`."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from candle_hpo.core.errors import MachineError
from candle_hpo.core.news import Broke, Ended, News, PlacesChanged, Reported, StopAsked
from candle_hpo.core.stopping import Stop, StopHow
from candle_hpo.core.trial import Attempt, Outcome, Status


class _Settled(NamedTuple):
    """An attempt whose future has ended: no news yet, for a pool's thread puts it there."""

    attempt: Attempt
    future: Future[Outcome]


class Clock(Protocol):
    """Knows until when there are places."""

    @property
    def deadline(self) -> float | None:
        """When all of them go, by `time.monotonic`; None where that is not known."""

    def renew(self) -> bool:
        """Find that out again; return whether it is later than was known."""


class PooledEngine:
    """Runs attempts in a pool, and makes news of the ends of its futures.

    `run_attempt` is what the pool is handed for each attempt; there are so many `places` at first, and later as many as
    is announced. `stop`, `collect` and `workers_on` do what `core.news.Engine` says; `stop` is called for one attempt
    once, while that may still run. `withhold` is called with all the nodes and workers that are to be handed nothing,
    and returns how many of the places that are announced it takes now; `exclude` with one of them that never will.
    """

    def __init__(
        self,
        pool: Executor,
        run_attempt: Callable[[Attempt], Outcome],
        places: int,
        stop: Callable[[Attempt | None, StopHow], None],
        exclude: Callable[[str], None] = lambda _: None,
        collect: Callable[[Attempt], Outcome | None] = lambda _: None,
        job: str = "",
        gpus: tuple[str, ...] = (),
        clock: Clock | None = None,
        nodes: int = 1,
        withhold: Callable[[frozenset[str]], int] = lambda _: 0,
        workers_on: Callable[[str], int] = lambda _: 0,
    ) -> None:
        self._stop, self._exclude, self.collect = stop, exclude, collect
        self._withhold, self.workers_on, self.nodes = withhold, workers_on, nodes
        self._withheld: frozenset[str] = frozenset()
        self._there = PlacesChanged(places)  # with those that are withheld
        self.job, self.gpus, self._clock = job, gpus, clock
        self._pool, self._run_attempt = pool, run_attempt
        self._running: dict[str, StopHow | None] = {}  # names of attempts -> how they were stopped
        # A SimpleQueue takes what the pool's threads and signal handlers put into it, whatever they interrupt.
        self._arrivals: queue.SimpleQueue[_Settled | News] = queue.SimpleQueue()
        self._arrivals.put(self._there)

    def start(self, attempt: Attempt) -> None:
        """Hand an attempt to the pool. Raises `MachineError` where that takes none any more."""
        try:
            future = self._pool.submit(self._run_attempt, attempt)
        except RuntimeError as error:
            raise MachineError(f"the trial {attempt.trial.id} cannot be started: {error}") from None
        self._running[attempt.name] = None
        future.add_done_callback(lambda done: self._arrivals.put(_Settled(attempt, done)))

    def stop(self, attempt: Attempt | None, how: StopHow) -> None:
        """End an attempt, or all of them (None); one that has ended, or is stopped already, is left alone."""
        if attempt is None:
            self._running = {name: earlier or how for name, earlier in self._running.items()}
        elif attempt.name not in self._running or self._running[attempt.name]:
            return
        else:
            self._running[attempt.name] = how
        self._stop(attempt, how)

    @property
    def deadline(self) -> float | None:
        """When all places go (by `time.monotonic`); None where that is not known."""
        return None if self._clock is None else self._clock.deadline

    def renew_deadline(self) -> bool:
        """Find out again when all places go; return whether that is later than was known."""
        return self._clock is not None and self._clock.renew()

    def hold(self, where: str, *, is_last: bool = False) -> bool:
        """Hand nothing to a node or worker for now; return whether that can be, and leaves a place if it has to."""
        now, then = (self._places_without(each) for each in (self._withheld, self._withheld | {where}))
        if then >= now or (then <= 0 and not is_last):
            self._withhold(self._withheld)
            return False
        self._change_withheld(self._withheld | {where})
        return True

    def release(self, where: str) -> None:
        """Hand attempts to a node or worker again."""
        self._change_withheld(self._withheld - {where})

    def exclude(self, where: str) -> None:
        """Hand nothing to a node or worker any more."""
        self._exclude(where)
        self._change_withheld(self._withheld | {where})

    def _change_withheld(self, withheld: frozenset[str]) -> None:
        self._withheld = withheld
        self._arrivals.put(self._there)

    def _places_without(self, withheld: frozenset[str]) -> int:
        return max(0, self._there.places - self._withhold(withheld))

    def ask_to_stop(self, stop: Stop) -> None:
        """Let this reason to stop be news. May be called by a signal handler."""
        self.announce(StopAsked(stop))

    def announce(self, news: PlacesChanged | Reported | StopAsked) -> None:
        """Let this be news. May be called by any thread."""
        self._arrivals.put(news)

    def news(self, timeout: float) -> Sequence[News]:
        """Return what has happened since the last call; wait so many seconds for something to happen."""
        found: list[News] = []
        with suppress(queue.Empty):
            arrival = self._arrivals.get(timeout=timeout) if timeout > 0 else self._arrivals.get_nowait()
            while True:
                found.append(self._news_of(arrival))
                arrival = self._arrivals.get_nowait()
        return found

    def _news_of(self, arrival: _Settled | News) -> News:
        match arrival:
            case _Settled():
                return self._end_of(arrival)
            case PlacesChanged():
                self._there = arrival
                return arrival._replace(places=self._places_without(self._withheld))
        return arrival

    def _end_of(self, settled: _Settled) -> News:
        attempt, how = settled.attempt, self._running.pop(settled.attempt.name)
        try:
            outcome = settled.future.result()
            if outcome.status is Status.INTERRUPTED and how is StopHow.PURPOSE:  # its worker was in trouble, too
                outcome = replace(Outcome.stopped(how, seconds=outcome.seconds), place=outcome.place)
            return Ended(attempt, outcome)
        except (OSError, MachineError) as error:  # the machine's fault; perhaps only the news of the end was lost
            unknown = Outcome.stopped(how) if how else Outcome.interrupted(str(error))
            return Ended(attempt, self.collect(attempt) or unknown)
        except BaseException as error:
            return Broke(attempt, error)
