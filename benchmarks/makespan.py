"""Makespan on a real SLURM cluster: candle, a job array, and one `srun` for each trial in a loop, side by side.

Trials of uneven lengths on 3 nodes with 2 pretend GPUs each. The ideal is the sum of the lengths over six workers (or
the longest trial, if that is longer). Everything runs on one machine, with the cluster of tests/slurm_cluster.py.

    python benchmarks/makespan.py [ROUNDS]        writes benchmarks/makespan.md
"""

from __future__ import annotations

import heapq
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from slurm_cluster import SlurmCluster  # noqa: E402

WORKERS = 6
SIZES = (60,)
CONTROL = "model_script=model.py\nworkflow=grid\nngpus=6\ngpu_type=k80\nmem_per_cpu=1\nwalltime=00:10:00"
TRIAL = """import os, sys, time
began = time.time()
time.sleep(float(sys.argv[1]))
open(os.path.join(sys.argv[2], str(os.getpid()) + "_" + str(began)), "w").write(f"{began} {time.time()}")
"""


class Took(NamedTuple):
    """Seconds from the submission until the queue is empty, and from the first trial's start to the last one's end."""

    total: float
    span: float


def lengths(count: int) -> list[float]:
    """Return the lengths of so many trials, in seconds: 4 s in the middle, lognormal, the same in every run."""
    generator = random.Random(1)
    return [round(4 * generator.lognormvariate(0.0, 0.4), 2) for _ in range(count)]


def ideal(count: int) -> float:
    """Return the shortest possible makespan, in seconds."""
    return max(sum(lengths(count)) / WORKERS, *lengths(count))


def in_order(count: int) -> float:
    """Return the makespan of free workers that take the trials in their order, at no cost: without knowing lengths."""
    workers = [0.0] * WORKERS
    for length in lengths(count):
        heapq.heapreplace(workers, workers[0] + length)
    return max(workers)


def candle(cluster: SlurmCluster, folder: Path, count: int) -> None:
    """Submit the trials as one experiment."""
    script = (
        f"import sys\nsys.argv = ['', hyperparams['seconds'], {str(folder / 'times')!r}]\n{TRIAL}val_to_return = 1\n"
    )
    (folder / "model.py").write_text(script)
    sets = "\n".join(json.dumps({"seconds": length}) for length in lengths(count))
    (folder / "x.in").write_text(f"&control\n{CONTROL}\n/\n&param_space\n{sets}\n/\n")
    command = [sys.executable, "-m", "candle_hpo", "submit-job", "x.in"]
    subprocess.run(command, cwd=folder, env={**os.environ, **cluster.environment}, check=True, capture_output=True)


def job_array(cluster: SlurmCluster, folder: Path, count: int) -> None:
    """Submit an array of jobs with a GPU each, at most six at a time."""
    (folder / "lengths").write_text("\n".join(map(str, lengths(count))) + "\n")
    lines = [
        "#!/bin/bash",
        f"#SBATCH --array=1-{count}%6 --gres=gpu:k80:1 --mem-per-cpu=1G --time=10 --output=/dev/null",
    ]
    lines += [f"exec {sys.executable} trial.py $(sed -n ${{SLURM_ARRAY_TASK_ID}}p lengths) times"]
    (folder / "array.sh").write_text("\n".join(lines) + "\n")
    cluster.run("sbatch", f"--chdir={folder}", str(folder / "array.sh"))


def srun_loop(cluster: SlurmCluster, folder: Path, count: int) -> None:
    """Submit one job of 3 nodes that starts a step with a GPU for each trial, six at a time."""
    step = f"srun --exact -N1 -n1 -c1 --gres=gpu:k80:1 --mem-per-cpu=1G {sys.executable} trial.py"
    request = "--nodes=3 --ntasks-per-node=2 --gres=gpu:k80:2 --mem-per-cpu=1G --time=10 --output=log"
    lines = ["#!/bin/bash", f"#SBATCH {request}"]
    for length in lengths(count):
        lines += ["while (( $(jobs -rp | wc -l) >= 6 )); do wait -n; done", f"{step} {length} times &"]
    (folder / "loop.sh").write_text("\n".join([*lines, "wait", ""]))
    cluster.run("sbatch", f"--chdir={folder}", str(folder / "loop.sh"))


Way = Callable[[SlurmCluster, Path, int], None]
WAYS: dict[str, Way] = {
    "candle": candle,
    "SLURM job array (`%6`)": job_array,
    "one `srun` for each trial": srun_loop,
}


def measure(way: Way, cluster: SlurmCluster, folder: Path, count: int) -> Took:
    """Run the trials one way, all of them; return how long that took."""
    (folder / "times").mkdir(parents=True)
    (folder / "trial.py").write_text(TRIAL)
    began = time.monotonic()
    way(cluster, folder, count)
    cluster.wait_until_empty(900)
    total = time.monotonic() - began
    times = [tuple(map(float, path.read_text().split())) for path in (folder / "times").iterdir()]
    if len(times) != count:
        raise RuntimeError(f"{len(times)} of {count} trials have run")
    return Took(total, max(end for _, end in times) - min(start for start, _ in times))


def main(rounds: int) -> None:
    """Run all of them, one after the other, so many times; write the page."""
    found: dict[tuple[int, str], list[Took]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        cluster = SlurmCluster(Path(temporary) / "cluster")
        try:
            for number in range(rounds):
                for count in SIZES:
                    for name, way in WAYS.items():
                        folder = Path(temporary) / f"{number}_{count}_{way.__name__}"
                        took = measure(way, cluster, folder, count)
                        found.setdefault((count, name), []).append(took)
                        print(f"{number + 1}: {count} trials, {name}: {took} (ideal {ideal(count):.1f})", flush=True)
        finally:
            cluster.stop()
    (ROOT / "benchmarks" / "makespan.md").write_text(page(found, rounds), encoding="utf-8")


def page(found: dict[tuple[int, str], list[Took]], rounds: int) -> str:
    """Return the page."""
    lines = [
        "# Makespan on SLURM: trials of uneven lengths on 6 workers",
        "",
        f"`python benchmarks/makespan.py {rounds}`: {rounds} rounds, the ways in turn; medians (least to most), in",
        "seconds. *Span* is from the first trial's start to the last one's end, *total* from the submission until the",
        f"queue is empty. A cluster of 3 nodes in use, all on one machine ({os.cpu_count()} cores, Python",
        f"{platform.python_version()}), idle but for this. Where others wait in the queue, each job of an array waits",
        "for itself, and candle's one job waits once. Here none waits, and candle's start-up (a dozen interpreters",
        "on so few cores) costs more than it would on nodes of their own.",
        "",
        "| trials | way | span | over the ideal | over the order's | total |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (count, name), runs in found.items():
        spans, totals = [run.span for run in runs], [run.total for run in runs]
        over, over_order = (statistics.median(spans) / best(count) for best in (ideal, in_order))
        lines.append(f"| {count} | {name} | {_spread(spans)} | {over:.3f} | {over_order:.3f} | {_spread(totals)} |")
    lines += [
        "",
        "The ideal is the sum of all lengths over six. The order's is what six workers reach that take the trials as",
    ]
    lines += ["they come, with nothing lost in between; less is possible only for who knows the lengths beforehand."]
    lines += [f"For {count} trials these are {ideal(count):.1f} s and {in_order(count):.1f} s." for count in SIZES]
    return "\n".join([*lines, ""])


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
