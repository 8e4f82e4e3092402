"""A finder that notices when modules have been imported. Read by `python_host.py`, in the user's interpreter."""

from __future__ import annotations

import importlib.machinery
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class AfterImport:
    """Calls a function with the name of each of these modules after its import, and perhaps one before it."""

    is_of_candle = True

    def __init__(
        self, names: set[str], after: Callable[[str], None], before: Callable[[str], None] | None = None
    ) -> None:
        self._names, self._after, self._before = set(names), after, before
        sys.meta_path.insert(0, self)

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        """Find one of the modules as the other finders do, and leave when it was the last."""
        if name not in self._names:
            return None
        self._names.remove(name)
        if not self._names:
            sys.meta_path.remove(self)
        for finder in [each for each in sys.meta_path if each is not self]:
            spec: Any = finder.find_spec(name, path, target)  # type: ignore[arg-type]
            if type(spec) is importlib.machinery.ModuleSpec:
                spec.__class__ = WatchedSpec
                spec.__dict__["after_import"] = self._after
                if self._before is not None:
                    self._before(name)
            if spec is not None:
                return spec
        return None


class WatchedSpec(importlib.machinery.ModuleSpec):
    """A specification that notices when Python says that the module's import is over; then it is an ordinary one."""

    @property
    def _initializing(self) -> bool:
        return bool(self.__dict__["_initializing"])

    @_initializing.setter
    def _initializing(self, value: bool) -> None:
        self.__dict__["_initializing"] = value
        if not value:
            after = self.__dict__.pop("after_import")
            self.__class__ = importlib.machinery.ModuleSpec  # type: ignore[assignment]
            if self.name in sys.modules:  # else it failed
                after(self.name)
