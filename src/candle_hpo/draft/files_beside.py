"""Which files a script opens beside itself, from where it runs, by its text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePath

from candle_hpo.core.experiment import Language
from candle_hpo.draft.python_values import tree_of

_OPENS_IN_R = re.compile(
    r"\b(?:read\w*|read\.\w+|source|load|file|fread|scan|readRDS|read_\w+|fromJSON)\(\s*[\"']([^\"'\n]+)[\"']"
)
_WORD_IN_BASH = re.compile(r"(?<![\w/$}.\"'-])(?:\./)?([A-Za-z_][\w./-]*)(?=[\s;)\"'|]|$)")
_SAID_IN_BASH = re.compile(r"(^|\s)#.*|\b(?:echo|printf)\b(?:\"[^\"]*\"|'[^']*'|[^|;&<>])*")  # to people
_MOST_CHARACTERS = 200  # of a path


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
            found = [each for line in text.splitlines() for each in _WORD_IN_BASH.findall(_SAID_IN_BASH.sub("", line))]
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
