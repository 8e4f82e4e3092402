"""The searches that are compared, each behind the same two methods.

Each is used as its own documentation shows for trials that run side by side. What a search needs is imported when it is
made, so that any of them can be left out: see requirements.txt.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from search_quality.task import Task

DESIGN = 10  # points before the model, where a search lets it be chosen


class Contender(Protocol):
    """A search on one task."""

    def ask(self, number: int) -> dict[str, Any]:
        """Return the (at least active) hyperparameters of a new trial, while others may be running."""

    def tell(self, number: int, value: float) -> None:
        """Take the value of a trial in."""


class OptunaContender:
    """A sampler of Optuna, with an objective that suggests only the active parameters, parents first."""

    def __init__(self, task: Task, sampler: Any) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._task = task
        self._study = optuna.create_study(sampler=sampler)
        self._trials: dict[int, Any] = {}

    def ask(self, number: int) -> dict[str, Any]:
        """Return the active hyperparameters."""
        trial = self._trials[number] = self._study.ask()
        given: dict[str, Any] = {}
        for name, distribution in self._task.space.items():
            condition = self._task.conditions.get(name)
            if condition is None or given.get(condition.parent, condition) in condition.values:
                given[name] = trial._suggest(name, distribution)
        return given

    def tell(self, number: int, value: float) -> None:
        """Take a value in."""
        self._study.tell(self._trials.pop(number), value)


class ScikitOptimizeContender:
    """scikit-optimize's Gaussian process; running trials are reported as the best value so far (its `cl_min`)."""

    def __init__(self, task: Task, seed: int) -> None:
        import skopt

        self._names = list(task.space)
        dimensions = [_skopt_dimension(skopt.space, each) for each in task.space.values()]
        self._optimizer = skopt.Optimizer(dimensions, "GP", n_initial_points=DESIGN, random_state=seed)
        self._pending: dict[int, list[Any]] = {}
        self._values: list[float] = []

    def ask(self, number: int) -> dict[str, Any]:
        """Return all hyperparameters."""
        if len(self._values) < DESIGN:
            # Its own design: it would draw random points by itself until so many are observed.
            point = self._optimizer.space.rvs(random_state=self._optimizer.rng)[0]
        else:
            believer = self._optimizer.copy(random_state=self._optimizer.rng.randint(2**31 - 1))
            believer.tell(list(self._pending.values()), [min(self._values)] * len(self._pending))
            point = believer.ask()
        self._pending[number] = point
        return dict(zip(self._names, point, strict=True))

    def tell(self, number: int, value: float) -> None:
        """Take a value in."""
        self._values.append(value)
        self._optimizer.tell(self._pending.pop(number), value, fit=False)


def _skopt_dimension(space: Any, distribution: Any) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return space.Categorical(distribution.choices)
    kind = space.Integer if isinstance(distribution, IntDistribution) else space.Real
    return kind(distribution.low, distribution.high, "log-uniform" if distribution.log else "uniform")


class SmacContender:
    """SMAC3 with its facade for hyperparameter optimization: a random forest."""

    def __init__(self, task: Task, seed: int, budget: int) -> None:
        import tempfile
        from pathlib import Path

        import ConfigSpace
        from smac import HyperparameterOptimizationFacade, Scenario
        from smac.runhistory import TrialInfo, TrialValue

        self._info, self._result = TrialInfo, TrialValue
        space = ConfigSpace.ConfigurationSpace(seed=seed)
        self._decode: dict[str, tuple[Any, ...]] = {}
        for name, each in task.space.items():
            if isinstance(each, CategoricalDistribution):
                self._decode[name] = each.choices
                space.add(ConfigSpace.CategoricalHyperparameter(name, [str(choice) for choice in each.choices]))
            elif isinstance(each, IntDistribution):
                space.add(ConfigSpace.UniformIntegerHyperparameter(name, each.low, each.high, log=each.log))
            elif isinstance(each, FloatDistribution):
                space.add(ConfigSpace.UniformFloatHyperparameter(name, each.low, each.high, log=each.log))
        for name, condition in task.conditions.items():
            values = [str(v) if condition.parent in self._decode else v for v in condition.values]
            space.add(ConfigSpace.InCondition(space[name], space[condition.parent], values))
        self._folder = tempfile.TemporaryDirectory()
        scenario = Scenario(
            space, deterministic=True, n_trials=budget, seed=seed, output_directory=Path(self._folder.name)
        )
        design = HyperparameterOptimizationFacade.get_initial_design(scenario, n_configs=DESIGN)
        self._facade = HyperparameterOptimizationFacade(
            scenario, _not_called, initial_design=design, overwrite=True, logging_level=False
        )
        self._trials: dict[int, Any] = {}

    def ask(self, number: int) -> dict[str, Any]:
        """Return the active hyperparameters."""
        trial = self._trials[number] = self._facade.ask()
        given = dict(trial.config)
        for name, choices in self._decode.items():
            if name in given:
                given[name] = next(choice for choice in choices if str(choice) == given[name])
        return given

    def tell(self, number: int, value: float) -> None:
        """Take a value in."""
        self._facade.tell(self._trials.pop(number), self._result(cost=value))


def _not_called(config: object, seed: int) -> float:
    """Stand for the objective, which SMAC wants to have even where candidates are asked for one by one."""
    raise NotImplementedError(config, seed)


class HeboContender:
    """HEBO; it takes no notice of running trials, its suggestions are drawn from a Pareto front."""

    def __init__(self, task: Task, seed: int) -> None:
        import torch
        from hebo.design_space.design_space import DesignSpace
        from hebo.optimizers.hebo import HEBO

        torch.manual_seed(seed)
        np.random.seed(seed)
        self._choices = {
            name: each.choices for name, each in task.space.items() if isinstance(each, CategoricalDistribution)
        }
        space = DesignSpace().parse([_hebo_parameter(name, each) for name, each in task.space.items()])
        self._optimizer = HEBO(space, rand_sample=DESIGN, scramble_seed=seed)
        self._suggestions: dict[int, Any] = {}

    def ask(self, number: int) -> dict[str, Any]:
        """Return all hyperparameters."""
        suggestion = self._suggestions[number] = self._optimizer.suggest(1)
        given: dict[str, Any] = suggestion.iloc[0].to_dict()
        for name, choices in self._choices.items():
            given[name] = choices[int(given[name])]
        return given

    def tell(self, number: int, value: float) -> None:
        """Take a value in."""
        self._optimizer.observe(self._suggestions.pop(number), np.array([[value]]))


def _hebo_parameter(name: str, distribution: Any) -> dict[str, Any]:
    if isinstance(distribution, CategoricalDistribution):
        return {"name": name, "type": "cat", "categories": [str(i) for i in range(len(distribution.choices))]}
    kind = "int" if isinstance(distribution, IntDistribution) else "num"
    if distribution.log:
        kind = "pow_int" if kind == "int" else "pow"
    return {"name": name, "type": kind, "lb": distribution.low, "ub": distribution.high}


def _candle(task: Task, seed: int, _: int) -> Contender:
    from candle_hpo.search.optuna.sampler import GaussianProcessSampler

    is_active = task.active if task.conditions else None
    return OptunaContender(task, GaussianProcessSampler(seed=seed, space=task.space, is_active=is_active))


def _candle_learning(task: Task, seed: int, _: int) -> Contender:
    from candle_hpo.search.optuna.sampler import GaussianProcessSampler

    return OptunaContender(task, GaussianProcessSampler(seed=seed))


def _optuna(name: str, **options: Any) -> Callable[[Task, int, int], Contender]:
    def make(task: Task, seed: int, _: int) -> Contender:
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return OptunaContender(task, getattr(optuna.samplers, name)(seed=seed, **options))

    return make


# Each is made from a task, a seed and the budget.
CONTENDERS: dict[str, Callable[[Task, int, int], Contender]] = {
    "candle": _candle,
    "candle, space not given": _candle_learning,
    "random": _optuna("RandomSampler"),
    "Sobol": _optuna("QMCSampler", qmc_type="sobol", scramble=True, warn_independent_sampling=False),
    "TPE": _optuna("TPESampler"),
    "TPE multivariate": _optuna("TPESampler", multivariate=True, group=True, constant_liar=True),
    "Optuna GP": _optuna("GPSampler", deterministic_objective=False, warn_independent_sampling=False),
    "scikit-optimize GP": lambda task, seed, _: ScikitOptimizeContender(task, seed),
    "SMAC3": SmacContender,
    "HEBO": lambda task, seed, _: HeboContender(task, seed),
}
