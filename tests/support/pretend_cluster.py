"""A cluster that is only pretended, with its own clock: nodes and workers that fail as a test wants them to."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace

import msgspec
import pytest

from candle_hpo import campaign
from candle_hpo.core.news import Ended, News, PlacesChanged, StopAsked
from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.stopping import Stop, StopHow
from candle_hpo.core.trial import Attempt, Failure, FailureKind, Outcome, Place, Status

Run = Callable[[Attempt, Place, float], Outcome]


def works(attempt: Attempt, seconds: float = 30.0) -> Outcome:
    return Outcome(Status.COMPLETED, {THE_VALUE: float(attempt.trial.number)}, seconds=seconds)


def fails(reason: str, seconds: float = 0.1) -> Outcome:
    return Outcome(Status.FAILED, failure=Failure(FailureKind.EXIT_STATUS, reason), seconds=seconds)


class PretendCluster:
    """An engine that runs nothing: `run` says how an attempt ends on a place, at a moment, and how long that takes.

    A node takes attempts from its second in `begins` on, until that in `ends`. As Parsl does, it hands what waits to
    any place that is free.
    """

    job, deadline, gpus = "1", None, ()

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        nodes: Mapping[str, int],
        run: Run,
        begins: Mapping[str, float] | None = None,
        ends: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        self._workers, self._run, self._begins, self._until = nodes, run, begins or {}, ends or {}
        self.nodes, self.now = len(nodes), 0.0
        self._free = [Place(node, slot) for node, workers in nodes.items() for slot in range(workers)]
        self._waiting: list[Attempt] = []
        self._ends: list[tuple[float, int, Ended, Place]] = []
        self._count, self._random = itertools.count(), random.Random(seed)
        self._news: list[News] = []
        self.held: set[str] = set()
        self.out: list[str] = []
        self._places = -1
        clock = SimpleNamespace(time=lambda: self.now, monotonic=lambda: self.now)
        monkeypatch.setattr(campaign, "time", clock)

    def workers_on(self, node: str) -> int:
        return self._workers[node]

    def _is_there(self, place: Place) -> bool:
        return self._begins.get(place.node, 0.0) <= self.now < self._until.get(place.node, float("inf"))

    def _takes(self, place: Place) -> bool:
        return self._is_there(place) and not {place.node, str(place)} & {*self.held, *self.out}

    def _all(self) -> list[Place]:
        return [Place(node, slot) for node, workers in self._workers.items() for slot in range(workers)]

    def start(self, attempt: Attempt) -> None:
        self._waiting.append(attempt)

    def hold(self, where: str, *, is_last: bool = False) -> bool:
        others = any(where not in (place.node, str(place)) for place in self._all() if self._takes(place))
        if not others and not is_last:
            return False
        self.held.add(where)
        return True

    def release(self, where: str) -> None:
        self.held.discard(where)

    def exclude(self, where: str) -> None:
        self.out.append(where)

    def stop(self, attempt: Attempt | None, how: StopHow) -> None:
        pytest.fail(f"{attempt} is stopped: {how}")

    def renew_deadline(self) -> bool:
        return False

    def ask_to_stop(self, stop: Stop) -> None:
        self._news.append(StopAsked(stop))

    def collect(self, attempt: Attempt) -> Outcome | None:
        return None

    def news(self, timeout: float) -> Sequence[News]:
        found, self._news = self._news, []
        self._hand_out()
        if timeout and not found:
            until = self.now + 20 * timeout  # so that hours take no longer than needed
            if self._ends and self._ends[0][0] <= until:
                self.now, _, ended, place = heapq.heappop(self._ends)
                self._free.append(place)
                found.append(ended)
            else:
                self.now = until
        places = sum(map(self._takes, self._all()))
        if places != self._places:
            self._places = places
            found.append(PlacesChanged(places))
        return found

    def _hand_out(self) -> None:
        while self._waiting and (free := [place for place in self._free if self._takes(place)]):
            place = self._random.choice(free)
            self._free.remove(place)
            attempt = self._waiting.pop(0)
            outcome = msgspec.structs.replace(self._run(attempt, place, self.now), place=place)
            end = self.now + outcome.seconds + 0.05
            heapq.heappush(self._ends, (end, next(self._count), Ended(attempt, outcome), place))
