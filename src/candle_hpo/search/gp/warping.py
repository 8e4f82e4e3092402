"""Making objectives look Gaussian, and letting the model stretch its inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Array = NDArray[np.float64]

LARGEST_POWER = 3.0
EDGE = 1e-6  # the warping's slope may be infinite at 0 and 1 themselves


def gaussian_outputs(values: Array) -> Array:
    """Return objective values to be minimized as about standard normal numbers in the same order.

    The Yeo-Johnson transform (Biometrika 87, 2000), its power chosen by maximum likelihood, as in HEBO (Cowen-Rivers et
    al., JAIR 74, 2022). The values are first counted from their median in units of their spread, so that the result
    does not depend on the objective's units. Equal values give zeros.
    """
    largest = np.max(np.abs(values), initial=0.0)
    if np.ptp(values / max(largest, 1e-300)) < 1e-14:
        return np.zeros_like(values)
    scaled = values / largest  # so that no difference overflows
    centred = scaled - np.median(scaled)
    spread = np.median(np.abs(centred))
    if spread < 1e-12 * np.max(np.abs(centred)):
        spread = np.std(centred)
    counted = centred / spread
    best = minimize_scalar(
        lambda power: -power_likelihood(counted, power), bounds=(-LARGEST_POWER, LARGEST_POWER), method="bounded"
    )
    transformed = yeo_johnson(counted, best.x)
    if not np.all(np.isfinite(transformed)) or np.std(transformed) < 1e-8:
        transformed = np.sign(counted) * np.log1p(np.abs(counted))
    return np.asarray((transformed - np.mean(transformed)) / np.std(transformed))


def yeo_johnson(values: Array, power: float) -> Array:
    """Return the Yeo-Johnson transform of values: a power law that bends both signs smoothly, increasing."""
    positive = np.log1p(np.maximum(values, 0.0))
    negative = np.log1p(np.maximum(-values, 0.0))
    up = positive if abs(power) < 1e-8 else np.expm1(power * positive) / power
    down = negative if abs(power - 2) < 1e-8 else np.expm1((2 - power) * negative) / (2 - power)
    return np.asarray(up - down)


def power_likelihood(values: Array, power: float) -> float:
    """Return the log likelihood that transformed values are normal, up to a constant."""
    with np.errstate(over="ignore", invalid="ignore"):
        variance = np.var(yeo_johnson(values, power))
    if not 0 < variance < np.inf:
        return -1e300
    slopes = (power - 1) * np.sum(np.sign(values) * np.log1p(np.abs(values)))
    return float(slopes - len(values) / 2 * np.log(variance))


def kumaraswamy(inputs: Array, log_a: Array, log_b: Array) -> tuple[Array, Array, Array]:
    """Return inputs from [0, 1] stretched by a distribution function, and its slopes in `log_a` and `log_b`.

    1 - (1 - x^a)^b, a column each. Input warping is from Snoek, Swersky, Zemel and Adams, "Input warping for Bayesian
    optimization of non-stationary functions", ICML 2014; the function in place of the beta distribution's, for its
    closed form, as in HEBO.
    """
    a, b = np.exp(log_a), np.exp(log_b)
    inside = np.clip(inputs, EDGE, 1 - EDGE)
    log_inputs = np.log(inside)
    powers = np.exp(a * log_inputs)
    rests = np.log1p(-powers)
    complement = np.exp(b * rests)
    slope_a = b * np.exp((b - 1) * rests) * powers * a * log_inputs
    slope_b = -complement * rests * b
    return 1 - complement, slope_a, slope_b
