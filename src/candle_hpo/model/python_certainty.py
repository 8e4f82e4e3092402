"""What of a Python script certainly runs, whatever its hyperparameters are: only for that may a script be refused.

Where anything is in doubt, nothing is certain: to miss a mistake costs a few trials that fail, to refuse a script that
works costs its user the day.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

_EXITS = {"exit", "quit", "_exit", "SystemExit"} | {"execl", "execle", "execlp", "execlpe"}
_EXITS |= {"execv", "execve", "execvp", "execvpe"}
_ONLY_READ = {"get", "items", "keys", "values", "copy"}
_ONLY_LOOK = {"print", "len", "str", "repr", "sorted", "list", "dict", "tuple"}
# What reaches variables without saying their names, or other modules' variables.
_REACHES_ALL = {
    "exec",
    "eval",
    "globals",
    "locals",
    "vars",
    "__main__",
    "modules",
    "_getframe",
    "inspect",
    "gc",
    "runpy",
}
# Of these, all parts run when they do. (`and`, `if … else`, comprehensions and chained comparisons are not among them.)
_WHOLE = (
    ast.Expr, ast.Assign, ast.AugAssign, ast.NamedExpr, ast.Call, ast.keyword, ast.Starred, ast.Attribute,
    ast.Subscript, ast.Slice, ast.BinOp, ast.UnaryOp, ast.Tuple, ast.List, ast.Set, ast.Dict, ast.JoinedStr,
    ast.FormattedValue,
)  # fmt: skip


def certain_nodes(tree: ast.Module) -> set[ast.AST]:
    """Return the nodes that run in every trial which does not fail before.

    Not those within functions, branches, loops, and `try` and `with`, which may catch what is wrong; and none from the
    first line on where the script may end by itself.
    """
    exits = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.expr) and _names(node) & _EXITS]
    last = min(exits, default=None)
    found = {node for statement in tree.body for node in _certain_in(statement)}
    return {node for node in found if last is None or getattr(node, "lineno", 0) < last}


def keeps_hyperparameters(tree: ast.Module, names: Collection[str]) -> bool:
    """Tell whether a script certainly adds nothing to its hyperparameters, the global variables of these names."""
    harmless = {node for each in ast.walk(tree) for node in _left_as_they_are(each, names)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in names and node not in harmless:
            return False
        if _names(node) & _REACHES_ALL or (isinstance(node, ast.ImportFrom) and node.names[0].name == "*"):
            return False
        if not isinstance(node, ast.Name | ast.Constant) and _names(node) & set(names):
            return False  # it makes something of this name, in one of the many ways to do so
    return True


def _left_as_they_are(node: ast.AST, names: Collection[str]) -> list[ast.AST]:
    """Return the parts of a node that are only looked at, if they are hyperparameters."""
    match node:
        case ast.Subscript(value=value, ctx=ast.Load()):
            return [value]
        case ast.Call(func=ast.Attribute(value=value, attr=attribute)) if attribute in _ONLY_READ:
            return [value]
        case ast.Call(func=ast.Name(id=name)) if name in _ONLY_LOOK:
            return list(node.args)
        case ast.Compare(ops=[ast.In() | ast.NotIn()]):
            return list(node.comparators)
        case ast.FormattedValue(value=value) | ast.keyword(arg=None, value=value):  # f"{…}", **…
            return [value]
        case ast.Dict(keys=keys, values=values):
            return [value for key, value in zip(keys, values, strict=True) if key is None]  # {**…}
        case ast.Assign(value=ast.Name(id=name), targets=targets) if name in names:
            return [node.value, *targets] if all(isinstance(each, ast.Name) for each in targets) else []
        case _:
            return []


def _certain_in(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and what is certain within it."""
    match node:
        case ast.If(test=test) if _is_main(test):
            certain: list[ast.AST] = list(node.body)
        case ast.If(test=first) | ast.For(iter=first) | ast.While(test=first) | ast.IfExp(test=first):
            certain = [first]
        case ast.BoolOp(values=[first, *_]) | ast.Compare(left=first):
            certain = [first]
        case ast.AnnAssign(value=ast.expr() as first):
            certain = [first]
        case _:
            certain = list(ast.iter_child_nodes(node)) if isinstance(node, _WHOLE) else []
    yield node
    for each in certain:
        yield from _certain_in(each)


def _is_main(test: ast.expr) -> bool:
    """Tell whether this is the test for `__name__ == "__main__"`, which is true in a trial."""
    match test:
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]):
            return True
        case _:
            return False


def _names(node: ast.AST) -> set[str]:
    """Return the names that a node itself says, such as those of variables, attributes, functions and imports."""
    if isinstance(node, ast.Constant):
        return set()
    said: list[object] = [value for _, value in ast.iter_fields(node)]
    if isinstance(node, ast.Import | ast.ImportFrom):
        said += [name for alias in node.names for name in (alias.name, alias.asname)]
    return {part for name in said if isinstance(name, str) for part in name.split(".")}
