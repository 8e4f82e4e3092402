"""How the user's programs are asked: in bounded time, and for an interpreter so that nothing of the user's is run."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence

from candle_hpo.core.errors import MachineError

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


def run_program(
    command: Sequence[str], environment: Mapping[str, str], seconds: float = _MOST_SECONDS, *, may_fail: bool = False
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
