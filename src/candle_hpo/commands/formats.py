"""The choice of a format, as `--format` and `--to` name it."""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

from candle_hpo.core.errors import InputError, nearest

Format = TypeVar("Format", bound=Enum)


def format_called(name: str, formats: type[Format], noun: str) -> Format:
    """Return the format of this name; raises `InputError` with the nearest one where there is none."""
    try:
        return formats(name)
    except ValueError:
        names = [each.value for each in formats]
        raise InputError(f'"{name}" is not a format of {noun}; ' + nearest(name, names)) from None
