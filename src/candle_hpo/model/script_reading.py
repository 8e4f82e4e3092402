"""What a model script asks for, as far as its text tells: hyperparameters, modules, and whether it leaves a value.

Reading a text is a guess: what a script does not say plainly is not reported.
"""

from __future__ import annotations

import re

import msgspec

from candle_hpo.core.experiment import Language
from candle_hpo.model.python_script import read_python

VALUE_NAMES = ("val_to_return", "candle_value_to_return")
HYPERPARAMETER_NAMES = ("hyperparams", "candle_params")


class Mention(msgspec.Struct, frozen=True):
    """A name and the first line of a script that needs it.

    `optional`: the script can do without it; `certain`: if it is not there, and not optional, every trial fails.
    """

    name: str
    line: int
    optional: bool = False
    certain: bool = False


class ScriptReading(msgspec.Struct, frozen=True):
    """What a script's text tells.

    `reads` are the hyperparameters that it asks for by their names; `hands_on`: it gives them all to something else, so
    that it may use others as well. `modules` are what it imports, `options` those of its own command line.
    `leaves_value` is None where the text does not tell; `local_value` is the line where a function sets a variable of
    that name for itself, which is gone when it returns.
    """

    reads: tuple[Mention, ...] = ()
    hands_on: bool = True
    modules: tuple[Mention, ...] = ()
    options: tuple[str, ...] = ()
    leaves_value: bool | None = None
    local_value: int = 0


_IN_R = re.compile(rf"\b(?:{'|'.join(HYPERPARAMETER_NAMES)})\s*(?:\$\s*([\w.]+|`[^`]+`)|\[\[\s*([\"'])(.*?)\2\s*\]\])")
_WHOLE_IN_R = re.compile(rf"\b(?:{'|'.join(HYPERPARAMETER_NAMES)})\b(?!\s*(?:\$|\[\[\s*[\"']))")
_LIBRARY_IN_R = re.compile(
    r"\b(library|require|requireNamespace|loadNamespace)\s*\(\s*[\"']?([A-Za-z][\w.]*)[\"']?\s*[,)]"
)
_IN_BASH = re.compile(r"\bcandle_get_param\s+([\"']?)([A-Za-z_][\w.-]*)\1(?=[\s)`;|&]|$)")
_WHOLE_IN_BASH = re.compile(r"\bcandle_get_param\s+[\"']?\$")


def read_script(text: str, language: Language) -> ScriptReading:
    """Return what the text of a script in this language tells; of a program of its own, that is nothing."""
    match language:
        case Language.PYTHON:
            return _of_python(text)
        case Language.R:
            return _of_r(text)
        case Language.BASH:
            return _of_bash(text)
        case Language.PROGRAM:
            return ScriptReading()


def _of_python(text: str) -> ScriptReading:
    try:
        found = read_python(text, HYPERPARAMETER_NAMES, VALUE_NAMES)
    except (SyntaxError, ValueError, RecursionError):
        return ScriptReading()  # the user's own Python, which may be newer than ours, judges that
    return ScriptReading(
        reads=tuple(
            Mention(name, each.line, each.optional, each.certain and "\ufffd" not in text)  # its encoding is another
            for name, each in found.reads.items()
        ),
        hands_on=found.hands_on,
        modules=tuple(Mention(name, each.line, each.optional) for name, each in found.modules.items()),
        options=tuple(found.options),
        leaves_value=found.leaves_value,
        local_value=found.local_value,
    )


def _of_r(text: str) -> ScriptReading:
    reads: dict[str, tuple[int, bool]] = {}
    modules: dict[str, tuple[int, bool]] = {}
    hands_on = False
    for number, line in _without_comments(text):
        for match in _IN_R.finditer(line):
            name = (match[1] or match[3]).strip("`")
            asks = re.search(rf"[\"']{re.escape(name)}[\"']\s*%in%", text) is not None
            reads.setdefault(name, (number, asks))
        for match in _LIBRARY_IN_R.finditer(line):
            modules.setdefault(match[2], (number, match[1] != "library"))
        hands_on = hands_on or _WHOLE_IN_R.search(line) is not None
    return ScriptReading(_mentions(reads), hands_on, _mentions(modules), leaves_value=_says_value(text))


def _of_bash(text: str) -> ScriptReading:
    reads: dict[str, tuple[int, bool]] = {}
    hands_on = False
    for number, line in _without_comments(text):
        for match in _IN_BASH.finditer(line):
            reads.setdefault(match[2], (number, False))
        hands_on = hands_on or _WHOLE_IN_BASH.search(line) is not None or "CANDLE_PARAMS_FILE" in line
        # A script that it starts may ask for others.
        hands_on = hands_on or re.search(r"(?:^|\s)(?:source|\.|bash|sh|python3?|Rscript)\s+\S", line) is not None
    return ScriptReading(_mentions(reads), hands_on, leaves_value=_says_value(text))


def _without_comments(text: str) -> list[tuple[int, str]]:
    lines = enumerate(text.splitlines(), start=1)
    return [(number, re.sub(r"(^|\s)#.*", "", line)) for number, line in lines]


def _says_value(text: str) -> bool:
    return any(name in text for name in VALUE_NAMES)


def _mentions(found: dict[str, tuple[int, bool]]) -> tuple[Mention, ...]:
    return tuple(Mention(name, line, optional) for name, (line, optional) in found.items())
