"""What the commands that write something from a record have in common: the choice of a format, and an experiment."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TypeVar

from candle_hpo.core.errors import InputError, nearest
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.record.folder import find_experiment

Format = TypeVar("Format", bound=Enum)


def format_called(name: str, formats: type[Format], noun: str) -> Format:
    """Return the format of this name; raises `InputError` with the nearest one where there is none."""
    try:
        return formats(name)
    except ValueError:
        names = [each.value for each in formats]
        raise InputError(f'"{name}" is no format of {noun}; ' + nearest(name, names)) from None


def begun_experiment(experiment: str | None, verb: str) -> ExperimentPaths:
    """Return the experiment of this name, or the last one; raises `InputError` where it has no record yet."""
    paths = find_experiment(experiment, Path.cwd())
    if not paths.record.exists():
        raise InputError(f"{paths.root.name} has not begun, so there is nothing to {verb}; see candle status")
    return paths
