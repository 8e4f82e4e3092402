"""The search space: what may be varied."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from candle_hpo.core.trial import Hyperparameters


class ParameterSet(msgspec.Struct, frozen=True):
    """One set of hyperparameters to run, complete: what it does not name came from the default model."""

    id: str
    hyperparameters: Hyperparameters


class GridSpace(msgspec.Struct, frozen=True):
    """Sets of hyperparameters, listed one by one.

    `names` are the hyperparameters that the sets name, in the order of the input file; what they take
    from the default model alone is not among them.
    """

    names: tuple[str, ...]
    sets: Sequence[ParameterSet]
