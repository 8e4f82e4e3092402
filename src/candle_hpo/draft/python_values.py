"""What the text of a Python script says of values, without running it: literals, constants, types, classes."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from candle_hpo.draft.options import Kind

_KINDS = {
    "int": Kind.INTEGER, "float": Kind.NUMBER, "str": Kind.TEXT, "bool": Kind.FLAG, "Path": Kind.TEXT,
    "INT": Kind.INTEGER, "FLOAT": Kind.NUMBER, "STRING": Kind.TEXT, "BOOL": Kind.FLAG,
    "positive_int": Kind.INTEGER, "positive_float": Kind.NUMBER, "PositiveInt": Kind.INTEGER,
    "PositiveFloat": Kind.NUMBER, "NonNegativeInt": Kind.INTEGER, "NonNegativeFloat": Kind.NUMBER,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b if abs(b) < 100 else math.nan,
}


class Unknown(Exception):
    """The text does not show this value."""


class Annotation(NamedTuple):
    """What a type says: a kind and choices; whether there are several values, and what stands beside it."""

    kind: Kind | None = None
    choices: tuple[object, ...] = ()
    is_list: bool = False
    extra: tuple[ast.expr, ...] = ()
    nested: ast.ClassDef | None = None


def tree_of(text: str) -> ast.Module | None:
    """Return the syntax tree of a text in Python; None where this Python cannot parse it."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # MemoryError: the parser's own stack
        return None


class Module:
    """A script's syntax tree: its constants, functions and classes by their names."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.functions: dict[str, ast.FunctionDef] = {}
        self.classes: dict[str, ast.ClassDef] = {}
        self._constants: dict[str, ast.expr] = {}
        self._lines: dict[str, list[int]] = {}  # those that give a name something, whatever and wherever
        for node in ast.walk(tree):
            match node:
                case ast.FunctionDef(name=name):
                    self.functions.setdefault(name, node)
                    self._lines.setdefault(name, []).append(node.lineno)
                case ast.ClassDef(name=name):
                    self.classes.setdefault(name, node)
                    self._lines.setdefault(name, []).append(node.lineno)
                case (
                    ast.Name(id=name, ctx=ast.Store() | ast.Del())
                    | ast.arg(arg=name)
                    | ast.ExceptHandler(name=str() as name)
                    | ast.MatchAs(name=str() as name)
                ):
                    self._lines.setdefault(name, []).append(node.lineno)
                case ast.Global(names=names):  # what sets it may stand below, and run before
                    for name in names:
                        self._lines.setdefault(name, []).append(0)
                case ast.alias(name=name, asname=asname):
                    self._lines.setdefault(asname or name, []).append(node.lineno)
        for statement in tree.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self._constants.setdefault(name, value)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    self._constants.setdefault(name, value)

    def imports(self, *names: str) -> bool:
        """Return whether one of these modules is imported, anywhere."""
        for node in ast.walk(self.tree):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(each.partition(".")[0] in names for each in found):
                return True
        return False

    def value(self, node: ast.expr | None, depth: int = 0) -> object:
        """Return the value of a literal, a constant of the script, or arithmetic with them, as JSON has it.

        Raises `Unknown`.
        """
        if depth > 20:
            raise Unknown
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | None as constant):
                if not isinstance(constant, float) or math.isfinite(constant):
                    return constant
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self.value(operand, depth + 1)
                if isinstance(value, int | float):
                    return -value
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _ARITHMETIC:
                a, b = self.value(left, depth + 1), self.value(right, depth + 1)
                if isinstance(a, int | float) and isinstance(b, int | float) and b != 0:
                    return _ARITHMETIC[type(operator)](a, b)
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return [self.value(each, depth + 1) for each in elements]
            case ast.Name(id=name, lineno=line) if name in self._constants and self._is_set_once(name, line):
                return self.value(self._constants[name], depth + 1)
            case ast.Attribute(value=ast.Name(id=name), attr="value") if name in self.classes:
                raise Unknown
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in self.classes:
                return self._member(name, attribute)
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id=name), attr=attribute), attr="value"):
                return self._member(name, attribute)
            case ast.Call(func=ast.Name(id="str" | "Path") | ast.Attribute(attr="Path"), args=[argument]):
                return self.value(argument, depth + 1)
        raise Unknown

    def _is_set_once(self, name: str, line: int) -> bool:
        """Return whether nothing before this line gives a name anything but its constant."""
        begin = self._constants[name].lineno
        is_imported_over = any(begin <= each <= line for each in self._lines.get("*", ()))
        return sum(each <= line for each in self._lines[name]) == 1 and begin <= line and not is_imported_over

    def value_or_none(self, node: ast.expr | None) -> object:
        """Return the value of a node as `value` does, and None where the text does not show it."""
        try:
            return self.value(node)
        except (Unknown, ArithmeticError):
            return None

    def _member(self, name: str, attribute: str) -> object:
        """Return the value of a member of an enumeration."""
        members = self.members(name)
        if attribute not in members:
            raise Unknown
        return members[attribute]

    def members(self, name: str) -> dict[str, object]:
        """Return the members of an enumeration of this name, with their values; none where it is none."""
        cls = self.classes.get(name)
        if cls is None or not any("Enum" in ast.unparse(base) for base in cls.bases):
            return {}
        return {
            target.id: self.value_or_none(each.value)
            for each in cls.body
            if isinstance(each, ast.Assign)
            for target in each.targets
            if isinstance(target, ast.Name)
        }

    def annotation(self, node: ast.expr | None) -> Annotation:
        """Return what a type says of an option."""
        match node:
            case ast.Constant(value=str() as text):
                try:
                    return self.annotation(ast.parse(text, mode="eval").body)
                except SyntaxError:
                    return Annotation()
            case ast.Name(id=name) | ast.Attribute(attr=name):
                if members := self.members(name):
                    return Annotation(Kind.TEXT, tuple(members.values()))
                if name in self.classes:
                    return Annotation(nested=self.classes[name])
                return Annotation(_KINDS.get(name))
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                sides = [each for each in (left, right) if not (isinstance(each, ast.Constant) and each.value is None)]
                return self.annotation(sides[0]) if len(sides) == 1 else Annotation()
            case ast.Subscript(value=outer, slice=inner):
                parts = list(inner.elts) if isinstance(inner, ast.Tuple) else [inner]
                return self._generic(ast.unparse(outer).rpartition(".")[2], parts)
        return Annotation()

    def _generic(self, name: str, parts: Sequence[ast.expr]) -> Annotation:
        inner = self.annotation(parts[0]) if parts else Annotation()
        match name:
            case "Optional" | "Final" | "Positional":
                return inner
            case "Literal":
                choices = tuple(self.value_or_none(each) for each in parts)
                return Annotation(_kind_of_all(choices), choices)
            case "Annotated":
                return inner._replace(extra=tuple(parts[1:]))
            case "List" | "list" | "Sequence" | "Tuple" | "tuple":
                return inner._replace(is_list=True)
        return Annotation()


def _kind_of_all(choices: Sequence[object]) -> Kind:
    return Kind.INTEGER if all(type(each) is int for each in choices) else Kind.TEXT


def called(node: ast.expr) -> str:
    """Return the last part of the name of what is called or named: `option` of `click.option`."""
    match node:
        case ast.Call(func=function):
            return called(function)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def keywords_of(call: ast.Call) -> dict[str, ast.expr]:
    """Return the arguments of a call that are given by their names."""
    return {each.arg: each.value for each in call.keywords if each.arg}


def listed(module: Module, node: ast.expr | None) -> tuple[object, ...]:
    """Return the elements of a list, a range or the keys of a dictionary, as far as the text shows them."""
    match node:
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return tuple(module.value_or_none(each) for each in elements)
        case ast.Call(func=ast.Name(id="range"), args=args) if args:
            ends = [module.value_or_none(each) for each in args]
            whole = [each for each in ends if isinstance(each, int)]
            return tuple(range(*whole)[:100]) if len(whole) == len(ends) <= 3 else ()
        case ast.Call(args=[first], func=ast.Name(id="list" | "sorted" | "tuple")):
            return listed(module, first)
        case ast.Name(id=name) if members := module.members(name):
            return tuple(members.values())
        case ast.Name():
            value = module.value_or_none(node)
            return tuple(value) if isinstance(value, list) else ()
        case ast.Dict(keys=keys):
            return tuple(module.value_or_none(each) for each in keys)
        case ast.Call(func=ast.Attribute(value=ast.Dict() as inner, attr="keys")):
            return listed(module, inner)
    return ()


def calls_in(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls in a text, in its order."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    yield from sorted(calls, key=lambda call: (call.lineno, call.col_offset))
