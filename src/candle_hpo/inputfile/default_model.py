"""`&default_model`: `name = Python literal` lines -> hyperparameters."""

from __future__ import annotations

import ast
import re
import warnings

from candle_hpo.core.trial import Hyperparameters
from candle_hpo.inputfile.json_values import NotJson, check
from candle_hpo.inputfile.sections import Findings, Line
from candle_hpo.inputfile.value_notes import ValueNotes

_ASSIGNMENT = re.compile(r"([^\s=#&]+)\s*=\s*(.*)", re.DOTALL)
# A word: not something that looks like a number or arithmetic, which would silently become a text.
_BARE_WORD = re.compile(r"([^\W\d][\w.:/+-]*|[~/.][\w.:/+-]*/[\w.:/+-]*)\s*(?:#.*)?", re.DOTALL)
_FILE_HEADER = re.compile(r"\[\s*global[ _]params\s*\]\s*(?:#.*)?", re.IGNORECASE)
# Other languages' words for True, False and None, which would become texts that count as true in Python.
_LOOKALIKES = {"true": "True", "false": "False", "null": "None", "none": "None"}
_NOT_FINITE = {"nan", "inf", "infinity", "np.nan", "np.inf", "numpy.nan", "numpy.inf", "math.nan", "math.inf"}


def read_default_model(lines: list[Line], findings: Findings, values: ValueNotes) -> Hyperparameters:
    """Read the lines of `&default_model` or of a `[Global Params]` file.

    What is wrong, or perhaps not meant, goes to `findings`; `values` sees all values.
    """
    found: Hyperparameters = {}
    where: dict[str, int] = {}
    for line in lines:
        if _FILE_HEADER.fullmatch(line.text):
            continue
        assignment = _ASSIGNMENT.fullmatch(line.text)
        if not assignment:
            findings.wrong(line.number, f'"{line.text[:40]}" is not of the form name = value')
            continue
        name, text = assignment.groups()
        if name == "id":
            findings.wrong(line.number, '"id" names the sets themselves; call the hyperparameter something else')
        if name in found:
            findings.wrong(line.number, f'"{name}" appears twice (first in line {where[name]}); keep one')
            continue
        where[name] = line.number
        found[name] = None
        try:
            found[name] = read_literal(text)
        except NotJson as error:
            findings.wrong(line.number, f"{name}: {error}")
        value = found[name]
        if isinstance(value, str) and value == text.split("#")[0].strip() and value.lower() in _LOOKALIKES:
            meant = _LOOKALIKES[value.lower()]
            findings.note(line.number, f'{name} is the text "{value}"; Python\'s own is written {meant}')
        else:
            values.see(name, value, f"{findings.file}:{line.number}", "Python")
    return found


def read_literal(text: str) -> object:
    """Return the value of a Python literal, or of a bare word, which is a string.

    Tuples become lists, as JSON has them. Raises `NotJson`.
    """
    if not text or text.startswith("#"):
        raise NotJson("there is no value; write for instance name = 0.5")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `'\d'` is a fine string, whatever the compiler thinks of it
            tree = ast.parse(text, mode="eval").body
            if isinstance(tree, ast.Tuple) and not text.startswith("("):
                raise NotJson("a comma outside brackets makes a list of it; remove the comma, or write [ and ]")
            value = ast.literal_eval(tree)
    except NotJson:
        raise
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        word = _BARE_WORD.fullmatch(text)
        if not word:
            raise NotJson(f"{text[:60]} is not a Python literal; put text in quotes") from None
        value = word[1]
        if value.lower() in _NOT_FINITE:
            raise NotJson(f"{value} is not a finite number; put it in quotes if it is meant as text") from None
    value = _plain(value)
    check(value)
    return value


def _plain(value: object) -> object:
    """Return the value with tuples as lists; raise `NotJson` for what JSON does not have."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise NotJson(f"{key!r} is the name of a value within it; names are text, in quotes")
        return {key: _plain(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise NotJson(f"{value!r} is a Python {type(value).__name__}; use a number, text, True, False, None or a list")
