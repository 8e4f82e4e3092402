"""What a model script asks for, as far as its text tells: hyperparameters, modules, and whether it leaves a value.

Reading a text is a guess: what a script does not say plainly is not reported.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from candle_hpo.core.experiment import Language
from candle_hpo.model.python_script import read_python
from candle_hpo.model.value_scopes import ValueSet, values_set_in_r

VALUE_NAMES = ("val_to_return", "candle_value_to_return")
HYPERPARAMETER_NAMES = ("hyperparams", "candle_params")


class Mention(msgspec.Struct, frozen=True):
    """A name and the first line of a script that needs it; `optional`: the script can do without it."""

    name: str
    line: int
    optional: bool = False


class ScriptReading(msgspec.Struct, frozen=True):
    """What a script's text tells.

    `reads` are the hyperparameters that it asks for by their names; `hands_on`: it gives them all to something else, so
    that it may use others as well; `fills_in`: it may give some of them values itself. `modules` are what it imports,
    `options` those of its own command line.

    `leaves_value` is None where the text does not tell. Where it is not true, `placeholder` is the line that sets the
    value to a constant, and `lost_value` the one that sets it in a function, whose variables are its own.
    """

    reads: tuple[Mention, ...] = ()
    hands_on: bool = True
    fills_in: bool = False
    modules: tuple[Mention, ...] = ()
    options: tuple[str, ...] = ()
    leaves_value: bool | None = None
    placeholder: int = 0
    lost_value: int = 0


_IN_R = re.compile(rf"\b(?:{'|'.join(HYPERPARAMETER_NAMES)})\s*(?:\$\s*([\w.]+|`[^`]+`)|\[\[\s*([\"'])(.*?)\2\s*\]\])")
_WHOLE_IN_R = re.compile(rf"\b(?:{'|'.join(HYPERPARAMETER_NAMES)})\b(?!\s*(?:\$|\[\[\s*[\"']))")
_FILLED_IN_R = re.compile(rf"(?:^|[;{{])\s*(?:{'|'.join(HYPERPARAMETER_NAMES)})\b[^=<(,]*(?:<<?-|=(?!=))")
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
    leaves_value, placeholder, lost = _value_left(found.values, is_hidden=found.hides_value)
    return ScriptReading(
        reads=tuple(Mention(name, each.line, each.optional) for name, each in found.reads.items()),
        hands_on=found.hands_on,
        fills_in=found.fills_in,
        modules=tuple(Mention(name, each.line, each.optional) for name, each in found.modules.items()),
        options=tuple(found.options),
        leaves_value=None if found.has_history and not leaves_value else leaves_value,
        placeholder=placeholder,
        lost_value=lost,
    )


def _value_left(found: Sequence[ValueSet], *, is_hidden: bool) -> tuple[bool | None, int, int]:
    """Return whether a script leaves a value, and the lines of a placeholder and of a value that is lost instead."""
    if any(not each.is_lost and not each.is_constant for each in found):
        return True, 0, 0
    if is_hidden:
        return None, 0, 0
    placeholder = next((each.line for each in found if not each.is_lost), 0)
    lost = next((each.line for each in found if each.is_lost), 0)
    return placeholder > 0, placeholder, lost


def _of_r(text: str) -> ScriptReading:
    reads: dict[str, tuple[int, bool]] = {}
    modules: dict[str, tuple[int, bool]] = {}
    hands_on = fills_in = False
    for number, line in _without_comments(text):
        for match in _IN_R.finditer(line):
            name = (match[1] or match[3]).strip("`")
            asks = re.search(rf"[\"']{re.escape(name)}[\"']\s*%in%", text) is not None
            reads.setdefault(name, (number, asks))
        for match in _LIBRARY_IN_R.finditer(line):
            modules.setdefault(match[2], (number, match[1] != "library"))
        hands_on = hands_on or _WHOLE_IN_R.search(line) is not None
        fills_in = fills_in or _FILLED_IN_R.search(line) is not None
    is_hidden = any(f"{quote}{name}{quote}" in text for name in (*VALUE_NAMES, "CANDLE_RESULT_FILE") for quote in "\"'")
    value = _value_left(values_set_in_r(text, VALUE_NAMES), is_hidden=is_hidden or "source(" in text)
    return ScriptReading(_mentions(reads), hands_on, fills_in, _mentions(modules), (), *value)


def _of_bash(text: str) -> ScriptReading:
    reads: dict[str, tuple[int, bool]] = {}
    hands_on = starts_others = False
    for number, line in _without_comments(text):
        for match in _IN_BASH.finditer(line):
            reads.setdefault(match[2], (number, "||" in line[match.end() :]))
        hands_on = hands_on or _WHOLE_IN_BASH.search(line) is not None or "CANDLE_PARAMS_FILE" in line
        starts_others = starts_others or re.search(r"(?:^|\s)(?:source|\.|eval|exec)\s+\S", line) is not None
        # A script that it starts may ask for others.
        hands_on = hands_on or re.search(r"(?:^|\s)(?:source|\.|bash|sh|python3?|Rscript)\s+\S", line) is not None
    may_leave_value = starts_others or any(name in text for name in (*VALUE_NAMES, "CANDLE_RESULT_FILE"))
    return ScriptReading(_mentions(reads), hands_on, leaves_value=None if may_leave_value else False)


def _without_comments(text: str) -> list[tuple[int, str]]:
    lines = enumerate(text.splitlines(), start=1)
    return [(number, re.sub(r"(^|\s)#.*", "", line)) for number, line in lines]


def _mentions(found: dict[str, tuple[int, bool]]) -> tuple[Mention, ...]:
    return tuple(Mention(name, line, optional) for name, (line, optional) in found.items())
