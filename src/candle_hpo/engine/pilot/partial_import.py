"""Importing a library without its parts that are not used."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def as_if_not_installed(name: str) -> Iterator[None]:
    """Make imports of a module fail meanwhile, for a library that can do without it."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # makes an import of it an ImportError
    try:
        yield
    finally:
        del sys.modules[name]


def without_own_code(package: str) -> None:
    """Let a package be its folder alone: its modules can be imported, and what its `__init__.py` imports is not."""
    specification = importlib.util.find_spec(package)
    if specification is None:
        raise ModuleNotFoundError(f"there is no {package}")
    module = sys.modules[package] = importlib.util.module_from_spec(specification)
    parent, _, name = package.rpartition(".")
    if parent:
        setattr(sys.modules[parent], name, module)
