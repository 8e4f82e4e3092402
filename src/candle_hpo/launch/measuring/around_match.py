"""What stands around a match of a pattern: the word and the line that it is in, and what these say of it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from candle_hpo.launch.measuring.number_texts import shortened
from candle_hpo.launch.measuring.printed_text import CUT_OFF, MOVED

NEAR = 80  # characters around a number, in which what belongs to it is looked for

_END_OF_WORD = re.compile(r"[\w\-/.]*\Z")
_WORD_BEFORE = re.compile(r"(?<!\w)([^\W\d_]\w*)[^\w\n]*\Z")
# What measurements are of, wherever it stands in the line: `train epoch 3 loss: 0.5`.
_MEASURED_ON = re.compile(
    r"(?<![^\W\d_])(train|val|test|dev|eval|hold)(?:ing|ed|id|idation|elopment|uation|-?out)?(?![^\W\d_])",
    re.IGNORECASE,
)
_OTHERS = re.compile(r"[\w/.-]+\s*[=:]\s*[+-]?\.?\d\S*")  # numbers with their own labels
_PART_OF_A_WORD = re.compile(r"\w[\-/.]?\Z")


def last_of(matches: Iterator[re.Match[str]]) -> re.Match[str] | None:
    """Return the last of some matches; None where there is none."""
    return next(iter(deque(matches, maxlen=1)), None)


def end_of_word_before(match: re.Match[str]) -> str:
    """Return the part of a word that precedes a match, which begins within that word; empty where it does not."""
    before = match.string[max(0, match.start() - NEAR) : match.start()]
    return _END_OF_WORD.findall(before)[0] if match[0][:1].isalnum() and _PART_OF_A_WORD.search(before) else ""


def word_before(match: re.Match[str]) -> str:
    """Return the word before a match in its line; empty where something else is there, such as a number."""
    found = _WORD_BEFORE.search(match.string[max(0, match.start() - NEAR) : match.start()])
    return found[1] if found else ""


def measured_on(match: re.Match[str]) -> list[str]:
    """Return what a line says of the data that a number was measured on, in its label, or else before it: `train`."""
    begin = match.start() - len(end_of_word_before(match))
    line = match.string[max(0, begin - NEAR) : begin].rpartition("\n")[2]
    found = _MEASURED_ON.findall(match.string, begin, match.end()) or _MEASURED_ON.findall(_OTHERS.sub(" ", line))
    return sorted({each.lower() for each in found})


def lines_of(match: re.Match[str], at: int) -> str:
    """Return the lines from the beginning of a match to a place in or behind it, as they are quoted."""
    text, at = match.string, max(match.start(), at - 1)
    lines = text[text.rfind("\n", 0, match.start()) + 1 : at] + text[at:].partition("\n")[0]
    return shortened(lines.strip()).replace(MOVED, CUT_OFF)


def spells(match: re.Match[str], at: int) -> bool:
    """Return whether a pattern demands the character there: with another one, or without it, it would not match."""
    text, start = match.string, match.start()
    others = (
        match.re.match(text[:at] + "\0" + text[at + 1 :], start),
        match.re.match(text[:at] + text[at + 1 :], start - (at < start)),
    )
    return not any(others)
