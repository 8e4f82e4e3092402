from __future__ import annotations

import msgspec
import pytest

from candle_hpo.core.experiment import Settings
from candle_hpo.search.budget import Budget, budget_of


def settings(**changes: object) -> Settings:
    return msgspec.structs.replace(Settings(model_script="/m.py", workflow="bayesian"), **changes)


@pytest.mark.parametrize(
    ("changes", "budget"),
    [
        ({}, Budget(110, 10, 10)),
        ({"max_iterations": 3}, Budget(40, 10, 10)),
        ({"design_size": 16, "propose_points": 8, "max_iterations": 2}, Budget(32, 16, 8)),
        ({"max_budget": 7}, Budget(7, 7, 10)),
        ({"nworkers": 32, "max_budget": 1000}, Budget(330, 10, 32)),
        ({"nworkers": 32, "propose_points": 4}, Budget(50, 10, 4)),
        ({"proposals": "batch"}, Budget(110, 10, 10, batches=True)),
        ({"workflow": "random", "max_budget": 50}, Budget(50)),
    ],
)
def test_the_budget_of_an_experiment(changes: dict[str, object], budget: Budget) -> None:
    assert budget_of(settings(**changes)) == budget


def test_what_a_budget_allows() -> None:
    budget = Budget(trials=30, design=10, in_flight=4)
    assert budget.allows(10, running=50)
    assert budget.allows(11, running=3)
    assert not budget.allows(11, running=4)
    assert budget.allows(30, running=0)
    assert not budget.allows(31, running=0)


def test_a_batch_begins_when_all_before_it_have_ended() -> None:
    budget = Budget(trials=30, design=10, in_flight=4, batches=True)
    assert budget.allows(10, running=9)
    assert not budget.allows(11, running=1)
    assert budget.allows(11, running=0)
    assert [budget.allows(number, running=2) for number in (12, 13, 14, 15)] == [True, True, True, False]
