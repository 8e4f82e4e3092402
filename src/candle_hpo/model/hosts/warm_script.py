"""What a script imports that can be imported before it: that which no trial could tell from its own import.

Read by `python_warm_host.py`, in the user's interpreter. The script is read, never run. An import is one of these where

- it stands at the top of the script, is unconditional, and nothing before it may change what it does;
- the module is an installed one, not a file that its user may edit between two trials.
"""

from __future__ import annotations

import _ast
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

INSTALLED = {"site-packages", "dist-packages"}
STANDARD = os.path.dirname(os.path.realpath(os.__file__)) + os.sep

# Calls that change nothing which an import could see.
HARMLESS_CALLS = {
    *("abs", "bool", "dict", "float", "frozenset", "globals", "int", "isinstance", "len", "list", "locals", "max"),
    *("min", "print", "range", "round", "set", "sorted", "str", "sum", "tuple", "zip"),
}
HARMLESS_METHODS = {
    *("format", "get", "getenv", "join", "split", "time", "perf_counter", "monotonic", "process_time", "now"),
}

# What is known to be found out only after a long import.
LEFT_BY_NAME = {"tensorflow": "its import starts a thread"}


def wanted_by_script(
    script: str, left: dict[str, bool], named: list[str], reasons: dict[str, str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the imports that can be done before the script, with the names that each takes from its module.

    Those at its top that cannot are put among the reasons. A script that cannot be read or parsed has none: its
    trials tell why.
    """
    try:
        with open(script, "rb") as file:
            tree: Any = compile(file.read(), script, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return
    obstacle = ""
    for node in tree.body:
        if not isinstance(node, (_ast.Import, _ast.ImportFrom)):
            obstacle = obstacle or obstacle_in(node)
            continue
        for name, members in modules_of(node):
            if obstacle:
                if not is_standard(name):  # those are imported in no time
                    reasons.setdefault(name, obstacle)
            elif name in left:
                obstacle = f"it comes after {name}, which is left to the trials" if left[name] else ""
            elif name.split(".")[0] in LEFT_BY_NAME:
                reasons[name] = LEFT_BY_NAME[name.split(".")[0]]
                obstacle = f"it comes after {name}"
            elif name not in named and not is_installed(name):
                is_there = is_installed(name) is not None
                reasons[name] = "it is not installed, but a file that may be edited" if is_there else "it is not found"
                obstacle = f"it comes after {name}, which may change what it does"
            else:
                yield name, members


def modules_of(node: Any) -> list[tuple[str, tuple[str, ...]]]:
    """Return the modules that an import statement names, with what it takes of each."""
    if isinstance(node, _ast.Import):
        return [(alias.name, ()) for alias in node.names]
    if node.level or node.module == "__future__":
        return []
    return [(node.module, tuple(alias.name for alias in node.names))]


def obstacle_in(node: Any) -> str:
    """Return why imports after a statement cannot be done before it; "" where it cannot change what they do."""
    if isinstance(node, (_ast.FunctionDef, _ast.AsyncFunctionDef)):
        inner: list[Any] = [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
    elif isinstance(node, _ast.Lambda):
        inner = []
    else:
        if isinstance(node, _ast.AugAssign) and type(node.value).__name__ not in ("Constant", "Num", "Str"):
            return f"it comes after line {node.lineno}, which may change what it does"  # `environ |= {...}`
        if isinstance(node, _ast.Call) and (not is_harmless(node.func) or is_given_a_function(node)):
            return f"it comes after line {node.lineno}, which may change what it does"
        if isinstance(node, (_ast.Attribute, _ast.Subscript)) and not isinstance(node.ctx, _ast.Load):
            return f"it comes after line {node.lineno}, which may change what it does"
        if isinstance(node, (_ast.Import, _ast.ImportFrom)):
            own = [name for name, _ in modules_of(node) if is_installed(name) is False]
            return f"it comes after {own[0]}, which may change what it does" if own else ""
        inner = []
        for field in node._fields:
            value = getattr(node, field, None)
            inner += value if isinstance(value, list) else [value]
    for child in inner:
        if isinstance(child, _ast.AST):
            obstacle = obstacle_in(child)
            if obstacle:
                return obstacle
    return ""


def is_given_a_function(call: Any) -> bool:
    """Tell whether a call is given a function that is written there, which it may call."""
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(isinstance(each, _ast.Lambda) for each in given)


def is_harmless(function: Any) -> bool:
    """Tell whether a call of this function cannot change what an import does."""
    if isinstance(function, _ast.Name):
        return function.id in HARMLESS_CALLS
    return isinstance(function, _ast.Attribute) and function.attr in HARMLESS_METHODS


def is_installed(name: str) -> bool | None:
    """Tell whether a module lies where installed ones do, without importing it; None where there is no such module."""
    places = places_of(name)
    return None if places is None else all(map(is_place_of_installed, places))


def is_standard(name: str) -> bool:
    """Tell whether a module is of Python's own library."""
    places = places_of(name)
    return places is not None and all(
        os.path.realpath(place).startswith(STANDARD) and INSTALLED.isdisjoint(place.split(os.sep)) for place in places
    )


def places_of(name: str) -> list[str] | None:
    """Return where the package of a module lies, nowhere for one that is built in; None where there is no such."""
    top = name.split(".")[0]
    if top in sys.builtin_module_names:
        return []
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        try:
            spec = find(top, None) if find else None
        except Exception:
            return None
        if spec is not None:
            return [spec.origin] if spec.has_location else list(spec.submodule_search_locations or ())
    return None


def is_place_of_installed(path: str) -> bool:
    """Tell whether a file lies in the standard library or in a folder of installed packages."""
    return os.path.realpath(path).startswith(STANDARD) or not INSTALLED.isdisjoint(path.split(os.sep))
