"""How a program of ours is started: by the Python that runs this one."""

from __future__ import annotations

import sys

# So that Python imports no module from the folder where a job begins; before Python 3.11 it cannot be asked for.
_NOTHING_FROM_HERE = ("-P",) if sys.version_info >= (3, 11) else ()


def own_program(module: str) -> list[str]:
    """Return the command that runs a module of ours as a program."""
    return [sys.executable, *_NOTHING_FROM_HERE, "-m", module]
