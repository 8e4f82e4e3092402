"""Values that are written out in R -> values of JSON: numbers, text, `c(...)`, `list(...)`, `2^(3:8)`, `seq(...)`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from candle_hpo.core.errors import nearest
from candle_hpo.core.expressions import FUNCTIONS, OPERATORS, ExpressionError, apply
from candle_hpo.inputfile.paramhelpers.syntax import Node

MOST_VALUES = 10_000  # of one vector

_CONSTANTS: dict[str, object] = {
    "TRUE": True,
    "T": True,
    "FALSE": False,
    "F": False,
    "pi": math.pi,
}
_NO_VALUES = ("NA", "NaN", "Inf", "NA_character_", "NA_integer_", "NA_real_")
_OTHER_LANGUAGES = {"True": "TRUE", "true": "TRUE", "False": "FALSE", "false": "FALSE", "None": "NULL", "null": "NULL"}
_MAKERS = ("c", "list", "seq", "seq_len")


@dataclass(frozen=True)
class Vector:
    """A value of R, which is always a vector: a single number is one of length 1, and NULL is one of length 0.

    The items of a list are vectors themselves.
    """

    items: tuple[object, ...]
    names: tuple[str | None, ...]
    is_list: bool = False

    def plain(self) -> object:
        """Return the value as JSON has it: one item as itself, several as a list, a list with names as an object."""
        values = [item.plain() if isinstance(item, Vector) else item for item in self.items]
        if not self.is_list:
            return None if not values else values[0] if len(values) == 1 else values
        if values and all(self.names):
            return {str(name): value for name, value in zip(self.names, values, strict=True)}
        return values

    def choices(self) -> list[object]:
        """Return the items, each as JSON has it."""
        return [item.plain() if isinstance(item, Vector) else item for item in self.items]


def constant(node: Node) -> Vector:
    """Return the value of an expression that defines no names.

    Raises `ParameterError` for everything that is not a value written out.
    """
    if node.kind == "number":
        if not math.isfinite(float(node.value)):
            raise node.error("a number is too large for a floating-point number")
        return _vector([_tidy(float(node.value))])
    if node.kind == "text":
        return _vector([node.value])
    if node.kind == "name":
        return _named(node)
    if node.kind == "function":
        raise node.error("a function is not a value; write the values themselves")
    if node.is_call("c", "list"):
        return _list(node) if node.value == "list" else _combined(node)
    if node.is_call(":"):
        return _range(node)
    if node.is_call("seq", "seq_len"):
        return _sequence(node)
    if node.value in FUNCTIONS:
        return _arithmetic(node)
    valid = [*_MAKERS, *(name for name in FUNCTIONS if name not in OPERATORS)]
    raise node.error(f'"{node.value}" makes no values here; {nearest(str(node.value), valid)}')


def number(node: Node, what: str) -> float:
    """Return the single number that an expression stands for; raise `ParameterError` for anything else."""
    values = numbers(node, what)
    if len(values) != 1:
        raise node.error(f"{what} is one number, not {len(values)}")
    return values[0]


def numbers(node: Node, what: str) -> list[float]:
    """Return the numbers that an expression stands for; raise `ParameterError` for anything else."""
    vector = constant(node)
    found = [float(item) for item in vector.items if isinstance(item, int | float) and not isinstance(item, bool)]
    if vector.is_list or not found or len(found) != len(vector.items):
        raise node.error(f"{what} is a number; write for instance 0.001")
    return found


def _vector(items: Sequence[object]) -> Vector:
    return Vector(tuple(items), (None,) * len(items))


def _tidy(value: float) -> int | float:
    """Return whole numbers as integers: R distinguishes 16 from 16L, JSON and the models do not."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _named(node: Node) -> Vector:
    name = str(node.value)
    if name == "NULL":
        return _vector([])
    if name in _CONSTANTS:
        return _vector([_CONSTANTS[name]])
    if name in _NO_VALUES:
        raise node.error(f"{name} is not a value of a parameter; use a finite number, text, TRUE or FALSE")
    if name in _OTHER_LANGUAGES:
        raise node.error(f"{name} is not an R value; write {_OTHER_LANGUAGES[name]}")
    raise node.error(f'"{name}" is a name whose value is not known here; write the value, text in quotes')


def _list(node: Node) -> Vector:
    return Vector(tuple(map(constant, node.nodes)), tuple(argument.name for argument in node.arguments), is_list=True)


def _combined(node: Node) -> Vector:
    """Return what `c(...)` makes of vectors and lists; where R would turn numbers into text, raise."""
    parts = [(argument.name, constant(argument.node)) for argument in node.arguments]
    as_list = any(part.is_list for _, part in parts)
    items: list[object] = []
    names: list[str | None] = []
    for name, part in parts:
        if not part.items and not part.is_list:
            raise node.error("R leaves NULL out of c(…); write list(…) to keep it")
        items += [_vector([item]) for item in part.items] if as_list and not part.is_list else part.items
        names += part.names if name is None else [name] * len(part.items)
    if len(items) > MOST_VALUES:
        raise node.error(f"these are more than {MOST_VALUES:,} values; did you mean a range?")
    kinds = {type(item) for item in items} - ({int} if float in map(type, items) else set())
    if not as_list and len(kinds) > 1:
        raise node.error(
            "R makes one kind of all values in c(…): of numbers text, or of TRUE a 1; write list(…) to keep them"
        )
    return Vector(tuple(items), tuple(names), as_list)


def _range(node: Node) -> Vector:
    first, last = (number(each, "the end of a range") for each in node.nodes)
    step = 1 if last >= first else -1
    count = math.floor(abs(last - first) + 1e-10) + 1
    return _steps(node, [first + step * place for place in range(_checked(node, count))])


_SEQUENCE = ("from", "to", "by", "length.out")


def _sequence(node: Node) -> Vector:
    """Return what `seq(from, to, by = , length.out = )` or `seq_len(n)` makes."""
    if node.value == "seq_len":
        if len(node.arguments) != 1:
            raise node.error("seq_len takes one number, such as seq_len(5)")
        count = number(node.nodes[0], "seq_len")
        return _steps(node, [float(place + 1) for place in range(_checked(node, count))])
    given: dict[str, float] = {}
    places = iter(name for name in _SEQUENCE if name not in {argument.name for argument in node.arguments})
    for argument in node.arguments:
        name = {"length": "length.out", "len": "length.out"}.get(argument.name or "", argument.name) or next(places, "")
        if name not in _SEQUENCE or name in given:
            raise node.error("seq takes from, to, and by = or length.out =, such as seq(0.1, 0.5, by = 0.1)")
        given[name] = number(argument.node, name)
    if not {"from", "to"} <= set(given) or {"by", "length.out"} <= set(given):
        raise node.error("seq takes from, to, and by = or length.out =, such as seq(0.1, 0.5, by = 0.1)")
    first, last = given["from"], given["to"]
    if "length.out" in given:
        count = _checked(node, math.ceil(given["length.out"]))
        by = (last - first) / (count - 1) if count > 1 else 0.0
    else:
        by = given.get("by", 1.0 if last >= first else -1.0)
        if by == 0 or (last - first) / by < 0:
            raise node.error(f"seq never gets from {first:g} to {last:g} in steps of {by:g}")
        count = _checked(node, math.floor((last - first) / by + 1e-10) + 1)
    return _steps(node, [first + by * place for place in range(count)])


def _checked(node: Node, count: float) -> int:
    if not 1 <= count <= MOST_VALUES:
        raise node.error(f"these are not 1 to {MOST_VALUES:,} values; did you mean other ends?")
    return int(count)


def _steps(node: Node, values: list[float]) -> Vector:
    if not all(map(math.isfinite, values)):
        raise node.error("this is not a row of finite numbers")
    # 15 digits, as R shows them: 0.1 + 3 * 0.2 is 0.7, not 0.7000000000000001.
    return _vector([_tidy(float(f"{value:.15g}")) for value in values])


def _arithmetic(node: Node) -> Vector:
    """Return what an operator or function makes of numbers, element by element, single numbers used for all."""
    parts = [numbers(each, f"what {node.value} is applied to") for each in arguments_of(node)]
    length = max(map(len, parts))
    if any(len(part) not in (1, length) for part in parts):
        raise node.error(f"{node.value} is applied to vectors of different lengths")
    if FUNCTIONS[str(node.value)].more and length > 1:
        raise node.error(f"{node.value} of a vector is not understood here; write the value itself")
    rows = [[part[place if len(part) > 1 else 0] for part in parts] for place in range(length)]
    try:
        return _vector([_tidy(apply(str(node.value), row)) for row in rows])
    except ExpressionError as error:
        raise node.error(f"{error}") from None


def arguments_of(node: Node) -> list[Node]:
    """Return the arguments of a function of `FUNCTIONS` in its order; raise `ParameterError` where they do not fit."""
    function = FUNCTIONS[str(node.value)]
    given = {argument.name: argument.node for argument in node.arguments if argument.name is not None}
    unnamed = [argument.node for argument in node.arguments if argument.name is None]
    unknown = [name for name in given if name not in function.names]
    if unknown:
        raise node.error(f'{node.value} has no argument "{unknown[0]}"; write it without a name')
    ordered = unnamed
    if given:
        rest = iter(unnamed)
        in_order = [given[name] if name in given else next(rest, None) for name in function.names]
        ordered = [*(each for each in in_order if each is not None), *rest]
    if not function.needed <= len(ordered) or (len(ordered) > len(function.names) and not function.more):
        most = "or more" if function.more else f"to {len(function.names)}"
        raise node.error(f"{node.value} takes {function.needed} {most} arguments, not {len(ordered)}")
    return ordered
