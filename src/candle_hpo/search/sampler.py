"""A sampler for Optuna: Bayesian optimization with a Gaussian process, on NumPy and SciPy alone."""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from candle_hpo.search.activity import learned_activity
from candle_hpo.search.cube import Activity, Cube
from candle_hpo.search.proposal import Knowledge, design_point, propose

log = logging.getLogger(__name__)

REPEATED = "candle: repeated"  # the user attribute of a trial that was asked for, and never run: it repeats another


class GaussianProcessSampler(BaseSampler):
    """Proposes what is expected to improve most on the best trial so far.

        study = optuna.create_study(sampler=GaussianProcessSampler(seed=0))

    The first `design_size` trials fill the space evenly; the others follow a model of all that is known, running and
    failed trials included. No point is tried twice while there are others. One objective, either direction.

    A proposal depends on the seed, the number of its trial, and the other trials of the study, and on nothing else: no
    state is kept between proposals, so a study that is loaded again goes on as if nothing had happened.

    `space` names the whole search space in advance; without it, it is learned from the trials. `is_active` says which
    parameters are used: given a value for each parameter, it returns their names. Without it, it is learned too.

    Raises `ValueError` for a study with several objectives.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        design_size: int = 10,
        space: Mapping[str, BaseDistribution] | None = None,
        is_active: Activity | None = None,
    ) -> None:
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
        self._design_size = design_size
        self._space = None if space is None else dict(space)
        self._is_active = is_active

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the whole space: as given, or every parameter that any trial has had, as the last of them had it."""
        if self._space is not None:
            return self._space
        space: dict[str, BaseDistribution] = {}
        for other in _others(study, trial):
            space.update(other.distributions)
        return space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values for the active parameters of the space."""
        self._raise_error_if_multi_objective(study)
        others = _others(study, trial)
        number = trial.number - sum(REPEATED in each.user_attrs for each in study.get_trials(deepcopy=False))
        cube = self._cube(others, search_space)
        if not cube.axes:
            return cube.assignment(np.empty(0))
        known = _knowledge(cube, others, study.direction)
        generator = np.random.default_rng([self._seed, number])
        position = None
        if len(others) < self._design_size or len(known.values) < 2:
            position = design_point(cube, number, self._seed, known.taken())
        if position is None and len(known.values):
            position = propose(cube, known, generator)
        if position is None:
            log.warning("all points of the search space have been tried; trial %d repeats one", trial.number)
            position = cube.deactivated(cube.spread(generator.random((1, len(cube.axes)))))[0]
        return cube.assignment(position)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random value for a parameter that no trial has had yet."""
        self._raise_error_if_multi_objective(study)
        cube = Cube({param_name: param_distribution})
        generator = np.random.default_rng([self._seed, trial.number, zlib.crc32(param_name.encode())])
        return cube.assignment(*cube.spread(generator.random((1, len(cube.axes)))))[param_name]

    def is_exhausted(self, study: Study) -> bool:
        """Tell whether every point of the (finite) space has been tried or is being tried."""
        trials = study.get_trials(deepcopy=False)
        space = self._space or {name: each for trial in trials for name, each in trial.distributions.items()}
        cube = self._cube(trials, space)
        if not space or not math.isfinite(cube.size):
            return False
        taken = _knowledge(cube, trials, study.direction).taken()
        # A space with conditions has fewer points than combinations; count them only when it is about to be needed.
        return len(taken) >= (cube.size if self._is_active is None else len(cube.all_positions()))

    def _cube(self, trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution]) -> Cube:
        if self._is_active is not None or self._space is not None:
            return Cube(space, self._is_active)
        complete = [trial.params for trial in trials if trial.state is TrialState.COMPLETE]
        return Cube(space, learned_activity(complete))


def _others(study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
    trials = study.get_trials(deepcopy=False)
    others = (each for each in trials if each.number != trial.number and REPEATED not in each.user_attrs)
    return sorted(others, key=lambda each: each.number)


def _knowledge(cube: Cube, trials: Sequence[FrozenTrial], direction: StudyDirection) -> Knowledge:
    """Return what trials tell. Those outside of the space, as it is now, tell nothing.

    A pruned trial is taken as one of which nothing is known, for ever: what it would have reached is not known.
    """
    sign = -1.0 if direction is StudyDirection.MAXIMIZE else 1.0
    finished, values, failed, pending = [], [], [], []
    for trial in trials:
        position = cube.position(trial.params or trial.system_attrs.get("fixed_params", {}))
        if position is None or np.isnan(position).all():
            continue
        if trial.state is TrialState.COMPLETE and trial.value is not None and math.isfinite(trial.value):
            finished.append(position)
            values.append(sign * trial.value)
        elif trial.state in (TrialState.COMPLETE, TrialState.FAIL):
            failed.append(position)
        else:
            pending.append(position)
    width = len(cube.axes)
    rows = (np.array(each, dtype=float).reshape(len(each), width) for each in (finished, failed, pending))
    finished_rows, failed_rows, pending_rows = rows
    return Knowledge(finished_rows, np.array(values, dtype=float), failed_rows, pending_rows)
