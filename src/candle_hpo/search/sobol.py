"""A sequence of points that fill the unit cube evenly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc


def sobol_points(width: int, seed: int, first: int, count: int) -> NDArray[np.float64]:
    """Return points of a scrambled Sobol sequence, a row each, from number `first` (from 0) on.

    `count` is a power of 2. Sobol (1967), scrambled after Owen (1998), as SciPy has it.
    """
    sequence = qmc.Sobol(max(width, 1), rng=np.random.default_rng(seed))
    if first:
        sequence.fast_forward(first)
    return np.asarray(sequence.random(count)[:, :width])
