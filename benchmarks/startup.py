"""What a trial costs besides its model: candle and what a user would take instead, side by side.

An import-heavy script (PyTorch and scikit-learn) one trial at a time, and an empty script on all cores. Each way is run
with few and with more trials; what the additional ones took is what a trial costs, without what is done once.

    python benchmarks/startup.py [ROUNDS [PEERS]]     writes its part of docs/performance.md

PEERS is a Python that has what `peers.txt` names; without it, Ray Tune and Hydra are left out.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import candle_hpo
from performance_page import write_part

IMPORTS = "import torch\nimport sklearn.datasets, sklearn.ensemble, sklearn.model_selection\n"
CORES = os.cpu_count() or 1
VALUE = "val_to_return = 1\n"

OPTUNA = """
import subprocess, sys, optuna
optuna.logging.set_verbosity(optuna.logging.WARNING)
script, count, jobs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def objective(trial):
    trial.suggest_float("x", 0, 1)
    subprocess.run([sys.executable, script], check=True)
    return 1.0
storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend("journal.log"))
optuna.create_study(storage=storage).optimize(objective, n_trials=count, n_jobs=jobs)
"""
POOL = """
import subprocess, sys
from concurrent.futures import ProcessPoolExecutor
script, count, jobs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def run(number):
    subprocess.run([sys.executable, script], check=True)
if __name__ == "__main__":
    with ProcessPoolExecutor(jobs) as pool:
        list(pool.map(run, range(count)))
"""
RAY = """
import os, subprocess, sys
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
import ray
from ray import tune
script, count, jobs, python, way = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
text = open(script).read()
def call(config):
    subprocess.run([python, script], check=True)
    return {"loss": 1.0}
def function(config):
    exec(text, {})
    return {"loss": 1.0}
ray.init(num_cpus=jobs, include_dashboard=False, log_to_driver=False)
tune.run(
    call if way == "script" else function,
    config={"x": tune.grid_search(list(range(count)))},
    resources_per_trial={"cpu": 1},
    reuse_actors=way != "processes",
    verbose=0,
    storage_path=os.getcwd(),
)
"""
HYDRA = """
import subprocess, hydra
@hydra.main(version_base=None, config_path=None)
def main(config):
    subprocess.run([config.python, config.script], check=True)
main()
"""


class Task(NamedTuple):
    """A script, the trials at a time, and for each pace of a way how many trials few and more are."""

    script: str
    jobs: int
    counts: dict[str, tuple[int, int]]


Run = Callable[[Path, Task, int], None]


class Way(NamedTuple):
    """How the trials are run, and at what pace: which of the task's numbers of trials suit that."""

    run: Run
    pace: str = "medium"


def call(command: list[str], folder: Path) -> None:
    """Run a program; its output is of no interest unless it fails."""
    with (folder / "log").open("wb") as log:
        done = subprocess.run(command, cwd=folder, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise RuntimeError(f"{command} failed: {(folder / 'log').read_text()[-2000:]}")


def candle(folder: Path, task: Task, count: int, control: str = "") -> None:
    """Run the trials as an experiment; each has its folder, its output, and its outcome in the record."""
    sets = "\n".join(f'{{"x": {number}}}' for number in range(count))
    settings = f"model_script=script.py\nworkflow=grid\nengine=local\nworker_type=cpu\nnworkers={task.jobs}\n{control}"
    (folder / "x.in").write_text(f"&control\n{settings}\n/\n&param_space\n{sets}\n/\n")
    call([sys.executable, "-m", "candle_hpo", "submit-job", "x.in"], folder)
    assert [trial.status for trial in candle_hpo.load(folder / "last-candle-job").trials] == ["completed"] * count


def candle_cold(folder: Path, task: Task, count: int) -> None:
    """Run the trials as an experiment, each in a fresh interpreter."""
    candle(folder, task, count, "preload=none")


def loop(folder: Path, _: Task, count: int) -> None:
    """Run the script in a loop of the shell, one after the other."""
    line = f'for i in $(seq {count}); do "{sys.executable}" script.py; done'
    call(["bash", "-c", line], folder)


def gnu_parallel(folder: Path, task: Task, count: int) -> None:
    """Run the script by GNU parallel, with its log of jobs."""
    line = f"seq {count} | parallel -j{task.jobs} --joblog joblog '{sys.executable} script.py {{}}'"
    call(["bash", "-c", line], folder)


def optuna(folder: Path, task: Task, count: int) -> None:
    """Run the script from an Optuna objective, with a journal in a file."""
    (folder / "study.py").write_text(OPTUNA)
    call([sys.executable, "study.py", "script.py", str(count), str(task.jobs)], folder)


def process_pool(folder: Path, task: Task, count: int) -> None:
    """Run the script from a pool of processes of the standard library."""
    (folder / "pool.py").write_text(POOL)
    call([sys.executable, "pool.py", "script.py", str(count), str(task.jobs)], folder)


def ray(peers: str, way: str) -> Run:
    """Return how Ray Tune runs the trials: `script` calls it; `functions` and `processes` run its text as their own.

    Ray gives the next trial of a function the same process (`functions`), unless asked not to (`processes`).
    """

    def run(folder: Path, task: Task, count: int) -> None:
        (folder / "study.py").write_text(RAY)
        script = str(folder / "script.py")
        call([peers, "study.py", script, str(count), str(task.jobs), sys.executable, way], folder)

    return run


def hydra(peers: str) -> Run:
    """Return how Hydra's own launcher runs the trials, which is one after the other, each calling the script."""

    def run(folder: Path, _: Task, count: int) -> None:
        (folder / "app.py").write_text(HYDRA)
        sets = ",".join(map(str, range(count)))
        script = str(folder / "script.py")
        call([peers, "app.py", "-m", f"+x={sets}", f"+python={sys.executable}", f"+script={script}"], folder)

    return run


def ways(peers: str | None) -> dict[str, Way]:
    """Return all ways that can be tried on this machine."""
    found = {
        "candle": Way(candle, "quick"),
        "candle, `preload=none`": Way(candle_cold),
        "`python script.py` in a loop": Way(loop),
    }
    if shutil.which("parallel"):
        found["GNU parallel"] = Way(gnu_parallel)
    found["Optuna, calling the script"] = Way(optuna)
    found["ProcessPoolExecutor, calling the script"] = Way(process_pool)
    if peers:
        found["Ray Tune, calling the script"] = Way(ray(peers, "script"), "slow")
        found["Ray Tune, its own functions, a process for each"] = Way(ray(peers, "processes"), "slow")
        found["Ray Tune, its own functions, all in the same process"] = Way(ray(peers, "functions"), "quick")
        found["Hydra's multirun, calling the script"] = Way(hydra(peers))
    return found


TASKS = {
    "imports": Task(IMPORTS, 1, {"quick": (10, 510), "medium": (1, 5), "slow": (1, 5)}),
    "empty": Task("", CORES, {"quick": (200, 1000), "medium": (20, 100), "slow": (5, 25)}),
}


def cost(way: Way, task: Task, root: Path) -> float:
    """Return the seconds that one more trial takes."""
    times = []
    few, more = task.counts[way.pace]
    for count in (few, more):
        folder = Path(tempfile.mkdtemp(dir=root))
        (folder / "script.py").write_text(task.script + VALUE)
        began = time.monotonic()
        way.run(folder, task, count)
        times.append(time.monotonic() - began)
    return (times[1] - times[0]) / (more - few)


def main(rounds: int, peers: str | None) -> None:
    """Run all ways in turn, so many times; write the page."""
    contenders = ways(peers)
    found: dict[str, dict[str, list[float]]] = {task: {} for task in TASKS}
    for number in range(rounds):
        for name, task in TASKS.items():
            for label, way in contenders.items():
                with tempfile.TemporaryDirectory() as root:
                    found[name].setdefault(label, []).append(cost(way, task, Path(root)))
                print(f"{number + 1} {name}: {label}: {found[name][label][-1] * 1000:.2f} ms", flush=True)
        write_part("startup", tables(found, number + 1, versions(peers)))


def versions(peers: str | None) -> str:
    """Return what was measured with, in words."""
    found = {name: version(name) for name in ("torch", "scikit-learn", "optuna")}
    if peers:
        names = ("ray", "hydra-core")
        script = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
        done = subprocess.run([peers, "-c", script, *names], check=True, capture_output=True, text=True)
        found |= dict(zip(names, done.stdout.split(), strict=True))
    libraries = ", ".join(f"{name} {number}" for name, number in found.items())
    return f"{CORES} cores, {platform.system()}, Python {platform.python_version()}, {libraries}."


def tables(found: dict[str, dict[str, list[float]]], rounds: int, setting: str) -> str:
    """Return the two tables, with ratios to candle's in each round."""
    imports, empty = found["imports"], found["empty"]
    lines = [
        f"`make benchmark`: {rounds} rounds, the ways in turn; medians (least to most).",
        setting,
        "\nPyTorch and scikit-learn imported, nothing done, one trial at a time: milliseconds a trial.\n",
        "| way | ms a trial | times candle's |",
        "| --- | --- | --- |",
    ]
    for label, values in imports.items():
        ratios = [value / own for value, own in zip(values, imports["candle"], strict=True)]
        lines.append(f"| {label} | {spread([1000 * value for value in values])} | {spread(ratios)} |")
    lines += [f"\nAn empty script, {CORES} trials at a time: trials a second.\n"]
    lines += ["| way | trials a second | candle's, times this |", "| --- | --- | --- |"]
    for label, values in empty.items():
        ratios = [value / own for value, own in zip(values, empty["candle"], strict=True)]
        lines.append(f"| {label} | {spread([1 / value for value in values])} | {spread(ratios)} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Return the median, the least and the most, in three digits."""
    middle, least, most = map(in_three_digits, (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least} to {most})"


def in_three_digits(value: float) -> str:
    """Return a number for the table."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, sys.argv[2] if len(sys.argv) > 2 else None)
