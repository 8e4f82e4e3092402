"""The sets of a grid in their file: one JSON object a line, each read when it is asked for."""

from __future__ import annotations

import itertools
from array import array
from pathlib import Path

import msgspec

from candle_hpo.core.errors import RecordError
from candle_hpo.core.space import ParameterSet, SetsOnDemand
from candle_hpo.core.trial import Hyperparameters


class StoredSets(SetsOnDemand):
    """The first `most` sets that a file holds; in memory are only the places of its lines, 8 bytes each.

    What a set lacks, because it was not there yet when the set was stored, has its default value.
    Raises `RecordError` where the file cannot be read, and for a line that is damaged, when that is asked for.
    """

    def __init__(self, path: Path, most: int, default_model: Hyperparameters) -> None:
        self._path, self._default_model = path, default_model
        self._decode = msgspec.json.Decoder(Hyperparameters).decode
        self._places = array("Q")
        try:
            self._file = path.open("rb")
            place = 0
            for line in itertools.islice(self._file, most):
                self._places.append(place)
                place += len(line)
        except OSError as error:
            raise RecordError(f"{path} cannot be read: {error.strerror}") from None

    def __len__(self) -> int:
        return len(self._places)

    def at(self, position: int) -> ParameterSet:
        """Return the set at a position from 0 up."""
        try:
            self._file.seek(self._places[position])
            values = self._decode(self._file.readline())
            return ParameterSet(str(values.pop("id")), {**self._default_model, **values})
        except OSError as error:
            raise RecordError(f"{self._path} cannot be read: {error.strerror}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError) as error:
            raise RecordError(f"{self._path}:{position + 1}: this is damaged: {error}") from None

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
