"""Errors as Python prints them, by itself or by others: tracebacks, groups, boxes, cells of a notebook, crashes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from candle_hpo.launch.measuring.error_found import ErrorText, at
from candle_hpo.launch.measuring.error_found import place as place_of

# Python's: https://docs.python.org/3/library/traceback.html; launchers may begin each line with their own word.
_TRACEBACK = re.compile(r"(?P<before>.*?)(?P<group>\+ Exception Group )?Traceback \(most recent call last\):$")
_FRAME = re.compile(r'[ >] *File "(?P<file>[^"]+)", line (?P<line>\d+)')
_EXCEPTION = re.compile(r"[^\W\d][\w.<>]*(?::\s.*|:)?$")
_OF_A_GROUP = re.compile(r"^ *\| ?")
_NEXT_OF_A_GROUP = re.compile(r" *\+[-+]+(?: (?:\d+|\.\.\.) -+)?$")
_LIBRARIES = re.compile(r"[/\\](?:site-packages|dist-packages|python\d[\d.]*)[/\\]|^<|[/\\]bin[/\\][\w-]+$")
_NAME_ALONE = re.compile(r"[^\W\d][\w.<>]*:\s*$")  # the message begins in the next line
# Before the traceback of what has ended nothing: in a thread, at the end, or within logging.
_ASIDE = re.compile(
    r"Exception ignored|Error in atexit|Exception in (?:thread|callback)|--- Logging error|Call stack:$"
    r"|(?:Task|Future) exception was never"
)

_FATAL = re.compile(r"Fatal Python error: ")
_OF_FATAL = re.compile(r"(?:Current thread|Thread|Python runtime state|Extension modules|  File|  <|Stack|  \.\.\.)")

# IPython's: https://ipython.readthedocs.io, which notebooks have.
_CELLS = re.compile(r"(?P<name>[^\W\d][\w.]*) +Traceback \(most recent call last\)$")
_IN_CELL = re.compile(r"(?P<cell>Cell In ?\[\d+\]), line (?P<of>\d+)|File (?P<file>\S+):(?P<line>\d+)\b")

# Rich's traceback, in a box, which Typer prints.
_BOX = re.compile(r".*Traceback \(most recent call last\) [─-]+[╮+]$")
_FRAME_IN_BOX = re.compile(r" *[│|] (?P<file>\S+):(?P<line>\d+) in ")
_END_OF_BOX = re.compile(r" *[╰+][─-]+[╯+]$")


def tracebacks(lines: Sequence[str]) -> Iterator[ErrorText]:
    """Yield each exception with which a traceback of Python ends: the first line of its message."""
    begin, before, place, own = -1, "", "", None
    skipped = 0
    for number, full in enumerate(lines):
        if number < skipped:
            continue
        if header := _TRACEBACK.match(full):
            if header["group"]:
                group = _group(lines, number, header["before"])
                skipped = group.end
                yield group
                begin = -1
            else:
                begin, before, place, own = number, header["before"], "", None
            continue
        line = full.removeprefix(before) if begin >= 0 else full
        if frame := _FRAME.match(line):
            begin = number if begin < 0 else begin  # of a syntax error, there is no header
            if not _LIBRARIES.search(frame["file"]):
                place, own = place_of(frame["file"], frame["line"]), number
        elif begin >= 0 and not line.startswith(" "):
            if _EXCEPTION.match(line):
                end, text = number + 1, line.rstrip(": ")
                if _NAME_ALONE.match(line) and end < len(lines) and re.search(r"\w", lines[end]):
                    text, end = f"{text}: {lines[end].removeprefix(before).strip()}", end + 1
                is_aside = begin > 0 and _ASIDE.match(lines[begin - 1].removeprefix(before)) is not None
                yield ErrorText(begin, end, text, place, number, own, is_aside=is_aside)
            begin, before, place, own = -1, "", "", None


def _group(lines: Sequence[str], begin: int, before: str) -> ErrorText:
    """Return the exception group whose header is at `begin`, with the first of its exceptions."""
    end = begin + 1
    while end < len(lines) and lines[end].removeprefix(before.rstrip(" ")).lstrip(" ")[:1] in ("|", "+"):
        end += 1
    inner = [lines[begin].replace("+ Exception Group ", "").removeprefix(before).lstrip(" ")]
    parts = [inner]
    for line in lines[begin + 1 : end]:
        line = line.removeprefix(before.rstrip(" "))
        if _NEXT_OF_A_GROUP.match(line):
            parts.append([])
        else:
            parts[-1].append(_OF_A_GROUP.sub("", line))
    first, *others = [
        list(tracebacks(part)) or [ErrorText(0, 0, part[0] if _EXCEPTION.match(part[0]) else "ExceptionGroup")]
        for part in parts
        if part
    ]
    text, place = first[-1].text, first[-1].place
    for other in others[:1]:
        text, place = f"{text}: {other[-1].text}", other[-1].place or place
    head = next((number for number in range(begin, end) if lines[number].endswith(first[-1].text)), begin)
    return ErrorText(begin, end, text, place, head)


def boxes(lines: Sequence[str]) -> Iterator[ErrorText]:
    """Yield the exception behind each box of Rich's."""
    for begin, _ in at(_BOX, lines):
        end = next((number for number, _ in at(_END_OF_BOX, lines) if number > begin), len(lines))
        frames = [frame for line in lines[begin:end] if (frame := _FRAME_IN_BOX.match(line))]
        own = [place_of(each["file"], each["line"]) for each in frames if not _LIBRARIES.search(each["file"])]
        text = lines[end + 1].strip() if end + 1 < len(lines) else ""
        if _EXCEPTION.match(text):
            yield ErrorText(begin, end + 2, text.rstrip(": "), (own or [""])[-1], end + 1)


def of_cells(lines: Sequence[str]) -> Iterator[ErrorText]:
    """Yield the exception of each traceback of IPython's, with its place in a cell, or in a file of the user's."""
    for begin, header in at(_CELLS, lines):
        place = ""
        for number in range(begin + 1, len(lines)):
            line = lines[number]
            if line == header["name"] or line.startswith(f"{header['name']}: "):
                yield ErrorText(begin, number + 1, line, place, number)
                break
            if (found := _IN_CELL.match(line)) and not (found["file"] and _LIBRARIES.search(found["file"])):
                at_cell = f"{found['cell']}, line {found['of']}"
                place = at_cell if found["cell"] else place_of(found["file"], found["line"])


def fatal_errors(lines: Sequence[str]) -> Iterator[ErrorText]:
    """Yield what ended Python itself, as its faulthandler says it: where it was comes first there."""
    for begin, _ in at(_FATAL, lines):
        end, place, own = begin + 1, "", None
        while end < len(lines) and _OF_FATAL.match(lines[end]):
            frame = _FRAME.match(lines[end])
            if frame and not place and not _LIBRARIES.search(frame["file"]):
                place, own = place_of(frame["file"], frame["line"]), end
            end += 1
        yield ErrorText(begin, end, lines[begin], place, begin, own)
