"""`trafo` and `requires` of ParamHelpers, from R's expressions to the trees that are kept and evaluated here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from candle_hpo.core.conditions import COMPARISONS, All, Any, Condition, Not
from candle_hpo.core.expressions import FUNCTIONS, OPERATORS, Argument, Call, Expression, Number
from candle_hpo.inputfile.parameter_drafts import Draft, among, compared, find_draft
from candle_hpo.inputfile.paramhelpers.syntax import Node
from candle_hpo.inputfile.paramhelpers.values import Vector, arguments_of, constant, numbers

_NAMED = tuple(name for name in FUNCTIONS if name not in OPERATORS)
_OF_A_WHOLE_VECTOR = {"min": "pmin", "max": "pmax"}
# What a comparison becomes when its sides change places.
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def transform(node: Node, is_vector: bool) -> Expression | None:
    """Return what `trafo = …` says: a function of one argument, the name of one, or NULL for none.

    Raises `ParameterError` for everything that is not arithmetic of the one argument.
    """
    if node.kind == "name" and node.value == "NULL":
        return None
    if node.kind == "name" and node.value in _NAMED:
        return Call(str(node.value), (Argument(),))
    if node.kind != "function":
        raise node.error("trafo is a function of one argument, such as function(x) 2^x")
    return _Body(str(node.value), is_vector).expression(node.nodes[0])


class _Body:
    """The body of a function whose argument has this name."""

    def __init__(self, argument: str, is_vector: bool) -> None:
        self._argument = argument
        self._is_vector = is_vector

    def expression(self, node: Node) -> Expression:
        if node.is_call("return") and len(node.arguments) == 1:
            return self._inner(node.nodes[0])
        return self._inner(node)

    def _inner(self, node: Node) -> Expression:
        if node.kind == "name" and node.value == self._argument:
            return Argument()
        if node.kind == "name" and node.value not in ("pi", "T", "F", "TRUE", "FALSE", "NULL"):
            raise node.error(
                f'"{node.value}" is not known in trafo; the function has its argument "{self._argument}" alone'
            )
        if node.kind in ("number", "name", "text"):
            return Number(numbers(node, f'what trafo computes with, like "{node.value}",')[0])
        if node.kind == "function" or node.value not in FUNCTIONS:
            shown = "a function within a function" if node.kind == "function" else f'"{node.value}"'
            raise node.error(f"{shown} is not understood in trafo; arithmetic is, and {', '.join(_NAMED)}")
        if self._is_vector and node.value in _OF_A_WHOLE_VECTOR:
            instead = _OF_A_WHOLE_VECTOR[str(node.value)]
            raise node.error(f"{node.value} in trafo is that of the whole vector; write {instead} for each element")
        return Call(str(node.value), tuple(map(self._inner, arguments_of(node))))


def condition(node: Node) -> Callable[[Mapping[str, Draft]], Condition] | None:
    """Return what `requires = …` says, once the parameters are known: `quote(…)`, `expression(…)`, or NULL for none.

    Raises `ParameterError`, and so does what is returned.
    """
    if node.kind == "name" and node.value == "NULL":
        return None
    if not node.is_call("quote", "expression") or len(node.arguments) != 1:
        raise node.error('requires is a quoted condition, such as quote(optimizer == "sgd")')
    return lambda drafts: _condition(node.nodes[0], drafts)


def _condition(node: Node, drafts: Mapping[str, Draft]) -> Condition:
    if node.is_call("&", "|"):
        parts = tuple(_condition(each, drafts) for each in node.nodes)
        return All(parts) if node.value == "&" else Any(parts)
    if node.is_call("!"):
        return Not(_condition(node.nodes[0], drafts))
    if node.is_call("%in%"):
        return _contained(node, drafts)
    if node.is_call(*COMPARISONS):
        return _comparison(node, drafts)
    if node.kind == "name" and not _is_constant(node):
        draft = find_draft(str(node.value), drafts, node.line)
        if draft.parameter.axes[0].choices == (False, True):
            return compared(draft, "==", True, node.line)
        raise node.error(f'"{draft.name}" is not TRUE or FALSE; compare it, such as {draft.name} == 1')
    shown = f'"{node.value}"' if node.kind != "function" else "a function"
    raise node.error(f"{shown} is not a condition; write comparisons of a parameter with a value, %in%, &, | and !")


def _comparison(node: Node, drafts: Mapping[str, Draft]) -> Condition:
    comparison = str(node.value)
    left, right = node.nodes
    if left.kind != "name" or _is_constant(left):
        left, right, comparison = right, left, _MIRRORED[comparison]
    if left.kind != "name" or _is_constant(left):
        raise node.error(f'one side of "{node.value}" is the name of a parameter')
    draft = find_draft(str(left.value), drafts, left.line)
    if right.kind == "name" and right.value in drafts:
        raise node.error(
            f"{left.value} {node.value} {right.value}: a parameter is compared with a value, not with another"
        )
    value = constant(right)
    if value.is_list or len(value.items) != 1:
        raise right.error("this is not a single value; write %in% c(…) for several")
    return compared(draft, comparison, value.items[0], node.line)


def _contained(node: Node, drafts: Mapping[str, Draft]) -> Condition:
    left, right = node.nodes
    if left.kind != "name":
        raise node.error("the left side of %in% is the name of a parameter")
    values: Vector = constant(right)
    return among(find_draft(str(left.value), drafts, left.line), values.choices(), node.line)


def _is_constant(node: Node) -> bool:
    return node.value in ("TRUE", "FALSE", "T", "F", "pi", "NULL")
