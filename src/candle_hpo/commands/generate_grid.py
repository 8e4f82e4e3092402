"""`candle generate-grid`: all combinations of some hyperparameters' values."""

from __future__ import annotations

import itertools
import math
import secrets
import string
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from candle_hpo.commands.screen import show
from candle_hpo.core.errors import MachineError
from candle_hpo.files import new_file
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
        return
    here, characters = Path.cwd(), string.ascii_letters + string.digits
    names = ("".join(secrets.choice(characters) for _ in range(4)) for _ in itertools.count())
    try:
        with new_file(here / f"grid_workflow-{name}.txt" for name in names) as file:
            file.writelines(f"{line}\n" for line in grid_lines(axes))
    except OSError as error:
        raise MachineError(f"a grid cannot be written in {here}: {error.strerror}") from None
    name = Path(file.name).name
    show(console, f'{amount} in {name}; place its contents in "&param_space", or use --into FILE.in')
