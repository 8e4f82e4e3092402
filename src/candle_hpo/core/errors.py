"""What can go wrong, as one small tree.

CandleError              every error that candle raises on purpose; its text is meant for the user
├── InputError           the user's input is wrong                          exit status 2
└── MachineError         system error: disk, missing program, …      exit status 3
    └── RecordError      the experiment's record cannot be read or written
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple  # and no library: every start of the command line waits for this file


class ExitStatus(IntEnum):
    """What the command line returns to the shell."""

    ALL_WELL = 0
    TRIALS_FAILED = 1
    INPUT_IS_WRONG = 2
    SYSTEM_ERROR = 3
    INTERRUPTED = 130


class CandleError(Exception):
    """An error whose text says what is wrong, where, and what to do."""

    exit_status = ExitStatus.SYSTEM_ERROR


class Problem(NamedTuple):
    """One thing that is wrong in a file. `line` counts from 1; 0 means the file as a whole."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.text}"


class InputError(CandleError):
    """The user's input is wrong; carries everything that is wrong with it, not only the first."""

    exit_status = ExitStatus.INPUT_IS_WRONG
    shown = 100

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = problems
        lines = [str(problem) for problem in problems[: self.shown]]
        if len(problems) > self.shown:
            lines.append(f"… and {len(problems) - self.shown} more problems")
        super().__init__("\n".join(lines))


class MachineError(CandleError):
    """A system error: the machine or the batch system did not do what was asked of it."""


class RecordError(MachineError):
    """The experiment's record cannot be read or written."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the end of a message about the unknown `name`: the nearest valid name, else all of them."""
    import difflib  # only a mistake waits for it

    names = list(valid)
    close = difflib.get_close_matches(name.lower(), names, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    return "valid are " + ", ".join(names)
