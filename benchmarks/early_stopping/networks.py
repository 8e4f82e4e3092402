"""Small neural networks in NumPy, trained step by step: what several of the tasks share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from early_stopping.space import Array, Given

STEPS = 50
SCHEDULES = ("constant", "cosine", "drops")
Change = Callable[[Array], Array]
Index = NDArray[np.intp]


class Data(NamedTuple):
    """Inputs and targets to train on, and others to validate with; targets have a column for each output."""

    inputs: Array
    targets: Array
    valid_inputs: Array
    valid_targets: Array


def rate_at(step: int, rate: float, schedule: str) -> float:
    """Return the learning rate of a step, from 0, by one of the `SCHEDULES`."""
    share = step / STEPS
    if schedule == "cosine":
        return rate * (1 + math.cos(math.pi * share)) / 2
    if schedule == "drops":
        return rate * 0.1 ** (int(share >= 0.5) + int(share >= 0.8))
    return rate


class Optimizer:
    """Changes parameters in place along their gradients: `sgd`, with momentum, or `adam` (arXiv 1412.6980)."""

    def __init__(self, kind: str, parameters: list[Array], momentum: float = 0.9) -> None:
        self._kind, self._parameters, self._momentum = kind, parameters, momentum
        self._mean = [np.zeros_like(each) for each in parameters]
        self._square = [np.zeros_like(each) for each in parameters]
        self._count = 0

    def step(self, gradients: list[Array], rate: float) -> None:
        """Make one step."""
        self._count += 1
        for value, gradient, mean, square in zip(self._parameters, gradients, self._mean, self._square, strict=True):
            if self._kind == "adam":
                mean += 0.1 * (gradient - mean)
                square += 0.001 * (gradient**2 - square)
                scale = math.sqrt(1 - 0.999**self._count) / (1 - 0.9**self._count)
                value -= rate * scale * mean / (np.sqrt(square) + 1e-8)
            else:
                mean *= self._momentum
                mean += gradient
                value -= rate * mean


class Network:
    """Dense layers with an activation between them; none of `sizes` in between is a linear model."""

    def __init__(self, sizes: list[int], activation: str, generator: np.random.Generator) -> None:
        self._activation = activation
        self.weights = [generator.normal(0, math.sqrt(2 / ins), (ins, outs)) for ins, outs in itertools.pairwise(sizes)]
        self.biases = [np.zeros(outs) for outs in sizes[1:]]

    @property
    def parameters(self) -> list[Array]:
        """All of them: weights, then biases."""
        return [*self.weights, *self.biases]

    def layers(self, inputs: Array, drop: Change | None = None) -> list[Array]:
        """Return the inputs and what each layer makes of them; `drop` changes the hidden ones."""
        outputs = [inputs]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            linear = outputs[-1] @ weight + bias
            hidden = np.tanh(linear) if self._activation == "tanh" else np.maximum(linear, 0)
            outputs.append(hidden if drop is None else drop(hidden))
        return [*outputs, outputs[-1] @ self.weights[-1] + self.biases[-1]]

    def gradients(self, layers: list[Array], error: Array, decay: float) -> list[Array]:
        """Return the gradients of all parameters from that of the loss by the last layer, with weight decay."""
        weights, biases = [], []
        for number in reversed(range(len(self.weights))):
            weights.append(layers[number].T @ error + decay * self.weights[number])
            biases.append(error.sum(axis=0))
            if number:
                slope = 1 - layers[number] ** 2 if self._activation == "tanh" else layers[number] > 0
                error = (error @ self.weights[number].T) * slope
        return [*reversed(weights), *reversed(biases)]


def softmax(outputs: Array) -> Array:
    """Return probabilities, a row a sample."""
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def log_loss(probabilities: Array, targets: Array) -> float:
    """Return the mean log loss; one probability of zero does not make it infinite."""
    return float(-np.mean(np.log(np.maximum((probabilities * targets).sum(axis=1), 1e-7))))


def batches(count: int, size: int, generator: np.random.Generator) -> list[Index]:
    """Return the numbers of all samples in a random order, in batches of about this size."""
    return np.array_split(generator.permutation(count), math.ceil(count / size))


def train(
    network: Network,
    data: Data,
    given: Given,
    generator: np.random.Generator,
    *,
    classifies: bool,
    change: Change | None = None,
    drop: Change | None = None,
) -> Iterator[float]:
    """Train a network, one epoch a step; yield its log loss, or root mean square error, after each.

    `change` is done to the inputs of a batch, `drop` to hidden layers, in training alone.
    """
    optimizer = Optimizer(given.get("optimizer", "sgd"), network.parameters, given.get("momentum", 0.9))
    for step in range(STEPS):
        rate = rate_at(step, given["learning_rate"], given.get("schedule", "constant"))
        rate *= min(1.0, (step + 1) / given.get("warm_up", 1))
        for chosen in batches(len(data.inputs), given["batch_size"], generator):
            inputs = data.inputs[chosen] if change is None else change(data.inputs[chosen])
            layers = network.layers(inputs, drop)
            outputs = softmax(layers[-1]) if classifies else layers[-1]
            error = (outputs - data.targets[chosen]) / len(chosen)
            optimizer.step(network.gradients(layers, error, given["weight_decay"]), rate)
        outputs = network.layers(data.valid_inputs)[-1]
        if classifies:
            yield log_loss(softmax(outputs), data.valid_targets)
        else:
            yield float(np.sqrt(np.mean((outputs - data.valid_targets) ** 2)))
