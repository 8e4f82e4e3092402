"""How long trials take, expected from those that have ended."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from candle_hpo.core.trial import Hyperparameters

Array = NDArray[np.float64]

SHRINKAGE = 0.1  # of each coefficient, as if that many trials had shown no effect
REACH = 5.0  # times the width of the known numbers, beyond which nothing is concluded
SHORTEST = 1e-3  # seconds; what is shorter is as short
MOST_CATEGORIES = 20  # of one hyperparameter
LARGEST = 1e300  # number that is taken for one
MOST_LOGARITHM = 50.0  # of seconds; longer than the universe is as long


def expected_seconds(seen: Sequence[tuple[Hyperparameters, float]], sets: Sequence[Hyperparameters]) -> list[float]:
    """Return how long trials of these sets are expected to take, in seconds; some trial must have been seen.

    A duration is modelled as a product of powers of numbers, and of a factor for each category: so the number of epochs
    counts as what it is, whatever else varies. It is the linear fit to the logarithms by least squares, with
    coefficients drawn towards 0 (ridge regression).
    """
    known_sets, seconds = zip(*seen, strict=True)
    features = _features([*known_sets, *sets], len(seen))
    known, asked = features[: len(seen)], features[len(seen) :]
    logarithms = np.log(np.maximum(seconds, SHORTEST))
    centre, middle = known.mean(axis=0), logarithms.mean()
    known = known - centre
    with threadpool_limits(1):  # the other CPUs are the models'
        squares = known.T @ known + SHRINKAGE * np.eye(known.shape[1])
        coefficients = np.linalg.solve(squares, known.T @ (logarithms - middle))
        expected = middle + (asked - centre) @ coefficients
    found: list[float] = np.exp(np.clip(expected, -MOST_LOGARITHM, MOST_LOGARITHM)).tolist()
    return found


def _features(sets: Sequence[Hyperparameters], known: int) -> Array:
    """Return a row for each set; what is the same in all of those that are known, the first, has no column."""
    columns: list[Array] = []
    for name in dict.fromkeys(name for one in sets for name in one):
        values = [one.get(name) for one in sets]
        if all(value == values[0] for value in values):
            continue
        columns += [_number(values, known)] if all(map(_is_number, values)) else _categories(values)
    varied = [column for column in columns if np.ptp(column[:known]) > 0]
    return np.column_stack(varied) if varied else np.zeros((len(sets), 0))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST < value < LARGEST


def _number(values: Sequence[Any], known: int) -> Array:
    """Return the logarithms of positive numbers, other numbers as they are, over the width of those that are known."""
    numbers = np.array(values, dtype=float)
    if (numbers > 0).all():
        numbers = np.log(numbers)
    low, width = numbers[:known].min(), np.ptp(numbers[:known])
    return np.clip((numbers - low) / width, -REACH, 1 + REACH) if width > 0 else np.zeros(len(numbers))


def _categories(values: Sequence[Any]) -> list[Array]:
    """Return a column for each of the most frequent values, 1 where it is."""
    texts = [value if isinstance(value, str) else json.dumps(value, sort_keys=True) for value in values]
    frequent = [text for text, _ in Counter(texts).most_common(MOST_CATEGORIES)]
    found = [np.array([float(text == one) for text in texts]) for one in frequent]
    return found if len(frequent) > 1 else []
