"""What a Python script imports, whether it can do without that, and which folders it adds to `sys.path`."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath

import msgspec

from candle_hpo.script.words import AddedFolder, Mention

_CATCH_IMPORT = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


class Imports(msgspec.Struct, frozen=True):
    """The modules; sets of those of which one is enough; the first relative import; folders that are added."""

    modules: tuple[Mention, ...]
    alternatives: tuple[frozenset[str], ...]
    relative: Mention | None
    folders: tuple[AddedFolder, ...]


def read_imports(tree: ast.Module, file: str) -> Imports:
    """Return what a script imports that is at this path."""
    reader = _Reader()
    reader.visit(tree)
    folders = sorted(_folders(tree, file), key=lambda each: each.line)
    return Imports(tuple(reader.modules.values()), tuple(reader.alternatives), reader.relative, tuple(folders))


class _Reader(ast.NodeVisitor):
    """Reads imports; `depth` counts the branches and functions around, which perhaps nobody comes to."""

    def __init__(self) -> None:
        self.modules: dict[str, Mention] = {}
        self.alternatives: list[frozenset[str]] = []
        self.relative: Mention | None = None
        self._depth = 0

    def visit_FunctionDef(self, node: ast.AST) -> None:
        """Read what may never run."""
        self._depth += 1
        self.generic_visit(node)
        self._depth -= 1

    visit_AsyncFunctionDef = visit_Lambda = visit_match_case = visit_ExceptHandler = visit_FunctionDef  # noqa: N815

    def visit_Try(self, node: ast.Try) -> None:
        """Read a `try`: what is missing within it may be caught, and something else be imported in its place."""
        caught: set[str] = set()
        for handler in node.handlers:
            names = (
                {each.id for each in ast.walk(handler.type) if isinstance(each, ast.Name)} if handler.type else set()
            )
            caught |= names or {"BaseException"}
        may_fail = bool(caught & _CATCH_IMPORT)
        self._either(node.body, [*node.handlers, *node.orelse], is_open=may_fail)
        for each in node.finalbody:
            self.visit(each)

    visit_TryStar = visit_Try  # noqa: N815

    def visit_With(self, node: ast.With) -> None:
        """Read a `with`, and `with suppress(ImportError)`, which catches what is missing."""
        suppresses = "suppress(" in ast.unparse(node.items[0].context_expr)
        self._either(node.body, [], is_open=suppresses)

    def visit_If(self, node: ast.If) -> None:
        """Read an `if`, but not what is for type checkers alone; the block of the main script is run."""
        test = ast.unparse(node.test)
        body = [] if "TYPE_CHECKING" in test else node.body
        self._either(body, node.orelse, is_open="__main__" not in test)

    def _either(self, one: Sequence[ast.AST], other: Sequence[ast.AST], *, is_open: bool) -> None:
        """Read two blocks, of which each may run or not where that `is_open`, and the other one with it."""
        found = []
        for block in (one, other):
            before, self.modules = self.modules, {}
            self._depth += is_open
            for each in block:
                self.visit(each)
            self._depth -= is_open
            found.append(frozenset(self.modules))
            inner, self.modules = self.modules, before
            for mention in inner.values():
                self._keep(mention)
        if is_open and all(found):
            self.alternatives.append(found[0] | found[1])

    def visit_Import(self, node: ast.Import) -> None:
        """Note modules that are imported."""
        for alias in node.names:
            self._keep(Mention(alias.name.partition(".")[0], node.lineno, self._depth > 0))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Note a module that is imported from: one beside the script, where the script is a part of a package."""
        if node.level == 0 and node.module:
            self._keep(Mention(node.module.partition(".")[0], node.lineno, self._depth > 0))
        elif self.relative is None or (self.relative.optional and not self._depth):
            self.relative = Mention("." * node.level + (node.module or ""), node.lineno, self._depth > 0)

    def _keep(self, mention: Mention) -> None:
        """Keep the first line that imports a module; one that must be there once must be there."""
        known = self.modules.setdefault(mention.name, mention)
        self.modules[mention.name] = Mention(known.name, known.line, known.optional and mention.optional)


def _folders(tree: ast.Module, file: str) -> Iterator[AddedFolder]:
    """Yield the folders that a script adds to `sys.path`; "" for one that its text does not show."""
    assigned: dict[str, ast.expr | None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            assigned[name] = None if name in assigned else node.value
    known = {name: node for name, node in assigned.items() if node is not None}
    for node in ast.walk(tree):
        added: list[ast.expr] = []
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr="append" | "insert"), args=[*_, last]):
                added = [last] if _is_path(value) else []
            case ast.Call(func=ast.Attribute(value=value, attr="extend"), args=[ast.List(elts=items)]):
                added = items if _is_path(value) else []
            case ast.Call(func=ast.Attribute(attr="addsitedir") | ast.Name(id="addsitedir"), args=[first, *_]):
                added = [first]
            case ast.Assign(targets=[ast.Subscript(value=target) | target], value=value) if _is_path(target):
                added = [item for each in ast.walk(value) if isinstance(each, ast.List) for item in each.elts] or [
                    value
                ]
            case ast.AugAssign(target=target, value=value) if _is_path(target):
                added = value.elts if isinstance(value, ast.List) else [value]
        for each in added:
            yield AddedFolder(each.lineno, _value(each, {**known, "__file__": ast.Constant(file)}))


def _is_path(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path"


_FUNCTIONS: Mapping[str, Callable[..., str]] = {
    "dirname": os.path.dirname, "join": os.path.join, "joinpath": os.path.join, "expanduser": os.path.expanduser,
    "abspath": os.path.normpath, "normpath": os.path.normpath, "realpath": os.path.normpath,
    **dict.fromkeys(("str", "Path", "PurePath", "fspath", "resolve", "absolute", "as_posix"), str),
}  # fmt: skip


def _value(node: ast.expr, known: Mapping[str, ast.expr]) -> str:
    """Return the path that an expression makes of the script's own, or of text; "" where its text does not show it."""
    try:
        return _path(node, known)
    except (ValueError, IndexError, TypeError, RecursionError):
        return ""


def _path(node: ast.expr, known: Mapping[str, ast.expr]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if name in known:
            return _path(known[name], known)
        case ast.Attribute(attr="pardir"):
            return os.pardir
        case ast.Attribute(value=of, attr="parent"):
            return str(PurePath(_path(of, known)).parent)
        case ast.Subscript(value=ast.Attribute(value=of, attr="parents"), slice=ast.Constant(value=int(number))):
            return str(PurePath(_path(of, known)).parents[number])
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return str(PurePath(_path(left, known)) / _path(right, known))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _path(left, known) + _path(right, known)
        case ast.JoinedStr(values=parts):
            return "".join(_path(part.value if isinstance(part, ast.FormattedValue) else part, known) for part in parts)
        case ast.Call(func=ast.Name(id=function), args=[_, *_]) if function in _FUNCTIONS:
            return _FUNCTIONS[function](*(_path(each, known) for each in node.args))
        case ast.Call(func=ast.Attribute(value=of, attr=function)) if function in _FUNCTIONS:
            is_module = ast.unparse(of) in ("os", "os.path", "pathlib", "path", "osp")
            operands = node.args if is_module else [of, *node.args]
            return _FUNCTIONS[function](*(_path(each, known) for each in operands))
    raise ValueError(ast.unparse(node))
