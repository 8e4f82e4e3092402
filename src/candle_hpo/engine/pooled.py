"""An engine whose workers are those of a standard `Executor`."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from candle_hpo.core.errors import MachineError
from candle_hpo.core.news import Broke, Ended, News, PlacesChanged, Reported, StopAsked
from candle_hpo.core.stopping import Stop, StopHow
from candle_hpo.core.trial import Attempt, Outcome, Report

_MOST_WAITING = 10_000  # arrivals, from which on reports are dropped
_GATHER_SECONDS = 0.05  # after a report, in which others may come: a campaign that wakes for each does little else


class _Settled(NamedTuple):
    """An attempt whose future has ended: no news yet, for a pool's thread puts it there."""

    attempt: Attempt
    future: Future[Outcome]


class _Measured(NamedTuple):
    """What an attempt of this name reports: news of one that runs, and of no other."""

    attempt: str
    report: Report


@dataclass
class _Running:
    """An attempt that was started, how it was stopped, if it was, and what it reported last."""

    attempt: Attempt
    how: StopHow | None = None
    last_report: Report | None = None


class Clock(Protocol):
    """Knows until when there are places."""

    @property
    def deadline(self) -> float | None:
        """When all of them go, by `time.monotonic`; None where that is not known."""

    def renew(self) -> bool:
        """Find that out again; return whether it is later than was known."""


class PooledEngine:
    """Runs attempts in a pool, and makes news of the ends of its futures, and of what is reported meanwhile.

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
        self._running: dict[str, _Running] = {}  # by the names of the attempts
        # A SimpleQueue takes what the pool's threads and signal handlers put into it, whatever they interrupt.
        self._arrivals: queue.SimpleQueue[_Settled | _Measured | News] = queue.SimpleQueue()
        self._arrivals.put(self._there)

    def start(self, attempt: Attempt) -> None:
        """Hand an attempt to the pool. Raises `MachineError` where that takes none any more."""
        try:
            future = self._pool.submit(self._run_attempt, attempt)
        except RuntimeError as error:
            raise MachineError(f"the trial {attempt.trial.id} cannot be started: {error}") from None
        self._running[attempt.name] = _Running(attempt)
        future.add_done_callback(lambda done: self._arrivals.put(_Settled(attempt, done)))

    def stop(self, attempt: Attempt | None, how: StopHow) -> None:
        """End an attempt, or all of them (None); one that has ended, or is stopped already, is left alone."""
        if attempt is not None and (attempt.name not in self._running or self._running[attempt.name].how):
            return
        for each in self._running.values() if attempt is None else (self._running[attempt.name],):
            each.how = each.how or how
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

    def report(self, attempt: str, report: Report) -> None:
        """Let it be news that the attempt of this name has measured something, if it runs; called by any thread.

        Where too much waits already, it is dropped.
        """
        if self._arrivals.qsize() < _MOST_WAITING:
            self._arrivals.put(_Measured(attempt, report))

    def news(self, timeout: float) -> Sequence[News]:
        """Return what has happened since the last call; wait so many seconds for something to happen."""
        found: list[News] = []
        with suppress(queue.Empty):
            arrival = self._arrivals.get(timeout=timeout) if timeout > 0 else self._arrivals.get_nowait()
            if isinstance(arrival, _Measured):
                time.sleep(min(timeout, _GATHER_SECONDS))
            while True:
                news = self._news_of(arrival)
                found += [] if news is None else [news]
                arrival = self._arrivals.get_nowait()
        return found

    def _news_of(self, arrival: _Settled | _Measured | News) -> News | None:
        match arrival:
            case _Settled():
                return self._end_of(arrival)
            case _Measured(name, report):
                running = self._running.get(name)
                if running is None:
                    return None
                running.last_report = report
                return Reported(running.attempt, report)
            case PlacesChanged():
                self._there = arrival
                return arrival._replace(places=self._places_without(self._withheld))
        return arrival

    def _end_of(self, settled: _Settled) -> News:
        attempt, running = settled.attempt, self._running.pop(settled.attempt.name)
        how = running.how
        try:
            outcome = settled.future.result()
        except (OSError, MachineError) as error:  # the machine's fault; perhaps only the news of the end was lost
            unknown = Outcome.stopped(how) if how else Outcome.interrupted(str(error))
            outcome = self.collect(attempt) or unknown
        except BaseException as error:
            return Broke(attempt, error)
        outcome = outcome.as_asked() if how is StopHow.PURPOSE else outcome  # its worker may be in trouble, too
        return Ended(attempt, _with_report(outcome, running.last_report))


def _with_report(outcome: Outcome, last: Report | None) -> Outcome:
    """Return an outcome with what was reported last, where its worker could not say so itself."""
    return outcome if outcome.last_report or last is None else replace(outcome, last_report=last)
