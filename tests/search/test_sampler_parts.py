"""The parts of the sampler, each against what it must be: formulas, gradients, round trips."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.optimize import approx_fprime

from candle_hpo.search.gp.axes import Axis, CategoryAxis, ContinuousAxis, OrderedAxis, SteppedAxis, choice_axis
from candle_hpo.search.gp.candidates import best_candidate
from candle_hpo.search.gp.cube import Cube, keys
from candle_hpo.search.gp.ensemble import log_expected_improvement, log_improvement_of_standard
from candle_hpo.search.gp.gaussian_process import Kernel, Layout, Posterior, fit, matern, negative_log_posterior
from candle_hpo.search.gp.warping import gaussian_outputs, kumaraswamy, yeo_johnson
from candle_hpo.search.optuna.sampler import axis_of, learned_activity

Array = NDArray[np.float64]


# Computed with 80 to 400 digits.
@pytest.mark.parametrize(
    ("z", "expected"),
    [
        (3.0, 1.0987396653277078),
        (0.0, -0.91893853320467274),
        (-0.999, -2.4832171154475854),
        (-1.0, -2.4851210257126413),
        (-1.001, -2.4870256579553894),
        (-5.0, -16.74430116266099),
        (-37.0, -692.64296016327041),
        (-1e3, -500014.73445209116),
        (-5e4, -1250000022.5584951),
        (-1e7, -50000000000033.155),
        (-1e9, -5.0000000000000004e17),
    ],
)
def test_log_expected_improvement(z: float, expected: float) -> None:
    assert log_improvement_of_standard(np.array([z]))[0] == pytest.approx(expected, rel=1e-12)
    shifted = log_expected_improvement(np.array([7.0 - 2 * z]), np.array([2.0]), 7.0)
    assert shifted[0] == pytest.approx(expected + math.log(2), rel=1e-12)


def test_the_gradient_of_the_log_posterior() -> None:
    generator = np.random.default_rng(0)
    layout = Layout(np.array([0, 1, 1, 1, 2, 3]), np.array([True, False, False, False, True, False]))
    inputs, targets = generator.random((20, 6)), generator.standard_normal(20)
    for _ in range(5):
        logs = generator.normal(-0.5, 0.7, layout.lengths + 2 + 2 * layout.warps)
        _, gradient = negative_log_posterior(logs, inputs, targets, layout)
        numeric = approx_fprime(logs, lambda at: negative_log_posterior(at, inputs, targets, layout)[0], 1e-7)
        np.testing.assert_allclose(gradient, numeric, rtol=2e-4, atol=2e-4)


def test_the_slopes_of_the_input_warping() -> None:
    inputs = np.array([[0.0], [1e-3], [0.3], [0.9], [1.0]])
    at, step = np.array([0.4]), 1e-6
    warped, slope_a, slope_b = kumaraswamy(inputs, at, -at)
    assert np.all(np.diff(warped[:, 0]) > 0)
    numeric_a = (kumaraswamy(inputs, at + step, -at)[0] - kumaraswamy(inputs, at - step, -at)[0]) / (2 * step)
    numeric_b = (kumaraswamy(inputs, at, -at + step)[0] - kumaraswamy(inputs, at, -at - step)[0]) / (2 * step)
    np.testing.assert_allclose(slope_a, numeric_a, atol=1e-8)
    np.testing.assert_allclose(slope_b, numeric_b, atol=1e-8)


def test_the_kernel_is_matern() -> None:
    distances = np.linspace(0, 5, 20)[:, None]
    root = math.sqrt(5) * distances[:, 0]
    expected = (1 + root + root**2 / 3) * np.exp(-root)
    np.testing.assert_allclose(matern(np.zeros((1, 1)), distances)[0][0], expected, atol=1e-12)


def test_a_fitted_process_predicts() -> None:
    generator = np.random.default_rng(1)
    inputs, fresh = generator.random((60, 3)), generator.random((40, 3))

    def function(at: Array) -> Array:
        return np.asarray(np.sin(6 * at[:, 0]) + at[:, 1])  # the third input does nothing

    layout = Layout(np.arange(3), np.zeros(3, dtype=bool))
    kernel = fit(inputs, function(inputs), layout)
    mean, deviation = Posterior(kernel, inputs, function(inputs)).predict(fresh)
    errors = mean - function(fresh)
    assert np.max(np.abs(errors)) < 0.1
    assert np.mean(np.abs(errors) < 3 * deviation + 1e-3) > 0.9
    assert kernel.logs[2] > kernel.logs[0] + 1  # and is found not to matter


def test_a_process_far_from_its_data_knows_that_it_knows_nothing() -> None:
    layout = Layout(np.arange(1), np.zeros(1, dtype=bool))
    kernel = Kernel(layout, np.log(np.array([0.01, 1.0, 1e-6])))
    posterior = Posterior(kernel, np.zeros((1, 1)), np.zeros(1))
    _, deviation = posterior.predict(np.array([[0.0], [1.0]]))
    assert deviation[0] < 0.01 < 1.0 < deviation[1]


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=30))
def test_outputs_keep_their_order(values: list[float]) -> None:
    given_values = np.array(values)
    outputs = gaussian_outputs(given_values)
    assert np.all(np.isfinite(outputs))
    order = np.argsort(given_values, kind="stable")
    assert np.all(np.diff(outputs[order]) >= -1e-9)


def test_outputs_become_gaussian_whatever_their_unit() -> None:
    values = np.random.default_rng(0).lognormal(0.0, 1.5, 200)
    outputs = gaussian_outputs(values)
    assert abs(np.mean(outputs**3)) < 0.3 < abs(np.mean(((values - values.mean()) / values.std()) ** 3))
    np.testing.assert_allclose(gaussian_outputs(values * 1e-6 + 3e-5), outputs, atol=1e-5)


@pytest.mark.parametrize("power", [-2.0, 0.0, 1e-9, 0.5, 1.0, 2.0, 3.0])
def test_yeo_johnson(power: float) -> None:
    values = np.linspace(-3, 3, 61)
    transformed = yeo_johnson(values, power)
    assert np.all(np.diff(transformed) > 0)
    if power == 1.0:
        np.testing.assert_allclose(transformed, values, atol=1e-12)


AXES: list[tuple[BaseDistribution, list[Any]]] = [
    (FloatDistribution(-1.0, 3.0), [-1.0, 0.0, 0.123, 3.0]),
    (FloatDistribution(-1e308, 1e308), [-1e308, 0.0, 1e308]),
    (FloatDistribution(1e-8, 1e3, log=True), [1e-8, 1e-5, 1.0, 1e3]),
    (FloatDistribution(-0.1, 0.9, step=0.1), [-0.1, 0.0, 0.3, 0.7, 0.9]),
    (IntDistribution(-3, 100), [-3, 0, 99, 100]),
    (IntDistribution(10, 40, step=5), [10, 15, 40]),
    (IntDistribution(1, 100_000, log=True), [1, 2, 3, 500, 99_999, 100_000]),
    (CategoricalDistribution([64, 16, 32]), [16, 32, 64]),
    (CategoricalDistribution([True, 1, "a", None]), [True, 1, "a", None]),
]


@pytest.mark.parametrize(("distribution", "values"), AXES, ids=str)
def test_values_and_positions(distribution: BaseDistribution, values: list[Any]) -> None:
    axis = axis_of(distribution)
    for value in values:
        position = axis.position(value)
        assert position is not None
        again = axis.value(position)
        assert again == pytest.approx(value, rel=1e-12) if isinstance(value, float) else again == value
        assert type(again) is type(value)
        assert axis.snap(np.array([position]))[0] == pytest.approx(position, abs=1e-12)
    drawn = axis.spread(np.random.default_rng(0).random(300))
    assert np.array_equal(axis.snap(drawn), drawn)
    if axis.count < 30:
        found, counts = np.unique(drawn, return_counts=True)
        np.testing.assert_allclose(found, axis.every(), atol=1e-12)
        assert counts.min() > 0.4 * len(drawn) / axis.count  # an equal share for each


def test_listed_numbers_are_ordered_and_others_are_not() -> None:
    assert isinstance(choice_axis([16, 32, 64]), OrderedAxis)
    others: list[list[bool | int | str]] = [[16, 32], [16, 32, "64"], [False, True, 2]]
    for choices in others:
        assert isinstance(choice_axis(choices), CategoryAxis)


def test_a_value_outside_of_the_space_has_no_position() -> None:
    cube = Cube({"a": SteppedAxis(0, 5), "b": choice_axis(["x", "y"])})
    assert cube.position({"a": 6, "b": "x"}) is None
    assert cube.position({"a": 5, "b": "z"}) is None
    assert cube.position({"a": 5}) is not None


def test_what_is_not_active_distinguishes_nothing() -> None:
    space: dict[str, Axis] = {"a": choice_axis(["x", "y"]), "b": SteppedAxis(1, 3)}
    cube = Cube(space, lambda assignment: {"a", "b"} if assignment["a"] == "x" else {"a"})
    positions = cube.all_positions()
    assert [cube.assignment(each) for each in positions] == [
        {"a": "x", "b": 1},
        {"a": "x", "b": 2},
        {"a": "x", "b": 3},
        {"a": "y"},
    ]
    assert len(set(keys(positions))) == 4
    full = np.array([[1.0, 0.0], [1.0, 0.5], [1.0, 1.0]])
    assert len(np.unique(cube.features(cube.deactivated(full)), axis=0)) == 1


def test_conditions_are_learned_parents_first() -> None:
    trials = [
        {"model": "net", "layers": 2, "width": 3},
        {"model": "net", "layers": 1},
        {"model": "tree", "depth": 5},
        {"model": "tree", "depth": 6},
    ]
    is_active = learned_activity(trials)
    assert is_active is not None
    full = {"model": "net", "layers": 2, "width": 1, "depth": 1}
    assert set(is_active(full)) == {"model", "layers", "width"}
    assert set(is_active(full | {"layers": 1})) == {"model", "layers"}
    assert set(is_active(full | {"model": "tree"})) == {"model", "depth"}
    assert learned_activity(trials[:1]) is None


def test_a_condition_that_no_parameter_explains_is_not_invented() -> None:
    generator = np.random.default_rng(0)
    trials = [{"x": generator.random()} | ({"y": 1} if number % 2 else {}) for number in range(10)]
    is_active = learned_activity(trials)
    assert is_active is not None
    assert set(is_active({"x": 0.5, "y": 1})) == {"x", "y"}


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_the_search_for_candidates_comes_close(seed: int) -> None:
    cube = Cube({name: ContinuousAxis(0, 1) for name in "abc"} | {"d": SteppedAxis(0, 2000)})
    target = np.array([0.2, 0.9, 0.5, 0.25])
    found = best_candidate(
        lambda at: -np.sum((at - target) ** 2, axis=1), cube, np.empty((0, 4)), set(), np.random.default_rng(seed)
    )
    assert found is not None
    assert np.max(np.abs(found - target)) < 0.05


def test_the_last_free_point_is_found() -> None:
    cube = Cube({name: SteppedAxis(0, 15) for name in "abc"})  # too many to be listed at first
    everything = cube.all_positions()
    taken = set(keys(everything)) - set(keys(everything[[1234]]))
    generator = np.random.default_rng(0)
    found = best_candidate(lambda at: at[:, 0], cube, everything[:2], taken, generator)
    assert found is not None
    assert np.array_equal(found, everything[1234])
    assert best_candidate(lambda at: at[:, 0], cube, everything[:2], set(keys(everything)), generator) is None
