"""What a `result_file` is, by its name."""

from __future__ import annotations

from enum import Enum
from pathlib import PurePath

_TABLES = (".csv", ".tsv")
_EVENTS = "tfevents"  # in the names that every writer of TensorBoard's files gives them


class FileKind(str, Enum):
    """How a file of results is read."""

    TABLE = "table"
    EVENTS = "events"
    JSON = "json"

    @classmethod
    def of(cls, file: PurePath | str) -> FileKind:
        """Return the kind of a file, which may be a pattern of names; what is nothing else is JSON."""
        path = PurePath(file)
        if path.suffix.lower() in _TABLES:
            return cls.TABLE
        return cls.EVENTS if _EVENTS in path.name else cls.JSON


def is_pattern_of_names(file: str) -> bool:
    """Return whether a name stands for all files that it fits, as `checkpoint-*/trainer_state.json` does."""
    return "*" in file or "?" in file
