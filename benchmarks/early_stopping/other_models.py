"""Models that are not dense networks, in NumPy: trained step by step, as `early_stopping.networks` does it."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from sklearn import datasets

from early_stopping.networks import STEPS, Data, Index, batches, log_loss, softmax
from early_stopping.space import Array, Given


class Ratings(NamedTuple):
    """Who has rated what, and how."""

    users: Index
    items: Index
    values: Array

    def of(self, chosen: Index) -> Ratings:
        """Return some of them."""
        return Ratings(self.users[chosen], self.items[chosen], self.values[chosen])


@functools.cache
def ratings() -> tuple[Ratings, Ratings]:
    """Return ratings of 80 things by 60 people, made of four traits each and noise: to train on, and others."""
    generator = np.random.default_rng(3)
    table = generator.normal(0, 0.6, (60, 4)) @ generator.normal(0, 1, (4, 80))
    table += generator.normal(0, 0.6, (60, 1)) + generator.normal(0, 0.6, (1, 80)) + generator.normal(0, 0.4, (60, 80))
    users, items = np.unravel_index(generator.permutation(table.size)[:2000], table.shape)
    known = Ratings(users, items, table[users, items])
    return known.of(np.arange(1400)), known.of(np.arange(1400, 2000))


def factorize(given: Given, generator: np.random.Generator) -> Iterator[float]:
    """Factorize a table of ratings by stochastic gradient descent; yield the root mean square error."""
    known, valid = ratings()
    users, items = (generator.normal(0, given["start"], (count, given["rank"])) for count in (60, 80))
    user_bias, item_bias = np.zeros(60), np.zeros(80)
    has_biases, decay = given["biases"] == "with", given["weight_decay"]

    def predict(some: Ratings) -> Array:
        biases = user_bias[some.users] + item_bias[some.items]
        return np.asarray((users[some.users] * items[some.items]).sum(axis=1) + biases)

    for _ in range(STEPS):
        for chosen in batches(len(known.values), given["batch_size"], generator):
            some = known.of(chosen)
            rate = given["learning_rate"] * 8 / len(chosen)  # there are about so few of each user and item
            error = (predict(some) - some.values)[:, None]
            for_users = error * items[some.items] + decay * users[some.users]
            for_items = error * users[some.users] + decay * items[some.items]
            np.add.at(users, some.users, -rate * for_users)
            np.add.at(items, some.items, -rate * for_items)
            if has_biases:
                np.add.at(user_bias, some.users, -rate * error[:, 0])
                np.add.at(item_bias, some.items, -rate * error[:, 0])
        yield float(np.sqrt(np.mean((predict(valid) - valid.values) ** 2)))


def fit_features(given: Given, generator: np.random.Generator) -> Iterator[float]:
    """Fit a line to random Fourier features (Rahimi and Recht, NIPS 2007), perhaps with a moving average of it."""
    inputs, targets = datasets.make_friedman1(900, noise=1.0, random_state=4)
    targets = (targets - targets.mean()) / targets.std()
    count = given["features"]
    directions = generator.normal(0, 1 / given["width"], (inputs.shape[1], count))
    features = math.sqrt(2 / count) * np.cos(inputs * math.sqrt(12) @ directions + generator.random(count) * 2 * np.pi)
    weights, averaged = np.zeros(count), np.zeros(count)
    for _ in range(STEPS):
        for chosen in batches(500, given["batch_size"], generator):
            error = features[chosen] @ weights - targets[chosen]
            weights -= given["learning_rate"] * (features[chosen].T @ error / len(chosen))
            weights -= given["learning_rate"] * given["weight_decay"] * weights
            averaged += 0.05 * (weights - averaged)
        used = averaged if given["averaging"] == "moving" else weights
        yield float(np.sqrt(np.mean((features[500:] @ used - targets[500:]) ** 2)))


@functools.cache
def plain_digits() -> Data:
    """Return digits with grey values from 0 to 1."""
    inputs, targets = datasets.load_digits(return_X_y=True)
    order, shades = np.random.default_rng(5).permutation(len(inputs))[:700], np.eye(10)[targets]
    return Data(inputs[order[:300]] / 16, shades[order[:300]], inputs[order[300:]] / 16, shades[order[300:]])


def fit_prototypes(given: Given, generator: np.random.Generator) -> Iterator[float]:
    """Fit prototypes of each class online, by the likelihood of labels (soft learning vector quantization).

    Seo and Obermayer, "Soft learning vector quantization", Neural Computation 15, 2003.
    """
    data, count = plain_digits(), given["prototypes"]
    members = [data.inputs[data.targets[:, label] > 0] for label in range(10)]
    if given["start"] == "samples":
        start = [each[generator.permutation(len(each))[:count]] for each in members]
    else:
        start = [each.mean(axis=0) + generator.normal(0, 0.05, (count, 64)) for each in members]
    prototypes, sharpness = np.concatenate(start), given["sharpness"] * 10

    def shares(inputs: Array) -> Array:
        distances = (inputs**2).sum(axis=1)[:, None] - 2 * inputs @ prototypes.T + (prototypes**2).sum(axis=1)
        return softmax(-sharpness * distances)

    def by_class(values: Array) -> Array:
        return np.asarray(values.reshape(len(values), 10, count).sum(axis=2))

    for _ in range(STEPS):
        for chosen in batches(300, given["batch_size"], generator):
            inputs, everyone = data.inputs[chosen], shares(data.inputs[chosen])
            own = everyone * np.repeat(data.targets[chosen], count, axis=1)
            pull = own / np.maximum(own.sum(axis=1, keepdims=True), 1e-12) - everyone
            towards = pull.T @ inputs - pull.sum(axis=0)[:, None] * prototypes
            prototypes += given["learning_rate"] * towards / len(chosen)
        yield log_loss(by_class(shares(data.valid_inputs)), data.valid_targets)


def fit_margins(given: Given, generator: np.random.Generator) -> Iterator[float]:
    """Fit a linear machine for each class by subgradients of the hinge loss; yield that loss, beside a margin of 1.

    Steps are 1 over the regularization and the number of the step, as in Shalev-Shwartz and others, "Pegasos: primal
    estimated sub-gradient solver for SVM", Mathematical Programming 127, 2011: large at first where it is weak.
    """
    data, margin = plain_digits(), given["margin"]
    signs, valid_signs = 2 * data.targets - 1, 2 * data.valid_targets - 1
    weights, averaged, count = np.zeros((64, 10)), np.zeros((64, 10)), given["first_step"]
    for _ in range(STEPS):
        for chosen in batches(300, given["batch_size"], generator):
            inputs, sign = data.inputs[chosen], signs[chosen]
            gradient = -inputs.T @ (sign * (sign * (inputs @ weights) < margin)) / len(chosen)
            weights -= (gradient + given["regularization"] * weights) / (given["regularization"] * count)
            averaged += 0.02 * (weights - averaged)
            count += 1
        used = (averaged if given["averaging"] == "moving" else weights) / margin
        yield float(np.mean(np.maximum(0, 1 - valid_signs * (data.valid_inputs @ used))))
