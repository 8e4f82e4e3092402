"""How long those imports of a script take that each of its trials does itself: what `preload` would save.

Read by `python_warm_host.py`, in the user's interpreter.
"""

from __future__ import annotations

import json
import mmap
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any


class Times:
    """Measures imports in the process of a trial, for its host to see."""

    def __init__(self, names: Iterable[str], watch: Callable[..., object]) -> None:
        self._names, self._watch = set(names) - set(sys.modules), watch
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        self._seconds: dict[str, float] = {}
        self._outermost, self._began = "", 0.0

    def begin(self) -> None:
        """Measure from now on."""
        if self._names:
            self._watch(self._names, self._ends, self._begins)

    def _begins(self, name: str) -> None:
        if not self._outermost:  # what that one imports besides is in its time
            self._outermost, self._began = name, time.perf_counter()

    def _ends(self, name: str) -> None:
        if name == self._outermost:
            self._outermost = ""
            self._seconds[name] = round(time.perf_counter() - self._began, 3)
            data = json.dumps(self._seconds).encode("ascii")
            if len(data) < len(self._shared):
                self._shared[: len(data) + 1] = data + b"\0"

    def take(self) -> Any:
        """Return the seconds that each import took in the last trial, by name."""
        seconds = json.loads(self._shared[: self._shared.find(b"\0")].decode("ascii") or "{}")
        self._shared[0] = 0
        return seconds
