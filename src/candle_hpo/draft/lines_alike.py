"""Which numbers in the kinds of lines of a script are the same measurement, and which patterns find all of them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from candle_hpo.core.metric_names import words_of
from candle_hpo.core.objective import measured_groups

HELD_OUT = {
    "val",
    "valid",
    "validation",
    "test",
    "dev",
    "eval",
    "evaluation",
    "cv",
    "holdout",
    "heldout",
    "oob",
    "unseen",
    "validated",
    "testing",
    "oof",
}
TRAINED = {"train", "training", "trn", "tr"}
_ROLES = HELD_OUT | TRAINED | {"best", "final", "lowest", "highest", "minimum", "maximum", "mean", "average"}
_MARKS = re.compile(r"[\[(<][^\W\d][\w !*-]*[\])>]")  # [best], (new best): of some lines and not of others
_MOST_LINES = 40  # of a kind, in which patterns are tried


class Line(NamedTuple):
    """A line in pieces: what stands around its numbers, one piece more than there are numbers."""

    pieces: tuple[str, ...]
    numbers: tuple[str, ...]
    heading: str = ""


class Kind(NamedTuple):
    """Lines that differ in their numbers alone, and the names of these."""

    lines: Sequence[Line]
    labels: Sequence[str]


# A name, what the line says of the data or of the choice, and which one of such numbers in its line it is.
Measurement = tuple[str, frozenset[str], int]


def deciding_heading(headings: Sequence[str]) -> str:
    """Return the last heading where one and the same line stands under those of training and of a test."""
    words = [words_of(each) for each in headings]
    has_both = any(each & TRAINED for each in words) and any(each & HELD_OUT for each in words)
    return headings[-1] if has_both and words[-1] & (TRAINED | HELD_OUT) else ""


def headings_of(lines: Sequence[Line]) -> tuple[str, ...]:
    """Return the lines without a number under which there are such lines, that of the last one last."""
    return tuple(reversed(dict.fromkeys(line.heading for line in reversed(lines))))


class LinesAlike:
    """All kinds of lines that a script has printed, and what their numbers measure."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._counts: Counter[Measurement] = Counter()
        self._lines: list[tuple[Line, Sequence[Measurement]]] = []
        for kind in kinds:
            has_headings = bool(deciding_heading(headings_of(kind.lines)))
            under: dict[str, list[Measurement]] = {}
            for line in kind.lines:
                if line.heading not in under:
                    under[line.heading] = measurements(line, kind.labels, with_heading=has_headings)
                self._counts.update(under[line.heading])
            self._lines += [(line, under[line.heading]) for line in kind.lines[-_MOST_LINES:]]

    def times(self, measured: Measurement) -> int:
        """Return in how many lines that was measured."""
        return self._counts[measured]

    def in_order(self, patterns: Sequence[str], measured: Measurement) -> tuple[tuple[str, ...], bool]:
        """Return the patterns, those first that find this and nothing else; and whether the first one does."""
        faults = {pattern: self._faults(re.compile(pattern), measured) for pattern in patterns}
        ordered = tuple(sorted(faults, key=lambda pattern: faults[pattern]))
        return ordered, bool(ordered) and not faults[ordered[0]]

    def _faults(self, pattern: re.Pattern[str], measured: Measurement) -> int:
        """Return in how many lines a pattern misses a number, or finds another one."""
        faults = 0
        group = next(iter(measured_groups(pattern).values()), min(1, pattern.groups))
        for line, there in self._lines:
            text = "".join(piece for pair in zip(line.pieces, (*line.numbers, ""), strict=True) for piece in pair)
            ends = accumulate(
                len(piece) + len(number) for piece, number in zip(line.pieces, line.numbers, strict=False)
            )
            places = {end - len(number): at for at, (end, number) in enumerate(zip(ends, line.numbers, strict=True))}
            expected = {
                at for at, each in enumerate(there) if each == measured and math.isfinite(float(line.numbers[at]))
            }
            found = {places.get(match.start(group)) for match in pattern.finditer(text)}
            faults += found != expected
        return faults


def measurements(line: Line, labels: Sequence[str], *, with_heading: bool) -> list[Measurement]:
    """Return what each number of a line measures."""
    seen: Counter[tuple[str, frozenset[str]]] = Counter()
    found = []
    for at, label in enumerate(labels):
        before = _MARKS.sub(" ", " ".join(line.pieces[: at + 1]))
        roles = words_of(label) & _ROLES or words_of(before) & _ROLES
        if with_heading:
            roles = roles | (words_of(line.heading) & _ROLES)
        key = (label.lower(), frozenset(roles))
        found.append((*key, seen[key]))
        seen[key] += 1
    return found
