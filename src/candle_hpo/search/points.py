"""Points that no model chooses: random ones, and those of a sequence that fills the space evenly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from candle_hpo.core.parameters import Coordinates
from candle_hpo.core.space import ParameterSet
from candle_hpo.core.trial import Outcome, Trial, default_trial_id
from candle_hpo.search.budget import Budget
from candle_hpo.search.study_space import MOST_COUNTED, StudySpace

Key = tuple[tuple[str, int | float], ...]

BLOCK = 256  # points of a sequence that are made at once
TRIES = 200  # random points, before a finite space is looked through


def key_of(coordinates: Coordinates) -> Key:
    """Return what equal points have in common."""
    return tuple(coordinates.items())


class Points:
    """Points of a space by their numbers: the same for the same seed, whatever else was proposed."""

    def __init__(self, space: StudySpace, seed: int) -> None:
        self._space, self._seed = space, seed
        self._block: tuple[int, NDArray[np.float64]] | None = None

    def random(self, number: int, taken: set[Key]) -> Coordinates | None:
        """Return a random point that is not taken; None where (almost) all are."""
        generator = np.random.default_rng([self._seed, number])
        for _ in range(TRIES):
            point = self._at(generator.random(len(self._space.cube.axes)))
            if key_of(point) not in taken:
                return point
        return self._any_left(taken)

    def evenly(self, number: int, taken: set[Key]) -> Coordinates | None:
        """Return the point of this number of a scrambled Sobol sequence; a random one where that is taken.

        Sobol (1967), scrambled after Owen (1998), as SciPy has it.
        """
        point = self._at(self._shares(number))
        return point if key_of(point) not in taken else self.random(number, taken)

    def _shares(self, number: int) -> NDArray[np.float64]:
        width = len(self._space.cube.axes)
        block = number // BLOCK
        if self._block is None or self._block[0] != block:
            sequence = qmc.Sobol(max(width, 1), rng=np.random.default_rng(self._seed))
            if block:
                sequence.fast_forward(block * BLOCK)
            self._block = block, sequence.random(BLOCK)
        return self._block[1][number % BLOCK, :width]

    def _at(self, shares: NDArray[np.float64]) -> Coordinates:
        cube = self._space.cube
        position = cube.spread(shares[None, :])[0] if len(shares) else shares
        return self._space.coordinates(cube.full_assignment(position))

    def _any_left(self, taken: set[Key]) -> Coordinates | None:
        cube = self._space.cube
        if not cube.axes or cube.size > MOST_COUNTED:
            return None
        points = (self._space.coordinates(cube.assignment(position)) for position in cube.all_positions())
        return next((point for point in points if key_of(point) not in taken), None)


class PointSearch:
    """A search that learns nothing: random points, or, with `evenly`, a sequence that fills the space. None twice."""

    def __init__(self, space: StudySpace, budget: Budget, seed: int, *, evenly: bool = False) -> None:
        self._space, self._budget, self._points = space, budget, Points(space, seed)
        self._next = self._points.evenly if evenly else self._points.random
        self._taken: set[Key] = set()
        self._running: set[int] = set()

    def propose(self, number: int) -> ParameterSet | None:
        """Return the point of this number; None where the budget or the space has no more, or not yet."""
        if not self._budget.allows(number, len(self._running)):
            return None
        point = self._next(number, self._taken)
        if point is None:
            return None
        self._taken.add(key_of(point))
        self._running.add(number)
        return ParameterSet(default_trial_id(number), self._space.space.hyperparameters(point))

    def tell(self, trial: Trial, outcome: Outcome) -> None:  # noqa: ARG002  # how it ended teaches nothing
        """Take in that a trial ended, perhaps one that an earlier campaign proposed."""
        self._running.discard(trial.number)
        point = self._space.space.coordinates(trial.hyperparameters)
        if point is not None:
            self._taken.add(key_of(point))
