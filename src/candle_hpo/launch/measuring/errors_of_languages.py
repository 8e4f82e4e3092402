"""Errors as R, C, C++, Fortran, Java, Julia and Rust print them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from candle_hpo.launch.measuring.error_found import ErrorText, at
from candle_hpo.launch.measuring.error_found import place as place_of

R_HALTED, _R_CALLS = "Execution halted", "Calls: "
_R_ERROR = re.compile(r"Error(?: in .+?| \(from .+?\))? ?:")
_R_CAUSE = re.compile(r"Caused by error(?: in .+)?:")
_R_CALL = re.compile(r"  (?P<file>[^:]+):(?P<line>\d+)(?:: |$)")  # of ours, r_host.R

_CPP = re.compile(r"terminate called (?:after throwing|without)|libc\+\+abi: terminating")
# Of `assert`, as glibc and macOS say it, and of the sanitizers of GCC and Clang.
_ASSERTION = re.compile(
    r"(?:\S+: )?(?P<file>[^\s:]+):(?P<line>\d+): .*: Assertion `.*' failed\.$"
    r"|Assertion failed: .*, file (?P<of>\S+), line (?P<at>\d+)\.$"
)
_SANITIZER = re.compile(r"==\d+==ERROR: \w+Sanitizer: ")
_OF_SANITIZER = re.compile(r" +#\d+ 0x\w+ in \S.* (?P<file>/\S+?):(?P<line>\d+)(?::\d+)?$")
_FORTRAN = re.compile(r"Fortran runtime error: |ERROR STOP\b|forrtl: severe|Program received signal ")
_FORTRAN_PLACE = re.compile(
    r"At line (?P<line>\d+) of file (?P<file>.+?)(?: \(unit.*\))?$|\tat (?P<at>.+):(?P<of>\d+)$"
)
_OF_FORTRAN = ("Error termination", "Backtrace for this error", "#", "\tat ", "Image ")
_JAVA = re.compile(r'Exception in thread "[^"]*" ')
_JAVA_FRAME = re.compile(r"\s+at (?!(?:java|jdk|sun|javax|scala)\.).*\((?P<file>[^():]+):(?P<line>\d+)\)$")
_JULIA_FRAME = re.compile(r"(?: +@ Main |in expression starting at )(?P<file>.+):(?P<line>\d+)$")
_RUST = re.compile(r"thread '.*' (?:\(\d+\) )?panicked at (?P<file>[^':]+):(?P<line>\d+)")


def of_r(lines: Sequence[str]) -> Iterator[ErrorText]:
    """Yield the error with which R halted; where its line has the call alone, the next one is its message."""
    if R_HALTED not in lines:
        return
    end = len(lines) - 1 - lines[::-1].index(R_HALTED)
    begin = max((number for number, _ in at(_R_ERROR, lines[:end])), default=None)
    if begin is None:
        return
    calls = [call for line in lines[max(0, begin - 50) : begin] if (call := _R_CALL.match(line))]
    place = place_of(calls[-1]["file"], calls[-1]["line"]) if calls else ""
    text, after = lines[begin], begin + 1
    if text.rstrip().endswith(":") and after < end:
        text, after = f"{text.rstrip()} {lines[after].strip()}", after + 1
    cause = max((number for number, _ in at(_R_CAUSE, lines[:end]) if number >= after), default=None)
    if cause is not None:  # of rlang's
        text, after = f"{text} / {' '.join(lines[cause : min(cause + 2, end)])}", min(cause + 2, end)
    is_whole = all(line.startswith(_R_CALLS) for line in lines[after:end])
    yield ErrorText(begin, end + 1 if is_whole else after, text, place)


def cpp(lines: Sequence[str]) -> Iterator[ErrorText]:
    """Yield exceptions of C++ that nobody caught, with what they say."""
    for begin, _ in at(_CPP, lines):
        what = begin + 1
        if what < len(lines) and lines[what].startswith("  what():"):
            yield ErrorText(begin, what + 1, f"{lines[begin]}: {lines[what].strip()}")
        else:
            yield ErrorText(begin, what, lines[begin])


def of_c(lines: Sequence[str]) -> Iterator[ErrorText]:
    """Yield assertions that did not hold, and what a sanitizer has found, with its first place in a file."""
    for begin, match in at(_ASSERTION, lines):
        place = place_of(match["file"] or match["of"], match["line"] or match["at"])
        yield ErrorText(begin, begin + 1, lines[begin], place)
    for begin, _ in at(_SANITIZER, lines):
        end = next(
            (number + 1 for number in range(begin, len(lines)) if lines[number].endswith("==ABORTING")), begin + 1
        )
        frame = next((match for _, match in at(_OF_SANITIZER, lines[begin:end])), None)
        yield ErrorText(begin, end, lines[begin], place_of(frame["file"], frame["line"]) if frame else "")


def fortran(lines: Sequence[str]) -> Iterator[ErrorText]:
    """Yield errors of Fortran's own; gfortran's end with a backtrace, in which a program with symbols has lines."""
    for begin, _ in at(_FORTRAN, lines):
        end = begin + 1
        while end < len(lines) and lines[end].startswith(_OF_FORTRAN):
            end += 1
        around = [lines[begin - 1], *lines[begin:end]] if begin else lines[begin:end]
        where = next((match for line in around if (match := _FORTRAN_PLACE.match(line))), None)
        yield ErrorText(
            begin,
            end,
            lines[begin],
            place_of(where["file"] or where["at"], where["line"] or where["of"]) if where else "",
        )


def java(lines: Sequence[str]) -> Iterator[ErrorText]:
    """Yield exceptions that ended a thread of Java's, with the one that caused it first of all."""
    for begin, _ in at(_JAVA, lines):
        end, text, place = begin + 1, lines[begin], ""
        while end < len(lines) and lines[end].startswith(("\tat ", "\t... ", "Caused by: ")):
            if lines[end].startswith("Caused by: "):
                text, place = f"{lines[begin]} / {lines[end]}", ""
            elif not place and (frame := _JAVA_FRAME.match(lines[end])):
                place = place_of(frame["file"], frame["line"])
            end += 1
        yield ErrorText(begin, end, text, place)


def julia(lines: Sequence[str]) -> Iterator[ErrorText]:
    """Yield errors of Julia's, with the first place in the user's own files."""
    for number, line in enumerate(lines):
        if line != "Stacktrace:":
            continue
        begin = max((each for each in range(number) if lines[each].startswith("ERROR: ")), default=None)
        if begin is None:
            continue
        end, place = number + 1, ""
        while end < len(lines) and lines[end].startswith((" ", "in expression starting at ")):
            if not place and (frame := _JULIA_FRAME.match(lines[end])):
                place = place_of(frame["file"], frame["line"])
            end += 1
        yield ErrorText(begin, end, lines[begin], place)


def rust(lines: Sequence[str]) -> Iterator[ErrorText]:
    """Yield panics of Rust's."""
    for begin, match in at(_RUST, lines):
        is_behind = lines[begin].endswith(":") and begin + 1 < len(lines)  # since Rust 1.73
        end = begin + 1 + is_behind
        text = f"{lines[begin]} {lines[begin + 1]}" if is_behind else lines[begin]
        end += end < len(lines) and lines[end].startswith("note: run with `RUST_BACKTRACE")
        yield ErrorText(begin, end, text, place_of(match["file"], match["line"]))
