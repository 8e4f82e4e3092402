"""What is known of a search space: where trials were, how they ended, and what they had measured on their way."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candle_hpo.search.gp.cube import Cube, keys

Array = NDArray[np.float64]

Curve = Mapping[float, float]  # step, above 0 -> what was measured by then, to be minimized


@dataclass(frozen=True)
class Early:
    """Values that trials had on their way, a row each.

    `shares` is how far they were then: 1 at the whole length, 0 at the first of all these steps, and evenly in the
    logarithm of the step between. `is_last` marks the last row of each trial that has no value at the whole length.
    """

    positions: Array
    values: Array
    shares: Array
    is_last: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Array, curves: Sequence[Curve], is_whole: NDArray[np.bool_], length: float) -> Early:
        """Return the rows of these trials, in their order, each trial's in the order of its steps.

        `is_whole` are the trials that have a value at the whole length, which is so many steps.
        """
        trials = np.repeat(np.arange(len(curves)), [len(curve) for curve in curves])
        steps = np.array([step for curve in curves for step in curve], dtype=float)
        values = np.array([value for curve in curves for value in curve.values()], dtype=float)
        order = np.lexsort((steps, trials))
        trials, steps, values = trials[order], steps[order], values[order]
        is_last = np.append(trials[1:] != trials[:-1], len(trials) > 0)[: len(trials)] & ~is_whole[trials]
        width = math.log(length / steps.min()) if len(steps) else 0.0
        shares = 1.0 + np.log(steps / length) / width if width > 0 else np.ones(len(steps))
        return cls(rows[trials], values, shares, is_last)

    def chosen(self, most: int) -> Early:
        """Return an even choice of so many rows: what trials had last, and a third or more of it what they had before.

        Even in the order of how far they were and, of those that were as far, of their values.
        """
        order = np.lexsort((self.values, self.shares))
        last, before = order[self.is_last[order]], order[~self.is_last[order]]
        of_before = min(len(before), max(most - len(last), most // 3))
        of_last = min(len(last), most - of_before)
        rows = np.concatenate([last[evenly(len(last), of_last)], before[evenly(len(before), of_before)]])
        return Early(self.positions[rows], self.values[rows], self.shares[rows], self.is_last[rows])

    def best(self, count: int) -> Array:
        """Return positions of so many rows: those that were furthest, and of these, the ones with the least values."""
        return self.positions[np.lexsort((self.values, -self.shares))[:count]]


@dataclass(frozen=True)
class Knowledge:
    """What is known of a space, as positions, a row a trial.

    `values` are the objective of the `finished` trials, to be minimized. `failed` ended without a value; `stopped`
    ended on their way; `pending` may still have a value. What all of them but the failed ones had on their way is
    `early`.
    """

    finished: Array
    values: Array
    failed: Array
    pending: Array
    stopped: Array
    early: Early

    @classmethod
    def of(
        cls,
        cube: Cube,
        positions: Sequence[Array],
        ends: Sequence[float | None],
        curves: Sequence[Curve] = (),
        stopped: Collection[int] = (),
        length: float = 0.0,
    ) -> Knowledge:
        """Return what trials say: where they are, and a value, or NaN if they failed, or None while they have neither.

        `curves` is what each had on its way, as far as any had, `stopped` the places of those that have ended there,
        and `length` the furthest step that any has reached. A position without a number says nothing.
        """
        rows = np.array(positions, dtype=float).reshape(len(positions), len(cube.axes))
        values = np.array([np.inf if end is None else end for end in ends], dtype=float)
        is_pending = np.array([end is None for end in ends], dtype=bool)
        is_stopped = np.isin(np.arange(len(rows)), list(stopped))
        is_there = ~np.isnan(rows).all(axis=1)
        is_finished = is_there & np.isfinite(values)
        is_failed = is_there & ~is_finished & ~is_pending
        said = [curve if known else {} for curve, known in zip(curves, is_there & ~is_failed, strict=False)]
        return cls(
            rows[is_finished],
            values[is_finished],
            rows[is_failed],
            rows[is_there & is_pending & ~is_stopped],
            rows[is_there & is_pending & is_stopped],
            Early.of(rows, said, is_finished, length),
        )

    def taken(self) -> set[bytes]:
        """Return the keys of all points that need not be tried again."""
        tried = (self.finished, self.failed, self.pending, self.stopped)
        return {key for positions in tried for key in keys(positions)}

    def best(self, count: int) -> Array:
        """Return positions of the best so far: of those that finished, and of those that had values on their way."""
        finished = self.finished[np.argsort(self.values, kind="stable")[:count]]
        return np.vstack([finished, self.early.best(count)])


def evenly(count: int, most: int) -> NDArray[np.intp]:
    """Return `most` places of `count`, evenly spaced from the first to the last."""
    return np.asarray(np.linspace(0, count - 1, most).round(), dtype=np.intp)
