"""Notices which variables of the environment are looked at by an import.

Read by `python_warm_host.py`, in the user's interpreter. Workers that share a host may differ in a few variables: the
devices of each. An import that looks at one of those is not the same for all of them.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class Lookups(dict):  # type: ignore[type-arg]
    """What is behind `os.environ`, which notes that somebody looks at one of these variables.

    Going through all variables is looking at them, too, but not where a library does it that is known to behave the
    same: with what trials have, all of them have been compared, and so none of these keeps a copy.
    """

    def __init__(self, names: list[str], libraries: dict[str, list[str]]) -> None:
        environment: Any = os.environ
        self._real: dict[bytes, bytes] = environment._data
        super().__init__(self._real)
        self._names, self._libraries = {os.fsencode(name) for name in names}, set(libraries)
        self._found = False
        self._put(self)

    def end(self) -> bool:
        """Notice nothing from now on; return whether somebody has looked."""
        self._real.clear()
        self._real.update(super().items())
        self._put(self._real)
        return self._found

    def _put(self, data: dict[bytes, bytes]) -> None:
        views: Any = (os.environ, os.environb)
        for view in views:
            view._data = data

    def __getitem__(self, key: bytes) -> bytes:
        self._found = self._found or key in self._names
        value: bytes = super().__getitem__(key)
        return value

    def __contains__(self, key: object) -> bool:
        self._found = self._found or key in self._names
        return super().__contains__(key)

    def __iter__(self) -> Iterator[bytes]:
        self._found = self._found or who_asks() not in self._libraries
        return super().__iter__()


def who_asks() -> str:
    """Return the top-level package of the code that goes through the environment."""
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") in ("os", "_collections_abc", "collections.abc"):
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__")).partition(".")[0]
