"""Tasks that are standard test functions: https://www.sfu.ca/~ssurjano/optimization.html, by Surjanovic and Bingham.

Optima that lie in the middle of the usual domain, or on a grid, are moved aside by asymmetric bounds.
"""

from __future__ import annotations

import math

import numpy as np
from optuna.distributions import BaseDistribution

from search_quality.task import Assignment, Task, choice, linear, whole

HARTMANN_WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
HARTMANN_3 = (
    np.array([[3.0, 10, 30], [0.1, 10, 35], [3.0, 10, 30], [0.1, 10, 35]]),
    np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]) * 1e-4,
)
HARTMANN_6 = (
    np.array(
        [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    ),
    np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    )
    * 1e-4,
)


def _vector(given: Assignment) -> np.ndarray:
    return np.array([given[name] for name in sorted(given) if name.startswith("x")], dtype=float)


def branin(given: Assignment) -> float:
    """Return the function of Branin, with three equal minima."""
    x, y = _vector(given)
    bowl = (y - 5.1 * x**2 / (4 * math.pi**2) + 5 * x / math.pi - 6) ** 2
    return float(bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


def camel(given: Assignment) -> float:
    """Return the six-hump camel function."""
    x, y = _vector(given)
    return float((4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (-4 + 4 * y**2) * y**2)


def hartmann_3(given: Assignment) -> float:
    """Return the function of Hartmann in three dimensions."""
    return _hartmann(_vector(given), *HARTMANN_3)


def hartmann_6(given: Assignment) -> float:
    """Return the function of Hartmann in six dimensions."""
    return _hartmann(_vector(given), *HARTMANN_6)


def _hartmann(x: np.ndarray, steepness: np.ndarray, centres: np.ndarray) -> float:
    return -float(HARTMANN_WEIGHTS @ np.exp(-np.sum(steepness * (x - centres) ** 2, axis=1)))


def ackley(given: Assignment) -> float:
    """Return the function of Ackley: a funnel with many small pits."""
    return _ackley(_vector(given))


def _ackley(x: np.ndarray) -> float:
    pits = math.exp(float(np.mean(np.cos(2 * math.pi * x))))
    return float(-20 * math.exp(-0.2 * math.sqrt(float(np.mean(x**2)))) - pits + 20 + math.e)


def levy(given: Assignment) -> float:
    """Return the function of Levy."""
    return _levy(_vector(given))


def _levy(x: np.ndarray) -> float:
    w = 1 + (x - 1) / 4
    middle = np.sum((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(math.pi * w[:-1] + 1) ** 2))
    return float(math.sin(math.pi * w[0]) ** 2 + middle + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2))


def rosenbrock(given: Assignment) -> float:
    """Return the function of Rosenbrock: a long bent valley."""
    x = _vector(given)
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def styblinski_tang(given: Assignment) -> float:
    """Return the function of Styblinski and Tang, with two pits in every dimension."""
    x = _vector(given)
    return float(np.sum(x**4 - 16 * x**2 + 5 * x) / 2)


def mixed_ackley(given: Assignment) -> float:
    """Return the function of Ackley, with a third of the dimensions whole numbers, and a category that moves it."""
    shift = {"a": 0.0, "b": 0.7, "c": 1.9}[given["shift"]]
    return _ackley(_vector(given) - np.array([shift, 0, 0, 0, 0])) + shift


def mixed_levy(given: Assignment) -> float:
    """Return the function of Levy, with whole numbers, a switch that bends it, and a category that shifts it."""
    x = _vector(given)
    bent = np.where(np.arange(len(x)) % 2 == 0, x, x * (0.7 if given["bend"] else 1.0))
    return _levy(bent) + {"none": 0.0, "some": 1.0, "much": 3.0}[given["penalty"]] * float(np.abs(x[0] - 2)) / 4


def _box(count: int, low: float, high: float) -> dict[str, BaseDistribution]:
    return {f"x{index}": linear(low, high) for index in range(count)}


def function_tasks() -> list[Task]:
    """Return the tasks."""
    pit = -39.16616570377142  # Styblinski-Tang's, a dimension
    mixed = {**_box(3, -3.0, 7.0), "x3": whole(-4, 8), "x4": whole(-8, 4)}
    return [
        Task("branin", "plane", {"x0": linear(-5.0, 10.0), "x1": linear(0.0, 15.0)}, {}, branin, 0.39788735772973816),
        Task("camel", "plane", {"x0": linear(-3.0, 3.0), "x1": linear(-2.0, 2.0)}, {}, camel, -1.031628453489877),
        Task("hartmann_3", "hartmann", _box(3, 0.0, 1.0), {}, hartmann_3, -3.862782147820756),
        Task("hartmann_6", "hartmann", _box(6, 0.0, 1.0), {}, hartmann_6, -3.322368011415515),
        Task("ackley_4", "funnel", _box(4, -13.0, 20.0), {}, ackley, 0.0),
        Task("levy_6", "funnel", _box(6, -10.0, 7.0), {}, levy, 0.0),
        Task("rosenbrock_4", "valley", _box(4, -2.0, 3.0), {}, rosenbrock, 0.0),
        Task("styblinski_5", "valley", _box(5, -5.0, 5.0), {}, styblinski_tang, 5 * pit),
        Task("mixed_ackley", "mixed", {**mixed, "shift": choice("a", "b", "c")}, {}, mixed_ackley, 0.0),
        Task(
            "mixed_levy",
            "mixed",
            {**mixed, "bend": choice(False, True), "penalty": choice("none", "some", "much")},
            {},
            mixed_levy,
            0.0,
        ),
    ]
