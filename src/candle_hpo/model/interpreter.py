"""Which interpreter runs the model: the user's, never the tool's own by accident."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import msgspec

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.core.experiment import Settings
from candle_hpo.model.modules import environment_with

OLDEST_PYTHON = (3, 7)
_QUESTION = "import sys; print(sys.executable); print('%d.%d.%d' % sys.version_info[:3])"


class Interpreter(msgspec.Struct, frozen=True):
    """An interpreter: its absolute path, and its name with its version, for people."""

    path: str
    name: str


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
    try:
        done = subprocess.run(
            [found, "-c", _QUESTION],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        path, version = done.stdout.splitlines()[-2:]
    except subprocess.CalledProcessError as error:
        raise MachineError(
            f"{found} does not run (exit status {error.returncode}): {error.stderr.strip()[-300:]}"
        ) from None
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise MachineError(f"{found} does not run: {error}") from None
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise InputError(f"{found} is Python {version}; the model needs {oldest} or newer (python_bin_path names one)")
    is_shim = Path(found).parent.name == "shims" and Path(path).is_file()  # pyenv, asdf, mise
    return Interpreter(path if is_shim else str(Path(found).absolute()), f"Python {version}")
