"""What a trial costs besides its model: candle and what a user would take instead, side by side.

An import-heavy script (PyTorch and scikit-learn) one trial at a time, and an empty script on all cores. Each way is run
with few and with more trials; what the additional ones took is what a trial costs, without what is done once.

    python benchmarks/startup.py [ROUNDS [PEERS]]     writes its part of docs/performance.md

PEERS is a Python with `ray[tune]` and `hydra-core`; without it these two are left out.
"""

from __future__ import annotations

import json
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

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- startup -->", "<!-- end of startup -->"
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
script, count, jobs, python = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
def objective(config):
    subprocess.run([python, script], check=True)
    return {"loss": 1.0}
ray.init(num_cpus=jobs, include_dashboard=False, log_to_driver=False)
space = {"x": tune.grid_search(list(range(count)))}
tune.run(objective, config=space, resources_per_trial={"cpu": 1}, verbose=0, storage_path=os.getcwd())
"""
HYDRA = """
import subprocess, hydra
@hydra.main(version_base=None, config_path=None)
def main(config):
    subprocess.run([config.python, config.script], check=True)
main()
"""


class Task(NamedTuple):
    """A script, the trials at a time, and how many trials few and more are: for candle, and for the others."""

    script: str
    jobs: int
    ours: tuple[int, int]
    theirs: tuple[int, int]


Way = Callable[[Path, Task, int], None]


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
    events = [json.loads(line) for line in (folder / "last-candle-job" / "events.jsonl").read_text().splitlines()]
    assert sum(event.get("status") == "completed" for event in events) == count


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


def ways(peers: str | None) -> dict[str, Way]:
    """Return all ways that can be tried on this machine."""

    def ray(folder: Path, task: Task, count: int) -> None:
        (folder / "study.py").write_text(RAY)
        script = str(folder / "script.py")
        call([str(peers), "study.py", script, str(count), str(task.jobs), sys.executable], folder)

    def hydra(folder: Path, _: Task, count: int) -> None:
        (folder / "app.py").write_text(HYDRA)
        sets = ",".join(map(str, range(count)))
        script = str(folder / "script.py")
        call([str(peers), "app.py", "-m", f"+x={sets}", f"+python={sys.executable}", f"+script={script}"], folder)

    found: dict[str, Way] = {
        "candle": candle,
        "candle, `preload=none`": candle_cold,
        "`python script.py` in a loop": loop,
    }
    if shutil.which("parallel"):
        found["GNU parallel"] = gnu_parallel
    found |= {"Optuna, calling the script": optuna, "ProcessPoolExecutor, calling the script": process_pool}
    if peers:
        found |= {"Ray Tune, calling the script": ray, "Hydra's multirun, calling the script": hydra}
    return found


TASKS = {
    "imports": Task(IMPORTS, 1, (10, 110), (1, 3)),
    "empty": Task("", CORES, (200, 1000), (20, 100)),
}


def cost(way: Way, task: Task, root: Path) -> float:
    """Return the seconds that one more trial takes."""
    times = []
    few, more = task.ours if way is candle else task.theirs
    for count in (few, more):
        folder = Path(tempfile.mkdtemp(dir=root))
        (folder / "script.py").write_text(task.script + VALUE)
        began = time.monotonic()
        way(folder, task, count)
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
        text = PAGE.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        rest = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{tables(found, number + 1)}{END}{rest}", encoding="utf-8")


def tables(found: dict[str, dict[str, list[float]]], rounds: int) -> str:
    """Return the two tables, with ratios to candle's in each round."""
    imports, empty = found["imports"], found["empty"]
    lines = [
        f"\n`python benchmarks/startup.py {rounds}`: {rounds} rounds, the ways in turn; medians (least to most).",
        f"{CORES} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"torch {version('torch')}, scikit-learn {version('scikit-learn')}, optuna {version('optuna')}.",
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
    return "\n".join([*lines, "", ""])


def spread(values: list[float]) -> str:
    """Return the median, the least and the most, in three digits."""
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, sys.argv[2] if len(sys.argv) > 2 else None)
