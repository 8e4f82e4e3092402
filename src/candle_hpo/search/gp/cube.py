"""Hyperparameters <-> points of the unit cube.

The search moves *positions*, rows with a number for each axis (see `axes`), NaN where a parameter is not active. The
model sees their *features*: categories one-hot, and what is not active at the middle, so that it distinguishes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from candle_hpo.search.gp.axes import Axis, CategoryAxis

Array = NDArray[np.float64]
# Given a value for every parameter, returns the names of those that are used.
Activity = Callable[[Mapping[str, Any]], Collection[str]]

KEY_DECIMALS = 12  # positions that agree so far are the same point


class Cube:
    """A search space as a unit cube. Its axes are the parameters that have more than one value.

    `is_active` says which parameters a full assignment uses; without it, all are. `size` is the number of combinations
    of values, infinite where a parameter is continuous.
    """

    def __init__(self, space: Mapping[str, Axis], is_active: Activity | None = None) -> None:
        self._fixed = {name: axis.value(0.0) for name, axis in space.items() if axis.count == 1}
        self._names = [name for name in space if name not in self._fixed]
        self.axes = [space[name] for name in self._names]
        self._is_active = is_active
        self.size = math.prod(axis.count for axis in self.axes)
        # The axis that each feature belongs to.
        self.owners = np.repeat(np.arange(len(self.axes)), [axis.width for axis in self.axes])
        self.is_category = np.array([isinstance(axis, CategoryAxis) for axis in self.axes], dtype=bool)
        # Steps with this standard deviation reach the next value of a finite parameter.
        self.smallest_steps = np.array([0.7 / (axis.count - 1) for axis in self.axes])

    @cached_property
    def _every(self) -> list[Array]:
        return [axis.every() for axis in self.axes]

    def spread(self, shares: Array) -> Array:
        """Return positions for rows of numbers from [0, 1), evenly over the space, with every parameter given."""
        return np.column_stack([axis.spread(shares[:, column]) for column, axis in enumerate(self.axes)])

    def snap(self, positions: Array) -> Array:
        """Return the nearest positions that can be run."""
        return np.column_stack([axis.snap(positions[:, column]) for column, axis in enumerate(self.axes)])

    def features(self, positions: Array) -> Array:
        """Return what the model sees of positions, one row each."""
        return np.hstack([axis.features(positions[:, column]) for column, axis in enumerate(self.axes)])

    def position(self, assignment: Mapping[str, Any]) -> Array | None:
        """Return where a (perhaps partial) assignment lies; None where it has a value outside of the space."""
        row = np.full(len(self.axes), np.nan)
        for column, (name, axis) in enumerate(zip(self._names, self.axes, strict=True)):
            if name in assignment:
                position = axis.position(assignment[name])
                if position is None:
                    return None
                row[column] = position
        return row

    def full_assignment(self, position: Array) -> dict[str, Any]:
        """Return a value for every parameter at a position; some value where the position has none."""
        filled = np.where(np.isnan(position), 0.0, position).tolist()
        return self._fixed | {
            name: axis.value(place) for name, axis, place in zip(self._names, self.axes, filled, strict=True)
        }

    def assignment(self, position: Array) -> dict[str, Any]:
        """Return the values of the active parameters at a position."""
        # What is not active needs some value for the others' sake: conditions are asked with all values.
        full = self.full_assignment(position)
        active = full if self._is_active is None else self._is_active(full)
        return {name: value for name, value in full.items() if name in active}

    def deactivated(self, positions: Array) -> Array:
        """Return full positions with NaN for what is not active."""
        if self._is_active is None:
            return positions
        pairs = zip(self.axes, positions.T.tolist(), strict=True)
        columns = [[axis.value(place) for place in column] for axis, column in pairs]
        is_inactive = np.zeros(positions.shape, dtype=bool)
        for row, values in enumerate(zip(*columns, strict=True)):
            active = self._is_active(self._fixed | dict(zip(self._names, values, strict=True)))
            is_inactive[row] = [name not in active for name in self._names]
        return np.where(is_inactive, np.nan, positions)

    def position_of(self, place: int) -> Array:
        """Return the combination at a place, from 0, in the list of all those of a finite space."""
        row = np.empty(len(self.axes))
        for column in reversed(range(len(self.axes))):
            place, index = divmod(place, int(self.axes[column].count))
            row[column] = self._every[column][index]
        return row

    def all_positions(self) -> Array:
        """Return every point of a finite space once."""
        grid = np.meshgrid(*self._every, indexing="ij")
        return unique(self.deactivated(np.column_stack([column.ravel() for column in grid])))


def keys(positions: Array) -> list[bytes]:
    """Return a key for each position: equal for equal points."""
    rounded = np.round(positions, KEY_DECIMALS) + 0.0  # no negative zero
    return [row.tobytes() for row in np.where(np.isnan(rounded), -1.0, rounded)]


def unique(positions: Array) -> Array:
    """Return the positions without those that appear twice, in the same order."""
    first = {key: index for index, key in reversed(list(enumerate(keys(positions))))}
    return positions[sorted(first.values())]


def sobol_points(width: int, seed: int, first: int, count: int) -> NDArray[np.float64]:
    """Return points of a scrambled Sobol sequence, a row each, from number `first` (from 0) on.

    `count` is a power of 2. Sobol (1967), scrambled after Owen (1998), as SciPy has it.
    """
    sequence = qmc.Sobol(max(width, 1), rng=np.random.default_rng(seed))
    if first:
        sequence.fast_forward(first)
    return np.asarray(sequence.random(count)[:, :width])
