"""What it takes until all workers of a node run a trial that imports PyTorch or scikit-learn, and how much memory.

As many trials as workers, so that each runs its first one; all wait until what they take has been measured. On this
machine with 8 workers, and on a real SLURM cluster of 4 nodes with 16 each, which are all on this machine as well.

    python benchmarks/node_imports.py [PYTHON ...]     writes its part of docs/performance.md

Each PYTHON is one that has another candle, to be measured beside this one's.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from performance_page import write_part  # noqa: E402
from support.slurm_cluster import SlurmCluster  # noqa: E402

LIBRARIES = {
    "scikit-learn": "import sklearn.datasets, sklearn.ensemble, sklearn.model_selection\n",
    "PyTorch": "import torch\n",
}
SCRIPT = """import os, time
import counted
here = os.environ["MEASURED"]
open(os.path.join(here, "begun", str(os.getpid())), "w").write(str(time.time()))
while not os.path.exists(os.path.join(here, "done")):
    time.sleep(0.1)
val_to_return = 1
"""
COUNTED = "import os\nopen(os.path.join(os.environ['MEASURED'], 'imports'), 'a').write('x')\n"
LOCAL, CLUSTER = 8, 64
MEGABYTE = 1024.0  # kB
MOST_SECONDS = 600.0


class Took(NamedTuple):
    """How often the library was imported; seconds until the last worker's trial ran; of processor; MB a worker."""

    imports: int
    seconds: float
    processor: float
    memory: float
    more: float


def processes(experiments: Path) -> Iterator[Path]:
    """Yield the processes of an experiment's trials, and those from which they were forked, in /proc."""
    shown = b"CANDLE_EXPERIMENT_DIR=" + os.fsencode(experiments)
    for found in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if shown in (found / "environ").read_bytes():
                yield found


def memory_of(process: Path) -> dict[str, float]:
    """Return the lines of smaps_rollup, in kB: proc(5)."""
    lines = (process / "smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: float(line.split()[1]) for line in lines}


def processor_of(process: Path) -> float:
    """Return the processor time of a process, and of its children that have ended, in seconds."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def measure(python: str, imports: str, workers: int, cluster: SlurmCluster | None) -> Took:
    """Run as many trials as workers, and measure them while all wait."""
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:
        here = Path(temporary).resolve()
        (here / "begun").mkdir()
        (here / "model.py").write_text(imports + SCRIPT)
        (here / "counted.py").write_text(COUNTED)
        control = f"model_script=model.py\nworkflow=grid\npreload=counted\nnworkers={workers}\nworker_type=cpu\n"
        control += f"python_bin_path={Path(sys.executable).parent}\n"
        control += "engine=local" if cluster is None else "mem_per_cpu=1\nwalltime=00:30:00"
        sets = "\n".join(f'{{"x": {number}}}' for number in range(workers))
        (here / "n.in").write_text(f"&control\n{control}\n/\n&param_space\n{sets}\n/\n")
        environment = {**os.environ, **(cluster.environment if cluster else {}), "MEASURED": str(here)}
        began = time.time()
        running = subprocess.Popen(
            [python, "-m", "candle_hpo", "submit-job", "n.in"], cwd=here, env=environment, stdout=subprocess.DEVNULL
        )
        while len(list((here / "begun").iterdir())) < workers:
            if time.time() > began + MOST_SECONDS or (running.poll() or 0) != 0:
                raise TimeoutError(f"{len(list((here / 'begun').iterdir()))} of {workers} trials run")
            time.sleep(0.2)
        time.sleep(1.0)
        last = max(float(path.read_text()) for path in (here / "begun").iterdir())
        trials = {path.name for path in (here / "begun").iterdir()}
        found = list(processes(here))
        memory = {process.name: memory_of(process) for process in found}
        total = sum(each["Pss"] for each in memory.values())
        own = sum(memory[trial]["Private_Dirty"] for trial in trials)
        took = Took(
            len((here / "imports").read_text()),
            last - began,
            sum(map(processor_of, found)),
            total / workers / MEGABYTE,
            (total - own) / workers / MEGABYTE,
        )
        (here / "done").write_text("")
        running.wait()
        if cluster is not None:
            cluster.wait_until_empty(120)
        return took


def main(pythons: list[str]) -> None:
    """Measure all, and write the page."""
    names = ("where", "imported", "candle", "imports", "last worker's first trial, s", "processor, s")
    rows = [f"| {' | '.join((*names, 'memory a worker, MB', 'of that not its trial alone'))} |"]
    rows.append("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as temporary:
        cluster = SlurmCluster(Path(temporary) / "cluster", cpus=16)
        try:
            for where, workers, on in (("8 workers", LOCAL, None), ("4 nodes of 16 workers", CLUSTER, cluster)):
                for library, imports in LIBRARIES.items():
                    for python in (*pythons, sys.executable):
                        took = measure(python, imports, workers, on)
                        candle = "this" if python == sys.executable else "before"
                        numbers = f"{took.seconds:.1f} | {took.processor:.1f} | {took.memory:.1f} | {took.more:.1f}"
                        rows.append(f"| {where} | {library} | {candle} | {took.imports} | {numbers} |")
                        print(rows[-1], flush=True)
        finally:
            cluster.stop()
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "scikit-learn"))
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {versions}"
    write_part("node imports", f"`benchmarks/node_imports.py`, once each, {machine}.\n\n" + "\n".join(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
