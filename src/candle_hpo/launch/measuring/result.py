"""What a trial's end means: an outcome, with the reason in one line where there is no value."""

from __future__ import annotations

import errno
import os
import re
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from candle_hpo.core.trial import Failure, FailureKind, Metrics, Outcome, Status
from candle_hpo.launch.measuring.error_found import LONGEST
from candle_hpo.launch.measuring.error_text import explaining_lines, last_error, last_words
from candle_hpo.process.group import Ended
from candle_hpo.process.memory import speaks_of_memory

_LAST_WORDS = 5  # lines
# As much as a launcher prints after the error of one of its processes, or the message of an exception has.
_LINES_WITH_ERRORS, _BYTES_WITH_ERRORS = 400, 65_536
_COLOUR = re.compile(r"\x1b\[[0-9;:]*[A-Za-z]")
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # the second is what a shell says of its last command
_CUT_OFF = (
    "what it printed last was still on its way through another program when it ended, and did not arrive in time; "
    "let the script wait for that program"
)
DISK_FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))


def outcome_of(
    ended: Ended,
    output: Path,
    measure: Callable[[], tuple[Metrics, tuple[str, ...]]],
    killed_for_memory: Callable[[], bool] = lambda: False,
    measure_so_far: Callable[[int], tuple[Metrics, tuple[str, ...]]] | None = None,
) -> Outcome:
    """Return the outcome of a process that ended.

    An exit status other than 0 is a failure, whatever was measured before it; `measure` is asked only where there is
    none, and raises `ValueError` with the reason where there is no value. `killed_for_memory` returns whether the
    kernel ended a process that ran out of memory while this one ran; it is asked about one that was killed.
    `measure_so_far`, if there is one, is asked in place of `measure` about a process that ran too long, with what it
    had printed before it was asked to end, in bytes.
    """
    if ended.stopped:
        return Outcome.stopped(ended.stopped, seconds=ended.seconds)
    if ended.timed_out:
        return _after_timeout(ended, measure_so_far)
    if ended.printed_too_much:
        reason = _with_last_words("it printed more than max_output, and was ended", last_lines(output, 1))
        return _without_value(Status.FAILED, FailureKind.OUTPUT, reason, ended)
    if ended.status != 0:
        return _without_success(ended, output, killed_for_memory)
    if ended.is_cut_off:
        return _without_value(Status.FAILED, FailureKind.OUTPUT, _CUT_OFF, ended)
    try:
        metrics, notes = measure()
    except ValueError as error:
        return _without_value(Status.FAILED, FailureKind.NO_VALUE, str(error), ended)
    return Outcome(Status.COMPLETED, metrics, seconds=ended.seconds, notes=notes)


def _after_timeout(ended: Ended, measure: Callable[[int], tuple[Metrics, tuple[str, ...]]] | None) -> Outcome:
    """Return the outcome of a process that ran too long: without a value, or with that which it had so far."""
    reason = f"it ran longer than trial_timeout and was ended after {ended.seconds:.1f} s"
    if measure is not None:
        try:
            metrics, notes = measure(ended.printed)
        except ValueError as error:
            reason = f"{reason}; no value so far: {error}"
        else:
            notes = ("trials ran longer than trial_timeout; what they had measured so far is their value", *notes)
            return Outcome(Status.COMPLETED, metrics, seconds=ended.seconds, notes=notes)
    return _without_value(Status.TIMED_OUT, FailureKind.TIME, reason, ended)


def _without_success(ended: Ended, output: Path, killed_for_memory: Callable[[], bool]) -> Outcome:
    """Return the outcome of a process that ended with a status other than 0.

    Whose fault that is can be said where the kernel has counted a kill for lack of memory, or the model's last words
    are unmistakable: then they say that memory was refused, or that a disk is full, which is the machine's fault.
    """
    reason, lines = _how_it_ended(ended.status), last_lines(output, _LINES_WITH_ERRORS, _BYTES_WITH_ERRORS)
    words, error = lines[-_LAST_WORDS:], last_error(lines)
    if ended.status in _KILLED and killed_for_memory():
        reason += "; the system ended a process that ran out of memory meanwhile"
        reason = _with_last_words(reason, lines, with_errors=False)
        return _without_value(Status.OUT_OF_MEMORY, FailureKind.MEMORY, reason, ended)
    if error is not None and error.end == len(lines):
        words.append(error.text)  # which may be longer than those lines
    for text in DISK_FULL:
        if any(text in line for line in words):
            return _without_value(Status.INTERRUPTED, FailureKind.MACHINE, f"{reason}; its last output: {text}", ended)
    reason = _with_last_words(reason, lines, with_errors=_signal_of(ended.status) in (0, signal.SIGABRT))
    if ended.status > 0 and (of_memory := [word for word in words if speaks_of_memory([word])]):
        said = of_memory[-1][:LONGEST]
        reason += "" if said in reason else f"; before that: {said}"
        return _without_value(Status.OUT_OF_MEMORY, FailureKind.MEMORY, reason, ended)
    kind = FailureKind.EXIT_STATUS if ended.status > 0 else FailureKind.SIGNAL
    return _without_value(Status.FAILED, kind, reason, ended)


def last_lines(output: Path, count: int, most_bytes: int = 16_384) -> list[str]:
    """Return the last lines of a trial's output that are not blank, without control characters."""
    try:
        with output.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most_bytes))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    text = _COLOUR.sub("", text)
    lines = ["".join(filter(_is_shown, line)).rstrip() for line in text.replace("\r", "\n").split("\n")]
    return [line for line in lines if line][-count:]


def lines_that_explain(output: Path, count: int, reason: str) -> list[str]:
    """Return so many lines of the output of a trial that failed for this reason as say most of what went wrong."""
    return explaining_lines(last_lines(output, _LINES_WITH_ERRORS, _BYTES_WITH_ERRORS), count, reason)


def _is_shown(character: str) -> bool:
    return character.isprintable() or character == "\t"


def _without_value(status: Status, kind: FailureKind, reason: str, ended: Ended) -> Outcome:
    return Outcome(status, failure=Failure(kind, reason), seconds=ended.seconds)


def _signal_of(status: int) -> int:
    """Return the signal that ended a process, or its last command, of which a shell says so; 0 for none."""
    return -status if status < 0 else status - 128 if 128 < status < 128 + signal.NSIG else 0


def _how_it_ended(status: int) -> str:
    if status > 0:
        return f"exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"number {-status}"
    return f"ended by signal {name}"


def _with_last_words(reason: str, lines: Sequence[str], *, with_errors: bool = True) -> str:
    words = last_words(lines, with_errors=with_errors)
    return "; last output: ".join([reason, " / ".join(words)]) if words else reason
