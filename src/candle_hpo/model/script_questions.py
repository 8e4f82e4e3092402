"""What the user's own interpreter says of a model script, without running it: its syntax, and missing modules."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from candle_hpo.core.errors import MachineError, Problem
from candle_hpo.core.experiment import Language

_SECONDS = 120  # an interpreter on a cold network file system may need that long

_ANSWER = "candle asked, and the answer is "  # an interpreter may print words of its own before and after it
# What the folder where the user stands, or PYTHONPATH, has under the name of a module of Python's own (`types.py`) must
# not be imported by our questions.
_WITH_MODULES_OF_ITS_OWN = """
import sys
if sys.path[:1] == [""]:  # it is left out with -P
    del sys.path[0]
usual_path = sys.path[:]
import os
sys.path[:] = [os.path.dirname(os.__file__), os.path.join(os.path.dirname(os.__file__), "lib-dynload")]
import importlib.util, json
own_path, sys.path[:] = sys.path[:], usual_path
"""
_COMPILE_PYTHON = f"""{_WITH_MODULES_OF_ITS_OWN}
try:
    with open(sys.argv[1], "rb") as file:
        compile(file.read(), sys.argv[1], "exec", dont_inherit=True)
except (SyntaxError, ValueError) as error:
    print({_ANSWER!r} + json.dumps([getattr(error, "lineno", 0) or 0, getattr(error, "msg", str(error))]))
"""
# Only the finders are asked, for top-level names: nothing of a module runs.
_FIND_MODULES = f"""{_WITH_MODULES_OF_ITS_OWN}
from importlib.machinery import PathFinder
def found(name):
    try:
        return name in sys.builtin_module_names or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return name in sys.modules
imported, standard = json.loads(sys.argv[2])
folders = [os.path.dirname(os.path.realpath(sys.argv[1]))]
added = os.environ.get("PYTHONPATH", "").split(os.pathsep)
folders += [os.path.realpath(each) for each in added if os.path.isdir(each)]
others = own_path + [each for each in usual_path if os.path.realpath(each) not in folders]
sys.path.insert(0, folders[0])
missing = [name for name in imported if not found(name)]
hidden = dict()
for folder in folders:
    stems = set(each.partition(".")[0] for each in os.listdir(folder))
    for name in sorted(stems.intersection(imported + standard).difference(sys.builtin_module_names, hidden)):
        spec = PathFinder.find_spec(name, [folder])
        if spec is not None and spec.loader is not None and PathFinder.find_spec(name, others) is not None:
            hidden[name] = spec.origin
print({_ANSWER!r} + json.dumps([missing, hidden]))
"""
_PARSE_R = "invisible(parse(commandArgs(TRUE)[1], keep.source = FALSE))"
_FIND_PACKAGES = 'for (name in commandArgs(TRUE)) if (!nzchar(system.file(package = name))) cat(name, "\\n", sep = "")'


def syntax_error(script: str, language: Language, interpreter: str, environment: Mapping[str, str]) -> Problem | None:
    """Return what the interpreter finds wrong in the text of a script; None where nothing is.

    Raises `MachineError` where the interpreter does not run.
    """
    name = Path(script).name
    match language:
        case Language.PYTHON:
            answer = _answer_in(_run([interpreter, "-c", _COMPILE_PYTHON, script], environment).stdout)
            if answer is None:
                return None
            line, message = answer
            return Problem(name, line, f"this is no valid Python for {interpreter}: {message}")
        case Language.BASH:
            done = _run([interpreter, "-n", script], environment, may_fail=True)
            return None if done.returncode == 0 else _told(name, done.stderr, r"line (\d+): (.*)", "bash")
        case Language.R:
            done = _run([interpreter, "-e", _PARSE_R, script], environment, may_fail=True)
            return None if done.returncode == 0 else _told(name, done.stderr, r":(\d+):\d+: (.*)", "R")
        case Language.PROGRAM:
            return None


def find_modules(
    names: Sequence[str], script: str, language: Language, interpreter: str, environment: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """Return what the interpreter would not find of these modules (R: packages), and what a file of the user's hides.

    Hidden is one of these modules, or one of Python's own, that has the name of a file beside the script or in
    PYTHONPATH, which is imported in its place. Raises `MachineError` where the interpreter does not run.
    """
    if language is Language.R and names:
        return _run([interpreter, "-e", _FIND_PACKAGES, *names], environment).stdout.split(), {}
    if language is not Language.PYTHON:
        return [], {}
    asked = json.dumps([list(names), sorted(sys.stdlib_module_names)])
    said = _run([interpreter, "-c", _FIND_MODULES, script, asked], environment).stdout
    answer = _answer_in(said)
    if answer is None:
        raise MachineError(f"{interpreter} does not say which modules it finds; it says: {said.strip()[-300:]}")
    missing, hidden = answer
    return missing, hidden


def _answer_in(said: str) -> Any:
    """Return what one of our questions was answered with; None where there is no answer."""
    found = re.search(rf"{_ANSWER}(.*)", said)
    return None if found is None else json.loads(found[1])


def with_library_paths(environment: Mapping[str, str], python_path: str | None, r_libs: str | None) -> dict[str, str]:
    """Return the environment with what is added to the library paths, as a trial has it."""
    own = dict(environment)
    for variable, added in (("PYTHONPATH", python_path), ("R_LIBS", r_libs)):
        if added:
            own[variable] = os.pathsep.join(filter(None, [own.get(variable), added]))
    return own


def _told(name: str, said: str, pattern: str, language: str) -> Problem:
    match = re.search(pattern, said)
    line, message = (int(match[1]), match[2]) if match else (0, " ".join(said.split())[-300:])
    return Problem(name, line, f"this is no valid {language}: {message.strip()}")


def _run(
    command: Sequence[str], environment: Mapping[str, str], *, may_fail: bool = False
) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise MachineError(f"{command[0]} does not run: {error}") from None
    if done.returncode != 0 and not may_fail:
        raise MachineError(f"{command[0]} does not run (exit status {done.returncode}): {done.stderr.strip()[-300:]}")
    return done
