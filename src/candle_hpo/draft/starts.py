"""What starts a script, where that is not its interpreter alone, by its text."""

from __future__ import annotations

import re
import shlex

import msgspec

from candle_hpo.core.command_words import PYTHON
from candle_hpo.core.experiment import Language

_PAPERMILL = "papermill {script} out.ipynb -f {CANDLE_PARAMS_FILE} --log-output --no-progress-bar"
_TORCHRUN = "torchrun --standalone --nproc-per-node=1 {script}"
_JOINS = re.compile(r"\binit_process_group\s*\(")
_SAYS_WHERE = re.compile(r"MASTER_ADDR|init_method|\bstore\s*=|world_size\s*=")  # without torchrun
_NEEDS_RANK = re.compile(r"environ\[[\"'](?:LOCAL_RANK|RANK|WORLD_SIZE)[\"']\]\s*(?!\s*=[^=])")


class Start(msgspec.Struct, frozen=True):
    """A `model_command`, and why the script needs it; "" where its interpreter alone does."""

    command: str = ""
    reason: str = ""


def start_of_notebook() -> Start:
    """Return what runs a notebook."""
    return Start(_PAPERMILL, "papermill puts the values into the notebook's cell with the tag parameters")


def start_of_text(text: str, language: Language, module: str) -> Start:
    """Return what starts a script; `module` is its name in its package, "" where it does not import from that."""
    if module:
        return Start(f"{{{PYTHON}}} -m {module}", "it imports from its own package")
    if language is not Language.PYTHON:
        return Start()
    if (_JOINS.search(text) and not _SAYS_WHERE.search(text)) or _NEEDS_RANK.search(text):
        return Start(_TORCHRUN, "it joins other processes, as torchrun starts them; that many for each trial")
    return Start()


def words_of(start: Start) -> tuple[str, ...] | None:
    """Return the words of a command, as `&control` is read; None for none."""
    return tuple(shlex.split(start.command)) or None
