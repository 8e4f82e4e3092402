"""A trial's output as a person would read it: text, without what only a terminal acts on, from its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_BLOCK = 1 << 18  # bytes of output that are read at once
_LONGEST_LINE = 1 << 24
_OVERLAP = 1 << 15  # characters of what follows a block that are shown with it, for what reaches over its end
_PIECE, _OVERLAP_OF_PIECES = 8000, 1000  # characters, of a line that is too long to be searched as one

WHOLE = slice(0, None)  # of a file, from byte to byte
CUT_OFF = "\ufffd"  # what stands for bytes that are not UTF-8, and for the rest of a line that is too long
MOVED = "\x08"  # a backspace: behind it, something is written over what stands before it

# The control sequences of terminals, ECMA-48: with parameters and a final letter, with a text, and short ones.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)([0-?]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b\r\n]*(?:\x07|\x1b\\)?|\x1b[ -/]+[0-~]|\x1b([0-~])"
)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")  # by far the most frequent of them
_STAYS_IN_PLACE = frozenset("mJXhlnpqrst")
_MOVES_IN_LINE = frozenset("CDG")
_ERASED = "\x7f"  # from the cursor on: that is nothing, unless the cursor was moved back
_TO_THE_FIRST_COLUMN = (("G", ""), ("G", "0"), ("G", "1"))
_SHORT_MOVES = frozenset("8DEMc")
_MOVES = re.compile(f"{MOVED}+")
_MOVES_AT_THE_END = re.compile(rf"{MOVED}+(?=\n|\Z)")  # nothing is written behind them
_INVISIBLE = re.compile("[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")


def blocks_from_the_end(output: Path, part: slice = WHOLE, *, with_sequences: bool = False) -> Iterator[str]:
    """Yield a part of the output in blocks of whole lines, the last first, each with the first lines of the next.

    Colour codes and their like are left out unless the caller looks for them; a carriage return begins a line.
    """
    following = ""
    with output.open("rb") as file:
        for block in _blocks(file, part):
            text = as_read(block, with_sequences=with_sequences)
            yield text + following
            following = text[: text.rfind("\n", 0, _OVERLAP) + 1]


def finished_part(output: Path, begin: int = 0, end: int | None = None) -> slice:
    """Return the part of the output from there to `end` that nobody was still writing: all but an unfinished line."""
    with output.open("rb") as file:
        end = file.seek(0, 2) if end is None else end
        while end > begin:
            start = max(begin, end - _BLOCK)
            file.seek(start)
            block = file.read(end - start)
            if (last := max(block.rfind(b"\n"), block.rfind(b"\r"))) >= 0:
                return slice(begin, start + last + 1)
            end = start
    return slice(begin, begin)


def _blocks(file: BinaryIO, part: slice) -> Iterator[bytes]:
    begin, end = part.start, file.seek(0, 2) if part.stop is None else part.stop
    while end > begin:
        size = _BLOCK
        while True:
            start = max(begin, end - size)
            file.seek(start)
            block = file.read(end - start)
            breaks = [at + 1 for at in (block.find(b"\n"), block.find(b"\r")) if 0 <= at < len(block) - 1]
            if start == begin or breaks or size >= _LONGEST_LINE:
                break
            size *= 4
        first = min(breaks, default=0) if start > begin else 0
        yield block[first:] if first or start == begin else CUT_OFF.encode() + block
        end = start + first


def as_read(block: bytes, *, with_sequences: bool = False) -> str:
    """Return lines of output as a person reads them on a terminal, with `MOVED` where the cursor is moved in a line."""
    text = block.decode("utf-8", errors="replace")
    if not with_sequences and ("\x1b" in text or "\x9b" in text):
        text = _SEQUENCE.sub(_what_is_seen_of, _COLOUR.sub("", text))
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0b", "\n").replace("\x0c", "\n")
    if MOVED in text:
        text = _MOVES.sub(MOVED, _MOVES_AT_THE_END.sub("", text))
    return "\n".join(map(_in_pieces, _INVISIBLE.sub("", text).split("\n")))


def _what_is_seen_of(sequence: re.Match[str]) -> str:
    """Return nothing for what stays in place, a new line for what goes to another, or back to the first column."""
    parameters, final, short = sequence.groups(default="")
    if final == "K" and parameters in ("", "0"):
        return _ERASED
    if final in _MOVES_IN_LINE and (final, parameters) not in _TO_THE_FIRST_COLUMN:
        return MOVED
    return "\n" if short in _SHORT_MOVES or not (final in _STAYS_IN_PLACE or not final) else ""


def _in_pieces(line: str) -> str:
    """Return a line that is too long as several: what a regular expression takes for one may grow as its square."""
    ends = range(0, max(1, len(line) - _OVERLAP_OF_PIECES), _PIECE - _OVERLAP_OF_PIECES)
    return f"{CUT_OFF}\n{CUT_OFF}".join(line[at : at + _PIECE] for at in ends)
