"""How the user's programs are asked, in bounded time; and what an interpreter says of a script, without running it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from candle_hpo.core.errors import MachineError, Problem
from candle_hpo.core.experiment import Language

_LONGEST_HELP = 1_000_000  # bytes
_MOST_SECONDS = 120.0  # an interpreter on a cold network file system may need that long

ANSWER = "candle asked, and the answer is "  # an interpreter may print something else before and after it

# A question to Python begins with this. What the folder where the user stands, or PYTHONPATH, has under the name of a
# module of Python's own (`types.py`) must not be imported by it.
WITH_MODULES_OF_PYTHON = """
import sys
if sys.path[:1] == [""]:  # it is left out with -P
    del sys.path[0]
usual_path = sys.path[:]
import os
sys.path[:] = [os.path.dirname(os.__file__), os.path.join(os.path.dirname(os.__file__), "lib-dynload")]
import importlib.util, json, re
own_path, sys.path[:] = sys.path[:], usual_path
"""
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


def run_program(
    command: Sequence[str],
    environment: Mapping[str, str],
    seconds: float = _MOST_SECONDS,
    *,
    may_fail: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end. Raises `MachineError` where it does not run, takes too long, or fails (`may_fail`)."""
    try:
        done = subprocess.run(
            command, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise MachineError(f"{command[0]} does not answer within {seconds:.0f} s; run it by hand to see why") from None
    except (OSError, ValueError) as error:
        raise MachineError(f"{command[0]} does not run: {error}") from None
    if done.returncode != 0 and not may_fail:
        said = " ".join(done.stderr.split())[-300:]
        status = f"exit status {done.returncode}" + (f"): {said}" if said else ")")
        raise MachineError(f"{command[0]} does not run ({status}; run it by hand to see why")
    return done


def ask(command: Sequence[str], environment: Mapping[str, str], seconds: float = _MOST_SECONDS) -> str:
    """Return what an interpreter prints after `ANSWER`, in its line. Raises `MachineError` where that is nothing."""
    said = run_program(command, environment, seconds).stdout
    found = re.search(rf"{ANSWER}(.*)", said)
    if found is None:
        raise MachineError(f"{command[0]} does not say what it was asked for; it says: {said.strip()[-300:]}")
    return found[1]


def ask_for_help(command: Sequence[str], environment: Mapping[str, str], seconds: float) -> str:
    """Return what a script prints for `--help`, in a folder that is gone afterwards; "" without an answer in time.

    Whatever it does instead is ended then, with all that it has started. Raises `MachineError` where it does not run.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                [*command, "--help"], env=dict(environment), stdin=subprocess.DEVNULL, stdout=said,
                stderr=subprocess.STDOUT, cwd=folder, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise MachineError(f"{command[0]} does not run: {error}") from None
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return ""
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        return said.read(_LONGEST_HELP).decode(errors="replace")


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
