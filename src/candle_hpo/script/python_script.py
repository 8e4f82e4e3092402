"""A Python model script, read without running it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from candle_hpo.script.python_imports import Imports, read_imports
from candle_hpo.script.python_names import names_and_copies
from candle_hpo.script.words import (
    HYPERPARAMETER_NAMES,
    VALUE_NAMES,
    BooleanOption,
    Mention,
    ScriptReading,
    ValueSet,
    value_left,
)

_CATCH_MISSING = {"KeyError", "LookupError", "AttributeError", "Exception", "BaseException"}
_GIVES_DEFAULT = {"get", "pop", "setdefault"}
_BOOLEANS = {
    "action=BooleanOptionalAction": "BooleanOptionalAction",
    "action='store_false'": "store_false",
    "type=bool": "bool",
}
_OF_A_DICTIONARY = {*_GIVES_DEFAULT, "clear", "copy", "fromkeys", "items", "keys", "popitem", "update", "values"}


def read_python(text: str, file: str) -> ScriptReading:
    """Return what a script's text says that is in this file.

    Raises `SyntaxError` and `ValueError` for a text that this Python cannot parse.
    """
    tree = ast.parse(text)
    reader = _Reader(*names_and_copies(tree, set(HYPERPARAMETER_NAMES)))
    reader.visit(tree)
    if has_functions_of_candle(tree):  # it gets them as an argument, and returns the value
        reader.hands_on = reader.hides_value = True
    if any(f'"{name}"' in text or f"'{name}'" in text for name in (*VALUE_NAMES, "CANDLE_RESULT_FILE")):
        reader.hides_value = True  # by globals(), as a key of what it leaves, or in the file itself
    reader.hands_on |= "CANDLE_PARAMS_FILE" in text  # all of them are in that file
    return reader.finish(read_imports(tree, file))


def has_functions_of_candle(tree: ast.Module) -> bool:
    """Return whether a script has the two functions by which CANDLE, and `python_host.py`, run it."""
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return functions >= {"initialize_parameters", "run"}


@dataclass
class _Scope:
    """A function or class around: what it declares global, and its parameters."""

    declared: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)


class _Reader(ast.NodeVisitor):
    """Reads the nodes of a script.

    `hides_value`: the script may set the value in a way that is not seen here.
    """

    def __init__(self, hyperparameters: set[str], copies: dict[str, bool]) -> None:
        self.hands_on = self.hides_value = self._fills_in = self._has_history = False
        self._reads: dict[str, Mention] = {}
        self._options: list[str] = []
        self._booleans: list[BooleanOption] = []
        self._values: list[ValueSet] = []
        self._aliases, self._copies = hyperparameters, copies
        self._written: set[str] = set()  # hyperparameters, by the script itself: it can do without them from there on
        self._read_in_functions: set[str] = set()
        self._scopes: list[_Scope] = []
        self._guards: list[set[str]] = []  # the exceptions that each `try` around catches
        self._constant = False  # the assignment around is of a constant

    def finish(self, imports: Imports) -> ScriptReading:
        """Return what was read; what a function reads may have been written by the time that it is called."""
        for name in self._written & self._read_in_functions:
            _keep(self._reads, Mention(name, 0, optional=True))
        leaves_value, placeholder, lost = value_left(self._values, is_hidden=self.hides_value)
        return ScriptReading(
            reads=tuple(self._reads.values()),
            hands_on=self.hands_on,
            fills_in=self._fills_in,
            modules=imports.modules,
            alternatives=imports.alternatives,
            relative_import=imports.relative,
            folders=imports.folders,
            options=tuple(self._options),
            booleans=tuple(self._booleans),
            leaves_value=None if self._has_history and not leaves_value else leaves_value,
            placeholder=placeholder,
            lost_value=lost,
        )

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        """Read a function: its variables are its own, but for those that it declares global."""
        declared = {name for each in ast.walk(node) if isinstance(each, ast.Global) for name in each.names}
        parameters = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
        self._within(_Scope(declared, parameters), node)

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Read a class, whose variables are its own too."""
        self._within(_Scope(), node)

    def _within(self, scope: _Scope, node: ast.AST) -> None:
        self._scopes.append(scope)
        self.generic_visit(node)
        self._scopes.pop()

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
        for other in [*node.handlers, *node.orelse, *node.finalbody]:
            self.visit(other)

    visit_TryStar = visit_Try  # noqa: N815

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Note that `from x import *` may leave anything."""
        names = {alias.asname or alias.name for alias in node.names}
        self.hides_value |= bool(names & {"*", *VALUE_NAMES})
        self._fills_in |= bool(names & {"*", *self._aliases})

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Note `hyperparams["name"]`."""
        name = _text(node.slice)
        if not self._holds_hyperparameters(node.value):
            self.generic_visit(node)
            return
        if not isinstance(node.ctx, ast.Load):
            if name is None:
                self._fills_in = True
            else:
                self._written.add(name)
        elif name is None:
            self.hands_on = True
        else:
            self._read(name, node.value, node)
        self.visit(node.slice)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Note `arguments.name`, of `arguments = Namespace(**hyperparams)`, and what is set in another module."""
        if isinstance(node.value, ast.Name) and node.value.id in self._copies and isinstance(node.ctx, ast.Load):
            if node.attr not in _OF_A_DICTIONARY:
                self._read(node.attr, node.value, node)
            return
        if not isinstance(node.ctx, ast.Load):  # of `__main__`, perhaps
            self.hides_value |= node.attr in VALUE_NAMES
            self._fills_in |= node.attr in self._aliases
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Note `hyperparams.get("name")`, what fills hyperparameters in, and the options of a parser of arguments."""
        function = node.func
        first = _text(node.args[0]) if node.args else None
        if isinstance(function, ast.Name) and function.id == "getattr" and len(node.args) > 1:
            name = _text(node.args[1])
            if name is not None and self._holds_hyperparameters(node.args[0]):
                self._read(name, node.args[0], node, optional=len(node.args) > 2)
                return
        if not isinstance(function, ast.Attribute) or not self._holds_hyperparameters(function.value):
            if isinstance(function, ast.Attribute) and function.attr == "add_argument":
                options = [_text(each) for each in node.args]
                found = [option for option in options if option and option.startswith("-")]
                self._options += found
                kinds = {f"{each.arg}={ast.unparse(each.value).rpartition('.')[2]}" for each in node.keywords}
                for kind in kinds & _BOOLEANS.keys():
                    self._booleans += [BooleanOption(option, _BOOLEANS[kind], node.lineno) for option in found]
            self.generic_visit(node)
            return
        if function.attr in _GIVES_DEFAULT and first is not None:
            optional = function.attr != "pop" or len(node.args) > 1
            self._read(first, function.value, node, optional=optional)
        elif function.attr == "update":
            self._fill_in(*node.args, *(each.value for each in node.keywords if each.arg is None))
            self._written.update(each.arg for each in node.keywords if each.arg)
        else:
            self._fills_in |= function.attr == "setdefault"
            self.hands_on = True
        for each in [*node.args, *node.keywords]:
            self.visit(each)

    def visit_Compare(self, node: ast.Compare) -> None:
        """Note `"name" in hyperparams`: the script can do without it."""
        name = _text(node.left)
        asks = [isinstance(operator, ast.In | ast.NotIn) for operator in node.ops]
        if name is not None and asks == [True] and self._holds_hyperparameters(node.comparators[0]):
            self._read(name, node.comparators[0], node, optional=True)
            return
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> None:
        """Read an assignment, its value first; other names of the hyperparameters are known already."""
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if node.value is None:
            return
        are_names = all(isinstance(each, ast.Name) for each in targets)
        if not (are_names and isinstance(node.value, ast.Name) and self._holds_hyperparameters(node.value)):
            self.visit(node.value)
            if any(isinstance(each, ast.Name) and each.id in self._aliases for each in targets):
                self._fill_in(node.value)
        self._constant = are_names and not isinstance(node, ast.AugAssign) and _is_constant(node.value)
        for each in targets:
            self.visit(each)
        self._constant = False

    visit_AnnAssign = visit_AugAssign = visit_Assign  # noqa: N815

    def visit_Name(self, node: ast.Name) -> None:
        """Note the value that is left; and hyperparameters as a whole, wherever they go."""
        if isinstance(node.ctx, ast.Load):
            self.hands_on |= node.id in self._aliases
        elif node.id in VALUE_NAMES:
            is_lost = bool(self._scopes) and not any(node.id in scope.declared for scope in self._scopes)
            self._values.append(ValueSet(node.lineno, self._constant, is_lost))
        elif node.id == "history":
            self._has_history = True  # perhaps that of Keras

    def _read(self, name: str, source: ast.expr, node: ast.expr, *, optional: bool = False) -> None:
        """Note that a name is read of the hyperparameters, of a copy of them, or of a parameter that is called so."""
        where = source.id if isinstance(source, ast.Name) else ""
        is_parameter = any(where in scope.parameters for scope in self._scopes)
        may_hold_more = self._copies.get(where, False) or is_parameter
        is_caught = any(guard & _CATCH_MISSING for guard in self._guards)
        optional = optional or may_hold_more or is_caught or name in self._written
        if name not in self._reads or name not in self._written:
            _keep(self._reads, Mention(name, node.lineno, optional))
        if self._scopes:
            self._read_in_functions.add(name)

    def _fill_in(self, *sources: ast.expr) -> None:
        """Note what is added to the hyperparameters: names that are said, or others."""
        for source in sources:
            if isinstance(source, ast.Dict):
                keys = [_text(key) if key is not None else None for key in source.keys]
                self._written.update(key for key in keys if key is not None)
                unknown = [value for key, value in zip(keys, source.values, strict=True) if key is None]
                self._fills_in |= not all(map(self._holds_hyperparameters, unknown))
            elif not self._holds_hyperparameters(source) and not ast.unparse(source).startswith("globals().get("):
                self._fills_in = True

    def _holds_hyperparameters(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and (node.id in self._aliases or node.id in self._copies)


def _keep(found: dict[str, Mention], mention: Mention) -> None:
    """Keep the first line that needs a name; where the script can do without it once, it may see to it everywhere."""
    known = found.setdefault(mention.name, mention)
    found[mention.name] = Mention(known.name, known.line, known.optional or mention.optional)


def _is_constant(node: ast.expr) -> bool:
    """Return whether an expression is a number or the like, whatever the hyperparameters are."""
    match node:
        case ast.Constant() | ast.Attribute(attr="inf" | "nan"):
            return True
        case ast.UnaryOp(operand=operand):
            return _is_constant(operand)
        case ast.Call(func=ast.Name(id="float"), args=[only]):
            return _is_constant(only)
        case _:
            return False


def _text(node: ast.expr | ast.slice) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
