"""How numbers, times and hyperparameters look to people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path


def number(value: float) -> str:
    """Return a number in as few characters as tell it apart: six significant digits."""
    return f"{value:.6g}"


def duration(seconds: float) -> str:
    """Return a duration as `0:01:23`, with the days in front where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (f"{days} d " if days else "") + f"{hours}:{minutes:02d}:{rest:02d}"


def count(amount: int, noun: str) -> str:
    """Return an amount with its noun: `1 trial`, `2,000 trials`."""
    return f"{amount:,} {noun}" + ("" if amount == 1 else "s")


def plain(value: object) -> str:
    """Return a hyperparameter's value: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def short(value: object) -> str:
    """Return a hyperparameter's value for a screen: floats in six digits, everything else as JSON."""
    return number(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def short_text(value: object) -> str:
    """Return a hyperparameter's value for a column on a screen: as `short`, but text as it is."""
    return value if isinstance(value, str) else short(value)


def hyperparameters(values: Mapping[str, object], names: Sequence[str], longest: int = 200) -> str:
    """Return the hyperparameters of these names (all, if none are given) on one line, cut where it grows too long."""
    shown = {name: values[name] for name in names or values if name in values}
    text = ", ".join(f"{name}={short(value)}" for name, value in shown.items())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def location(path: Path) -> str:
    """Return a path as short as it can be typed: from where the user stands, if it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
