"""What went wrong, in the words of the model's own language: the error that its output ends with, and where that was.

Each language says it in its own form, with a line that nothing else prints: only behind such a line is an error read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import NamedTuple

_LONGEST = 300  # characters, of a line

# Python's: https://docs.python.org/3/library/traceback.html; launchers may begin each line with their own word.
_TRACEBACK = re.compile(r"(?P<before>.*?)(?P<group>\+ Exception Group )?Traceback \(most recent call last\):$")
_FRAME = re.compile(r' +File "(?P<file>[^"]+)", line (?P<line>\d+)')
_EXCEPTION = re.compile(r"[^\W\d][\w.<>]*(?::\s.*|:)?$")
_OF_A_GROUP = re.compile(r"^ *\| ?")
_NEXT_OF_A_GROUP = re.compile(r" *\+[-+]+(?: (?:\d+|\.\.\.) -+)?$")
_LIBRARIES = re.compile(r"[/\\](?:site-packages|dist-packages|python\d[\d.]*)[/\\]|^<|[/\\]bin[/\\][\w-]+$")
# What torchrun, and programs that start others, say of a process whose own error is printed before.
_OF_TORCHRUN, _OF_A_PROGRAM = "ChildFailedError", "CalledProcessError"
_ROOT_CAUSE, _KILLED = re.compile("Root Cause"), re.compile(r" +(exitcode +: -\d+ .*)")
_LOG_OF_TORCHRUN = re.compile(r"[EWI]\d{4} \d\d:|\*{9}|Setting OMP_NUM_THREADS| ")

# Rich's traceback, in a box, which Typer prints.
_BOX = re.compile(r".*Traceback \(most recent call last\) [─-]+[╮+]$")
_FRAME_IN_BOX = re.compile(r"[│|] (?P<file>\S+):(?P<line>\d+) in ")
_END_OF_BOX = re.compile(r"[╰+][─-]+[╯+]$")

_R_HALTED, _R_CALLS = "Execution halted", "Calls: "
_R_ERROR = re.compile(r"Error(?: in .+?| \(from .+?\))? ?:")
_R_CALL = re.compile(r"  (?P<file>[^:]+):(?P<line>\d+)(?:: |$)")  # of ours, r_host.R

_OF_SET_E = "candle: set -e ended"  # bash_host.sh: there is news in that only where no error is seen

_CPP = re.compile(r"terminate called (?:after throwing|without)|libc\+\+abi: terminating")
_FORTRAN = re.compile(r"Fortran runtime error: |ERROR STOP\b|forrtl: severe")
_FORTRAN_PLACE = re.compile(
    r"At line (?P<line>\d+) of file (?P<file>.+?)(?: \(unit.*\))?$|\tat (?P<at>.+):(?P<of>\d+)$"
)
_JAVA = re.compile(r'Exception in thread "[^"]*" ')
_JAVA_FRAME = re.compile(r"\s+at (?!(?:java|jdk|sun|javax|scala)\.).*\((?P<file>[^():]+):(?P<line>\d+)\)$")
_JULIA_FRAME = re.compile(r"(?: +@ Main |in expression starting at )(?P<file>.+):(?P<line>\d+)$")
_RUST = re.compile(r"thread '.*' (?:\(\d+\) )?panicked at (?P<file>[^':]+):(?P<line>\d+)")


class ErrorText(NamedTuple):
    """An error in an output: the line where it begins, the first one behind it, how it reads, and where it was.

    `head` is the line where its text begins, `frame` that of its place in a traceback, where they are others than the
    first. With `is_apart`, what follows its head is not its own.
    """

    begin: int
    end: int
    text: str
    place: str = ""
    head: int | None = None
    frame: int | None = None
    is_apart: bool = False

    def __str__(self) -> str:
        return f"{self.text[:_LONGEST]} ({self.place})" if self.place else self.text[:_LONGEST]


def last_words(lines: Sequence[str], *, with_errors: bool) -> list[str]:
    """Return what an output says at its end: its last error, and its last line where that is not a part of it.

    `lines` are those of the output that are not blank. Without an error, and without `with_errors` where something
    follows it, that is the last line alone, with the one before it where the last one is ours.
    """
    error = last_error(lines)
    if error is None or (error.end < len(lines) and not with_errors):
        said = [line for line in lines if line != _R_HALTED]
        last = said[-2:] if said and said[-1].startswith("candle:") else said[-1:]
        return [line[:_LONGEST] for line in last]
    rest = [line for line in lines[error.end :] if not line.startswith((_R_HALTED, _R_CALLS, _OF_SET_E))]
    return [str(error), *(line[:_LONGEST] for line in rest[-1:])]


def explaining_lines(lines: Sequence[str], count: int, reason: str) -> list[str]:
    """Return so many lines of an output as say most of what went wrong: its last ones, where `reason` has no error.

    Of an error that is how its text begins, with the place in the user's own file, and what was printed before.
    """
    error = last_error(lines)
    if error is None or str(error) not in reason:
        return list(lines[-count:])
    head = error.begin if error.head is None else error.head
    frame = [] if error.frame is None else [error.frame, error.frame + 1]
    end = head + 1 if error.is_apart else len(lines)
    shown = {*frame, *range(head, min(end, head + max(1, count - len(frame))))}
    shown |= {*[number for number in range(head - 1, -1, -1) if number not in shown][: max(0, count - len(shown))]}
    return [lines[number] for number in sorted(shown)]


def last_error(lines: Sequence[str]) -> ErrorText | None:
    """Return the last error in an output; None where there is none.

    Where a launcher says that one of its processes failed, it is the error before that, unless the process was killed.
    """
    found = [error for read in (_python, _boxes, _r, _cpp, _fortran, _java, _julia, _rust) for error in read(lines)]
    found.sort()
    if not found:
        return None
    *before, last = found
    name = last.text.partition(":")[0].rpartition(".")[2]
    if name == _OF_TORCHRUN:
        return _of_torchrun(lines, before[-1] if before else None, last)
    if name == _OF_A_PROGRAM and before:
        return last._replace(text=f"{before[-1]} / {last.text}")
    return last


def _of_torchrun(lines: Sequence[str], error: ErrorText | None, summary: ErrorText) -> ErrorText:
    """Return why the first of torchrun's processes failed: a signal, or its error and what it printed after that."""
    root = next((number for number, _ in _at(_ROOT_CAUSE, lines) if number >= summary.end), summary.end)
    killed = next((match[1] for _, match in _at(_KILLED, lines[root:])), "")
    summary = summary._replace(end=len(lines))
    if killed:
        return summary._replace(text=f"ChildFailedError: {killed}")
    printed = range(error.end if error else 0, summary.begin)
    own = [number for number in printed if not _LOG_OF_TORCHRUN.match(lines[number])][-1:]
    text = " / ".join([*([str(error)] if error else []), *(lines[number][:_LONGEST] for number in own)])
    head = error.head if error else next(iter(own), None)
    if head is None:
        return summary
    return summary._replace(text=text, head=head, frame=error.frame if error else None, is_apart=True)


def _python(lines: Sequence[str]) -> Iterator[ErrorText]:
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
                place, own = _place(frame["file"], frame["line"]), number
        elif begin >= 0 and not line.startswith(" "):
            if _EXCEPTION.match(line):
                yield ErrorText(begin, number + 1, line.rstrip(": "), place, number, own)
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
        list(_python(part)) or [ErrorText(0, 0, part[0] if _EXCEPTION.match(part[0]) else "ExceptionGroup")]
        for part in parts
        if part
    ]
    text, place = first[-1].text, first[-1].place
    for other in others[:1]:
        text, place = f"{text}: {other[-1].text}", other[-1].place or place
    head = next((number for number in range(begin, end) if lines[number].endswith(first[-1].text)), begin)
    return ErrorText(begin, end, text, place, head)


def _boxes(lines: Sequence[str]) -> Iterator[ErrorText]:
    for begin, _ in _at(_BOX, lines):
        end = next((number for number, _ in _at(_END_OF_BOX, lines) if number > begin), len(lines))
        frames = [frame for line in lines[begin:end] if (frame := _FRAME_IN_BOX.match(line))]
        own = [_place(each["file"], each["line"]) for each in frames if not _LIBRARIES.search(each["file"])]
        if end + 1 < len(lines) and _EXCEPTION.match(lines[end + 1]):
            yield ErrorText(begin, end + 2, lines[end + 1].rstrip(": "), (own or [""])[-1], end + 1)


def _r(lines: Sequence[str]) -> Iterator[ErrorText]:
    """Yield the error with which R halted; where its line has the call alone, the next one is its message."""
    if _R_HALTED not in lines:
        return
    end = len(lines) - 1 - lines[::-1].index(_R_HALTED)
    begin = max((number for number, _ in _at(_R_ERROR, lines[:end])), default=None)
    if begin is None:
        return
    calls = [call for line in lines[max(0, begin - 50) : begin] if (call := _R_CALL.match(line))]
    place = _place(calls[-1]["file"], calls[-1]["line"]) if calls else ""
    text, after = lines[begin], begin + 1
    if text.rstrip().endswith(":") and after < end:
        text, after = f"{text.rstrip()} {lines[after].strip()}", after + 1
    is_whole = all(line.startswith(_R_CALLS) for line in lines[after:end])
    yield ErrorText(begin, end + 1 if is_whole else after, text, place)


def _cpp(lines: Sequence[str]) -> Iterator[ErrorText]:
    for begin, _ in _at(_CPP, lines):
        what = begin + 1
        if what < len(lines) and lines[what].startswith("  what():"):
            yield ErrorText(begin, what + 1, f"{lines[begin]}: {lines[what].strip()}")
        else:
            yield ErrorText(begin, what, lines[begin])


def _fortran(lines: Sequence[str]) -> Iterator[ErrorText]:
    """Yield errors of Fortran's own; gfortran's end with a backtrace, in which a program with symbols has lines."""
    for begin, _ in _at(_FORTRAN, lines):
        end = begin + 1
        while end < len(lines) and lines[end].startswith(("Error termination", "#", "\tat ", "Image ")):
            end += 1
        around = [lines[begin - 1], *lines[begin:end]] if begin else lines[begin:end]
        where = next((match for line in around if (match := _FORTRAN_PLACE.match(line))), None)
        yield ErrorText(
            begin,
            end,
            lines[begin],
            _place(where["file"] or where["at"], where["line"] or where["of"]) if where else "",
        )


def _java(lines: Sequence[str]) -> Iterator[ErrorText]:
    """Yield exceptions that ended a thread of Java's, with the one that caused it first of all."""
    for begin, _ in _at(_JAVA, lines):
        end, text, place = begin + 1, lines[begin], ""
        while end < len(lines) and lines[end].startswith(("\tat ", "\t... ", "Caused by: ")):
            if lines[end].startswith("Caused by: "):
                text, place = f"{lines[begin]} / {lines[end]}", ""
            elif not place and (frame := _JAVA_FRAME.match(lines[end])):
                place = _place(frame["file"], frame["line"])
            end += 1
        yield ErrorText(begin, end, text, place)


def _julia(lines: Sequence[str]) -> Iterator[ErrorText]:
    for number, line in enumerate(lines):
        if line != "Stacktrace:":
            continue
        begin = max((each for each in range(number) if lines[each].startswith("ERROR: ")), default=None)
        if begin is None:
            continue
        end, place = number + 1, ""
        while end < len(lines) and lines[end].startswith((" ", "in expression starting at ")):
            if not place and (frame := _JULIA_FRAME.match(lines[end])):
                place = _place(frame["file"], frame["line"])
            end += 1
        yield ErrorText(begin, end, lines[begin], place)


def _rust(lines: Sequence[str]) -> Iterator[ErrorText]:
    for begin, match in _at(_RUST, lines):
        is_behind = lines[begin].endswith(":") and begin + 1 < len(lines)  # since Rust 1.73
        end = begin + 1 + is_behind
        text = f"{lines[begin]} {lines[begin + 1]}" if is_behind else lines[begin]
        end += end < len(lines) and lines[end].startswith("note: run with `RUST_BACKTRACE")
        yield ErrorText(begin, end, text, _place(match["file"], match["line"]))


def _at(pattern: re.Pattern[str], lines: Sequence[str]) -> Iterator[tuple[int, re.Match[str]]]:
    return ((number, match) for number, line in enumerate(lines) if (match := pattern.match(line)))


def _place(file: str, line: str) -> str:
    return f"{PurePath(file).name}, line {line}"
