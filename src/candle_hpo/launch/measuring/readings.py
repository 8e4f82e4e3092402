"""What is read of a trial: its value, with what stands beside it; and which of several of these is the result."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from candle_hpo.core.objective import STEPS, Direction, ResultFrom
from candle_hpo.core.trial import Metrics


class Measured(NamedTuple):
    """What a model measured: its objective, finite, and whatever else it returned, by name.

    `notes` are what the user should know of how that was found.
    """

    value: float
    metrics: Metrics
    notes: tuple[str, ...] = ()


class Reading(NamedTuple):
    """What a trial has measured at one time: its value, or None where that is not a finite number, and the rest."""

    value: float | None
    metrics: Metrics


class Choice(NamedTuple):
    """How the value is chosen among all that a trial has measured."""

    how: ResultFrom
    direction: Direction = Direction.MINIMIZE

    @property
    def is_last(self) -> bool:
        """Whether it is the last one, so that those before it need not be read."""
        return self.how.which == "last"


LAST = Choice(ResultFrom("last"))


def chosen(readings: Iterable[Reading], choice: Choice, where: str) -> Measured | None:
    """Return the value among all readings, in their order, with the metrics of the same one; None without any.

    Of equally good ones, the first is the best; one that is not finite is never the best. Raises `ValueError` where it
    is the chosen one, or among those whose mean is asked for. `where` says where they were read.
    """
    how = choice.how
    first: Reading | None = None
    best: Reading | None = None
    last: deque[Reading] = deque(maxlen=how.count)
    has_none = False
    for reading in readings:
        first = first or reading
        last.append(reading)
        if reading.value is None:
            has_none = True
        elif choice.direction.is_better(reading.value, best.value if best else None):
            best = reading
    if first is None:
        return None
    match how.which:
        case "mean":
            return _mean(last, how, where)
        case "best":
            note = f"{where} has values that are not finite numbers; the best of the others is the value"
            return _measured(best, f"{where} has no value that is a finite number", (note,) if has_none else ())
        case "first":
            return _measured(first, f"the first value of {where} is not a finite number")
        case "last":
            return _measured(last[-1], f"the last value of {where} is not a finite number")


def _measured(reading: Reading | None, why_not: str, notes: tuple[str, ...] = ()) -> Measured:
    if reading is None or reading.value is None:
        raise ValueError(why_not)
    return Measured(reading.value, reading.metrics, notes)


def _mean(last: Sequence[Reading], how: ResultFrom, where: str) -> Measured:
    """Return the means of values and metrics; a metric is left out unless all of them have a number of it.

    Steps are those of the last one.
    """
    mean = _mean_of([reading.value for reading in last])
    if mean is None:
        raise ValueError(f"one of the last {how.count} values of {where} is not a finite number, so there is no mean")
    metrics: Metrics = {}
    for name, value in last[-1].metrics.items():
        if name.lower() in STEPS:
            metrics[name] = value
        elif isinstance(value, int | float | None) and not isinstance(value, bool):
            others = [reading.metrics.get(name, "not there") for reading in last]
            if all(isinstance(other, int | float | None) and not isinstance(other, bool) for other in others):
                metrics[name] = _mean_of(others)
    note = f"{where} has fewer than the {how.count} values of {how}; the value is the mean of all"
    return Measured(mean, metrics, (note,) if len(last) < how.count else ())


def _mean_of(values: Sequence[object]) -> float | None:
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if len(numbers) < len(values):
        return None
    try:
        mean = math.fsum(numbers) / len(numbers)
    except OverflowError:
        return None
    return mean if math.isfinite(mean) else None
