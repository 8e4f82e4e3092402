"""Experiments on the tests' SLURM cluster: their input, and what came of them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.record.events import TrialFinished
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events
from support.slurm_cluster import SlurmCluster

# Notes when it ran and on what, sleeps, and returns what the exercise's model does: better with smaller batches.
SCRIPT = """
    import json, os, time
    began = time.time()
    time.sleep(hyperparams["pause"])
    with open("ran.json", "w") as file:
        ran = [os.environ.get(name) for name in ("SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES")]
        json.dump([*ran, began, time.time()], file)
    val_to_return = hyperparams["batch_size"] / hyperparams["epochs"]
"""
GPUS = "ngpus=6\ngpu_type=k80\nmem_per_cpu=1\nwalltime=00:05:00"


def grid(count: int, pause: float) -> str:
    lines = [{"epochs": 1 + number % 5, "batch_size": 2**number, "pause": pause} for number in range(count)]
    return "\n".join(map(json.dumps, lines))


SIXTY = grid(60, 1.0)


def history(here: Path) -> History:
    return History(Objective(Direction.MINIMIZE), read_events(here / "last-candle-job" / "events.jsonl"))


def wait_until(condition: Callable[[], bool], seconds: float, here: Path, slurm: SlurmCluster) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            output = here / "last-candle-job" / "job.out"
            said = output.read_text() if output.exists() else "no job.out"
            raise AssertionError(f"not after {seconds} s:\n{slurm.queue()}\n{said}")
        time.sleep(0.1)


def completed(here: Path) -> int:
    record = here / "last-candle-job" / "events.jsonl"
    return record.read_text().count('"completed"') if record.exists() else 0


def assert_each_completed_once(here: Path, count: int) -> None:
    events = read_events(here / "last-candle-job" / "events.jsonl")
    ends = Counter(
        e.number for e in events if isinstance(e, TrialFinished) and e.outcome.value_of(THE_VALUE) is not None
    )
    assert ends == Counter(range(1, count + 1))


def with_sbatch_that(then: str, here: Path, slurm: SlurmCluster, first: str = ":") -> dict[str, str]:
    """Return the environment with an `sbatch` that submits a job, and does something else first and then."""
    path = slurm.environment.get("PATH", os.environ["PATH"])
    sbatch = here / "bin" / "sbatch"
    sbatch.parent.mkdir()
    submits = "[[ $1 != --parsable ]]"
    real = shutil.which("sbatch", path=path)
    sbatch.write_text(f'#!/bin/bash\n{submits} || {first}\n{real} "$@"\n{submits} || {then}\n')
    sbatch.chmod(0o755)
    return {**slurm.environment, "PATH": f"{sbatch.parent}:{path}"}
