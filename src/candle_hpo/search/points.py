"""Points that no model chooses: random ones, and those of a sequence that fills the space evenly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from candle_hpo.core.parameters import Coordinates
from candle_hpo.core.trial import Configuration, Outcome, Report, Trial, default_trial_id
from candle_hpo.search.budget import Budget
from candle_hpo.search.gp.cube import sobol_points
from candle_hpo.search.space import SearchSpace

PointKey = tuple[str, ...]

BLOCK = 256  # points of a sequence that are made at once
MOST_SHUFFLED = 10**6  # points of a finite space, of which the last half is drawn like cards
TRIES = 200  # random points, on the scales of their axes, for one that is not taken


class Points:
    """Points of a space: the same for the same seed and the same ones taken, whatever was proposed in between."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space, self._seed = space, seed
        self._names = space.space.names
        self._block: tuple[int, NDArray[np.float64]] | None = None
        self._shuffled: NDArray[np.intp] | None = None
        self._passed = 0  # of the shuffled points: they are all taken

    def key(self, hyperparameters: Mapping[str, object]) -> PointKey:
        """Return what hyperparameters of the same point have in common."""
        return tuple(repr(hyperparameters.get(name)) for name in self._names)

    def key_at(self, point: Coordinates) -> PointKey:
        """Return the key of a point's hyperparameters."""
        return self.key(self._space.space.hyperparameters(point))

    def random(self, number: int, taken: set[PointKey]) -> Coordinates | None:
        """Return a random point that is not taken; None where (almost) all are."""
        cube = self._space.cube
        is_finite = cube.size <= MOST_SHUFFLED
        if is_finite and 2 * len(taken) >= cube.size:
            return self._next_shuffled(taken)
        generator = np.random.default_rng([self._seed, number])
        for _ in range(TRIES):
            point = self._at(generator.random(len(cube.axes)))
            if self.key_at(point) not in taken:
                return point
        return self._next_shuffled(taken) if is_finite else None

    def evenly(self, number: int, taken: set[PointKey]) -> Coordinates | None:
        """Return the point of this number (from 1) of a Sobol sequence; a random one where that is taken."""
        block, place = divmod(number - 1, BLOCK)
        if self._block is None or self._block[0] != block:
            self._block = block, sobol_points(len(self._space.cube.axes), self._seed, block * BLOCK, BLOCK)
        point = self._at(self._block[1][place])
        return point if self.key_at(point) not in taken else self.random(number, taken)

    def _next_shuffled(self, taken: set[PointKey]) -> Coordinates | None:
        if self._shuffled is None:
            self._shuffled = np.random.default_rng(self._seed).permutation(int(self._space.cube.size))
        cube = self._space.cube
        while self._passed < len(self._shuffled):
            position = cube.position_of(int(self._shuffled[self._passed]))
            point = self._space.coordinates(cube.full_assignment(position))
            if self.key_at(point) not in taken:
                return point
            self._passed += 1
        return None

    def _at(self, shares: NDArray[np.float64]) -> Coordinates:
        cube = self._space.cube
        position = cube.spread(shares[None, :])[0] if len(shares) else shares
        return self._space.coordinates(cube.full_assignment(position))


class PointSearch:
    """A search that learns nothing: random points, or, with `evenly`, a sequence that fills the space. None twice.

    `known` are points whose values are known already.
    """

    def __init__(
        self, space: SearchSpace, budget: Budget, seed: int, known: Iterable[Coordinates] = (), *, evenly: bool = False
    ) -> None:
        self._space, self._budget, self._points = space, budget, Points(space, seed)
        self._next = self._points.evenly if evenly else self._points.random
        self._taken = {self._points.key_at(point) for point in known}

    def propose(self, number: int, running: int) -> Configuration | None:
        """Return the configuration of this number; None where the budget or the space has no more, or not yet."""
        if not self._budget.allows(number, running):
            return None
        point = self._next(number, self._taken)
        if point is None:
            return None
        hyperparameters = self._space.space.hyperparameters(point)
        self._taken.add(self._points.key(hyperparameters))
        return Configuration(number, default_trial_id(number), hyperparameters)

    def observe(self, trial: Trial, seen: Report | Outcome) -> None:  # noqa: ARG002  # it teaches nothing
        """Note that a trial has begun, perhaps one that an earlier campaign proposed."""
        self._taken.add(self._points.key(trial.hyperparameters))
