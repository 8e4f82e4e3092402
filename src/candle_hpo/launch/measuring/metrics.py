"""What can be kept of what a model measured, beside its value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from candle_hpo.core.trial import Metrics

_MOST_METRICS = 200
_LONGEST_TEXT = 200  # characters, of a metric or of its name
_DEEPEST = 5


def metrics_of(found: Mapping[str, object]) -> Metrics:
    """Return what can be kept as metrics: numbers, short texts, booleans; a number that is not finite is null.

    A number within another object has a name of both: `test.loss`; texts there are left out.
    """
    kept: Metrics = {}
    for name, value in found.items():
        if len(name) <= _LONGEST_TEXT and len(kept) < _MOST_METRICS:
            match value:
                case float():
                    kept[name] = value if math.isfinite(value) else None
                case bool() | int() if abs(value) < 2**63:
                    kept[name] = value
                case None | str() if len(value or "") <= _LONGEST_TEXT:
                    kept[name] = value
    for name, value in found.items():
        if isinstance(value, Mapping):
            for inner, number in _numbers_within(value, f"{name}.", 1):
                if len(inner) <= _LONGEST_TEXT and len(kept) < _MOST_METRICS and inner not in found:
                    kept[inner] = number
    return kept


def _numbers_within(found: Mapping[str, object], prefix: str, depth: int) -> Iterator[tuple[str, float | int | None]]:
    for name, value in found.items():
        match value:
            case bool():
                pass
            case float():
                yield f"{prefix}{name}", value if math.isfinite(value) else None
            case int() if abs(value) < 2**63:
                yield f"{prefix}{name}", value
            case Mapping() if depth < _DEEPEST:
                yield from _numbers_within(value, f"{prefix}{name}.", depth + 1)
