"""A Python model script, read without running it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from candle_hpo.model.python_certainty import certain_nodes, keeps_hyperparameters

_CATCH_MISSING = {"KeyError", "LookupError", "Exception", "BaseException"}
_CATCH_IMPORT = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
_GIVES_DEFAULT = {"get", "pop", "setdefault"}


@dataclass
class Need:
    """A script needs a name from this line on. `optional`: it can do without; `certain`: or else every trial fails."""

    line: int
    optional: bool
    certain: bool = False


@dataclass
class PythonReading:
    """What a script needs, by names, and the rest of what its text tells."""

    reads: dict[str, Need] = field(default_factory=dict)
    hands_on: bool = False
    modules: dict[str, Need] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)
    leaves_value: bool | None = False
    local_value: int = 0


def read_python(text: str, hyperparameters: Sequence[str], values: Sequence[str]) -> PythonReading:
    """Return what a script's text tells; `hyperparameters` and `values` are the names of those global variables.

    Raises `SyntaxError` and `ValueError` for a text that this Python cannot parse.
    """
    tree = ast.parse(text)
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    is_compliant = functions >= {"initialize_parameters", "run"}  # it gets them as an argument, and returns
    names = _with_aliases(tree, set(hyperparameters))
    is_certain = not is_compliant and keeps_hyperparameters(tree, names)
    reader = _Reader(names, set(values), certain_nodes(tree) if is_certain else set())
    reader.visit(tree)
    reading = reader.reading
    if is_compliant:
        reading.hands_on, reading.leaves_value = True, None
    if not reading.leaves_value and any(f'"{name}"' in text or f"'{name}'" in text for name in values):
        reading.leaves_value = None  # by globals(), or as a key of what it leaves
    return reading


def _with_aliases(tree: ast.Module, names: set[str]) -> set[str]:
    """Return the names with those that are assigned from them, such as `hp = hyperparams`."""
    while True:
        more = {
            target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in names
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        if more <= names:
            return names
        names = names | more


class _Reader(ast.NodeVisitor):
    def __init__(self, hyperparameters: set[str], values: set[str], certain: set[ast.AST]) -> None:
        self.reading = PythonReading()
        self._certain = certain
        self._aliases, self._values = hyperparameters, values
        self._written: set[str] = set()
        self._functions: list[set[str]] = []  # the names that each function around declares global
        self._guards: list[set[str]] = []  # the exceptions that each `try` around catches

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Read a function: its variables are its own, but for those that it declares global."""
        declared = {name for each in ast.walk(node) if isinstance(each, ast.Global) for name in each.names}
        self._functions.append(declared)
        self.generic_visit(node)
        self._functions.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Try(self, node: ast.Try) -> None:
        """Read a `try`: what is missing within it may be caught."""
        caught: set[str] = set()
        for handler in node.handlers:
            names = [each.id for each in ast.walk(handler.type) if isinstance(each, ast.Name)] if handler.type else []
            caught.update(names or ["BaseException"])
        self._guards.append(caught)
        for each in node.body:
            self.visit(each)
        self._guards.pop()
        for handler in node.handlers:
            self.visit(handler)
        for each in [*node.orelse, *node.finalbody]:
            self.visit(each)

    visit_TryStar = visit_Try  # noqa: N815

    def visit_If(self, node: ast.If) -> None:
        """Read an `if`, but not what is for type checkers alone."""
        if "TYPE_CHECKING" not in ast.dump(node.test):
            self.generic_visit(node)
            return
        for each in node.orelse:
            self.visit(each)

    def visit_Import(self, node: ast.Import) -> None:
        """Note modules that are imported."""
        for alias in node.names:
            self._import(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Note a module that is imported from; `from x import *` may leave anything."""
        if node.level == 0 and node.module:
            self._import(node.module, node.lineno)
        if any(alias.name == "*" for alias in node.names) and not self.reading.leaves_value:
            self.reading.leaves_value = None

    def _import(self, name: str, line: int) -> None:
        optional = bool(self._functions) or any(guard & _CATCH_IMPORT for guard in self._guards)
        _keep(self.reading.modules, name.partition(".")[0], Need(line, optional))

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Note `hyperparams["name"]`."""
        if self._is_hyperparameters(node.value):
            name = _text(node.slice)
            if name is None:
                self.reading.hands_on = True
            elif isinstance(node.ctx, ast.Store):
                self._written.add(name)
            elif name not in self._written:
                optional = any(guard & _CATCH_MISSING for guard in self._guards)
                _keep(self.reading.reads, name, Need(node.lineno, optional, node in self._certain))
            self.visit(node.slice)
        else:
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Note `hyperparams.get("name")`, and the options of a parser of arguments."""
        function = node.func
        first = _text(node.args[0]) if node.args else None
        if isinstance(function, ast.Attribute) and self._is_hyperparameters(function.value):
            if function.attr in _GIVES_DEFAULT and first is not None:
                optional = function.attr != "pop" or len(node.args) > 1
                _keep(self.reading.reads, first, Need(node.lineno, optional))
            else:
                self.reading.hands_on = True
            for each in [*node.args, *node.keywords]:
                self.visit(each)
            return
        if isinstance(function, ast.Attribute) and function.attr == "add_argument":
            options = [_text(each) for each in node.args]
            self.reading.options += [option for option in options if option and option.startswith("-")]
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """Note `"name" in hyperparams`: the script can do without it."""
        name = _text(node.left)
        asks = [isinstance(operator, ast.In | ast.NotIn) for operator in node.ops]
        if name is not None and asks == [True] and self._is_hyperparameters(node.comparators[0]):
            _keep(self.reading.reads, name, Need(node.lineno, optional=True))
            return
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        """Pass over other names of the hyperparameters, which are known already."""
        if not (self._is_hyperparameters(node.value) and all(isinstance(each, ast.Name) for each in node.targets)):
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        """Note the value that is left; and hyperparameters as a whole, wherever they go."""
        if isinstance(node.ctx, ast.Store):
            if node.id in self._values:
                self._leave(node)
            elif node.id == "history" and not self.reading.leaves_value:
                self.reading.leaves_value = None  # perhaps that of Keras
        elif node.id in self._aliases:
            self.reading.hands_on = True

    def _leave(self, node: ast.Name) -> None:
        if not self._functions or any(node.id in declared for declared in self._functions):
            self.reading.leaves_value = True
        elif not self.reading.local_value:
            self.reading.local_value = node.lineno

    def _is_hyperparameters(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self._aliases


def _keep(found: dict[str, Need], name: str, need: Need) -> None:
    """Keep the first line that needs a name; where the script can do without it once, it may see to it everywhere."""
    known = found.setdefault(name, need)
    known.optional = known.optional or need.optional
    known.certain = known.certain or need.certain


def _text(node: ast.expr | ast.slice) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
