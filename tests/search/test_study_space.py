"""A search space as searches see it, and Optuna's samplers, and the way back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from candle_hpo.search.optuna.study import distribution_of
from candle_hpo.search.space import SearchSpace
from support.spaces import MIXED, space_of


@pytest.mark.parametrize(
    ("line", "distribution"),
    [
        ('makeNumericParam("x", lower = 0, upper = 1)', FloatDistribution(0.0, 1.0)),
        ('makeNumericParam("x", lower = -5, upper = -1, trafo = function(x) 10^x)', FloatDistribution(-5.0, -1.0)),
        (
            '{"name": "x", "type": "float", "low": 1e-5, "high": 0.1, "log": true}',
            FloatDistribution(1e-5, 0.1, log=True),
        ),
        ('makeIntegerParam("x", lower = 2, upper = 10)', IntDistribution(2, 10)),
        ('{"name": "x", "type": "int", "low": 8, "high": 512, "log": true}', IntDistribution(8, 512, log=True)),
        ('makeIntegerParam("x", lower = 4, upper = 9, trafo = function(x) 2^x)', IntDistribution(4, 9)),
        # Numbers keep their order for the model; text has none.
        ('makeDiscreteParam("x", values = c(16, 32, 64))', CategoricalDistribution((16, 32, 64))),
        ('makeDiscreteParam("x", values = c("16", "32", "64"))', CategoricalDistribution(("0", "1", "2"))),
        ('{"name": "x", "type": "categorical", "choices": [[1, 2], null]}', CategoricalDistribution(("0", "1"))),
        # What rounds is searched among the values that there are.
        (
            'makeNumericParam("x", lower = 4, upper = 8, trafo = function(x) round(2^x))',
            IntDistribution(16, 256, log=True),
        ),
        (
            'makeNumericParam("x", lower = 0.6, upper = 3.4, trafo = function(x) 10 * round(x))',
            CategoricalDistribution((1.0, 2.0, 3.0)),
        ),
        (
            'makeIntegerParam("x", lower = 0, upper = 5, trafo = function(x) x %/% 2)',
            CategoricalDistribution((0, 2, 4)),
        ),
    ],
)
def test_distributions(line: str, distribution: BaseDistribution) -> None:
    found = distribution_of(SearchSpace(space_of(line)).axes["x"])
    if isinstance(distribution, CategoricalDistribution) and isinstance(found, CategoricalDistribution):
        assert found.choices == pytest.approx(distribution.choices, abs=0.5)
    else:
        assert found == distribution


def test_a_value_that_rounds_has_one_point() -> None:
    space = SearchSpace(space_of(MIXED))
    assert len(space.axes["dropout[0]"].choices) == 10


@given(st.integers(0, 2**32))
@settings(max_examples=60)
def test_there_and_back(seed: int) -> None:
    space = SearchSpace(space_of(MIXED))
    generator = np.random.default_rng(seed)
    params: dict[str, Any] = {}
    for name, axis in space.axes.items():
        match distribution_of(axis):
            case FloatDistribution(low=low, high=high):
                params[name] = low + generator.random() * (high - low)
            case IntDistribution(low=low, high=high):
                params[name] = int(generator.integers(low, high + 1))
            case CategoricalDistribution(choices=choices):
                params[name] = choices[generator.integers(len(choices))]
    run = space.coordinates(params)
    assert set(run) == set(space.active_names(params))
    assert ("momentum" in run) == (run["optimizer"] == 0)
    assert space.coordinates(space.values(run) | {"momentum": params["momentum"]}) == run
    assert space.space.coordinates(space.space.hyperparameters(run)) == run


def test_points_are_counted() -> None:
    assert SearchSpace(space_of(MIXED)).points() == math.inf
    text = """
        makeDiscreteParam("optimizer", values = c("sgd", "adam"))
        makeIntegerParam("warmup", lower = 0, upper = 4, requires = quote(optimizer == "sgd"))
        makeIntegerParam("epochs", lower = 1, upper = 3)
    """
    assert SearchSpace(space_of(text)).points() == (5 + 1) * 3
