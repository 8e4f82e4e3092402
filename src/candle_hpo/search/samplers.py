"""The samplers that an experiment may name, each made for one proposal from the seed and the proposal's number.

A sampler that begins anew for each proposal has no state besides the study: what it proposes after a resume is what it
would have proposed anyway. CMA-ES alone keeps its state in the study's trials.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from candle_hpo.core.errors import MachineError
from candle_hpo.search.sampler import GaussianProcessSampler
from candle_hpo.search.study_space import StudySpace

# What a sampler of Optuna's needs besides Optuna: a module, and the package that has it.
EXTRAS = {"gp": ("torch", "torch"), "cmaes": ("cmaes", "cmaes")}

MakeSampler = Callable[[int], BaseSampler]  # the number of a proposal -> its sampler


def check_sampler(name: str) -> None:
    """Raise `MachineError` where a sampler needs a package that is not installed."""
    module, package = EXTRAS.get(name, ("", ""))
    if module:
        try:
            importlib.import_module(module)
        except ImportError:
            raise MachineError(
                f'sampler="{name}" needs the package {package}, which is not installed beside candle; install it there '
                f"(pip install {package}), or leave sampler away"
            ) from None


def sampler_maker(name: str, space: StudySpace, seed: int, design_size: int) -> MakeSampler:
    """Return what makes the sampler of this name for each proposal; the first `design_size` points are candle's own."""
    check_sampler(name)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    activity = space.active_names if space.has_conditions else None
    own = GaussianProcessSampler(seed=seed, design_size=design_size, space=space.distributions, is_active=activity)
    if name == "candle":
        return lambda _: own
    if name == "gp":
        importlib.import_module("torch").set_num_threads(1)  # the models need the other CPUs
    kept: dict[str, Any] = {}

    def make(number: int) -> BaseSampler:
        if number < design_size:
            return own
        its_seed = (seed * 1_000_003 + number) % 2**32
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Optuna calls experimental
            match name:
                case "tpe":
                    return TPESampler(
                        seed=its_seed,
                        n_startup_trials=design_size,
                        multivariate=True,
                        group=True,
                        constant_liar=True,
                    )
                case "gp":
                    return GPSampler(seed=its_seed, n_startup_trials=design_size, warn_independent_sampling=False)
                case _:
                    if "cmaes" not in kept:
                        kept["cmaes"] = CmaEsSampler(seed=its_seed, warn_independent_sampling=False)
                    return kept["cmaes"]  # type: ignore[no-any-return]

    return make


class AsRun(BaseSampler):
    """A sampler whose proposals are made what is really run, before the study takes them in."""

    def __init__(self, sampler: BaseSampler, space: StudySpace) -> None:
        self._sampler, self._space = sampler, space

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what the sampler proposes together."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the sampler's values, as they are run."""
        found = self._sampler.sample_relative(study, trial, search_space)
        return {name: self._as_run(name, value) for name, value in found.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the sampler's value, as it is run."""
        return self._as_run(param_name, self._sampler.sample_independent(study, trial, param_name, param_distribution))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Let the sampler do what it does first."""
        self._sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Let the sampler do what it does last."""
        self._sampler.after_trial(study, trial, state, values)

    def _as_run(self, name: str, value: Any) -> Any:
        axis = self._space.axes[name]
        return axis.value(axis.coordinate(value))
