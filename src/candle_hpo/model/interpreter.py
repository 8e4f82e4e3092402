"""Which interpreter runs the model: the user's, never the tool's own by accident."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.core.experiment import Language, Settings
from candle_hpo.model.modules import environment_with

OLDEST_PYTHON = (3, 7)
# An interpreter may print words of its own before and after its answer.
_ANSWER = "candle asked, and this is "
_QUESTION = f"import sys; print({_ANSWER!r} + '%d.%d.%d ' % sys.version_info[:3] + (sys.executable or ''))"


class Interpreter(msgspec.Struct, frozen=True):
    """An interpreter: its absolute path, and its name with its version, for people."""

    path: str
    name: str


def find_interpreter(settings: Settings, modules: tuple[str, ...]) -> Interpreter:
    """Return what runs the model script: the interpreter of its language with the modules loaded, or the script itself.

    Raises `InputError` where there is none, or it is too old, or a program cannot be executed; `MachineError` where the
    interpreter does not run.
    """
    match settings.language:
        case Language.PYTHON:
            return find_python(settings, modules)
        case Language.R:
            asked: tuple[str, ...] = ("Rscript", "--version")
            advice = "set exec_r_module to the module that provides R, or put the folder of your Rscript on the PATH"
        case Language.BASH:
            asked, advice = ("bash", "-c", "echo bash $BASH_VERSION"), "put its folder on the PATH"
        case Language.PROGRAM:
            return _program(Path(settings.model_script))
    environment = environment_with(modules)
    found = shutil.which(asked[0], path=environment.get("PATH", os.defpath))
    if found is None:
        raise InputError(f"there is no {asked[0]} on the PATH, which runs {Path(settings.model_script).name}; {advice}")
    version = re.search(r"(?:bash|version) (\d\S*)", " ".join(_answer(found, asked[1:], environment)))
    name = f"{settings.language.value} {version[1]}" if version else settings.language.value
    return Interpreter(str(Path(found).absolute()), name)


def _program(script: Path) -> Interpreter:
    if not os.access(script, os.X_OK):
        raise InputError(
            f"model_script: {script} is not executable; chmod +x {script.name}, or call it .py, .R or .sh "
            "if it is a script of that language"
        )
    return Interpreter(str(script), "a program of its own")


def find_python(settings: Settings, modules: tuple[str, ...]) -> Interpreter:
    """Return the Python that runs the model: from `python_bin_path`, else the first on the PATH with the modules.

    A shim, which looks for the real one again at each start and from the folder of each start, is resolved here, once.
    Any other wrapper is taken as it is: it may set up what the model needs.

    Raises `InputError` where there is none, or it is too old; `MachineError` where it does not run.
    """
    environment = environment_with(modules)
    search = settings.python_bin_path or environment.get("PATH", os.defpath)
    found = shutil.which("python3", path=search) or shutil.which("python", path=search)
    if found is None:
        where = f"in python_bin_path ({search})" if settings.python_bin_path else "on the PATH"
        raise InputError(f"there is no python3 {where}; set python_bin_path to the folder of your Python")
    answer = _answer(found, ("-c", _QUESTION), environment)
    told = re.search(rf"{_ANSWER}(\S+) (.*)", "\n".join(answer))
    if told is None:
        raise MachineError(f"{found} does not tell its version; it says: {' '.join(answer)[:300]}")
    version, path = told.groups()
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise InputError(f"{found} is Python {version}; the model needs {oldest} or newer (python_bin_path names one)")
    is_shim = Path(found).parent.name == "shims" and Path(path).is_file()  # pyenv, asdf, mise
    return Interpreter(path if is_shim else str(Path(found).absolute()), f"Python {version}")


def _answer(program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the lines that an interpreter prints. Raises `MachineError` where it does not run."""
    try:
        done = subprocess.run(
            [program, *arguments],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise MachineError(
            f"{program} does not run (exit status {error.returncode}): {error.stderr.strip()[-300:]}; "
            "run it by hand to see why, or name another one in python_bin_path"
        ) from None
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise MachineError(f"{program} does not run: {error}") from None
    # R before version 4.1 tells its version among the errors.
    return (done.stdout or done.stderr).splitlines()
