"""Where the values stand in the text of a Python script: in constants, dictionaries, and what calls are given by name.

`RATE = 0.1` is called `RATE`, of `params = {"eta": 0.1}` or `params = dict(eta=0.1)` it is `params.eta`, of
`Ridge(alpha=1.0)` `Ridge.alpha`, of `def train(lr=0.1)` `train.lr`, and of a field of a class, `Config.width`. What a
name is given a second time is a second place of that name: which of the two counts, the text does not say.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple


class PythonPlace(NamedTuple):
    """An expression that gives a name its value, from `start` to `end` in the text.

    `is_literal` is whether the text shows the value; `is_given`, whether it is an argument of a call.
    """

    name: str
    start: int
    end: int
    value: object
    is_literal: bool
    is_given: bool


def python_places(text: str) -> list[PythonPlace]:
    """Return the places of literals, and all places of a name that has several. Raises `SyntaxError`."""
    tree = ast.parse(text)
    lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text)
    begins = [*accumulate(map(len, lines), initial=0)]

    def offset(line: int, column: int) -> int:  # in characters; a column counts bytes
        return begins[line - 1] + len(lines[line - 1].encode()[:column].decode())

    found = []
    for name, node, is_given in _named(tree, ""):
        if node.end_lineno is not None and node.end_col_offset is not None:
            start, end = offset(node.lineno, node.col_offset), offset(node.end_lineno, node.end_col_offset)
            found.append(PythonPlace(name, start, end, *_shown(node), is_given))
    times = Counter(each.name for each in found)
    return [each for each in found if each.is_literal or times[each.name] > 1]


def _named(node: ast.AST, above: str) -> Iterator[tuple[str, ast.expr, bool]]:
    """Yield what is given a name below a node; in a class, its name comes before."""
    for each in ast.iter_child_nodes(node):
        match each:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from _assigned(target, value, above)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield from _assigned(target, value, above)
            case ast.AugAssign(target=target, value=value):
                yield from ((name, value, False) for name in [_path(target)] if name)
            case ast.For(target=target, iter=value):
                yield from _assigned(target, value, above)
            case ast.FunctionDef(name=function, args=its):
                function = above.rstrip(".") if function == "__init__" and above else function
                places = [*its.posonlyargs, *its.args]
                given = zip(places[len(places) - len(its.defaults) :], its.defaults, strict=True)
                named = [
                    (arg, default) for arg, default in zip(its.kwonlyargs, its.kw_defaults, strict=True) if default
                ]
                yield from ((f"{function}.{arg.arg}", default, True) for arg, default in [*given, *named])
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="update"), keywords=keywords):
                yield from ((f"{name}.{key.arg}", key.value, False) for key in keywords if key.arg)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), keywords=keywords) if name != "dict":
                yield from ((f"{name}.{key.arg}", key.value, True) for key in keywords if key.arg)
        yield from _named(each, f"{each.name}." if isinstance(each, ast.ClassDef) else "")


def _assigned(target: ast.expr, value: ast.expr, above: str) -> Iterator[tuple[str, ast.expr, bool]]:
    if isinstance(target, ast.Tuple):
        values = value.elts if isinstance(value, ast.Tuple) else [value] * len(target.elts)
        for inner, its in zip(target.elts, values, strict=False):
            yield from _assigned(inner, its, above)
    name = _path(target)
    if not name:
        return
    yield f"{above}{name}", value, False
    yield from _entries(value, f"{above}{name}")


def _entries(value: ast.expr, above: str) -> Iterator[tuple[str, ast.expr, bool]]:
    """Yield what a dictionary holds by constant names, and those within it."""
    match value:
        case ast.Dict(keys=keys, values=values):
            pairs = [
                (key.value, each)
                for key, each in zip(keys, values, strict=True)
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            ]
        case ast.Call(func=ast.Name(id="dict"), keywords=keywords):
            pairs = [(each.arg, each.value) for each in keywords if each.arg]
        case _:
            return
    for key, each in pairs:
        yield f"{above}.{key}", each, False
        yield from _entries(each, f"{above}.{key}")


def _path(target: ast.expr) -> str:
    """Return the dotted name of what is assigned to, or called: `params.eta` for `params["eta"]`; "" for others."""
    match target:
        case ast.Name(id=name):
            return name
        case ast.Subscript(value=inner, slice=ast.Constant(value=str() as key)) | ast.Attribute(value=inner, attr=key):
            above = _path(inner)
            return f"{above}.{key}" if above else ""
    return ""


def _shown(node: ast.expr) -> tuple[object, bool]:
    """Return the value of an expression, and whether the text shows it."""
    try:
        return ast.literal_eval(node), True
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None, False
