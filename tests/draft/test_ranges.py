"""The range that is proposed for an option."""

from __future__ import annotations

import pytest

from candle_hpo.draft.options import Option, kind_of
from candle_hpo.draft.ranges import Range, is_amount, range_of, to_search, with_usual_value


def of(name: str, default: object, **more: object) -> Range | None:
    return range_of(Option(name=name, kind=kind_of(default), default=default, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "default", "low", "high", "is_log"),
    [
        ("lr", 1e-3, 1e-5, 1e-2, True),
        ("learning_rate", 1.0, 0.01, 1.0, True),
        ("optim.lr", 3e-4, 3e-6, 3e-3, True),
        ("weight_decay", 0.0, 1e-6, 1e-2, True),
        ("weightDecay", 1e-4, 1e-6, 1e-2, True),
        ("dropout", 0.1, 0.0, 0.5, False),
        ("dropout", 0.6, 0.0, 0.6, False),
        ("momentum", 0.9, 0.5, 0.99, False),
        ("gamma", 0.7, 0.35, 0.85, False),
        ("C", 1.0, 0.01, 100.0, True),
        ("batchSize", 64, 16, 256, True),
        ("n_layers", 2, 1, 4, False),
        ("epochs", 10, 2, 20, True),
        ("min_samples_leaf", 1, 1, 10, True),
        ("min_samples_split", 2, 2, 10, False),
        ("l1_ratio", 0.0, 0.0, 1.0, False),
        ("cp", 0.01, 1e-4, 1.0, True),
        ("maxdepth", 30, 15, 30, False),
        ("minsplit", 20, 5, 80, True),
        ("early_stopping_rounds", 10, 5, 20, False),
        ("shift", -2.0, -4.0, 0.0, False),
    ],
)
def test_a_range_around_the_default(name: str, default: object, low: float, high: float, is_log: bool) -> None:
    found = of(name, default)
    assert found is not None
    assert (found.low, found.high, found.is_log, found.is_whole) == (low, high, is_log, isinstance(default, int))


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("seed", 1), ("gpu", 0), ("num_workers", 4), ("log_interval", 10), ("data", "x.csv"), ("save_model", False),
        ("out_dir", "x"), ("test_batch_size", 1000), ("testBatchSize", 10), ("manualSeed", 3), ("layers", [8, 4]),
        ("lr", None), ("lr", 0.0), ("start_epoch", 0), ("n_splits", 5), ("train_ratio", 0.7), ("val_split", 0.2),
    ],
)  # fmt: skip
def test_what_is_not_searched(name: str, default: object) -> None:
    assert of(name, default) is None


def test_a_tolerance_is_not_what_a_first_search_varies() -> None:
    step, tolerance = of("solver.step", 0.1), of("solver.tol", 1e-6)
    assert step is not None
    assert tolerance is not None
    assert to_search([tolerance, step]) == ["solver.step"]


def test_a_tree_without_a_depth_is_a_deep_one() -> None:
    found = range_of(with_usual_value(Option(name="max_depth")))
    assert found is not None
    assert (found.low, found.high) == (4, 16)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("n_samples", True), ("epochs", True), ("min_samples_leaf", False), ("early_stopping_rounds", False)],
)
def test_what_says_how_long_a_script_runs(name: str, is_one: bool) -> None:
    assert is_amount(name) is is_one


def test_bounds_of_the_script_are_kept() -> None:
    found = of("lr", 0.003, low=1e-4, high=0.01)
    assert found is not None
    assert (found.low, found.high) == (1e-4, 0.01)
    assert of("depth", 3, low=3, high=3) is None


def test_choices_and_flags() -> None:
    flag, kind = of("nesterov", True), of("optimizer", "sgd", choices=("sgd", "adam"))
    assert flag is not None
    assert kind is not None
    assert (flag.choices, kind.choices) == ((False, True), ("sgd", "adam"))
    assert kind.fields == {"name": "optimizer", "type": "categorical", "choices": ["sgd", "adam"]}


def test_the_learning_rate_comes_first_and_epochs_never_by_themselves() -> None:
    names = {"epochs": 10, "lr": 0.1, "hidden_size": 64, "dropout": 0.1, "batch_size": 8, "optimizer": "x"}
    ranges = [each for name, default in names.items() if (each := of(name, default)) is not None]
    assert to_search(ranges) == ["lr", "hidden_size", "dropout"]
    assert to_search([each for each in ranges if each.name == "epochs"]) == ["epochs"]
    assert to_search([]) == []


@pytest.mark.parametrize(
    ("name", "value"), [("learning_rate", 1e-3), ("dropout", 0.2), ("batch_size", 32), ("activation", None)]
)
def test_the_usual_value_of_a_name(name: str, value: object) -> None:
    found = with_usual_value(Option(name=name))
    assert (found.default, found.is_guessed) == (value, value is not None)
