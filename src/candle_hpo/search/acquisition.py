"""How much a point is worth trying."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, ndtr

Array = NDArray[np.float64]

LOG_ROOT_2_PI = math.log(2 * math.pi) / 2
FAR = -1.0 / math.sqrt(np.finfo(float).eps)


def log_expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Return the logarithm of how far below `best` a normal variable is expected to be (0 where it is above).

    Exact to rounding where the improvement itself underflows: Ament, Daulton, Eriksson, Balandat and Bakshy,
    "Unexpected improvements to expected improvement for Bayesian optimization", NeurIPS 2023, equation 9.
    """
    return np.asarray(log_improvement_of_standard((best - mean) / deviation) + np.log(deviation))


def log_improvement_of_standard(z: Array) -> Array:
    """Return log(pdf(z) + z * cdf(z)) of the standard normal distribution."""
    near = np.maximum(z, -1.0)
    above = np.log(np.exp(-(near**2) / 2 - LOG_ROOT_2_PI) + near * ndtr(near))
    middle = np.clip(z, FAR, -1.0)
    ratio = np.log(erfcx(-middle / math.sqrt(2)) * -middle) + math.log(math.pi / 2) / 2
    below = -(middle**2) / 2 - LOG_ROOT_2_PI + np.log(-np.expm1(np.minimum(ratio, -1e-300)))
    far = np.minimum(z, FAR)
    limit = -(far**2) / 2 - LOG_ROOT_2_PI - 2 * np.log(-far)
    return np.asarray(np.where(z > -1.0, above, np.where(z > FAR, below, limit)))
