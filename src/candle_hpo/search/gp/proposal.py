"""One proposal: from what is known of a search space to the point that is worth trying next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from candle_hpo.search.gp.candidates import best_candidate
from candle_hpo.search.gp.cube import Cube, keys, sobol_points
from candle_hpo.search.gp.ensemble import Ensemble
from candle_hpo.search.gp.gaussian_process import Layout, Posterior, fit, fit_several
from candle_hpo.search.gp.knowledge import Knowledge, evenly
from candle_hpo.search.gp.warping import gaussian_outputs

Array = NDArray[np.float64]

MOST_FITTED = 120  # points that the model's hyperparameters are fitted to
MOST_MODELLED = 300  # points that the model predicts from
MEMBERS = 8  # Gaussian processes that are asked
OPTIMISTIC_SHARE = 0.25  # of the proposals follow the bound
WARPED_FROM = 50  # finished trials
SEEDS = 8  # best points that the search for candidates starts from
SHARPNESS = 0.1  # of the border of failures: with less than this the model is never sure
DESIGNS = 64  # points of the design that are looked at for one that is not taken


def next_position(cube: Cube, known: Knowledge, number: int, seed: int, *, in_design: bool) -> Array | None:
    """Return the position of the proposal of this number, from 0; None where all points are taken.

    While it belongs to the design, or too little is known, it is one of points that fill the space evenly.
    """
    if not cube.axes:  # there is one point
        return np.empty(0)
    position, measured = None, len(known.values) + len(known.early.values)
    if in_design or measured < 2:
        position = design_point(cube, number, seed, known.taken())
    if position is None and measured:
        position = propose(cube, known, np.random.default_rng([seed, number]))
    return position


def design_point(cube: Cube, number: int, seed: int, taken: set[bytes]) -> Array | None:
    """Return the point of this number of a scrambled Sobol sequence, or the next of its points that is not taken.

    None where none of the next points is free.
    """
    points = cube.deactivated(cube.spread(sobol_points(len(cube.axes), seed, number, DESIGNS)))
    free = [point for point, key in zip(points, keys(points), strict=True) if key not in taken]
    return free[0] if free else None


def propose(cube: Cube, known: Knowledge, generator: np.random.Generator) -> Array | None:
    """Return the position that is worth most; None where all points of the space are taken.

    Most of the time, that is the one with the greatest expected improvement. Now and then it is the one with the most
    optimistic bound, which looks farther away from what is known: several acquisition functions fail on fewer problems
    than each of them (Hoffman, Brochu and de Freitas, "Portfolio allocation for Bayesian optimization", UAI 2011).
    """
    model = ValueModel(cube, known, generator)
    is_optimistic = generator.random() < OPTIMISTIC_SHARE
    acquire = model.ensemble.bound_below_best if is_optimistic else model.ensemble.log_expected_improvement
    failure = FailureModel(cube, known) if len(known.failed) else None

    def score(candidates: Array) -> Array:
        features = cube.features(candidates)
        worth = acquire(model.features(features))
        return worth if failure is None else worth + failure.log_success(features)

    seeds = np.vstack([known.best(SEEDS), known.pending[:SEEDS]])
    return best_candidate(score, cube, seeds, known.taken(), generator)


class ValueModel:
    """What is expected of values at the whole length.

    Where trials had values on their way, how far they were is one more feature, which ties these to values at the whole
    length: Klein, Tiao, Lienart, Archambeau and Seeger, "Model-based asynchronous hyperparameter and neural
    architecture search", 2020 (arXiv 2003.10865).
    """

    def __init__(self, cube: Cube, known: Knowledge, generator: np.random.Generator) -> None:
        early = known.early.chosen(MOST_MODELLED - min(len(known.values), MOST_MODELLED // 2))
        outputs = gaussian_outputs(np.concatenate([known.values, early.values]))
        whole, early_outputs = np.split(outputs, [len(known.values)])
        finished, whole = _chosen(known.finished, whole, MOST_MODELLED - len(early.values))
        self._has_curves = len(early.values) > 0
        inputs = np.vstack(
            [self.features(cube.features(finished)), self.features(cube.features(early.positions), early.shares)]
        )
        owners, is_warped = cube.owners, ~cube.is_category[cube.owners]
        if self._has_curves:
            owners, is_warped = np.append(owners, owners[-1] + 1), np.append(is_warped, True)
        # Numbers are stretched, once there are enough points to see how.
        layout = Layout(owners, is_warped & (len(inputs) >= WARPED_FROM))
        outputs = np.concatenate([whole, early_outputs])
        kernels = fit_several(*_thinned(inputs, outputs, MOST_FITTED), layout, MEMBERS, generator)
        pending = self.features(cube.features(known.pending))
        rivals = self.features(cube.features(finished if len(finished) else early.positions))
        self.ensemble = Ensemble(kernels, inputs, outputs, pending, rivals)

    def features(self, features: Array, shares: Array | float = 1.0) -> Array:
        """Return features of positions with those of how far trials were there: at the whole length, unless said."""
        return np.column_stack([features, np.full(len(features), shares)]) if self._has_curves else features


class FailureModel:
    """Where trials fail: a Gaussian process on how they ended.

    Least-squares classification: Rasmussen and Williams, section 6.5. It weighs the expected improvement with the
    probability of a value, as Gelbart, Snoek and Adams, "Bayesian optimization with unknown constraints", UAI 2014, do.
    """

    def __init__(self, cube: Cube, known: Knowledge) -> None:
        inputs = cube.features(np.vstack([known.failed, known.finished, known.stopped]))
        has_failed = np.arange(len(inputs)) < len(known.failed)
        outcomes = np.where(has_failed, -1.0, 1.0)
        inputs, outcomes = _thinned(inputs, outcomes, MOST_MODELLED)
        layout = Layout(cube.owners, np.zeros(len(cube.owners), dtype=bool))
        kernel = fit(*_thinned(inputs, outcomes, MOST_FITTED), layout)
        self._posterior = Posterior(kernel, inputs, outcomes - 1.0)  # far from all failures, success is expected

    def log_success(self, features: Array) -> Array:
        """Return the logarithm of the probability of a value."""
        mean, deviation = self._posterior.predict(features)
        return np.asarray(log_ndtr((mean + 1.0) / np.hypot(deviation, SHARPNESS)))


def _chosen(positions: Array, outputs: Array, most: int) -> tuple[Array, Array]:
    """Return as many trials as the model can take: the better half of them, and an even choice of the others."""
    if len(outputs) <= most:
        return positions, outputs
    order = np.argsort(outputs, kind="stable")
    half = most // 2
    chosen = np.concatenate([order[:half], order[half:][evenly(len(order) - half, most - half)]])
    return positions[chosen], outputs[chosen]


def _thinned(inputs: Array, outputs: Array, most: int) -> tuple[Array, Array]:
    """Return an even choice of the points, in the order of their outputs."""
    if len(outputs) <= most:
        return inputs, outputs
    chosen = np.argsort(outputs, kind="stable")[evenly(len(outputs), most)]
    return inputs[chosen], outputs[chosen]
