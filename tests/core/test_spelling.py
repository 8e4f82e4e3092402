"""Which names are near-misses, and which are merely alike."""

from __future__ import annotations

import pytest

from candle_hpo.core.spelling import misspelling_of


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("epochs", "epoch"),
        ("learning_rate", "learning_rat"),
        ("learning_rate", "learningRate"),
        ("learning_rate", "learningrate"),
        ("learning-rate", "LEARNING_RATE"),
        ("learning_rate", "learing_rate"),
        ("batch_size", "batch_szie"),
        ("batch_size", "batchsize"),
        ("dropout", "droput"),
        ("--momentum", "--momentun"),
        ("conv1.filters", "conv1.filter"),
    ],
)
def test_a_name_with_a_slip_in_it(name: str, other: str) -> None:
    assert misspelling_of(name, ["seed", other]) == other
    assert misspelling_of(other, ["seed", name]) == name


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("learning_rate", "learning_steps"),
        ("max_depth", "max_width"),
        ("min_lr", "max_lr"),
        ("lr", "lr_min"),
        ("beta_1", "beta_2"),
        ("units1", "units2"),
        ("conv_1_filters", "conv_2_filters"),
        ("layer", "layer2"),
        ("train_batch_size", "test_batch_size"),
        ("n_estimators", "n_neighbors"),
        ("--learning-rate", "--learning-starts"),
        ("subsample", "colsample"),
        ("subsample_bytree", "subsample_bylevel"),
        ("lr_init", "lr_final"),
        ("width", "depth"),
        ("lr", "wd"),
        ("x", "y"),
        ("alpha", "alpha"),
    ],
)
def test_names_that_are_two(name: str, other: str) -> None:
    assert misspelling_of(name, [other]) is None
    assert misspelling_of(other, [name]) is None


def test_the_nearest_is_meant() -> None:
    assert misspelling_of("epoc", ["seed", "epochs", "epoch"]) == "epoch"
    assert misspelling_of("epoc", []) is None
