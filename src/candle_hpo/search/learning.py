"""The search that learns: it observes reports and outcomes, and makes the next point of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from candle_hpo.core.errors import RecordError
from candle_hpo.core.objective import THE_VALUE, Direction
from candle_hpo.core.parameters import Coordinates
from candle_hpo.core.trial import Configuration, Outcome, Report, Status, Trial, default_trial_id
from candle_hpo.search.budget import Budget
from candle_hpo.search.gp.knowledge import Knowledge
from candle_hpo.search.gp.proposal import next_position
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
        self._ends: list[float | None] = []  # a value, NaN for a failure, None for neither
        self._curves: list[dict[float, float]] = []  # values by the steps at which they were measured on the way
        self._stopped: set[int] = set()  # places of those that were stopped on their way
        self._lengths: list[float] = []  # the last steps of those that have a value, as far as they are known, else 0

    def suggest(self) -> Coordinates | None:
        """Return the point that is worth trying next, perhaps one that was tried; None where all seem to be."""
        cube, number = self._space.cube, len(self._positions)
        length = max((*self._lengths, *(step for curve in self._curves for step in curve)), default=0.0)
        known = Knowledge.of(cube, self._positions, self._ends, self._curves, self._stopped, length)
        position = next_position(cube, known, number, self._seed, in_design=number < self._design_size)
        return None if position is None else self._space.coordinates(cube.assignment(position))

    def add(self, point: Coordinates) -> int:
        """Let a point be tried, whether it was suggested or not; return its place."""
        cube = self._space.cube
        position = cube.position(self._space.values(point))
        self._positions.append(np.full(len(cube.axes), np.nan) if position is None else position)
        self._ends.append(None)
        self._curves.append({})
        self._lengths.append(0.0)
        return len(self._ends) - 1

    def observe(self, place: int, value: float | None, length: float = 0.0) -> None:
        """Note what came of the point at a place: its value after so many steps, or None for a failure.

        The last news counts, and of one that has failed, nothing else.
        """
        if value is None:
            self._forget(place)
        self._ends[place] = math.nan if value is None else self._sign * value
        self._lengths[place] = 0.0 if value is None else length

    def observe_step(self, place: int, step: float, value: float) -> None:
        """Note the value that the point at a place had on its way; if it had failed, it runs again."""
        self._curves[place][step], self._ends[place] = self._sign * value, None

    def observe_stop(self, place: int) -> None:
        """Note that the point at a place was stopped on its way."""
        if self._curves[place]:  # else it says nothing
            self._stopped.add(place)

    def observe_interruption(self, place: int) -> None:
        """Note that nothing is known of the point at a place, as if it had just begun."""
        self._forget(place)

    def _forget(self, place: int) -> None:
        self._ends[place], self._curves[place], self._lengths[place] = None, {}, 0.0
        self._stopped.discard(place)


class LearningSearch:
    """Proposes what a sampler makes of all that is known: values, failures, and what runs now.

    No point is proposed twice: where a sampler repeats one, a random one takes its place. `known` are results that are
    there before the first trial. A resumed search is the same one once it has observed what the record has of each
    trial's last attempt, in the order of the trials' numbers: its reports in their order, and its outcome.
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

    def observe(self, trial: Trial, seen: Report | Outcome) -> None:
        """Observe what a trial measured on its way, or how it ended; perhaps one that an earlier campaign proposed.

        One that was interrupted says nothing: its value is as unknown as that of a trial that begins. One that was
        stopped early says what it measured until then. Raises `RecordError` for hyperparameters that are not of this
        space.
        """
        if trial.number not in self._places:
            point = self._space.space.coordinates(trial.hyperparameters)
            if point is None:
                raise RecordError(f"{trial.id} has hyperparameters that are not of this experiment's search space")
            self._places[trial.number] = self._add(point)
        place = self._places[trial.number]
        if isinstance(seen, Report):
            self._observe_report(place, seen)
        elif seen.status is Status.INTERRUPTED:
            self._sampler.observe_interruption(place)
        elif seen.status is Status.STOPPED:
            last = seen.last_report
            if last is not None and last.has(self._objective) and last.value_of(self._objective) is None:
                self._sampler.observe(place, None)  # it became what is not a number
                return
            if last is not None:
                self._observe_report(place, last)
            self._sampler.observe_stop(place)
        else:
            length = 0.0 if seen.last_report is None else seen.last_report.step
            self._sampler.observe(place, seen.value_of(self._objective), length)

    def _observe_report(self, place: int, report: Report) -> None:
        value = report.value_of(self._objective)
        if value is not None and report.step > 0:  # the model sees a step's logarithm
            self._sampler.observe_step(place, report.step, value)

    def _add(self, point: Coordinates) -> int:
        """Let a point be tried; return its place in the sampler."""
        self._taken.add(self._points.key_at(point))
        return self._sampler.add(point)
