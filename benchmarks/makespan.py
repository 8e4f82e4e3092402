"""Makespan on a real SLURM cluster: candle, a job array, and one `srun` for each trial in a loop, side by side.

Trials of uneven lengths on 3 nodes with 2 pretend GPUs each; a hyperparameter says how long one is, as the number of
epochs would, and each round has other lengths. The ideal is the sum of the lengths over six workers (or the longest
trial, if that is longer). The trials' script imports nothing, or what a small model does, which a fresh interpreter
imports again for each trial. Everything runs on one machine, with the cluster of tests/support/slurm_cluster.py.

    python benchmarks/makespan.py [ROUNDS]        writes its part of docs/performance.md
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
import textwrap
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from performance_page import write_part  # noqa: E402
from support.slurm_cluster import SlurmCluster  # noqa: E402

WORKERS = 6
TRIALS = 60
CONTROL = "model_script=model.py\nworkflow=grid\nngpus=6\ngpu_type=k80\nmem_per_cpu=1\nwalltime=00:10:00"
IMPORTS = {"nothing": "", "scikit-learn": "import sklearn.datasets, sklearn.ensemble, sklearn.model_selection\n"}
TRIAL = """import os, sys, time
{imports}began = float(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
began += time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)  # of this process: the imports are in its time
time.sleep(float(sys.argv[1]))
open(os.path.join(sys.argv[2], str(os.getpid()) + "_" + str(began)), "w").write(f"{{began}} {{time.time()}}")
"""


class Took(NamedTuple):
    """Seconds from the submission until the queue is empty, and from the first trial's start to the last one's end."""

    total: float
    span: float


def lengths_of(number: int) -> list[float]:
    """Return the lengths of the trials of this round, in seconds: 4 s in the middle, lognormal."""
    generator = random.Random(number)
    return [round(4 * generator.lognormvariate(0.0, 0.4), 2) for _ in range(TRIALS)]


def ideal(lengths: list[float]) -> float:
    """Return the shortest possible makespan, in seconds."""
    return max(sum(lengths) / WORKERS, *lengths)


def in_order(lengths: list[float]) -> float:
    """Return the makespan of free workers that take the trials in their order, at no cost."""
    workers = [0.0] * WORKERS
    for length in lengths:
        heapq.heapreplace(workers, workers[0] + length)
    return max(workers)


def candle(cluster: SlurmCluster, folder: Path, lengths: list[float]) -> None:
    """Submit the trials as one experiment."""
    arguments = f"import sys\nsys.argv = ['', hyperparams['seconds'], {str(folder / 'times')!r}]\n"
    trial = (folder / "trial.py").read_text()
    (folder / "model.py").write_text(trial.replace("time.sleep", f"{arguments}time.sleep") + "val_to_return = 1\n")
    sets = "\n".join(json.dumps({"seconds": length}) for length in lengths)
    (folder / "x.in").write_text(f"&control\n{CONTROL}\n/\n&param_space\n{sets}\n/\n")
    command = [sys.executable, "-m", "candle_hpo", "submit-job", "x.in"]
    subprocess.run(command, cwd=folder, env={**os.environ, **cluster.environment}, check=True, capture_output=True)


def job_array(cluster: SlurmCluster, folder: Path, lengths: list[float]) -> None:
    """Submit an array of jobs with a GPU each, at most six at a time."""
    (folder / "lengths").write_text("\n".join(map(str, lengths)) + "\n")
    lines = [
        "#!/bin/bash",
        f"#SBATCH --array=1-{len(lengths)}%6 --gres=gpu:k80:1 --mem-per-cpu=1G --time=10 --output=/dev/null",
    ]
    lines += [f"exec {sys.executable} trial.py $(sed -n ${{SLURM_ARRAY_TASK_ID}}p lengths) times"]
    (folder / "array.sh").write_text("\n".join(lines) + "\n")
    cluster.run("sbatch", f"--chdir={folder}", str(folder / "array.sh"))


def srun_loop(cluster: SlurmCluster, folder: Path, lengths: list[float]) -> None:
    """Submit one job of 3 nodes that starts a step with a GPU for each trial, six at a time."""
    step = f"srun --exact -N1 -n1 -c1 --gres=gpu:k80:1 --mem-per-cpu=1G {sys.executable} trial.py"
    request = "--nodes=3 --ntasks-per-node=2 --gres=gpu:k80:2 --mem-per-cpu=1G --time=10 --output=log"
    lines = ["#!/bin/bash", f"#SBATCH {request}"]
    for length in lengths:
        lines += ["while (( $(jobs -rp | wc -l) >= 6 )); do wait -n; done", f"{step} {length} times &"]
    (folder / "loop.sh").write_text("\n".join([*lines, "wait", ""]))
    cluster.run("sbatch", f"--chdir={folder}", str(folder / "loop.sh"))


Way = Callable[[SlurmCluster, Path, list[float]], None]
WAYS: dict[str, Way] = {
    "candle": candle,
    "SLURM job array (`%6`)": job_array,
    "one `srun` for each trial": srun_loop,
}


def measure(way: Way, cluster: SlurmCluster, folder: Path, lengths: list[float], imports: str) -> Took:
    """Run the trials one way, all of them; return how long that took."""
    (folder / "times").mkdir(parents=True)
    (folder / "trial.py").write_text(TRIAL.format(imports=imports))
    began = time.monotonic()
    way(cluster, folder, lengths)
    cluster.wait_until_empty(900)
    total = time.monotonic() - began
    times = [tuple(map(float, path.read_text().split())) for path in (folder / "times").iterdir()]
    if len(times) != len(lengths):
        raise RuntimeError(f"{len(times)} of {len(lengths)} trials have run")
    return Took(total, max(end for _, end in times) - min(start for start, _ in times))


def main(rounds: int) -> None:
    """Run all of them, one after the other, so many times; write the page."""
    found: dict[tuple[str, str], list[Took]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        cluster = SlurmCluster(Path(temporary) / "cluster")
        try:
            for number, (kind, imports), (name, way) in product(range(rounds), IMPORTS.items(), WAYS.items()):
                lengths = lengths_of(number)
                folder = Path(temporary) / f"{number}_{kind}_{way.__name__}"
                took = measure(way, cluster, folder, lengths, imports)
                found.setdefault((kind, name), []).append(took)
                print(f"{number + 1}: imports {kind}: {name}: {took} (ideal {ideal(lengths):.1f})", flush=True)
        finally:
            cluster.stop()
    write_part("makespan", part(found, rounds))


def part(found: dict[tuple[str, str], list[Took]], rounds: int) -> str:
    """Return this benchmark's part of the page."""
    ideals = [ideal(lengths_of(number)) for number in range(rounds)]
    orders = [in_order(lengths_of(number)) for number in range(rounds)]
    method = f"""
        `python benchmarks/makespan.py {rounds}`: {TRIALS} trials of uneven lengths on {WORKERS} workers, {rounds}
        rounds with other lengths each, the ways in turn; medians (least to most). *Span* is from the start of the first
        trial to the end of the last one, *total* from the submission until the queue is empty, both over the ideal of
        the round, which is the sum of all lengths over six; *rest* is their difference, in seconds: before the
        first trial and after the last. A cluster of 3
        nodes, all on one machine ({os.cpu_count()} cores, Python {platform.python_version()}), idle but for this.
        """
    lines = [
        _filled(method),
        "",
        "| the script imports | way | total | span | rest |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (kind, name), runs in found.items():
        spans = [run.span / best for run, best in zip(runs, ideals, strict=True)]
        totals = [run.total / best for run, best in zip(runs, ideals, strict=True)]
        rest = [run.total - run.span for run in runs]
        lines.append(f"| {kind} | {name} | {_spread(totals, 3)} | {_spread(spans, 3)} | {_spread(rest, 1)} |")
    in_their_order = [order / best for order, best in zip(orders, ideals, strict=True)]
    bounds = f"""
        The ideal is {_spread(ideals, 1)} s. Workers that take the trials as they come, with nothing lost in between,
        need {_spread(in_their_order, 3)} of it. candle needs less where durations follow from hyperparameters, as they
        do here, wholly: towards the end it starts trials in such an order that all workers end together."""
    limits = f"""
        Where others wait in the queue, each job of an array waits for itself, and candle's one job waits once; here
        none waits. The {os.cpu_count()} cores are fewer than the workers, so what takes processor time takes
        longer than on separate nodes: imports, and candle's start-up, which is that of a dozen interpreters.
        """
    return "\n".join([*lines, "", _filled(bounds), "", _filled(limits)])


def _filled(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120)


def _spread(values: list[float], digits: int) -> str:
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({least:.{digits}f} to {most:.{digits}f})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
