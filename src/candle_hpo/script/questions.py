"""What the user's own interpreter says of a model script, without running it: its syntax, and missing modules."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from candle_hpo.core.errors import Problem
from candle_hpo.core.experiment import Language
from candle_hpo.script.interpreter_questions import ANSWER, WITH_MODULES_OF_PYTHON, ask, run_program

_COMPILE_PYTHON = f"""{WITH_MODULES_OF_PYTHON}
try:
    with open(sys.argv[1], "rb") as file:
        compile(file.read(), sys.argv[1], "exec", dont_inherit=True)
except (SyntaxError, ValueError) as error:
    print({ANSWER!r} + json.dumps([getattr(error, "lineno", 0) or 0, getattr(error, "msg", str(error))]))
else:
    print({ANSWER!r} + "null")
"""
# Only the finders are asked, for top-level names: nothing of a module runs.
_FIND_MODULES = f"""{WITH_MODULES_OF_PYTHON}
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
print({ANSWER!r} + json.dumps([missing, hidden]))
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
            answer = json.loads(ask([interpreter, "-c", _COMPILE_PYTHON, script], environment))
            if answer is None:
                return None
            line, message = answer
            return Problem(name, line, f"this is not valid Python for {interpreter}: {message}")
        case Language.BASH:
            done = run_program([interpreter, "-n", script], environment, may_fail=True)
            return None if done.returncode == 0 else _problem(name, done.stderr, r"line (\d+): (.*)", "bash")
        case Language.R:
            done = run_program([interpreter, "-e", _PARSE_R, script], environment, may_fail=True)
            return None if done.returncode == 0 else _problem(name, done.stderr, r":(\d+):\d+: (.*)", "R")
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
        return run_program([interpreter, "-e", _FIND_PACKAGES, *names], environment).stdout.split(), {}
    if language is not Language.PYTHON:
        return [], {}
    asked = json.dumps([list(names), sorted(sys.stdlib_module_names)])
    missing, hidden = json.loads(ask([interpreter, "-c", _FIND_MODULES, script, asked], environment))
    return missing, hidden


def _problem(name: str, said: str, pattern: str, language: str) -> Problem:
    match = re.search(pattern, said)
    line, message = (int(match[1]), match[2]) if match else (0, " ".join(said.split())[-300:])
    return Problem(name, line, f"this is not valid {language}: {message.strip()}")
