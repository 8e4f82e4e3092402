"""The sampler, as users of Optuna meet it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)
from optuna.trial import TrialState

from candle_hpo.search.optuna.sampler import GaussianProcessSampler

pytestmark = pytest.mark.slow

optuna.logging.set_verbosity(optuna.logging.ERROR)

SPACE: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-5, 1e-1, log=True),
    "dropout": FloatDistribution(0.0, 0.5, step=0.1),
    "layers": IntDistribution(1, 4),
    "units": IntDistribution(8, 512, log=True),
    "activation": CategoricalDistribution(["relu", "tanh", None]),
    "batch": CategoricalDistribution([16, 32, 64, 128]),
    "only": IntDistribution(3, 3),
}


def study_of(
    sampler: BaseSampler | None = None, direction: Literal["minimize", "maximize"] = "minimize"
) -> optuna.Study:
    return optuna.create_study(sampler=sampler or GaussianProcessSampler(seed=1, design_size=4), direction=direction)


def loss(params: Mapping[str, Any]) -> float:
    value = (np.log10(params["rate"]) + 3) ** 2 + params["dropout"] + abs(params["layers"] - 3) * 0.5
    return float(value + (params["activation"] != "tanh") + abs(np.log2(params["batch"]) - 5) / 4)


def run(
    study: optuna.Study, count: int, objective: Callable[[Mapping[str, Any]], float] = loss
) -> list[dict[str, Any]]:
    for _ in range(count):
        trial = study.ask(SPACE)
        study.tell(trial, objective(trial.params))
    return [trial.params for trial in study.trials]


class TestOptunaContract(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    """What Optuna demands of every sampler."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: GaussianProcessSampler(seed=0, design_size=3)


def test_beats_random_by_far() -> None:
    def branin(x: float, y: float) -> float:
        return float((y - 5.1 * x**2 / (4 * np.pi**2) + 5 * x / np.pi - 6) ** 2 + 9.6 * np.cos(x) + 10)

    def best(sampler: BaseSampler, objective: Callable[[optuna.Trial], float]) -> float:
        study = study_of(sampler)
        study.optimize(objective, n_trials=35)
        return study.best_value

    def plane(trial: optuna.Trial) -> float:
        return branin(trial.suggest_float("x", -5, 10), trial.suggest_float("y", 0, 15))

    def mixed(trial: optuna.Trial) -> float:
        bend = {"a": 0.0, "b": 2.0, "c": 1.0}[trial.suggest_categorical("bend", ["a", "b", "c"])]
        return bend + sum((trial.suggest_int(f"x{i}", 0, 20) - 13 + i) ** 2 / 20 for i in range(4))

    for objective in (plane, mixed):
        ours = [best(GaussianProcessSampler(seed=seed), objective) for seed in range(4)]
        others = [best(optuna.samplers.RandomSampler(seed=seed), objective) for seed in range(4)]
        assert np.mean(ours) < 0.5 * np.mean(others), (objective.__name__, ours, others)


def test_no_point_twice_and_a_finite_space_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    space = {
        "a": IntDistribution(1, 3),
        "b": CategoricalDistribution(["x", "y"]),
        "c": FloatDistribution(0, 1, step=0.5),
    }
    study = study_of(GaussianProcessSampler(seed=3, design_size=4))
    seen = []
    for _ in range(18):
        trial = study.ask(space)
        seen.append(tuple(trial.params.values()))
        study.tell(trial, trial.params["a"] + trial.params["c"])
    assert len(set(seen)) == 18
    with caplog.at_level(logging.WARNING):
        assert set(study.ask(space).params) == set(space)
    assert "repeats one" in caplog.text


def test_running_trials_are_kept_away_from() -> None:
    study = study_of()
    run(study, 12)
    trials = [study.ask(SPACE) for _ in range(10)]
    assert len({tuple(trial.params.items()) for trial in trials}) == 10


def test_a_study_that_is_built_again_continues_in_the_same_way() -> None:
    whole = study_of()
    run(whole, 12)
    begun = [whole.ask(SPACE) for _ in range(3)]
    again = study_of()
    for trial in whole.get_trials():
        again.add_trial(trial)
    assert [trial.state for trial in again.trials[-3:]] == [TrialState.RUNNING] * 3
    for study in (whole, again):
        for trial in study.get_trials()[12:15]:
            study.tell(trial.number, loss(begun[trial.number - 12].params))
    assert whole.ask(SPACE).params == again.ask(SPACE).params


def test_the_seed_decides() -> None:
    first, same, other = (run(study_of(GaussianProcessSampler(seed=seed)), 12) for seed in (1, 1, 2))
    assert first == same
    assert first != other


def test_maximizing_is_minimizing_the_negative() -> None:
    down = run(study_of(), 15)
    up = run(study_of(direction="maximize"), 15, lambda params: -loss(params))
    assert down == up


@pytest.mark.parametrize("factor", [1e-300, 1e-12, 1.0, 1e12, 1e300])
def test_the_unit_of_the_objective_does_not_matter(factor: float) -> None:
    power_of_two = 2.0 ** round(np.log2(factor))  # exact, so that rounding does not matter either
    assert run(study_of(), 12) == run(study_of(), 12, lambda params: loss(params) * power_of_two)


@pytest.mark.parametrize("value", [0.0, 1.0, -1e300])
def test_a_constant_objective(value: float) -> None:
    assert len({str(params) for params in run(study_of(), 12, lambda params: value)}) == 12


def test_ties_and_wild_values() -> None:
    values = iter([0.0, 1.0, 0.0, 1e308, -1e308, 1.0, 1.0, 5e-324, float("inf"), float("-inf"), 2.0, 3.0])
    assert len(run(study_of(), 12, lambda params: next(values))) == 12


@pytest.mark.parametrize(("best_x", "most_failures"), [(0.3, 10), (1.0, 35)])
def test_failures_are_avoided_without_a_number(best_x: float, most_failures: int) -> None:
    def objective(trial: optuna.Trial) -> float:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        if x > 0.5:  # with the best x beyond, the slope leads right there
            raise ArithmeticError
        return abs(x - best_x) + y

    study = study_of(GaussianProcessSampler(seed=0))
    study.optimize(objective, n_trials=40, catch=ArithmeticError)
    assert study.best_value < max(best_x - 0.5, 0) + 0.02
    assert sum(trial.state is TrialState.FAIL for trial in study.trials) <= most_failures


def test_nothing_but_failures() -> None:
    study = study_of()
    for _ in range(15):
        study.tell(study.ask(SPACE), state=TrialState.FAIL)
    assert len({str(trial.params) for trial in study.trials}) == 15


def test_pruned_trials() -> None:
    study = study_of()
    run(study, 6)
    for _ in range(6):
        study.tell(study.ask(SPACE), state=TrialState.PRUNED)
    assert len({str(trial.params) for trial in study.trials}) == 12


CONDITIONAL: dict[str, BaseDistribution] = {
    "kernel": CategoricalDistribution(["rbf", "linear"]),
    "C": FloatDistribution(1e-3, 1e3, log=True),
    "gamma": FloatDistribution(1e-4, 1.0, log=True),
}


def used(assignment: Mapping[str, Any]) -> Collection[str]:
    assert set(assignment) == set(CONDITIONAL)
    return {"kernel", "C"} | ({"gamma"} if assignment["kernel"] == "rbf" else set())


def test_conditional_parameters_of_a_known_space() -> None:
    study = study_of(GaussianProcessSampler(seed=0, space=CONDITIONAL, is_active=used))
    for _ in range(25):
        trial = study.ask()
        kernel = trial.suggest_categorical("kernel", ["rbf", "linear"])
        relative = trial.relative_params
        assert relative is not None
        assert set(relative) == used(dict.fromkeys(CONDITIONAL) | {"kernel": kernel})
        value = abs(np.log10(trial.suggest_float("C", 1e-3, 1e3, log=True)))
        if kernel == "rbf":
            value += abs(np.log10(trial.suggest_float("gamma", 1e-4, 1.0, log=True)) + 2) - 0.5
        study.tell(trial, value)
    assert study.best_params["kernel"] == "rbf"
    assert study.best_value < 0.1


def test_conditional_parameters_are_learned() -> None:
    study = study_of(GaussianProcessSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        if trial.suggest_categorical("kernel", ["rbf", "linear"]) == "linear":
            return 1.0 + trial.suggest_float("C", 0, 1)
        return trial.suggest_float("gamma", 0, 1)

    study.optimize(objective, n_trials=30)
    assert study.best_value < 0.02
    last = study.ask()
    last.suggest_categorical("kernel", ["rbf", "linear"])
    assert last.relative_params is not None
    assert len(last.relative_params) == 2


def test_a_conditional_parameter_with_one_value() -> None:
    space = {"a": CategoricalDistribution([False, True]), "b": IntDistribution(1, 1), "c": FloatDistribution(0, 1)}

    def is_active(assignment: Mapping[str, Any]) -> Collection[str]:
        return set(assignment) if assignment["a"] else {"a", "c"}

    study = study_of(GaussianProcessSampler(seed=0, design_size=3, space=space, is_active=is_active))
    for _ in range(8):
        trial = study.ask()
        a = trial.suggest_categorical("a", [False, True])
        assert trial.relative_params is not None
        assert ("b" in trial.relative_params) == a
        study.tell(trial, trial.suggest_float("c", 0, 1))


DISTRIBUTIONS = st.one_of(
    st.builds(lambda low, width: FloatDistribution(low, low + width), st.floats(-1e6, 1e6), st.floats(0.1, 1e6)),
    st.builds(
        lambda low, factor: FloatDistribution(low, low * factor, log=True), st.floats(1e-9, 1), st.floats(2, 1e9)
    ),
    st.builds(
        lambda low, count: FloatDistribution(low, round(low + count / 10, 1), step=0.1),
        st.integers(-9, 9),
        st.integers(0, 9),
    ),
    st.builds(
        lambda low, width: IntDistribution(low, low + width), st.integers(-(10**6), 10**6), st.integers(0, 10**6)
    ),
    st.builds(
        lambda low, width: IntDistribution(low, low + width, log=True), st.integers(1, 99), st.integers(0, 10**6)
    ),
    st.builds(lambda step, count: IntDistribution(0, step * count, step=step), st.integers(1, 9), st.integers(0, 9)),
    st.builds(
        CategoricalDistribution,
        st.lists(
            st.one_of(st.booleans(), st.none(), st.integers(), st.text(max_size=3)),
            min_size=1,
            max_size=5,
            unique_by=repr,
        ),
    ),
)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from("abcdef"), DISTRIBUTIONS, min_size=1), st.integers(0, 5))
def test_spaces_of_every_kind(space: dict[str, BaseDistribution], seed: int) -> None:
    study = study_of(GaussianProcessSampler(seed=seed, design_size=2))
    for number in range(6):
        trial = study.ask(space)
        for name, distribution in space.items():
            assert distribution._contains(distribution.to_internal_repr(trial.params[name]))
        if number == 3:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, float(number % 3))
