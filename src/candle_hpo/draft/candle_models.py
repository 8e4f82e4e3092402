"""CANDLE's own models, by their texts: `initialize_parameters` and `run`, with a file of default parameters."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator

from candle_hpo.draft.options import Kind, Option, Options, Way, kind_of, without_doubles
from candle_hpo.draft.python_values import Module, tree_of
from candle_hpo.script.python_script import has_functions_of_candle
from candle_hpo.script.words import VALUE_NAMES

_SECTION = "Global_Params"
_NONE = "None in its file"


def is_model_of_candle(text: str) -> bool:
    """Return whether a script is run by CANDLE's two functions; one that leaves a value of its own accord is not."""
    module = _module(text)
    leaves_a_value = any(name in text for name in VALUE_NAMES)
    return module is not None and has_functions_of_candle(module.tree) and not leaves_a_value


def file_of_default_model(text: str) -> str:
    """Return the name of the file that a model takes its defaults from, beside itself; "" where none is shown."""
    module = _module(text)
    function = module.functions.get("initialize_parameters") if module else None
    if module is None or function is None:
        return ""
    its = function.args
    for parameter, default in zip(reversed(its.args), reversed(its.defaults), strict=False):
        if parameter.arg == "default_model" and isinstance(name := module.value_or_none(default), str):
            return name
    return ""


def options_of_parameter_file(text: str, name: str) -> Options:
    """Return what a file of default parameters has, each a literal of Python, or else a text."""
    return Options(Way.VARIABLES, without_doubles(_parameters(text)), name)


def _parameters(text: str) -> Iterator[Option]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names as they are written
    try:
        parser.read_string(text)
        entries = parser.items(_SECTION)
    except configparser.Error:
        return
    for name, written in entries:
        try:
            value = ast.literal_eval(written)
        except (ValueError, SyntaxError):
            value = written
        is_plain = isinstance(value, bool | int | float | str) or (
            isinstance(value, list) and all(isinstance(each, int | float | str) for each in value)
        )
        if value is None:
            why = "" if name == "learning_rate" else _NONE
            yield Option(name=name, kind=Kind.NUMBER if not why else Kind.TEXT, left_alone=why)
        elif is_plain:
            yield Option(name=name, kind=kind_of(value), default=value)


def _module(text: str) -> Module | None:
    tree = tree_of(text)
    return Module(tree) if tree else None
