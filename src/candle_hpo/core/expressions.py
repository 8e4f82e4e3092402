"""Arithmetic of one argument, as a small tree: how a parameter's value is made from its coordinate.

A tree is data: it is kept in files, compared and evaluated here, and never handed to an interpreter. Functions,
operators and their results are those of R (the R Language Definition, and the help pages Arithmetic, Round,
Log and Special), where scientists write them as `trafo = function(x) 2^x`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec


class Number(msgspec.Struct, frozen=True, tag="number"):
    """A number that is written out."""

    value: float


class Argument(msgspec.Struct, frozen=True, tag="argument"):
    """The one argument."""


class Call(msgspec.Struct, frozen=True, tag="call"):
    """An operator or a function, by its name in `FUNCTIONS`, with what it is applied to."""

    function: str
    arguments: tuple[Expression, ...]


Expression = Number | Argument | Call


class ExpressionError(ArithmeticError):
    """An expression has no finite value there; the text says why."""


class Function(NamedTuple):
    """A function: the names of its arguments, how many of them it needs at least, and what it computes.

    `more` is true where it takes any number of further arguments.
    """

    names: tuple[str, ...]
    needed: int
    compute: Callable[..., float]
    more: bool = False


def evaluate(expression: Expression, argument: float) -> float:
    """Return the value of an expression, a finite number.

    Raises `ExpressionError` where it has none: a logarithm of a negative number, a division by zero, an overflow.
    """
    if isinstance(expression, Number):
        return expression.value
    if isinstance(expression, Argument):
        return float(argument)
    return apply(expression.function, [evaluate(each, argument) for each in expression.arguments])


def apply(function: str, arguments: Sequence[float]) -> float:
    """Return what a function of `FUNCTIONS` makes of numbers; `ExpressionError` where that is not a finite one."""
    try:
        value = FUNCTIONS[function].compute(*arguments)
    except (ArithmeticError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ExpressionError(f"{_shown(function, arguments)} is not a finite number")
    return value


def is_whole(expression: Expression, argument_is_whole: bool) -> bool:
    """Return whether an expression is a whole number by its form, for every (whole) argument."""
    if isinstance(expression, Number):
        return expression.value.is_integer()
    if isinstance(expression, Argument):
        return argument_is_whole
    if expression.function in _ROUNDING:
        return len(expression.arguments) == 1
    return expression.function in _KEEP_WHOLE and all(
        is_whole(each, argument_is_whole) for each in expression.arguments
    )


def without_rounding(expression: Expression) -> Expression:
    """Return the expression that is rounded, where rounding is the last thing done."""
    while isinstance(expression, Call) and expression.function in (*_ROUNDING, "as.numeric"):
        expression = expression.arguments[0]
    return expression


def _power(base: float, exponent: float) -> float:
    # As in R: a square is a product, which is exact to the last digit.
    return base * base if exponent == 2 else math.pow(base, exponent)


def _log(x: float, base: float | None = None) -> float:
    if base is None:
        return math.log(x)
    if base in (2, 10):
        return math.log2(x) if base == 2 else math.log10(x)
    return math.log(x) / math.log(base)


def _round(x: float, digits: float = 0) -> float:
    """Round as R does from 4.0.0 on: to the nearer of the two numbers of so many digits, a tie to the even one.

    Nearer is as computed in floating point (help page Round): `round(0.0005, 3)` is 0, where Python's is 0.001.
    """
    places = math.floor(digits + 0.5)
    if places == 0 or x == 0:
        return float(round(x))
    if places > 15 - math.ceil(math.log10(abs(x))):
        return x
    scale = 10.0 ** abs(places)
    up, back = (operator.mul, operator.truediv) if places > 0 else (operator.truediv, operator.mul)
    scaled = up(abs(x), scale)
    below, above = back(math.floor(scaled), scale), back(math.ceil(scaled), scale)
    to_below, to_above = abs(x) - below, above - abs(x)
    is_below = to_below < to_above or (to_below == to_above and math.floor(scaled) % 2 == 0)
    return math.copysign(below if is_below else above, x)


def _as_integer(x: float) -> float:
    # R's integers have 32 bits; what does not fit becomes NA there.
    return float(math.trunc(x)) if abs(x) < 2**31 else math.nan


FUNCTIONS: dict[str, Function] = {
    "+": Function(("x", "y"), 2, operator.add),
    "-": Function(("x", "y"), 2, operator.sub),
    "*": Function(("x", "y"), 2, operator.mul),
    "/": Function(("x", "y"), 2, operator.truediv),
    "^": Function(("x", "y"), 2, _power),
    "%%": Function(("x", "y"), 2, operator.mod),
    "%/%": Function(("x", "y"), 2, operator.floordiv),
    "negative": Function(("x",), 1, operator.neg),
    "exp": Function(("x",), 1, math.exp),
    "expm1": Function(("x",), 1, math.expm1),
    "log": Function(("x", "base"), 1, _log),
    "log2": Function(("x",), 1, math.log2),
    "log10": Function(("x",), 1, math.log10),
    "log1p": Function(("x",), 1, math.log1p),
    "sqrt": Function(("x",), 1, math.sqrt),
    "abs": Function(("x",), 1, abs),
    "round": Function(("x", "digits"), 1, _round),
    "floor": Function(("x",), 1, lambda x: float(math.floor(x))),
    "ceiling": Function(("x",), 1, lambda x: float(math.ceil(x))),
    "trunc": Function(("x",), 1, lambda x: float(math.trunc(x))),
    "as.integer": Function(("x",), 1, _as_integer),
    "as.numeric": Function(("x",), 1, float),
    "min": Function((), 1, lambda *each: min(each), more=True),
    "max": Function((), 1, lambda *each: max(each), more=True),
    "pmin": Function((), 1, lambda *each: min(each), more=True),
    "pmax": Function((), 1, lambda *each: max(each), more=True),
}
OPERATORS = ("+", "-", "*", "/", "^", "%%", "%/%", "negative")

_ROUNDING = ("round", "floor", "ceiling", "trunc", "as.integer")
_KEEP_WHOLE = ("+", "-", "*", "%%", "%/%", "negative", "abs", "as.numeric", "min", "max", "pmin", "pmax")


def _shown(function: str, arguments: Sequence[float]) -> str:
    numbers = [f"{number:.6g}" for number in arguments]
    if function == "negative":
        return f"-{numbers[0]}"
    if function in OPERATORS:
        return f"{numbers[0]} {function} {numbers[1]}"
    return f"{function}({', '.join(numbers)})"
