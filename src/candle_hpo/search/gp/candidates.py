"""Looking for the best point by random and evolving candidates, each of which can really be run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from candle_hpo.search.gp.cube import Cube, keys

Array = NDArray[np.float64]
Score = Callable[[Array], Array]

MOST_LISTED = 1000  # points of a finite space that is looked through as a whole
MOST_LISTED_AT_LAST = 100_000  # where chance meets no point that is left
RANDOM = 400
PARENTS = 20
CHILDREN = 100
SPREADS = (0.2, 0.1, 0.1, 0.05, 0.02, 0.02, 0.01, 0.005)  # of the steps of each generation, in the unit cube
FRESH = 0.1  # share of changed coordinates that are drawn again
CROSSED = 0.3  # share of children that take coordinates from a second parent


class _Scored(NamedTuple):
    """Candidates with every parameter given (`full`), as they would be run, and what they are worth, best first."""

    full: Array
    run: Array
    scores: Array


def best_candidate(
    score: Score, cube: Cube, seeds: Array, taken: set[bytes], generator: np.random.Generator
) -> Array | None:
    """Return the position with the greatest score that is not taken; None where every point of the space is.

    `seeds` are positions to start from besides random ones, for instance the best so far. Small steps around the best
    candidates, and crossing them, take the place of gradients, as in HEBO (Cowen-Rivers et al., JAIR 74, 2022) and SMAC
    (Hutter, Hoos and Leyton-Brown, LION 5, 2011): not all that is searched here has gradients.
    """
    if cube.size <= MOST_LISTED:
        return _best_of_all(score, cube, taken)
    random = cube.spread(generator.random((RANDOM, len(cube.axes))))
    around = [_children(cube, seeds, spread, generator) for spread in (0.1, 0.01) if len(seeds)]
    best = _scored(score, cube, np.vstack([random, *around]), taken)
    for spread in SPREADS:
        if not len(best.full):
            break
        children = _scored(score, cube, _children(cube, best.full, spread, generator), taken)
        best = _best_first(*(np.concatenate(pair) for pair in zip(best, children, strict=True)))
    if len(best.run):
        first: Array = best.run[0]
        return first
    return _best_of_all(score, cube, taken) if cube.size <= MOST_LISTED_AT_LAST else None


def _best_of_all(score: Score, cube: Cube, taken: set[bytes]) -> Array | None:
    positions = cube.all_positions()
    left = positions[[key not in taken for key in keys(positions)]]
    if not len(left):
        return None
    best: Array = left[np.argmax(score(left))]
    return best


def _scored(score: Score, cube: Cube, full: Array, taken: set[bytes]) -> _Scored:
    run = cube.deactivated(full)
    is_free = np.array([key not in taken for key in keys(run)], dtype=bool)
    full, run = full[is_free], run[is_free]
    return _best_first(full, run, score(run) if len(run) else np.empty(0))


def _best_first(full: Array, run: Array, scores: Array) -> _Scored:
    """Return the best candidates, no two of them the same to the one who runs them."""
    order = np.argsort(-scores, kind="stable")[: 2 * PARENTS]
    _, first = np.unique(np.array(keys(run[order]), dtype=object), return_index=True)
    chosen = order[np.sort(first)][:PARENTS]
    return _Scored(full[chosen], run[chosen], scores[chosen])


def _children(cube: Cube, parents: Array, spread: float, generator: np.random.Generator) -> Array:
    """Return full positions made from the parents': some coordinates moved, drawn again, or taken from another parent.

    What is inactive in a parent is drawn again. A step of a finite parameter is wide enough to reach its next value.
    """
    shape = (CHILDREN, len(cube.axes))
    first, second = (parents[generator.integers(len(parents), size=CHILDREN)] for _ in range(2))
    crossed = (generator.random(CHILDREN) < CROSSED)[:, None] & (generator.random(shape) < 0.5)
    base = np.where(crossed, second, first)
    share = generator.choice([1.0, 0.5, 1.0 / shape[1]], size=(CHILDREN, 1))  # some move one way only, some all ways
    moves = generator.random(shape) < share
    moves[np.arange(CHILDREN), generator.integers(shape[1], size=CHILDREN)] = True
    fresh = np.isnan(base) | (moves & ((generator.random(shape) < FRESH) | cube.is_category))
    steps = generator.standard_normal(shape) * np.maximum(spread, cube.smallest_steps)
    drawn = cube.spread(generator.random(shape))
    return np.where(fresh, drawn, cube.snap(np.where(moves, base + steps, base)))
