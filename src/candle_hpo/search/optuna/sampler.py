"""Candle's sampler for users of Optuna."""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from candle_hpo.search.gp.axes import Axis, ContinuousAxis, SteppedAxis, choice_axis
from candle_hpo.search.gp.cube import Activity, Cube
from candle_hpo.search.gp.knowledge import Knowledge
from candle_hpo.search.gp.proposal import next_position

log = logging.getLogger(__name__)

MISSING = object()


class GaussianProcessSampler(BaseSampler):
    """Proposes what is expected to improve most on the best trial so far.

        study = optuna.create_study(sampler=GaussianProcessSampler(seed=0))

    The first `design_size` trials fill the space evenly; the others follow a model of all that is known, running and
    failed trials included. No point is tried twice while there are others. One objective, either direction.

    A proposal depends on the seed, the number of its trial, and the other trials of the study, and on nothing else: no
    state is kept between proposals, so a study that is loaded again continues as if nothing had happened.

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
        cube = self._cube(others, search_space)
        known = _knowledge(cube, others, study.direction)
        in_design = len(others) < self._design_size
        position = next_position(cube, known, trial.number, self._seed, in_design=in_design)
        if position is None:
            log.warning("all points of the search space have been tried; trial %d repeats one", trial.number)
            generator = np.random.default_rng([self._seed, trial.number])
            position = cube.deactivated(cube.spread(generator.random((1, len(cube.axes)))))[0]
        return cube.assignment(position)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random value for a parameter that no trial has had yet."""
        self._raise_error_if_multi_objective(study)
        cube = Cube({param_name: axis_of(param_distribution)})
        generator = np.random.default_rng([self._seed, trial.number, zlib.crc32(param_name.encode())])
        return cube.assignment(*cube.spread(generator.random((1, len(cube.axes)))))[param_name]

    def _cube(self, trials: Sequence[FrozenTrial], space: Mapping[str, BaseDistribution]) -> Cube:
        axes = {name: axis_of(distribution) for name, distribution in space.items()}
        if self._is_active is not None or self._space is not None:
            return Cube(axes, self._is_active)
        return Cube(axes, learned_activity([each.params for each in trials if each.state is TrialState.COMPLETE]))


def axis_of(distribution: BaseDistribution) -> Axis:
    """Return the axis of a parameter; raise `TypeError` for a kind of parameter that is not known."""
    match distribution:
        case FloatDistribution(low=low, high=high, log=log, step=None):
            return ContinuousAxis(low, high, log=log)
        case FloatDistribution(low=low, high=high, log=log, step=float(step)):
            return SteppedAxis(low, high, step, log=log)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return SteppedAxis(low, high, step, log=log)
        case CategoricalDistribution(choices=choices):
            return choice_axis(choices)
    raise TypeError(f"a parameter is a float, an integer or categorical, not {type(distribution).__name__}")


def _others(study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
    others = (each for each in study.get_trials(deepcopy=False) if each.number != trial.number)
    return sorted(others, key=lambda each: each.number)


def _knowledge(cube: Cube, trials: Sequence[FrozenTrial], direction: StudyDirection) -> Knowledge:
    """Return what trials say. Those outside of the space, as it is now, say nothing.

    A pruned trial is taken as one of which nothing is known, for ever: what it would have reached is not known.
    """
    sign = -1.0 if direction is StudyDirection.MAXIMIZE else 1.0
    nowhere = np.full(len(cube.axes), np.nan)
    positions: list[NDArray[np.float64]] = []
    ends: list[float | None] = []
    for trial in trials:
        position = cube.position(trial.params or trial.system_attrs.get("fixed_params", {}))
        positions.append(nowhere if position is None else position)
        if trial.state is TrialState.COMPLETE and trial.value is not None:
            ends.append(sign * trial.value)
        else:
            ends.append(math.nan if trial.state in (TrialState.COMPLETE, TrialState.FAIL) else None)
    return Knowledge.of(cube, positions, ends)


def learned_activity(trials: Sequence[Mapping[str, Any]]) -> Activity | None:
    """Return which parameters are used, as far as complete trials show; None where all of them had the same ones.

    A parameter that some trials lack is conditional. If the value of one other parameter decides in every trial whether
    it was there, that is taken as its condition; values not met yet may have it. If there is no such parameter, it is
    taken as always there: a value too many does no harm.
    """
    names = list(dict.fromkeys(name for trial in trials for name in trial))
    conditional = [name for name in names if any(name not in trial for trial in trials)]
    if not conditional:
        return None
    rules = {name: rule for name in conditional if (rule := _rule(name, names, trials)) is not None}

    def is_active(assignment: Mapping[str, Any]) -> Collection[str]:
        active = set(assignment)
        for _ in rules:  # a parent may turn out inactive, and then its children too
            given = {name: value for name, value in assignment.items() if name in active}
            active = {
                name for name in active if name not in rules or given.get(rules[name][0], MISSING) not in rules[name][1]
            }
        return active

    return is_active


def _rule(name: str, names: Sequence[str], trials: Sequence[Mapping[str, Any]]) -> tuple[str, list[Any]] | None:
    """Return the parameter that decides whether `name` is there, and the values with which it is not."""
    for parent in names:
        if parent == name:
            continue
        having = [trial.get(parent, MISSING) for trial in trials if name in trial]
        lacking = [trial.get(parent, MISSING) for trial in trials if name not in trial]
        without = [value for index, value in enumerate(lacking) if value not in lacking[:index]]
        # A continuous parameter seems to decide everything, having no value twice.
        if len(without) < max(2, len(lacking)) and not any(value in without for value in having):
            return parent, without
    return None
