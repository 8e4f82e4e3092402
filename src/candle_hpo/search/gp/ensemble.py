"""Several Gaussian processes on the same data, which differ in what the data leave open.

With few points, many length scales explain them. A search that believes the most probable one alone creeps around the
best point so far; one that asks several of them explores where they disagree. In the way of Snoek, Larochelle and
Adams, "Practical Bayesian optimization of machine learning algorithms", NeurIPS 2012, with draws from a normal
approximation of the posterior (Rasmussen and Williams, section 3.4) in place of a Markov chain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, ndtr

from candle_hpo.search.gp.gaussian_process import Kernel, Posterior

Array = NDArray[np.float64]

LOG_ROOT_2_PI = math.log(2 * math.pi) / 2
FAR = -1.0 / math.sqrt(np.finfo(float).eps)
OPTIMISM = 2.0  # standard deviations by which a bound lies below the mean


class _Member(NamedTuple):
    posterior: Posterior
    best: float


class Ensemble:
    """Gaussian processes with these kernels, each of which has seen the outputs at the inputs, to be minimized.

    `rivals` are the inputs of which the best one is to be improved on.
    `pending` are inputs of trials that run. They are believed to end as each member predicts, so that it expects no
    more of their surroundings: the Kriging believer of Ginsbourger, Le Riche and Carraro, "Kriging is well-suited to
    parallelize optimization", 2010.
    """

    def __init__(self, kernels: Sequence[Kernel], inputs: Array, outputs: Array, pending: Array, rivals: Array) -> None:
        self._members = [_member(kernel, inputs, outputs, pending, rivals) for kernel in kernels]

    def log_expected_improvement(self, features: Array) -> Array:
        """Return the logarithm of the improvement on the best point so far that all members together expect."""
        worths = [log_expected_improvement(*each.posterior.predict(features), each.best) for each in self._members]
        return np.asarray(np.logaddexp.reduce(worths, axis=0))

    def bound_below_best(self, features: Array) -> Array:
        """Return how far below the best point so far a value may well lie: two standard deviations below the mean.

        Srinivas, Krause, Kakade and Seeger, "Gaussian process optimization in the bandit setting", ICML 2010.
        """
        bounds: list[Array] = []
        for posterior, best in self._members:
            mean, deviation = posterior.predict(features)
            bounds.append(best - mean + OPTIMISM * deviation)
        return np.asarray(np.mean(bounds, axis=0))


def _member(kernel: Kernel, inputs: Array, outputs: Array, pending: Array, rivals: Array) -> _Member:
    posterior = Posterior(kernel, inputs, outputs)
    best = float(np.min(posterior.mean(rivals)))
    if len(pending):
        believed = np.concatenate([outputs, posterior.mean(pending)])
        posterior = Posterior(kernel, np.vstack([inputs, pending]), believed)
    return _Member(posterior, best)


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
