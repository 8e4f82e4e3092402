"""Numbers as programs write them: read as a whole or not at all."""

from __future__ import annotations

import math
import re

_LONGEST_QUOTE = 200  # characters
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([ed][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE | re.ASCII)

# What makes the digits before it a part of a longer number, however the pattern continues: digits (after a point, a
# sign, the letters of an exponent or of C's hexadecimal numbers), marks between groups of digits, `1.#QNAN`, powers of
# ten.
_CONTINUES = re.compile(
    r"[^\W_]*[+\-\u2212]?\.?\d | \.[edq][+-]?\d | ['\u2019_]\d | [\u00a0\u2007\u2009\u202f]\d{3}(?!\d)"
    r"| \.?\# | \ufffd | [ \t][edq][+-]\d | [\^\u207a\u207b] | \*\*[+-]?\d | \(\d+\)[edq]"
    r"| \s*(?:[x*\u00d7\u00b7\u22c5]|\\times|\\cdot)\s*10\s*(?:\^|\*\*|[^\W\d]|[+\-\u2212\u207b])",
    re.VERBOSE | re.IGNORECASE,
)
# A unit, thousands and millions, a time of day, a fraction, a step from one value to another.
_CONTINUES_UNLESS_SPELLED = re.compile(r"[^\W\d]|[ \t][kKMG](?!\w)|[:/]\d|\s*(?:-{1,2}>|=>|\u2192|\bto\b)\s*[+-]?\.?\d")

# The same before the digits.
_BEGINS_EARLIER = re.compile(
    r"(?: \d | \d['\u2019] | \. | \ufffd | [\^\u207a\u207b] | \d\*\* | \d\.?[edqp][+-] | (?<![^\W_])[\-\u2212\u2013]"
    r"| [:=]\s*[\-\u2212\u2013]\s+ )$",
    re.VERBOSE | re.IGNORECASE,
)
_BEGINS_EARLIER_UNLESS_SPELLED = re.compile(r"(?:\w|\d[:/]|[^\W_][+\-\u2212\u2013])$")

# A comma, and a space, belong to a number only where they stand as decimal commas and marks between thousands do.
_WHOLE = re.compile(r"[+-]?(?:\d+|[1-9]\d{0,2}(?:\.\d{3})+)")
_FIRST_DIGITS = re.compile(r"[+-]?[1-9]\d{0,2}")
_THREE_DIGITS = re.compile(r"\d{3}(?!\d)")
_THOUSANDS_BEFORE = re.compile(r"(?:\d[\u00a0\u2007\u2009\u202f]|(?:[:=]\s*|[^\s\w.,])[+-]?[1-9]\d{0,2}(?: \d{3})* )$")


def as_number(text: str) -> float | None:
    """Return a text as the number that it is, NaN and infinities included; None if it is anything else.

    Fortran's `0.1D-03` is a number; `1,5`, `1_000` and `0x1p-3` are not.
    """
    text = text.strip()
    return float(text.lower().replace("d", "e")) if _NUMBER.fullmatch(text) else None


def number_given(value: object, name: str) -> float:
    """Return a value, or the text of one, as a number, NaN and the infinities included.

    Raises `ValueError`, which names and shows it, for anything else.
    """
    if isinstance(value, str) and (read := as_number(value)) is not None:
        value = read
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is {shortened(str(value))}, not a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def finite(value: object, name: str) -> float:
    """Return the value as a finite number. Raises `ValueError`, which names and shows it, where it is none."""
    number = number_given(value, name)
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number}, not a finite number")
    return number


def number_or_none(value: object, name: str) -> float | None:
    """Return a value as a number, None for NaN and the infinities. Raises `ValueError` for anything else."""
    number = number_given(value, name)
    return number if math.isfinite(number) else None


def is_part(number: str, before: str, after: str) -> bool:
    """Return whether what precedes or follows a number belongs to it."""
    return _begins_earlier(number, before) or _continues(number, after)


def may_be_part(before: str, after: str) -> tuple[bool, bool]:
    """Return whether what precedes, and what follows, may make something longer of a number.

    As the `float` of `float32` and the `03-` of `03-0.25`; `980ms`, `1:30`, `1.5 M`.
    """
    return bool(_BEGINS_EARLIER_UNLESS_SPELLED.search(before)), bool(_CONTINUES_UNLESS_SPELLED.match(after))


def _continues(number: str, after: str) -> bool:
    if after[:1] == "," and after[1:2].isdecimal():
        return bool(_WHOLE.fullmatch(number))
    if after[:1] == " " and _FIRST_DIGITS.fullmatch(number) and _THREE_DIGITS.match(after, 1):
        return True
    return bool(_CONTINUES.match(after))


def _begins_earlier(number: str, before: str) -> bool:
    if before[-1:] == "," and before[-2:-1].isdecimal():
        return bool(_WHOLE.fullmatch(number) or _THREE_DIGITS.match(number))
    if _THREE_DIGITS.match(number) and _THOUSANDS_BEFORE.search(before):
        return True
    return bool(_BEGINS_EARLIER.search(before))


def shortened(text: str) -> str:
    """Return a text for a message: on one line, and cut where it is long."""
    text = " / ".join(text.split("\n"))
    return text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + "…"
