"""Empty trials on a cluster of four nodes, all on this machine: how many end in a second, and their processor time.

Each version of candle submits them in turn. The processor time is that of all that the cluster and the job have
started, from the first daemon to the last; with few workers and with many, it shows what a worker costs.

    python benchmarks/cluster_cost.py WORKERS TRIALS ROUNDS PYTHON...      a Python each, that has the version of candle
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support import slurm_cluster  # noqa: E402
from trial_cost import PR_SET_CHILD_SUBREAPER, processor_time  # noqa: E402

CONTROL = "model_script=model.sh\nworkflow=grid\nworker_type=cpu\nmem_per_cpu=0.01\nwalltime=00:30:00\n"
MOST_SECONDS = 900
CPUS = 64  # that each node says it has
MEMORY = "/dev/shm"  # noqa: S108


def run(python: str, workers: int, trials: int) -> str:
    """Run an experiment of empty trials; return what it took, in words."""
    before = processor_time()
    with tempfile.TemporaryDirectory(dir=MEMORY) as temporary:
        folder = Path(temporary, "experiment")
        folder.mkdir()
        (folder / "model.sh").write_text("val_to_return=1\n")
        sets = "\n".join(f'{{"x": {number}}}' for number in range(trials))
        (folder / "x.in").write_text(f"&control\n{CONTROL}nworkers={workers}\n/\n&param_space\n{sets}\n/\n")
        cluster = slurm_cluster.SlurmCluster(Path(temporary, "cluster"))
        try:
            began = time.time()
            command = [python, "-m", "candle_hpo", "submit-job", "x.in"]
            subprocess.run(
                command, cwd=folder, env={**os.environ, **cluster.environment}, check=True, capture_output=True
            )
            cluster.wait_until_empty(MOST_SECONDS)
            total = time.time() - began
        finally:
            cluster.stop()
        ends = sorted(file.stat().st_mtime for file in folder.glob("last-candle-job/run/*/outcome.json"))
        job = (folder / "last-candle-job" / "job.out").read_text()
        left = subprocess.run(["pgrep", "-fc", temporary], check=False, capture_output=True, text=True).stdout.strip()
    if len(ends) != trials or f"{trials:,} completed" not in job:
        raise RuntimeError(job)
    a_second = (trials - 1) / (ends[-1] - ends[0])
    return (
        f"{total:.1f} s, the first trial ended after {ends[0] - began:.1f} s, then {a_second:.1f} "
        f"a second; {processor_time() - before:.1f} s of processor time; {left} processes left"
    )


def main(workers: int, trials: int, rounds: int, pythons: list[str]) -> None:
    """Run all of them in turn, so many times."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    slurm_cluster._CONFIGURATION = slurm_cluster._CONFIGURATION.replace("CPUs=8", f"CPUs={CPUS}")
    for number in range(rounds):
        for python in pythons:
            print(f"{number + 1}: {workers} workers: {run(python, workers, trials)}: {python}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
