"""The search that learns: it observes every outcome, and makes the next point of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from candle_hpo.core.errors import RecordError
from candle_hpo.core.objective import THE_VALUE, Direction
from candle_hpo.core.parameters import Coordinates
from candle_hpo.core.trial import Configuration, Outcome, Status, Trial, default_trial_id
from candle_hpo.search.budget import Budget
from candle_hpo.search.gp.proposal import Knowledge, next_position
from candle_hpo.search.points import PointKey, Points
from candle_hpo.search.space import SearchSpace


class KnownPoint(NamedTuple):
    """A result that was there before the search: where, and the value."""

    coordinates: Coordinates
    value: float


class Sampler:
    """Makes points of what is known: the first ones fill the space evenly, the others follow a Gaussian process.

    Each point that is tried has a place, from 0, in the order in which they were added. A point depends on the seed,
    its place and what is known, and on nothing else.
    """

    def __init__(self, space: SearchSpace, direction: Direction, seed: int, design_size: int) -> None:
        self._space, self._seed, self._design_size = space, seed, design_size
        self._sign = -1.0 if direction is Direction.MAXIMIZE else 1.0
        self._positions: list[NDArray[np.float64]] = []
        self._ends: list[float | None] = []  # a value, NaN for a failure, None while nothing is known

    def suggest(self) -> Coordinates | None:
        """Return the point that is worth trying next, perhaps one that was tried; None where all seem to be."""
        cube, number = self._space.cube, len(self._positions)
        known = Knowledge.of(cube, self._positions, self._ends)
        position = next_position(cube, known, number, self._seed, in_design=number < self._design_size)
        return None if position is None else self._space.coordinates(cube.assignment(position))

    def add(self, point: Coordinates) -> int:
        """Let a point be tried, whether it was suggested or not; return its place."""
        cube = self._space.cube
        position = cube.position(self._space.values(point))
        self._positions.append(np.full(len(cube.axes), np.nan) if position is None else position)
        self._ends.append(None)
        return len(self._ends) - 1

    def observe(self, place: int, value: float | None) -> None:
        """Note what came of the point at a place: its value, or None for a failure. The last news counts."""
        self._ends[place] = math.nan if value is None else self._sign * value


class LearningSearch:
    """Proposes what a sampler makes of all that is known: values, failures, and what runs now.

    No point is proposed twice: where a sampler repeats one, a random one takes its place. `known` are results that are
    there before the first trial. A resumed search is the same one once it has observed the outcomes of the record.
    """

    def __init__(
        self,
        space: SearchSpace,
        sampler: Sampler,
        budget: Budget,
        seed: int,
        known: Iterable[KnownPoint] = (),
        objective: str = THE_VALUE,
    ) -> None:
        self._space, self._sampler, self._budget, self._objective = space, sampler, budget, objective
        self._points, self._count = Points(space, seed), space.points()
        self._places: dict[int, int] = {}  # of each trial's point in the sampler, by its number
        self._taken: set[PointKey] = set()
        for each in known:
            self._sampler.observe(self._add(each.coordinates), each.value)

    def propose(self, number: int, running: int) -> Configuration | None:
        """Return the configuration of this number; None where the budget or the space has no more, or not yet."""
        if not self._budget.allows(number, running) or len(self._taken) >= self._count:
            return None
        point = self._sampler.suggest()
        if point is None or self._points.key_at(point) in self._taken:
            point = self._points.random(number, self._taken)
        if point is None:
            return None
        self._places[number] = self._add(point)
        return Configuration(number, default_trial_id(number), self._space.space.hyperparameters(point))

    def observe(self, trial: Trial, outcome: Outcome) -> None:
        """Observe how a trial ended, perhaps one that an earlier campaign proposed.

        One that was interrupted says nothing: its value is as unknown as that of a trial that runs. One that was
        stopped early is as good as what it reported last. Raises `RecordError` for hyperparameters that are not of this
        space.
        """
        if trial.number not in self._places:
            point = self._space.space.coordinates(trial.hyperparameters)
            if point is None:
                raise RecordError(f"{trial.id} has hyperparameters that are not of this experiment's search space")
            self._places[trial.number] = self._add(point)
        if outcome.status is Status.STOPPED:
            last = outcome.last_report
            if last is not None and last.has(self._objective):
                self._sampler.observe(self._places[trial.number], last.value_of(self._objective))
        elif outcome.status is not Status.INTERRUPTED:
            self._sampler.observe(self._places[trial.number], outcome.value_of(self._objective))

    def _add(self, point: Coordinates) -> int:
        """Let a point be tried; return its place in the sampler."""
        self._taken.add(self._points.key_at(point))
        return self._sampler.add(point)
