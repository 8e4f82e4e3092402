"""The search space: what may be varied."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import overload

import msgspec

from candle_hpo.core.trial import Hyperparameters


class ParameterSet(msgspec.Struct, frozen=True):
    """One set of hyperparameters to run, complete: what it does not name came from the default hyperparameters."""

    id: str
    hyperparameters: Hyperparameters


class SetsOnDemand(Sequence[ParameterSet]):
    """Sets that are each made when they are asked for, so that a million of them need no memory."""

    @abstractmethod
    def at(self, position: int) -> ParameterSet:
        """Return the set at a position from 0 up."""

    @overload
    def __getitem__(self, index: int) -> ParameterSet: ...

    @overload
    def __getitem__(self, index: slice) -> list[ParameterSet]: ...

    def __getitem__(self, index: int | slice) -> ParameterSet | list[ParameterSet]:
        if isinstance(index, slice):
            return [self.at(position) for position in range(*index.indices(len(self)))]
        return self.at(range(len(self))[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


class GridSpace(msgspec.Struct, frozen=True):
    """Sets of hyperparameters, listed one by one.

    `names` are the hyperparameters that the sets name, in the order of the input file; what they take
    from the default hyperparameters alone is not among them.
    """

    names: tuple[str, ...]
    sets: Sequence[ParameterSet]
