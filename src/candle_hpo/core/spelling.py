"""Which of two names may be the other one, misspelt."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_NEARLY_THE_SAME = 0.75  # of difflib's ratio: a letter in four, or two that changed places in five


def misspelling_of(name: str, others: Iterable[str]) -> str | None:
    """Return which of the others this name probably is, misspelt; None where none is near.

    Words that both begin or end with count for nothing, for `max_depth` and `max_width` are two names; so are those
    that differ in numbers alone. Capitals and underscores are only a way of writing.
    """
    likeness = {other: _likeness(name, other) for other in others if other != name}
    near = max(likeness, key=lambda other: likeness[other], default=None)
    return near if near is not None and likeness[near] >= _NEARLY_THE_SAME else None


def _likeness(name: str, other: str) -> float:
    mine, theirs = _words(name), _words(other)
    if "".join(mine) == "".join(theirs):
        return 1.0
    for end in (0, -1):
        while mine and theirs and mine[end] == theirs[end]:
            del mine[end], theirs[end]
    one, two = "".join(mine), "".join(theirs)
    if re.sub(r"\d", "", one) == re.sub(r"\d", "", two):
        return 0.0
    return difflib.SequenceMatcher(None, one, two, autojunk=False).ratio()


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
