"""The tasks: models of different kinds, each trained in 50 steps on data that scikit-learn has or that are generated.

A trainer yields the validation loss after each step. Whatever is random in it follows from its generator.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from sklearn import datasets
from sklearn.ensemble import GradientBoostingRegressor

from early_stopping.networks import SCHEDULES, STEPS, Data, Network, train
from early_stopping.other_models import factorize, fit_features, fit_margins, fit_prototypes
from early_stopping.space import Array, Choice, Given, Number, Space, whole

Trainer = Callable[[Given, np.random.Generator], Iterator[float]]
BATCH_SIZE = whole(16, 128)


class Task(NamedTuple):
    """A model with data, and the hyperparameters that it has."""

    space: Space
    train: Trainer


def _standardized(columns: Array) -> Array:
    return np.asarray((columns - columns.mean(axis=0)) / columns.std(axis=0))


def _split(inputs: Array, targets: Array, count: int) -> Data:
    """Return as many samples to train on, in a random order that is always the same, and the rest."""
    order = np.random.default_rng(0).permutation(len(inputs))
    inputs, targets = inputs[order], targets[order]
    return Data(inputs[:count], targets[:count], inputs[count:], targets[count:])


@functools.cache
def digits(count: int) -> Data:
    """Return the digits, 1,100 of them at most."""
    inputs, targets = datasets.load_digits(return_X_y=True)
    inputs = (inputs - inputs.mean(axis=0)) / inputs.std()  # not each by itself: some pixels are nearly always empty
    return _split(inputs[:1100], np.eye(10)[targets[:1100]], count)


@functools.cache
def noisy_digits() -> Data:
    """Return few digits, a quarter of which have a wrong label in training."""
    data, generator = digits(400), np.random.default_rng(1)
    is_wrong = generator.random(400) < 0.25
    labels = np.where(is_wrong, generator.integers(10, size=400), data.targets.argmax(axis=1))
    return data._replace(targets=np.eye(10)[labels])


@functools.cache
def friedman() -> Data:
    """Return Friedman's first function with noise, standardized."""
    inputs, targets = datasets.make_friedman1(700, noise=1.0, random_state=0)
    return _split(inputs, _standardized(targets[:, None]), 200)


@functools.cache
def topics() -> Data:
    """Return counts of 200 words in documents on six topics with much in common; a tenth has a wrong label."""
    generator = np.random.default_rng(2)
    common = 1 / np.arange(1, 201)
    words = np.array([generator.dirichlet(0.4 * 200 * common / common.sum()) for _ in range(6)])
    words = 0.35 * words + 0.65 * common / common.sum()
    labels = generator.integers(6, size=700)
    counts = np.array([generator.multinomial(generator.integers(15, 50), words[label]) for label in labels])
    seen = np.where(generator.random(700) < 0.1, generator.integers(6, size=700), labels)
    targets = np.eye(6)[seen]
    return Data(counts[:350].astype(float), targets[:350], counts[350:].astype(float), targets[350:])


def _dropout(share: float, generator: np.random.Generator) -> Callable[[Array], Array]:
    return lambda values: values * (generator.random(values.shape) >= share) / (1 - share)


def train_autoencoder(given: Given, generator: np.random.Generator) -> Iterator[float]:
    """Train a denoising autoencoder on digits."""
    data = digits(300)
    data = Data(data.inputs, data.inputs, data.valid_inputs, data.valid_inputs)
    network = Network([64, given["hidden"], 64], "tanh", generator)

    def noise(inputs: Array) -> Array:
        return inputs + generator.normal(0, given["noise"], inputs.shape)

    yield from train(network, data, given, generator, classifies=False, change=noise)


def train_boosting(given: Given, generator: np.random.Generator) -> Iterator[float]:
    """Train gradient boosting, a tree a step."""
    data, options = friedman(), dict(given)
    if options["max_features"] == "all":
        options["max_features"] = None
    model = GradientBoostingRegressor(
        **options, n_estimators=0, warm_start=True, random_state=int(generator.integers(2**31))
    )
    for step in range(STEPS):
        model.set_params(n_estimators=step + 1)
        model.fit(data.inputs, data.targets[:, 0])
        yield float(np.sqrt(np.mean((model.predict(data.valid_inputs) - data.valid_targets[:, 0]) ** 2)))


def train_logistic(given: Given, generator: np.random.Generator) -> Iterator[float]:
    """Train a softmax regression on labels with errors, smoothed ones if so wished."""
    data, share = noisy_digits(), given["smoothing"]
    data = data._replace(targets=data.targets * (1 - share) + share / 10)
    yield from train(Network([64, 10], "relu", generator), data, given, generator, classifies=True)


def train_digits(given: Given, generator: np.random.Generator) -> Iterator[float]:
    """Train a network with a hidden layer and dropout."""
    network = Network([64, given["hidden"], 10], "relu", generator)
    drop = _dropout(given["dropout"], generator)
    yield from train(network, digits(400), given, generator, classifies=True, drop=drop)


def train_warming_up(given: Given, generator: np.random.Generator) -> Iterator[float]:
    """Train a network whose learning rate rises for some steps, before it is the whole one."""
    network = Network([64, given["hidden"], 10], "relu", generator)
    yield from train(network, digits(400), given, generator, classifies=True)


def train_overfitting(given: Given, generator: np.random.Generator) -> Iterator[float]:
    """Train a network on few labels, some of which are wrong: what learns fast has learned those by the last step."""
    network = Network([64, given["hidden"], 10], "relu", generator)
    yield from train(network, noisy_digits(), given, generator, classifies=True)


def train_topics(given: Given, generator: np.random.Generator) -> Iterator[float]:
    """Train a classifier of documents by their words, a few of which are left out in training."""
    data = topics()
    change: dict[str, Callable[[Array], Array]] = {"counts": lambda x: x, "presence": np.sign, "logarithms": np.log1p}
    inputs, valid_inputs = (change[given["weighting"]](each) for each in (data.inputs, data.valid_inputs))
    data = data._replace(inputs=inputs, valid_inputs=valid_inputs)
    network = Network([200, given["hidden"], 6], "tanh", generator)
    drop = _dropout(given["word_dropout"], generator)
    yield from train(network, data, given, generator, classifies=True, change=drop)


def _logarithmic(low: float, high: float) -> Number:
    return Number(low, high, log=True)


def _linear(low: float, high: float) -> Number:
    return Number(low, high, log=False)


TASKS: dict[str, Task] = {
    "autoencoder_digits": Task(
        {
            "learning_rate": _logarithmic(1e-4, 3e-1),
            "hidden": whole(4, 48),
            "weight_decay": _logarithmic(1e-6, 1e-1),
            "noise": _linear(0.0, 1.0),
            "batch_size": BATCH_SIZE,
            "optimizer": Choice(("sgd", "adam")),
        },
        train_autoencoder,
    ),
    "boosting_friedman": Task(
        {
            "learning_rate": _logarithmic(1e-2, 1.0),
            "max_depth": whole(1, 6, log=False),
            "subsample": _linear(0.3, 1.0),
            "min_samples_leaf": whole(1, 40),
            "max_features": Choice(("sqrt", "all")),
        },
        train_boosting,
    ),
    "factorization_ratings": Task(
        {
            "learning_rate": _logarithmic(1e-3, 3.0),
            "rank": whole(1, 32),
            "weight_decay": _logarithmic(1e-4, 1.0),
            "start": _logarithmic(1e-3, 1.0),
            "batch_size": whole(32, 256),
            "biases": Choice(("with", "without")),
        },
        factorize,
    ),
    "features_friedman": Task(
        {
            "learning_rate": _logarithmic(1e-3, 3.0),
            "features": whole(16, 256),
            "width": _logarithmic(0.5, 20.0),
            "weight_decay": _logarithmic(1e-6, 1e-1),
            "batch_size": BATCH_SIZE,
            "averaging": Choice(("none", "moving")),
        },
        fit_features,
    ),
    "logistic_noisy_labels": Task(
        {
            "learning_rate": _logarithmic(1e-4, 1.0),
            "weight_decay": _logarithmic(1e-5, 1.0),
            "smoothing": _linear(0.0, 0.5),
            "momentum": _linear(0.0, 0.95),
            "batch_size": BATCH_SIZE,
            "schedule": Choice(SCHEDULES),
        },
        train_logistic,
    ),
    "network_digits": Task(
        {
            "learning_rate": _logarithmic(1e-4, 1.0),
            "hidden": whole(8, 64),
            "dropout": _linear(0.0, 0.7),
            "weight_decay": _logarithmic(1e-6, 1e-1),
            "batch_size": BATCH_SIZE,
            "schedule": Choice(SCHEDULES),
        },
        train_digits,
    ),
    "prototypes_digits": Task(
        {
            "learning_rate": _logarithmic(1e-3, 10.0),
            "prototypes": whole(1, 6),
            "sharpness": _logarithmic(1e-3, 1.0),
            "batch_size": BATCH_SIZE,
            "start": Choice(("samples", "means")),
        },
        fit_prototypes,
    ),
    "text_topics": Task(
        {
            "learning_rate": _logarithmic(1e-3, 1.0),
            "hidden": whole(2, 32),
            "word_dropout": _linear(0.0, 0.8),
            "weight_decay": _logarithmic(1e-5, 1e-1),
            "batch_size": BATCH_SIZE,
            "weighting": Choice(("counts", "presence", "logarithms")),
        },
        train_topics,
    ),
    "margins_digits": Task(
        {
            "regularization": _logarithmic(1e-5, 1.0),
            "first_step": whole(1, 1000),
            "batch_size": BATCH_SIZE,
            "margin": _logarithmic(0.1, 10.0),
            "averaging": Choice(("none", "moving")),
        },
        fit_margins,
    ),
    "overfitting_digits": Task(
        {
            "learning_rate": _logarithmic(1e-4, 1.0),
            "hidden": whole(16, 128),
            "weight_decay": _logarithmic(1e-6, 1e-1),
            "momentum": _linear(0.0, 0.95),
            "batch_size": BATCH_SIZE,
            "schedule": Choice(SCHEDULES),
        },
        train_overfitting,
    ),
    "warming_up_digits": Task(
        {
            "learning_rate": _logarithmic(1e-3, 3.0),
            "hidden": whole(8, 64),
            "warm_up": whole(1, 40, log=False),
            "weight_decay": _logarithmic(1e-6, 1e-1),
            "momentum": _linear(0.5, 0.97),
            "batch_size": BATCH_SIZE,
        },
        train_warming_up,
    ),
}
BEGIN_BADLY = ("margins_digits", "overfitting_digits", "warming_up_digits")  # made so that the best may do so
