"""The command line of a trial as a file in its folder, which does the same by hand."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from candle_hpo.core.paths import TrialPaths
from candle_hpo.launch.command import ModelCommand
from candle_hpo.process.group import Program
from candle_hpo.process.modules import environment_with

_OF_A_COPY = """\
# It ran in a copy of the script's folder, of which what it left unchanged is removed; to have it again, do this where
# the next line goes to: cp -Rn {folder}/. ."""
_THE_COMMAND = "# the command line:\n"


def command_file(
    model: ModelCommand, hyperparameters: Mapping[str, object], program: Program, paths: TrialPaths
) -> bytes:
    """Return a text to be pasted into a shell, or run by bash: the folder, variables and command line of a trial.

    A value or a report that is left by hand is not the trial's, and goes to other files.
    """
    by_hand = {"CANDLE_RESULT_FILE": str(paths.result_by_hand), "CANDLE_REPORTS_FILE": str(paths.reports_by_hand)}
    environment = {**program.environment, **by_hand}
    command = model.command_of(hyperparameters, environment, program.directory)
    usual = environment_with(model.modules)
    own = {name: value for name, value in environment.items() if usual.get(name) != value and name.isidentifier()}
    lines = [
        f"# {paths.run.name}: what ran. Paste it into a shell, or: bash {paths.command.name}",
        f"# The value goes to {paths.result_by_hand.name} then, not to the experiment. Files of the script are",
        "# written again.",
        *([_OF_A_COPY.format(folder=shlex.quote(str(Path(model.script).parent)))] if model.copied else []),
        "(",
        f"cd {shlex.quote(str(program.directory))} || exit",
        *([f"module load {shlex.join(model.modules)}"] if model.modules else []),
        f"export {' '.join(f'{name}={shlex.quote(value)}' for name, value in own.items())}",
        *([f". {shlex.quote(str(paths.hyperparameters.with_suffix('.sh')))}", model.prepare] if model.prepare else []),
        f"{_THE_COMMAND}{shlex.join(command)}" + (f" < {shlex.quote(str(program.stdin))}" if program.stdin else ""),
        ")",
    ]
    return "\n".join([*lines, ""]).encode(errors="surrogateescape")


def command_shown(paths: TrialPaths) -> str:
    """Return the command line alone of a trial; "" where it has not begun. Raises `OSError`."""
    try:
        text = paths.command.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return text.partition(_THE_COMMAND)[2].removesuffix("\n)\n")
