"""`candle generate-grid`: all combinations of some hyperparameters' values."""

from __future__ import annotations

import math
import secrets
import string
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from candle_hpo.commands.screen import show
from candle_hpo.core.errors import MachineError
from candle_hpo.inputfile.edit import replace_section
from candle_hpo.inputfile.grid_expression import grid_lines, read_axes
from candle_hpo.report.words import count


def generate_grid(lists: Sequence[str], into: Path | None, console: Console) -> None:
    """Write a grid to a new file here, or into the `&param_space` section of an input file."""
    axes = read_axes(lists)
    amount = count(math.prod(len(axis.values) for axis in axes), "set")
    if into is not None:
        backup = replace_section(into, "param_space", grid_lines(axes))
        kept = f" (the file as it was: {backup})" if backup else ""
        show(console, f"{amount} in the section &param_space of {into}{kept}")
    else:
        path = _new_file(Path.cwd())
        try:
            with path.open("w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in grid_lines(axes))
        except OSError as error:
            path.unlink(missing_ok=True)
            raise MachineError(f"{path} cannot be written: {error.strerror}") from None
        show(console, f'{amount} in {path.name}; place its contents in "&param_space", or use --into FILE.in')


def _new_file(directory: Path) -> Path:
    """Make an empty file with a name that no call has used before."""
    while True:
        name = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(4))
        path = directory / f"grid_workflow-{name}.txt"
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        except OSError as error:
            raise MachineError(f"{path} cannot be written: {error.strerror}") from None
        return path
