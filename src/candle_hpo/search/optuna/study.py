"""Optuna's own samplers: a study in memory that observes what the search does, and is asked for the next point."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from candle_hpo.core.objective import Direction
from candle_hpo.core.parameters import Coordinates
from candle_hpo.search.learning import Sampler
from candle_hpo.search.space import SearchAxis, SearchSpace


def distribution_of(axis: SearchAxis) -> BaseDistribution:
    """Return the values of an axis as Optuna has them."""
    if axis.choices:
        return CategoricalDistribution(axis.choices)
    if isinstance(axis.low, int) and isinstance(axis.high, int):
        return IntDistribution(axis.low, axis.high, log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


class StudySampler(Sampler):
    """Makes points by one of Optuna's samplers, after the first, evenly spread ones.

    A new sampler for each point has no state besides the study: what it proposes after a resume is what it would have
    proposed anyway. CMA-ES alone keeps its state in the study's trials.
    """

    def __init__(self, name: str, space: SearchSpace, direction: Direction, seed: int, design_size: int) -> None:
        super().__init__(space, direction, seed, design_size)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        if name == "gp":
            importlib.import_module("torch").set_num_threads(1)  # the models need the other CPUs
        self._name, self._direction = name, direction
        self._distributions = {each: distribution_of(axis) for each, axis in space.axes.items()}
        self._study = optuna.create_study(direction=direction.value)
        self._numbers: list[int] = []  # of the study's trials, by the places of their points
        self._asked: tuple[Trial, Coordinates] | None = None
        self._kept: BaseSampler | None = None

    def suggest(self) -> Coordinates | None:
        """Return the point that Optuna's sampler proposes, perhaps one that was tried."""
        place = len(self._positions)
        if place < self._design_size:
            return super().suggest()
        self._study.sampler = _AsRun(self._sampler(place), self._space)
        trial = self._study.ask()
        point = self._space.suggested(lambda name: _suggest(trial, name, self._distributions[name]))
        self._asked = trial, point
        return point

    def add(self, point: Coordinates) -> int:
        """Let a point be tried: the one that was asked of the study, or another; that one has failed then."""
        trial, asked = self._asked or (None, None)
        self._asked = None
        if trial is not None and asked == point:
            self._numbers.append(trial.number)
            return super().add(point)
        if trial is not None:
            self._study.tell(trial, state=TrialState.FAIL)
        params = self._space.values(point)
        distributions = {name: self._distributions[name] for name in params}
        self._numbers.append(len(self._study.get_trials(deepcopy=False)))
        self._study.add_trial(create_trial(state=TrialState.RUNNING, params=params, distributions=distributions))
        return super().add(point)

    def observe(self, place: int, value: float | None, length: float = 0.0) -> None:
        """Note what came of the point at a place."""
        super().observe(place, value, length)
        number = self._running(place).number
        if value is None:
            self._study.tell(number, state=TrialState.FAIL)
        else:
            self._study.tell(number, value)

    def observe_stop(self, place: int) -> None:
        """Note that the point at a place was stopped: pruned, or, where Optuna learns nothing of that, ended."""
        super().observe_stop(place)
        if not self._curves[place]:
            return
        step, last = max(self._curves[place].items())
        if self._name != "tpe":
            self._study.tell(self._running(place).number, self._sign * last)
            return
        trial = Trial(self._study, self._running(place)._trial_id)
        trial.report(self._sign * last, round(step))
        self._study.tell(trial, state=TrialState.PRUNED)

    def observe_interruption(self, place: int) -> None:
        """Note that nothing is known of the point at a place, as if it had just begun."""
        super().observe_interruption(place)
        self._running(place)

    def _running(self, place: int) -> FrozenTrial:
        """Return the study's trial of a place, which runs; again, where it failed and was attempted again."""
        number = self._numbers[place]
        if self._study.get_trials(deepcopy=False)[number].state.is_finished():
            self._let_run_again(number)
        return self._study.get_trials(deepcopy=False)[number]

    def _let_run_again(self, number: int) -> None:
        """Make the study again, with one of its trials running: Optuna's trials end only once."""
        trials = self._study.get_trials(deepcopy=False)
        trials[number] = create_trial(
            state=TrialState.RUNNING, params=trials[number].params, distributions=trials[number].distributions
        )
        self._study = optuna.create_study(direction=self._direction.value)
        self._study.add_trials(trials)

    def _sampler(self, place: int) -> BaseSampler:
        """Return the sampler for the point of this place."""
        seed, design_size = (self._seed * 1_000_003 + place) % 2**32, self._design_size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what Optuna calls experimental
            if self._name == "tpe":
                return TPESampler(
                    seed=seed, n_startup_trials=design_size, multivariate=True, group=True, constant_liar=True
                )
            if self._name == "gp":
                return GPSampler(seed=seed, n_startup_trials=design_size, warn_independent_sampling=False)
            self._kept = self._kept or CmaEsSampler(seed=seed, warn_independent_sampling=False)
            return self._kept


def _suggest(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case FloatDistribution(low=low, high=high, log=log):
            return trial.suggest_float(name, low, high, log=log)
        case IntDistribution(low=low, high=high, log=log):
            return trial.suggest_int(name, low, high, log=log)
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
    raise TypeError(f"{name} has a distribution of an unknown kind")


class _AsRun(BaseSampler):
    """A sampler whose proposals are made what is really run, before the study takes them in."""

    def __init__(self, sampler: BaseSampler, space: SearchSpace) -> None:
        self._sampler, self._space = sampler, space

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what the sampler proposes together."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the sampler's values, as they are run."""
        found = self._sampler.sample_relative(study, trial, search_space)
        return {name: self._nearest_run(name, value) for name, value in found.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the sampler's value, as it is run."""
        return self._nearest_run(
            param_name, self._sampler.sample_independent(study, trial, param_name, param_distribution)
        )

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Let the sampler do what it does first."""
        self._sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Let the sampler do what it does last."""
        self._sampler.after_trial(study, trial, state, values)

    def _nearest_run(self, name: str, value: Any) -> Any:
        axis = self._space.axes[name]
        return axis.value(axis.coordinate(value))
