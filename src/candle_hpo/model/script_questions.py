"""What the user's own interpreter says of a model script, without running it: its syntax, and missing modules."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from candle_hpo.core.errors import MachineError, Problem
from candle_hpo.core.experiment import Language

_SECONDS = 120  # an interpreter on a cold network file system may need that long

_COMPILE_PYTHON = """
import json, sys
try:
    with open(sys.argv[1], "rb") as file:
        compile(file.read(), sys.argv[1], "exec", dont_inherit=True)
except (SyntaxError, ValueError) as error:
    print(json.dumps([getattr(error, "lineno", 0) or 0, getattr(error, "msg", str(error))]))
"""
# Only the finders are asked, for top-level names: nothing of a module runs.
_FIND_MODULES = """
import importlib.util, json, os, sys
sys.path[: sys.path[:1] == [""]] = [os.path.dirname(os.path.realpath(sys.argv[1]))]  # "" is left out with -P
missing = []
for name in json.loads(sys.argv[2]):
    try:
        found = name in sys.builtin_module_names or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        found = name in sys.modules
    if not found:
        missing.append(name)
print(json.dumps(missing))
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
            said = _run([interpreter, "-c", _COMPILE_PYTHON, script], environment).stdout.strip()
            if not said:
                return None
            line, message = json.loads(said.splitlines()[-1])
            return Problem(name, line, f"this is no valid Python for {interpreter}: {message}")
        case Language.BASH:
            done = _run([interpreter, "-n", script], environment, may_fail=True)
            return None if done.returncode == 0 else _told(name, done.stderr, r"line (\d+): (.*)", "bash")
        case Language.R:
            done = _run([interpreter, "-e", _PARSE_R, script], environment, may_fail=True)
            return None if done.returncode == 0 else _told(name, done.stderr, r":(\d+):\d+: (.*)", "R")
        case Language.PROGRAM:
            return None


def missing_modules(
    names: Sequence[str], script: str, language: Language, interpreter: str, environment: Mapping[str, str]
) -> list[str]:
    """Return those of the modules (R: packages) that the interpreter would not find for this script.

    Raises `MachineError` where the interpreter does not run.
    """
    if not names or language not in (Language.PYTHON, Language.R):
        return []
    if language is Language.R:
        return _run([interpreter, "-e", _FIND_PACKAGES, *names], environment).stdout.split()
    said = _run([interpreter, "-c", _FIND_MODULES, script, json.dumps(list(names))], environment).stdout
    missing: list[str] = json.loads(said.strip().splitlines()[-1])
    return missing


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
