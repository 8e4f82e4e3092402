"""What a script needs besides its interpreter, by its text: a program that starts it, and the files beside it."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import PurePath

import msgspec

from candle_hpo.core.command_words import PYTHON
from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Language
from candle_hpo.draft.options import Option, Options, Way, kind_of, number_or_text
from candle_hpo.draft.python_values import tree_of

_PAPERMILL = "papermill {script} out.ipynb -f {CANDLE_PARAMS_FILE} --log-output --no-progress-bar"
_TORCHRUN = "torchrun --standalone --nproc-per-node=1 {script}"
_JOINS = re.compile(r"\binit_process_group\s*\(")
_SAYS_WHERE = re.compile(r"MASTER_ADDR|init_method|\bstore\s*=|world_size\s*=")  # without torchrun
_NEEDS_RANK = re.compile(r"environ\[[\"'](?:LOCAL_RANK|RANK|WORLD_SIZE)[\"']\]\s*(?!\s*=[^=])")
_OPENS_IN_R = re.compile(
    r"\b(?:read\w*|read\.\w+|source|load|file|fread|scan|readRDS|read_\w+|fromJSON)\(\s*[\"']([^\"'\n]+)[\"']"
)
_WORD_IN_BASH = re.compile(r"(?<![\w/$}.\"'-])(?:\./)?([A-Za-z_][\w./-]*)(?=[\s;)\"'|]|$)")
_MOST_CHARACTERS = 200  # of a path


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


def options_of_notebook(text: str, name: str) -> Options:
    """Return what papermill can set in a notebook: what its cell with the tag `parameters` sets to a constant.

    Raises `InputError` where there is no such cell: papermill's own would be the first one, and what the notebook sets
    behind it would hold.
    """
    try:
        cells = [each for each in json.loads(text)["cells"] if each["cell_type"] == "code"]
        tagged = next((each for each in cells if "parameters" in each.get("metadata", {}).get("tags", ())), None)
        source = "" if tagged is None else "".join(tagged["source"])  # a text, or its lines
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{name} is not a notebook in the present format of Jupyter") from None
    if tagged is None:
        raise InputError(
            f"{name} has no cell with the tag parameters, whose values papermill could replace; in Jupyter, put what "
            "is to vary into its own cell, and give that the tag parameters (property inspector, cell tags)"
        )
    found = tuple(_constants(source))
    return Options(Way.VARIABLES, found, "its cell with the tag parameters")


def _constants(source: str) -> Iterator[Option]:
    """Yield what a cell in Python, or one in R, sets to a number, a text or a truth value."""
    for line in source.splitlines():
        match = re.match(r"([A-Za-z][\w.]*)\s*(?::\s*[\w.]+\s*)?(?:<-|=)\s*([^#]+?)\s*(?:#.*)?$", line)
        if match is None:
            continue
        try:
            value = ast.literal_eval(match[2])
        except (ValueError, SyntaxError):
            in_r = {"TRUE": True, "FALSE": False}
            value = in_r[match[2]] if match[2] in in_r else number_or_text(match[2].removesuffix("L"))
            if isinstance(value, str):
                continue
        if isinstance(value, bool | int | float | str):
            yield Option(name=match[1], kind=kind_of(value), default=value)


def files_beside(text: str, language: Language) -> list[str]:
    """Return what a script's text may open by a path from where it runs: relative, and a constant.

    What is joined to the script's own folder (`__file__`, `BASH_SOURCE`) is found wherever the script runs.
    """
    match language:
        case Language.PYTHON:
            found = list(_opened_in_python(text))
        case Language.R:
            found = _OPENS_IN_R.findall(text)
        case Language.BASH:
            found = [
                each for line in text.splitlines() for each in _WORD_IN_BASH.findall(re.sub(r"(^|\s)#.*", "", line))
            ]
            found = [each for each in found if "/" in each or "." in each]
        case _:
            found = []
    return list(dict.fromkeys(each for each in found if _is_relative_path(each)))


def _is_relative_path(text: str) -> bool:
    return 0 < len(text) <= _MOST_CHARACTERS and not re.search(r"[\n:*?<>|{}]|^[/~%]", text) and text.strip("./ ") != ""


def _opened_in_python(text: str) -> Iterator[str]:
    """Yield the constants that are the first argument of a call, or set a name, and look like paths."""
    tree = tree_of(text)
    for node in ast.walk(tree) if tree else ():
        match node:
            case ast.Call(args=[ast.Constant(value=str() as found), *_]) if not _is_not_read(node, found):
                yield found
            case (
                ast.Assign(value=ast.Constant(value=str() as found))
                | ast.keyword(value=ast.Constant(value=str() as found))
            ) if PurePath(found).suffix:
                yield found


def _is_not_read(call: ast.Call, text: str) -> bool:
    """Return whether a constant is a name to what is called, `add_argument("data")`, or a file that it writes."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    opens = re.search(r"open|load|read|path|file|folder|listdir|scandir|glob|walk|chdir|data", name, re.IGNORECASE)
    return opens is None or text.startswith("-") or (name == "open" and _only_writes(call))


def _only_writes(call: ast.Call) -> bool:
    """Return whether a file is opened to be written, so that one that lies there is of an earlier run."""
    mode = next((each.value for each in call.keywords if each.arg == "mode"), next(iter(call.args[1:2]), None))
    return isinstance(mode, ast.Constant) and re.fullmatch(r"[wxa][bt]?", str(mode.value)) is not None
