"""What a trial's end means: an outcome, with the reason in one line where there is no value."""

from __future__ import annotations

import json
import math
import signal
from pathlib import Path

from candle_hpo.core.trial import Outcome, Status
from candle_hpo.model.process import Ended

_MOST_BYTES = 1_000_000  # of a reported result; what is longer is none


def outcome_of(ended: Ended, reported: Path, output: Path) -> Outcome:
    """Return the outcome of a process that ended, from its exit status and what it reported.

    An exit status other than 0 is a failure, whatever was reported before it.
    """
    if ended.stopped:
        return Outcome(Status.INTERRUPTED, reason="stopped while it ran", seconds=ended.seconds)
    if ended.timed_out:
        reason = f"it ran longer than trial_timeout and was ended after {ended.seconds:.1f} s"
        return Outcome(Status.TIMED_OUT, reason=reason, seconds=ended.seconds)
    if ended.status != 0:
        return _failed(_with_last_line(_how_it_ended(ended.status), output), ended)
    try:
        value = read_value(reported)
    except ValueError as error:
        return _failed(str(error), ended)
    return Outcome(Status.COMPLETED, value=value, seconds=ended.seconds)


def read_value(reported: Path) -> float:
    """Return the finite number that the model reported; raise `ValueError` with the reason for none."""
    try:
        with reported.open("rb") as file:
            text = file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise ValueError("it ended without a value; leave a number in the global variable val_to_return") from None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{reported.name} holds neither a number nor a JSON object") from None
    if isinstance(value, dict):
        if "val_to_return" not in value:
            raise ValueError(f"{reported.name} holds no val_to_return")
        value = value["val_to_return"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"val_to_return is {value}, not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"val_to_return is {number}, not a finite number")
    return number


def last_lines(output: Path, count: int, most_bytes: int = 16_384) -> list[str]:
    """Return the last lines of a trial's output that are not blank, without control characters."""
    try:
        with output.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most_bytes))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    lines = ["".join(filter(_is_shown, line)).rstrip() for line in text.replace("\r", "\n").split("\n")]
    return [line for line in lines if line][-count:]


def _is_shown(character: str) -> bool:
    return character.isprintable() or character == "\t"


def _failed(reason: str, ended: Ended) -> Outcome:
    return Outcome(Status.FAILED, reason=reason, seconds=ended.seconds)


def _how_it_ended(status: int) -> str:
    if status > 0:
        return f"exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"number {-status}"
    return f"ended by signal {name}"


def _with_last_line(reason: str, output: Path) -> str:
    """Return the reason with the last line that was printed, and the line before it if the last one is ours."""
    lines = last_lines(output, 2)
    if lines and not lines[-1].startswith("candle:"):
        lines = lines[-1:]
    return "; last output: ".join([reason, " / ".join(line[:300] for line in lines)]) if lines else reason
