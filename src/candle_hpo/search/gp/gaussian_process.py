"""A Gaussian process: Matérn-5/2 kernel, maximum a posteriori hyperparameters, predictions.

Notation of Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2 and 5. Inputs have shape
(points, features) and lie in the unit cube; targets are about standard normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, lapack, solve_triangular
from scipy.optimize import OptimizeResult, minimize

from candle_hpo.search.gp.warping import kumaraswamy

Array = NDArray[np.float64]

MEAN_VARIANCE = 1.0  # prior variance of the unknown mean, which is integrated out
SMALLEST_NOISE = 1e-6  # keeps the Cholesky decomposition sound
SMALLEST_VARIANCE = 1e-12
BOUND = 5.0  # prior standard deviations within which hyperparameters are looked for
STEPS = 40
DRAWS = 4  # for each kernel that is wanted, at most


@dataclass(frozen=True)
class Normal:
    """A normal prior of a hyperparameter's logarithm."""

    mean: float
    deviation: float


# Of a length scale in one dimension; with more of them, all grow with the distances: Hvarfner, Hellsten and Nardi,
# "Vanilla Bayesian optimization performs great in high dimensions", ICML 2024.
LENGTH_PRIOR = Normal(-0.5, 1.0)
SIGNAL_PRIOR = Normal(0.0, 0.5)
NOISE_PRIOR = Normal(-6.0, 1.5)
WARP_PRIOR = Normal(0.0, 0.5)


@dataclass(frozen=True)
class Layout:
    """What the features are: the parameter that each belongs to, and which are stretched before they are compared."""

    owners: NDArray[np.intp]
    is_warped: NDArray[np.bool_]

    @property
    def lengths(self) -> int:
        """The number of length scales: one a parameter."""
        return int(self.owners[-1]) + 1

    @property
    def warps(self) -> int:
        """The number of features that are stretched."""
        return int(self.is_warped.sum())

    def priors(self) -> tuple[Array, Array]:
        """Return means and standard deviations of the hyperparameters' logarithms, in the order of `Kernel`."""
        length = Normal(LENGTH_PRIOR.mean + math.log(self.lengths) / 2, LENGTH_PRIOR.deviation)
        priors = [length] * self.lengths + [SIGNAL_PRIOR, NOISE_PRIOR] + [WARP_PRIOR] * (2 * self.warps)
        return np.array([prior.mean for prior in priors]), np.array([prior.deviation for prior in priors])


@dataclass(frozen=True)
class Kernel:
    """A covariance function. `logs` are its hyperparameters' logarithms.

    In this order: a length scale a parameter, the variances of signal and noise, the two powers of each warping (all
    first powers, then all second ones).
    """

    layout: Layout
    logs: Array

    @property
    def signal(self) -> float:
        """The variance of the function."""
        return math.exp(self.logs[self.layout.lengths])

    @property
    def noise(self) -> float:
        """The variance of a measurement."""
        return math.exp(self.logs[self.layout.lengths + 1]) + SMALLEST_NOISE

    def scaled(self, inputs: Array) -> tuple[Array, Array, Array]:
        """Return inputs, warped, in units of their length scales; and what one unit of each warping's log changes."""
        scales = np.exp(-self.logs[: self.layout.lengths])[self.layout.owners]
        columns = self.layout.is_warped
        if not columns.any():
            return inputs * scales, np.empty((len(inputs), 0)), np.empty((len(inputs), 0))
        log_a, log_b = np.split(self.logs[self.layout.lengths + 2 :], 2)
        warped, slope_a, slope_b = kumaraswamy(inputs[:, columns], log_a, log_b)
        result = inputs * scales
        result[:, columns] = warped * scales[columns]
        return result, slope_a * scales[columns], slope_b * scales[columns]


def matern(first: Array, second: Array) -> tuple[Array, Array]:
    """Return the Matérn-5/2 correlations of scaled inputs, and -dk/dr / r, which their gradients are made of."""
    squares = np.sum(first**2, axis=1)[:, None] + np.sum(second**2, axis=1)[None, :] - 2 * first @ second.T
    root = np.sqrt(5 * np.maximum(squares, 0.0))
    decay = np.exp(-root)
    slope = (1 + root) * decay
    return slope + root**2 / 3 * decay, 5 / 3 * slope


def negative_log_posterior(logs: Array, inputs: Array, targets: Array, layout: Layout) -> tuple[float, Array]:
    """Return minus the log posterior density of hyperparameters, up to a constant, and its gradient."""
    kernel = Kernel(layout, logs)
    scaled, slope_a, slope_b = kernel.scaled(inputs)
    correlation, slope = matern(scaled, scaled)
    covariance = kernel.signal * correlation + MEAN_VARIANCE
    covariance[np.diag_indices_from(covariance)] += kernel.noise
    factor, failed = lapack.dpotrf(covariance, lower=1)
    if failed:
        return 1e10, np.zeros_like(logs)
    weights = cho_solve((factor, True), targets, check_finite=False)
    inverse, _ = lapack.dpotri(factor, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    means, deviations = layout.priors()
    offsets = (logs - means) / deviations
    value = 0.5 * targets @ weights + np.sum(np.log(np.diag(factor))) + 0.5 * offsets @ offsets

    pull = inverse - np.outer(weights, weights)  # twice the derivative of the likelihood by the covariance
    pairs = kernel.signal * pull * slope
    sums, products = pairs.sum(axis=1), pairs @ scaled
    by_feature = sums @ scaled**2 - np.sum(scaled * products, axis=0)
    by_input = (products - sums[:, None] * scaled)[:, layout.is_warped]
    gradient = np.concatenate(
        [
            np.bincount(layout.owners, by_feature),
            [0.5 * kernel.signal * np.sum(pull * correlation), 0.5 * (kernel.noise - SMALLEST_NOISE) * np.trace(pull)],
            np.sum(by_input * slope_a, axis=0),
            np.sum(by_input * slope_b, axis=0),
        ]
    )
    return float(value), gradient + offsets / deviations


def fit(inputs: Array, targets: Array, layout: Layout) -> Kernel:
    """Return the kernel that is most probable, given noisy function values."""
    return Kernel(layout, _most_probable(inputs, targets, layout).x)


def fit_several(
    inputs: Array, targets: Array, layout: Layout, count: int, generator: np.random.Generator
) -> list[Kernel]:
    """Return the most probable kernel, and others that are about as probable as their distance from it shows.

    These are drawn from a normal distribution with the curvature that L-BFGS-B found there. What turns out to be far
    less probable than that is left out.
    """
    found = _most_probable(inputs, targets, layout)
    means, deviations = layout.priors()
    curvature = found.hess_inv.todense()
    variances, directions = np.linalg.eigh((curvature + curvature.T) / 2)
    root = directions * np.sqrt(np.clip(variances, 1e-4, 4.0))  # what was hardly moved has no curvature yet
    least_probable = found.fun + 0.5 * len(means) + 3.0
    kernels = [Kernel(layout, found.x)]
    for _ in range(DRAWS * count):
        if len(kernels) == count:
            break
        drawn = found.x + root @ generator.standard_normal(len(means))
        logs = np.clip(drawn, means - BOUND * deviations, means + BOUND * deviations)
        if negative_log_posterior(logs, inputs, targets, layout)[0] < least_probable:
            kernels.append(Kernel(layout, logs))
    return kernels


def _most_probable(inputs: Array, targets: Array, layout: Layout) -> OptimizeResult:
    """Return what L-BFGS-B finds from the priors' means on."""
    means, deviations = layout.priors()
    return minimize(
        negative_log_posterior,
        means,
        args=(inputs, targets, layout),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(means - BOUND * deviations, means + BOUND * deviations, strict=True)),
        options={"maxiter": STEPS, "maxfun": 2 * STEPS, "ftol": 1e-6},
    )


class Posterior:
    """A Gaussian process that has seen `targets` (one or several columns of them) at `inputs`."""

    def __init__(self, kernel: Kernel, inputs: Array, targets: Array) -> None:
        self._kernel = kernel
        self._scaled = kernel.scaled(inputs)[0]
        covariance = kernel.signal * matern(self._scaled, self._scaled)[0] + MEAN_VARIANCE
        covariance[np.diag_indices_from(covariance)] += kernel.noise
        self._factor = cholesky(covariance, lower=True, check_finite=False)
        self._weights = cho_solve((self._factor, True), targets, check_finite=False)

    def mean(self, inputs: Array) -> Array:
        """Return the expected function values."""
        return np.asarray(self._cross(inputs) @ self._weights)

    def predict(self, inputs: Array) -> tuple[Array, Array]:
        """Return the expected function values and their standard deviations, noise not counted."""
        cross = self._cross(inputs)
        reduced = solve_triangular(self._factor, cross.T, lower=True, check_finite=False)
        variance = self._kernel.signal + MEAN_VARIANCE - np.sum(reduced**2, axis=0)
        return cross @ self._weights, np.sqrt(np.maximum(variance, SMALLEST_VARIANCE))

    def _cross(self, inputs: Array) -> Array:
        return self._kernel.signal * matern(self._kernel.scaled(inputs)[0], self._scaled)[0] + MEAN_VARIANCE
