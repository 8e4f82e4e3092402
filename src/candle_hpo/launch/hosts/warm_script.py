"""What a script imports that can be imported before it: that which no trial could distinguish from its own import.

Read by `python_warm_host.py`, in the user's interpreter. The script is read, never run. What counts is the block of
imports with which it begins, as long as each of them is known: everything else may change what the next import finds.
"""

from __future__ import annotations

import _ast
import importlib.machinery
import os
import re
import sys
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

INSTALLED = {"site-packages", "dist-packages"}
STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep


class Known:
    """Knows which modules may be imported beforehand.

    Those of Python itself, those that the user has named, and the `libraries` that are known to behave the same:
    top-level modules with the distributions that bring them. One that lies elsewhere, or comes from another
    distribution, is not that library.
    """

    def __init__(self, libraries: dict[str, list[str]], named: Iterable[str]) -> None:
        self._libraries = libraries
        self._named = {name.partition(".")[0] for name in named}
        self._objections: dict[str, str] = {}

    def objection(self, name: str) -> str:
        """Return why a module is not to be imported beforehand; "" if it may be."""
        top = name.partition(".")[0]
        if top not in self._objections:
            self._objections[top] = self._object(top)
        return self._objections[top]

    def is_standard(self, name: str) -> bool:
        """Return whether a module is of Python's own library."""
        places = places_of(name.partition(".")[0])
        return places is not None and all(map(is_of_python, places))

    def _object(self, top: str) -> str:
        places = places_of(top)
        if places is None:
            return "it is not found"
        if top in self._named or all(map(is_of_python, places)):
            return ""
        if top in self._libraries and all(is_brought_by(self._libraries[top], place) for place in places):
            return ""
        return "it is not a library that is known to behave the same when it is imported beforehand"


def imported_later(
    path: str, later: dict[str, str], wanted: list[tuple[str, tuple[str, ...]]], left: dict[str, str]
) -> list[tuple[str, tuple[str, ...]]]:
    """Return which modules of wanted libraries the run of a script will import, as a word in its text shows."""
    tops = {name.partition(".")[0] for name, _ in wanted}
    text = b""
    if wanted:
        with open(path, "rb") as file:
            text = file.read()
    return [
        (name, ())
        for name, word in later.items()
        if name.partition(".")[0] in tops
        and name not in left
        and re.search(rb"\b" + re.escape(word.encode()) + rb"\b", text)
    ]


def is_of_python(path: str) -> bool:
    """Return whether a file is one of Python's own library."""
    return os.path.abspath(path).startswith(STANDARD) and INSTALLED.isdisjoint(path.split(os.sep))


def is_installed(path: str) -> bool:
    """Return whether a file is of Python's own library, or in a folder where pip or conda installs."""
    folders = path.split(os.sep)
    places = [number for number, folder in enumerate(folders) if folder in INSTALLED]
    return is_of_python(path) or (bool(places) and bool(installed_in(os.sep.join(folders[: places[-1] + 1]))))


def is_brought_by(distributions: list[str], path: str) -> bool:
    """Return whether a module or package lies where pip or conda has installed it, with one of these distributions."""
    folder = os.path.dirname(path)
    if os.path.basename(folder) not in INSTALLED:
        return False
    return not installed_in(folder).isdisjoint(map(same_name, distributions))


@lru_cache(maxsize=None)
def installed_in(folder: str) -> frozenset[str]:
    """Return the distributions that pip or conda has installed in a folder."""
    entries = [entry.rpartition(".") for entry in os.listdir(folder)]
    return frozenset(same_name(name.split("-")[0]) for name, _, kind in entries if kind in ("dist-info", "egg-info"))


def same_name(distribution: str) -> str:
    """Return a distribution's name as all its spellings have it: PEP 503."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def places_of(top: str) -> list[str] | None:
    """Return the file of a top-level module or the folders of a package, neither for one that is built in.

    None where there is no such module.
    """
    if top in sys.builtin_module_names:
        return []
    # Python's own ways alone: others (absl's) take note of who asks.
    machinery = importlib.machinery
    spec: Any = machinery.FrozenImporter.find_spec(top) or machinery.PathFinder.find_spec(top)
    if spec is None:
        return None
    if spec.submodule_search_locations is not None:
        return list(spec.submodule_search_locations)
    return [spec.origin] if spec.has_location and spec.origin else []


def spec_of(top: str) -> Any:
    """Return how a top-level module would be imported, without importing it; None where there is no such."""
    for finder in sys.meta_path:
        if getattr(finder, "is_of_candle", False):
            continue
        try:
            spec = finder.find_spec(top, None)
        except Exception:  # a finder of somebody else's, or one of the old kind
            return None
        if spec is not None:
            return spec
    return None


def read_imports(
    files: list[str], known: Known, left: dict[str, str]
) -> tuple[list[tuple[str, tuple[str, ...]]], dict[str, str]]:
    """Return what a script imports that is to be imported before it, and why all else that it imports is not.

    The script is the last of the `files`; those before it, which are run before it, are of the packages around it. The
    first are modules in their order, with the names that the script takes from each; the second are top-level modules.
    `left` are modules that were found out to be none of the first, with the reasons. A script that cannot be parsed has
    neither: its trials say why.
    """
    try:
        statements: list[Any] = []
        for path in files:
            with open(path, "rb") as file:
                tree: Any = compile(file.read(), path, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
            statements += tree.body
    except (OSError, SyntaxError, ValueError):
        return [], {}
    beforehand: list[tuple[str, tuple[str, ...]]] = []
    waiting: dict[str, str] = {}
    obstacle = ""
    for statement in statements:
        modules = modules_of(statement)
        for name, members in modules:
            because = obstacle or left.get(name) or known.objection(name)
            if not because:
                beforehand.append((name, members))
                continue
            waiting.setdefault(name.partition(".")[0], because)
            obstacle = obstacle or f"it comes after {name}, which may change what it does"
        if not modules and not is_only_a_constant(statement):
            obstacle = obstacle or f"it comes after line {statement.lineno}, which may change what it does"
            for name in imported_within(statement):
                waiting.setdefault(name.partition(".")[0], known.objection(name) or "it is not imported at the top")
    return beforehand, {name: because for name, because in waiting.items() if not known.is_standard(name)}


def files_around(script: str, module: str) -> list[str]:
    """Return the files of the packages around a script that is run as a module, the outermost first."""
    folder = os.path.dirname(os.path.realpath(script))
    found: list[str] = []
    for _ in module.split(".")[1:]:
        found.insert(0, os.path.join(folder, "__init__.py"))
        folder = os.path.dirname(folder)
    return [path for path in found if os.path.isfile(path)]


def modules_of(statement: Any) -> list[tuple[str, tuple[str, ...]]]:
    """Return the modules that an import statement names, with what it takes of each."""
    if isinstance(statement, _ast.Import):
        return [(alias.name, ()) for alias in statement.names]
    if isinstance(statement, _ast.ImportFrom) and not statement.level and statement.module:
        return [(statement.module, tuple(alias.name for alias in statement.names))]
    return []


def imported_within(node: Any) -> Iterator[str]:
    """Yield the modules that are imported somewhere within a statement."""
    for name, _ in modules_of(node):
        yield name
    for field in node._fields:
        value = getattr(node, field, None)
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, _ast.AST):
                yield from imported_within(child)


def is_only_a_constant(statement: Any) -> bool:
    """Return whether a statement is a text or number by itself, as a docstring is, or one that is given a name."""
    if isinstance(statement, _ast.Assign) and not all(isinstance(target, _ast.Name) for target in statement.targets):
        return False
    kinds = ("Constant", "Num", "Str", "NameConstant")  # the last three are those of Python 3.7
    return isinstance(statement, (_ast.Expr, _ast.Assign)) and type(statement.value).__name__ in kinds
