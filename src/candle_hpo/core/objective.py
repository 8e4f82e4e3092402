"""What is optimized: a measured number, by its name."""

from __future__ import annotations

import re
from enum import Enum
from typing import Literal

import msgspec

THE_VALUE = "val_to_return"  # the name of a script's one value, where the user has given it none
LARGEST_STEP = 2.0**53  # up to which every whole number is a float
STEPS = ("step", "epoch", "iteration", "iter")  # what a step may be called: no measurement; the first one counts


class Direction(str, Enum):
    """Which end of the objective is the better one."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"

    def is_better(self, value: float, other: float | None) -> bool:
        """Return whether `value` is better than `other`; any value is better than none."""
        if other is None:
            return True
        return value < other if self is Direction.MINIMIZE else value > other

    def sort_key(self, value: float) -> float:
        """Return a number that sorts the better value first."""
        return value if self is Direction.MINIMIZE else -value


class ResultFrom(msgspec.Struct, frozen=True):
    """Which of several measurements of a trial is its value: one of them, or the mean of the last `count`."""

    which: Literal["last", "best", "first", "mean"]
    count: int = 1

    def __str__(self) -> str:
        return f"mean_of_last_{self.count}" if self.which == "mean" else self.which


class Objective(msgspec.Struct, frozen=True):
    """A metric that is minimized or maximized."""

    direction: Direction = Direction.MINIMIZE
    name: str = THE_VALUE


def measured_groups(pattern: re.Pattern[str]) -> dict[str, int]:
    """Return the named groups of a `result_pattern` that hold measurements, with their numbers."""
    return {name: number for name, number in pattern.groupindex.items() if name.lower() not in STEPS}


def name_of_value(pattern: str | None, key: str | None) -> str:
    """Return the name of the value that a `result_pattern` or a `result_key` finds: the user's own, if there is one.

    Of a key that leads into a list, `log_history[-1].eval_loss`, it is what follows that.
    """
    if pattern is None:
        names = [part.strip(".") for part in re.split(r"\[(?:-?\d+|\*)\]", key or "")]
        return next(filter(None, reversed(names)), THE_VALUE)
    return next(iter(measured_groups(re.compile(pattern))), THE_VALUE)
