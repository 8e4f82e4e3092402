"""`candle check`: everything that can be known of an input file before anything is queued or run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from candle_hpo.commands.screen import Screen
from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.runner.checklist import Checklist
from candle_hpo.runner.input_check import check_input_file


def check(input_file: Path, overrides: Sequence[str], run: bool, console: Console) -> None:
    """Check an input file, its script and this machine; with `run`, run one trial too. Nothing is submitted.

    Raises `InputError` with everything that is wrong, and `MachineError` where only the machine is.
    """
    screen = Screen(console)
    screen.say(f"Checking {input_file}")
    checklist = Checklist(screen.say)
    check_input_file(input_file, overrides, run, checklist)
    if checklist.problems:
        raise InputError(*checklist.problems, *checklist.refusals)
    if checklist.refusals:
        raise MachineError("\n".join(checklist.refusals))
    given = [word for override in overrides for word in ("--set", override)]
    doubt = "Nothing is certainly wrong (see the notes)" if checklist.has_doubts else "Nothing is wrong"
    screen.copy(f"{doubt}; candle submit-job {shlex.join([str(input_file), *given])} runs it")  # whole, to be copied
