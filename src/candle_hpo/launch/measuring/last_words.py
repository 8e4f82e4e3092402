"""What a script prints behind its last number that says that there is no such value."""

from __future__ import annotations

import re

_END = 100_000  # characters, in which what a script says last is looked for

# What a script prints last where it has crashed behind a pipe, with exit status 0 all the same.
_CRASH = re.compile(
    r"^Traceback \(most recent call last\):\n(?:[ \t][^\n]*\n)+(?P<error>[\w.]*(?:Error|Exception|Interrupt)\b[^\n]*)"
    r"(?:\n[^\n]*){0,4}\Z",
    re.MULTILINE,
)
_HALTED = re.compile(r"^(?P<error>Execution halted|Segmentation fault\b[^\n]*)\s*\Z", re.MULTILINE)


def says_none(word: str) -> re.Pattern[str] | None:
    """Return what finds a sentence that the value of this name is not a number: `the loss is nan, stopping`."""
    if not word:
        return None
    none = r"(?<!no )(?<![^\W_])(?:nan|inf|infinity|infinite|(?:not|non)[ -]?finite|diverged|invalid)(?![^\W_])"
    before, after = rf"(?<![^\W_]){word}(?![^\W_])", rf"{word}(?![^\W_])"
    return re.compile(
        rf"^[^\n]*?(?:{before}[^\n:=]{{1,60}}?{none}|{none}[^\S\n]+(?:\w+[^\S\n]+){{0,4}}{after}|{before}\s*[<>]\s*\.?\d)[^\n]*",
        re.MULTILINE | re.IGNORECASE,
    )


def contradiction(text: str, begin: int, *others: re.Pattern[str] | None, has_ended: bool = True) -> str:
    """Return what the end of the output says, from there on, against a value before it; empty where it says nothing.

    That is a crash, of a script that has ended by itself, or what one of the other patterns finds.
    """
    begin = max(begin, len(text) - _END)
    crashes: tuple[re.Pattern[str], ...] = (_CRASH, _HALTED) if has_ended else ()
    for says_otherwise in (*others, *crashes):
        said = says_otherwise and says_otherwise.search(text, begin)
        if said:
            return said.groupdict().get("error", said[0].strip())
    return ""
