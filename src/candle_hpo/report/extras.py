"""Libraries that only some people need: how to get them where they are missing."""

from __future__ import annotations

import importlib.util
import sys

from candle_hpo.core.errors import InputError


def need(module: str, package: str, purpose: str) -> None:
    """Raise `InputError`, with the command that installs it, where a module that a purpose needs is not installed."""
    if importlib.util.find_spec(module) is None:
        raise InputError(
            f"{purpose} needs {package}, which is not installed with candle; {sys.executable} -m pip install {package}"
        )
