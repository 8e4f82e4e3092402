"""What went wrong, in the words of the model's own language: the error that its output ends with, and where that was.

Each language says it in its own form, with a line that nothing else prints: only behind such a line is an error read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from candle_hpo.launch.measuring.error_found import LONGEST, ErrorText, at
from candle_hpo.launch.measuring.errors_of_languages import R_HALTED, cpp, fortran, java, julia, of_c, of_r, rust
from candle_hpo.launch.measuring.errors_of_python import boxes, fatal_errors, of_cells, tracebacks

# What torchrun, and programs that start others, say of a process whose own error is printed before.
_OF_TORCHRUN, _OF_A_PROGRAM = "ChildFailedError", "CalledProcessError"
_ROOT_CAUSE, _KILLED = re.compile("Root Cause"), re.compile(r" +(exitcode +: -\d+ .*)")
_LOG_OF_TORCHRUN = re.compile(r"[EWI]\d{4} \d\d:|\*{9}|Setting OMP_NUM_THREADS| ")
_CALLS = "Calls: "  # of R
_LINES_BETWEEN = 3  # at most, an error of a program and the one that says that it has failed
_OF_A_CHAIN = re.compile(r"During handling of the above exception|The above exception was the direct cause")
_OF_SET_E = "candle: set -e ended"  # bash_host.sh: there is news in that only where no error is seen
# What programs that start others with MPI say behind what these have printed.
_RULE = re.compile(r"[-=]{40,}$")
_OF_MPI = re.compile(r"\b(?:mpirun|mpiexec|prterun|MPI_ABORT|BAD TERMINATION)\b|Primary job ")
_OF_SIGNALS = ("Fatal Python error: ", "Program received signal ")
_IN_A_THREAD = "Exception in "  # it may be why the program ended itself
_WARNING = re.compile(r"\S+:\d+: \w*Warning: ")
_DIRECT_CAUSE = "The above exception was the direct cause of the following exception:"
_READERS = (tracebacks, boxes, of_cells, fatal_errors, of_r, cpp, of_c, fortran, java, julia, rust)


def last_words(lines: Sequence[str], *, with_errors: bool) -> list[str]:
    """Return what an output says at its end: its last error, and its last line where that is not a part of it.

    `lines` are those of the output that are not blank. Without an error, and without `with_errors` where something
    follows it, that is the last line alone, with the one before it where the last one is ours.
    """
    lines = _without_launcher(lines)
    error = last_error(lines)
    says_signal = error is not None and error.text.startswith(_OF_SIGNALS)
    if error is None or (error.end < len(lines) and not with_errors and not says_signal):
        said = [line for line in lines if line != R_HALTED]
        said = _without_noise(said) or said
        last = said[-2:] if said and said[-1].startswith("candle:") else said[-1:]
        return [line[:LONGEST] for line in last]
    rest = [line for line in lines[error.end :] if not line.startswith((R_HALTED, _CALLS, _OF_SET_E))]
    rest = _without_noise(rest)
    return [str(error), *(line[:LONGEST] for line in rest[-1:])]


def _without_launcher(lines: Sequence[str]) -> Sequence[str]:
    """Return the lines before those with which mpirun says that a process has failed, if there are any."""
    for number, _ in at(_RULE, lines):
        if number and _OF_MPI.search(" ".join(lines[number + 1 : number + 2])):  # a program may print such rules, too
            return lines[:number]
    return lines


def _without_noise(lines: Sequence[str]) -> list[str]:
    """Return the lines without warnings, and without errors that have ended nothing."""
    aside = [error for error in _errors(lines) if error.is_aside]
    skipped = {number for error in aside for number in range(error.begin - 1, error.end)}
    for number, _ in at(_WARNING, lines):
        is_followed = number + 1 < len(lines) and lines[number + 1].startswith("  ")  # by the line that warned
        skipped |= {number, number + is_followed}
    return [line for number, line in enumerate(lines) if number not in skipped]


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
    What another process has sent is where it was there.
    """
    errors = _errors(lines)
    found = [error for error in errors if not error.is_aside]
    found = found or [error for error in errors if lines[error.begin - 1].startswith(_IN_A_THREAD)]
    if not found:
        return None
    *before, last = found
    name = last.text.partition(":")[0].rpartition(".")[2]
    if name == _OF_TORCHRUN:
        return _of_torchrun(lines, before[-1] if before else None, last)
    if name == _OF_A_PROGRAM and (said := _of_a_program(lines, before[-1] if before else None, last)):
        return last._replace(text=f"{said} / {last.text}")
    if before and before[-1].text == last.text and _DIRECT_CAUSE in lines[before[-1].end : last.begin]:
        return last._replace(place=before[-1].place or last.place, frame=before[-1].frame or last.frame)
    return last


def _errors(lines: Sequence[str]) -> list[ErrorText]:
    return sorted((error for read in _READERS for error in read(lines)), key=lambda error: (error.begin, error.end))


def _of_a_program(lines: Sequence[str], before: ErrorText | None, error: ErrorText) -> str:
    """Return what a program that failed has said, before the error that says so: its own error, and its last line.

    An error further away is another one's, after which the script continued.
    """
    begin = 0 if before is None else before.end
    between = [line for line in lines[begin : error.begin] if not _OF_A_CHAIN.match(line)]
    near = [str(before)] if before is not None and len(between) <= _LINES_BETWEEN else []
    return " / ".join([*near, *(line[:LONGEST] for line in between[-1:])])


def _of_torchrun(lines: Sequence[str], error: ErrorText | None, summary: ErrorText) -> ErrorText:
    """Return why the first of torchrun's processes failed: a signal, or its error and what it printed after that."""
    root = next((number for number, _ in at(_ROOT_CAUSE, lines) if number >= summary.end), summary.end)
    killed = next((match[1] for _, match in at(_KILLED, lines[root:])), "")
    summary = summary._replace(end=len(lines))
    if killed:
        return summary._replace(text=f"ChildFailedError: {killed}")
    printed = range(error.end if error else 0, summary.begin)
    own = [number for number in printed if not _LOG_OF_TORCHRUN.match(lines[number])][-1:]
    text = " / ".join([*([str(error)] if error else []), *(lines[number][:LONGEST] for number in own)])
    head = error.head if error else next(iter(own), None)
    if head is None:
        return summary
    return summary._replace(text=text, head=head, frame=error.frame if error else None, is_apart=True)
