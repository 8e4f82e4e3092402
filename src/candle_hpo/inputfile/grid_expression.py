"""The arguments of `candle generate-grid` -> values, without `eval`.

An argument is a Python list `['name', values]`. What may stand in it: literals, lists, `range`, the array
makers of NumPy below, and arithmetic. It is read as a syntax tree, so that nothing else can run.
"""

from __future__ import annotations

import ast
import itertools
import math
import operator
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from candle_hpo.core.errors import InputError
from candle_hpo.core.number_text import json_text
from candle_hpo.core.trial import default_trial_id
from candle_hpo.inputfile.json_values import NotJson, check

MOST_VALUES = 10_000_000  # of one hyperparameter; more is a slip of the hand, and would fill the memory

_ARRAY_MAKERS: dict[str, Callable[..., object]] = {
    "arange": np.arange,
    "array": np.array,
    "geomspace": np.geomspace,
    "linspace": np.linspace,
    "logspace": np.logspace,
}
_FORM = "\"['name',values]\", with the double quotes"
_OPTIONS = {"endpoint", "num", "base", "dtype", "start", "stop", "step"}
_TYPES = {"int": int, "float": float}
_BINARY: dict[type[ast.operator], Callable[..., object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: dict[type[ast.unaryop], Callable[..., object]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_ALLOWED = "a number, text, True, False, None, a list, range, arithmetic, or np." + ", np.".join(_ARRAY_MAKERS)


class GridExpressionError(ValueError):
    """An argument is not of the form `['name', values]`; the text says what is wrong in it."""


class GridAxis(NamedTuple):
    """One hyperparameter of a grid and its values, those of JSON."""

    name: str
    values: Sequence[object]


def read_axes(arguments: Sequence[str]) -> list[GridAxis]:
    """Read all arguments; raise `InputError` with everything that is wrong with them."""
    axes: list[GridAxis] = []
    problems: list[str] = []
    for argument in arguments:
        try:
            axis = _read_axis(argument)
            if axis.name in [other.name for other in axes]:
                raise GridExpressionError(f'"{axis.name}" appears twice; keep one')
            axes.append(axis)
        except GridExpressionError as error:
            problems.append(f"{argument}: {error}")
    if problems:
        raise InputError(*problems)
    return axes


def grid_lines(axes: Sequence[GridAxis]) -> Iterator[str]:
    """Yield the grid's sets as lines of JSON, the last axis varying fastest."""
    texts = [[f"{json_text(axis.name)}: {json_text(value)}" for value in axis.values] for axis in axes]
    for number, values in enumerate(itertools.product(*texts), start=1):
        yield f'{{"id": "{default_trial_id(number)}", {", ".join(values)}}}'


def _read_axis(argument: str) -> GridAxis:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler, about `'\d'` and its like
            tree = ast.parse(argument.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise GridExpressionError(f"this is not a Python list; write {_FORM}") from None
    if not isinstance(tree, ast.List | ast.Tuple) or len(tree.elts) != 2:
        raise GridExpressionError(f"this is not a list of a name and its values; write {_FORM}")
    name = tree.elts[0]
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str) or not name.value:
        raise GridExpressionError(
            "the first of the two is the hyperparameter's name, in quotes (and the whole argument in double quotes, "
            "or the shell takes yours away)"
        )
    if name.value == "id":
        raise GridExpressionError('"id" names the sets themselves; call the hyperparameter something else')
    try:
        with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
            warnings.simplefilter("error")
            values = _plain(_evaluate(tree.elts[1]))
        if not isinstance(values, list) or not values:
            raise GridExpressionError("the second of the two is a list of values, at least one")
        check([name.value, values])
    except GridExpressionError:
        raise
    except NotJson as error:
        raise GridExpressionError(str(error)) from None
    except RecursionError:
        raise GridExpressionError("this is nested too deeply") from None
    except MemoryError:
        raise GridExpressionError("this does not fit into memory") from None
    except (ArithmeticError, TypeError, ValueError, Warning, IndexError) as error:
        raise GridExpressionError(f"this cannot be computed: {error}") from None
    return GridAxis(name.value, values)


def _evaluate(node: ast.expr) -> object:
    if isinstance(node, ast.Constant):
        if node.value is None or isinstance(node.value, bool | int | float | str):
            return node.value
    elif isinstance(node, ast.List | ast.Tuple):
        return [_evaluate(element) for element in node.elts]
    elif isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return _UNARY[type(node.op)](_number(_evaluate(node.operand), node))
    elif isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = (_number(_evaluate(side), node) for side in (node.left, node.right))
        if isinstance(node.op, ast.Pow):
            _check_power(left, right)
        return _BINARY[type(node.op)](left, right)
    elif isinstance(node, ast.Call):
        return _call(node)
    raise GridExpressionError(f"{ast.unparse(node)} is not allowed here; allowed are {_ALLOWED}")


def _call(node: ast.Call) -> object:
    function = ast.unparse(node.func)
    arguments = [_evaluate(argument) for argument in node.args]
    options = {option.arg or "**": _option(option) for option in node.keywords}
    if function == "range" and not options:
        return list(_bounded(range(*map(operator.index, arguments))))  # type: ignore[arg-type]
    if re.fullmatch(r"(np|numpy)\.\w+", function):
        maker = function.split(".")[1]
        if maker in _ARRAY_MAKERS:
            _check_size(maker, arguments, options)
            return _of_numbers(_ARRAY_MAKERS[maker](*arguments, **options))
    raise GridExpressionError(f"{function}() is not allowed here; allowed are {_ALLOWED}")


def _of_numbers(made: object) -> object:
    """Return an array; raise for one of whole numbers without end, with which arithmetic may take for ever."""
    if isinstance(made, np.ndarray) and made.dtype == object:
        raise GridExpressionError("an array holds numbers (whole ones have at most 19 digits), or texts")
    return made


def _option(option: ast.keyword) -> object:
    if option.arg not in _OPTIONS:
        raise GridExpressionError(f"{ast.unparse(option)} is not allowed here; options are {sorted(_OPTIONS)}")
    if option.arg == "dtype":
        if isinstance(option.value, ast.Name) and option.value.id in _TYPES:
            return _TYPES[option.value.id]
        raise GridExpressionError(f"{ast.unparse(option)} is not allowed here; dtype is int or float")
    return _evaluate(option.value)


def _check_size(maker: str, arguments: list[object], options: dict[str, object]) -> None:
    """Raise where an array maker would make more values than anybody wants, before it does."""
    if maker == "array":
        return
    if maker == "arange":
        given = [*arguments, *(options[name] for name in ("start", "stop", "step") if name in options)]
        numbers = [float(value) for value in given if isinstance(value, int | float)]
        if len(numbers) == 1:
            numbers = [0.0, numbers[0]]
        if len(numbers) >= 2:
            step = numbers[2] if len(numbers) > 2 else 1.0
            _check_count(abs((numbers[1] - numbers[0]) / step))
        return
    count = options.get("num", arguments[2] if len(arguments) > 2 else 50)
    if isinstance(count, int | float):
        _check_count(count)


def _bounded(values: range) -> range:
    try:
        count = len(values)
    except OverflowError:
        count = MOST_VALUES + 1
    _check_count(count)
    return values


def _check_count(count: float) -> None:
    if count > MOST_VALUES:
        raise GridExpressionError(f"these are more than {MOST_VALUES:,} values; did you mean fewer?")


def _check_power(base: object, exponent: object) -> None:
    """Raise where a power of whole numbers would have more digits than a computer can hold."""
    if isinstance(base, int) and isinstance(exponent, int) and abs(base) > 1:
        digits = abs(exponent) * math.log10(abs(base))
        if digits > 300:
            raise GridExpressionError("a whole number in this has more than 300 digits")


def _number(value: object, node: ast.expr) -> object:
    if isinstance(value, int | float | np.ndarray) and not isinstance(value, bool):
        return value
    raise GridExpressionError(f"{ast.unparse(node)} is not arithmetic on numbers or arrays")


def _plain(value: object) -> object:
    """Return the value with arrays as lists and NumPy's numbers as Python's; whole numbers stay whole."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
