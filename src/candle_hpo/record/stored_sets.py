"""The sets of a grid in their file: one JSON object a line, each read when it is asked for."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import msgspec

from candle_hpo.core.errors import RecordError
from candle_hpo.core.space import ParameterSet
from candle_hpo.core.trial import Hyperparameters


class StoredSets(Sequence[ParameterSet]):
    """What a file of sets holds; in memory are only the places of its lines, 8 bytes each.

    Raises `RecordError` where the file cannot be read, and for a line that is damaged, when that is asked for.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._decode = msgspec.json.Decoder(Hyperparameters).decode
        self._places = array("Q")
        try:
            self._file = path.open("rb")
            place = 0
            for line in self._file:
                self._places.append(place)
                place += len(line)
        except OSError as error:
            raise RecordError(f"{path} cannot be read: {error.strerror}") from None

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> ParameterSet: ...

    @overload
    def __getitem__(self, index: slice) -> list[ParameterSet]: ...

    def __getitem__(self, index: int | slice) -> ParameterSet | list[ParameterSet]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        try:
            self._file.seek(self._places[index])
            values = self._decode(self._file.readline())
            return ParameterSet(str(values.pop("id")), values)
        except OSError as error:
            raise RecordError(f"{self._path} cannot be read: {error.strerror}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, KeyError) as error:
            raise RecordError(f"{self._path}:{index + 1}: this is damaged: {error}") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
