"""What an empty trial costs in processor time, all that candle does for it included, of one or several versions.

Each version runs few trials and more of them, in turn; what the additional ones took is what a trial costs. Seconds on
the clock say little where a machine does other things, too; processor time says more, and files are in memory here.

    python benchmarks/trial_cost.py ROUNDS PYTHON...      a Python each, that has the version of candle and PyTorch
"""

from __future__ import annotations

import ctypes
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

SCRIPTS = {
    "bash": ("model.sh", "val_to_return=1\n", ""),
    "warm Python": ("model.py", "val_to_return = 1\n", ""),
    "warm, PyTorch": ("model.py", "import torch\nimport sklearn.ensemble\nval_to_return = 1\n", ""),
    "fresh Python": ("model.py", "val_to_return = 1\n", "preload=none\n"),
}
COUNTS = {"bash": (50, 550), "warm Python": (50, 550), "warm, PyTorch": (10, 110), "fresh Python": (10, 60)}
WORKERS = 2
PR_SET_CHILD_SUBREAPER = 36
_MEMORY = "/dev/shm"  # noqa: S108


def processor_time() -> float:
    """Return the processor time of all that has been started and has ended, in seconds; wait for what is about to."""
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(python: str, kind: str, count: int) -> float:
    """Run an experiment of so many empty trials; return the processor time of all its processes, in seconds."""
    name, text, control = SCRIPTS[kind]
    sets = "\n".join(f'{{"x": {number}}}' for number in range(count))
    settings = f"model_script={name}\nworkflow=grid\nengine=local\nworker_type=cpu\nnworkers={WORKERS}\n{control}"
    before = processor_time()
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
        Path(folder, name).write_text(text)
        Path(folder, "x.in").write_text(f"&control\n{settings}/\n&param_space\n{sets}\n/\n")
        done = subprocess.run(
            [python, "-m", "candle_hpo", "submit-job", "x.in"],
            cwd=folder,
            env={**os.environ, "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        took = processor_time() - before
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
    return took


def main(rounds: int, pythons: list[str]) -> None:
    """Run all of them in turn; print the milliseconds of processor time a trial, and how many there are of the first's.

    What loses its parent, as a guard does, becomes a child of this process, and is counted.
    """
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for kind, (few, more) in COUNTS.items():
        found: dict[str, list[float]] = {python: [] for python in pythons}
        began = time.monotonic()
        for _ in range(rounds):
            for python in pythons:
                took = run(python, kind, more) - run(python, kind, few)
                found[python].append(1000 * took / (more - few))
        for python, values in found.items():
            ratio = statistics.median(own / first for own, first in zip(values, found[pythons[0]], strict=True))
            print(f"{kind}: {statistics.median(values):.2f} ms ({min(values):.2f} to {max(values):.2f})", end=", ")
            print(f"{ratio:.2f} times the first: {python}")
        print(f"{kind}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
