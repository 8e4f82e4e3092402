"""What of a Python script certainly runs, whatever its hyperparameters are: only for that may a script be refused."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

_EXITS = {"exit", "quit", "_exit", "SystemExit", "execl", "execle", "execlp", "execv", "execve", "execvp", "execvpe"}
_ONLY_READ = {"get", "items", "keys", "values", "copy"}
_ONLY_LOOK = {"print", "len", "str", "repr", "sorted", "list", "dict", "tuple"}
_ALL_NAMES = {"exec", "eval", "globals", "locals", "vars"}  # what reaches names without saying them
# Where one of these is seen, modules may be found that are not there before the script runs.
_FINDS_MORE = {"importlib", "subprocess", "site", "pip", "runpy"}
_FINDS_MORE_IN = {("sys", "path"), ("sys", "meta_path"), ("sys", "path_hooks"), ("sys", "modules"), ("os", "system")}


def certain_nodes(tree: ast.Module) -> set[ast.AST]:
    """Return the nodes that run in every trial which does not fail before, or ends with an error if they do.

    Not those within functions, branches, loops, and `try` and `with`, which may catch what is wrong; and none after the
    first line where the script may end by itself.
    """
    exits = [
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute) and _name(node) in _EXITS
    ]
    last = min(exits, default=None)
    found = {node for statement in tree.body for node in _certain_in(statement)}
    return {node for node in found if last is None or getattr(node, "lineno", 0) <= last}


def keeps_hyperparameters(tree: ast.Module, aliases: Collection[str]) -> bool:
    """Tell whether a script certainly adds nothing to its hyperparameters, the global variables of these names."""
    harmless: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=value, ctx=ast.Load()):
                harmless.add(value)
            case ast.Call(func=ast.Attribute(value=value, attr=attribute)) if attribute in _ONLY_READ:
                harmless.add(value)
            case ast.Call(func=ast.Name(id=name)) if name in _ONLY_LOOK:
                harmless.update(node.args)
            case ast.Compare():
                harmless.update(node.comparators)
            case ast.FormattedValue(value=value) | ast.keyword(arg=None, value=value):
                harmless.add(value)
            case ast.Assign(value=ast.Name(id=name), targets=targets) if name in aliases:
                harmless.update([node.value, *targets])  # another name for the same
            case ast.Dict():  # {**hyperparams}
                harmless.update(node.values)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return (
        all(node in harmless for node in names if node.id in aliases) and not {each.id for each in names} & _ALL_NAMES
    )


def keeps_search_path(tree: ast.Module) -> bool:
    """Tell whether a script certainly leaves alone where modules are looked for, and what is installed."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name) if (module, name) in _FINDS_MORE_IN:
                return False
            case ast.ImportFrom(module="sys" | "os") | ast.Name(id="exec" | "eval" | "__import__"):
                return False
            case ast.Import(names=aliases) if any(alias.name.partition(".")[0] in _FINDS_MORE for alias in aliases):
                return False
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in _FINDS_MORE:
                return False
    return True


def _certain_in(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and what is certain within it."""
    match node:
        case ast.Try() | ast.With() | ast.AsyncWith() | ast.Match() | ast.Assert():
            return
        case ast.If(test=test) if _is_main(test):
            certain: list[ast.AST] = list(node.body)
        case ast.For(iter=first) | ast.AsyncFor(iter=first) | ast.If(test=first) | ast.IfExp(test=first):
            certain = [first]
        case ast.While(test=first) | ast.Compare(left=first):
            certain = [first]
        case ast.BoolOp(values=values):
            certain = [values[0]]
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            certain = []
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
            return
        case _:
            certain = list(ast.iter_child_nodes(node))
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


def _name(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr
