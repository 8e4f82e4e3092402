"""Which of the trials that wait to start next, so that all workers end early, and together."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

AS_LONG = 1.1  # times as long as another is about as long
GOOD_ENOUGH = 1.01  # times the least makespan: for what is expected is not what will be
MOST_LOOKED_AT = 100  # trials that wait; of more, one of the longest is as good


def next_to_start(seconds: Sequence[float], busy: Sequence[float]) -> int:
    """Return the place of the trial to start now on a free worker; `seconds` is how long each of those that wait takes.

    `busy` is for how many seconds each of the other workers is busy yet. With the longest first, workers end nearly
    together (Graham, "Bounds on multiprocessing timing anomalies", SIAM Journal on Applied Mathematics 17, 1969); so
    that is how all the others are taken to follow, and each trial is tried in the first place (a rollout; Bertsekas,
    Tsitsiklis and Wu, "Rollout algorithms for combinatorial optimization", Journal of Heuristics 3, 1997). It is the
    longest of those that are good enough, and of trials that take about as long, the first.
    """
    longest_first = sorted(range(len(seconds)), key=lambda place: -seconds[place])
    candidates = _first_of_each_length(seconds, longest_first)
    if len(candidates) == 1 or len(seconds) > MOST_LOOKED_AT:
        return candidates[0]
    makespans = [_makespan(seconds, place, longest_first, busy) for place in candidates]
    enough = GOOD_ENOUGH * min(makespans)
    return next(place for place, makespan in zip(candidates, makespans, strict=True) if makespan <= enough)


def _first_of_each_length(seconds: Sequence[float], longest_first: Sequence[int]) -> list[int]:
    """Return the first trial of each length, the longest length first; about as long is the same length."""
    firsts: list[int] = []
    length = float("inf")
    for place in longest_first:
        if seconds[place] * AS_LONG < length:
            length = seconds[place]
            firsts.append(place)
        else:
            firsts[-1] = min(firsts[-1], place)
    return firsts


def _makespan(seconds: Sequence[float], first: int, longest_first: Sequence[int], busy: Sequence[float]) -> float:
    """Return when the last trial ends, if this one is the first on the free worker and the longest ones follow."""
    ends = [seconds[first], *busy]
    heapq.heapify(ends)
    for place in longest_first:
        if place != first:
            heapq.heapreplace(ends, ends[0] + seconds[place])
    return max(ends)
