"""What a real SLURM cluster and the models on it see of an environment that would lead both astray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import Candle, WriteInput
from support.slurm_cluster import SlurmCluster

# As `salloc --gpus=1`, `srun --pty bash`, modules and profiles leave them; each of them alone has cost an experiment.
ASTRAY = {
    "SLURM_JOB_ID": "999999", "SLURM_GPUS": "1", "SLURM_NTASKS": "1", "SLURM_CONSTRAINT": "none", "SLURM_LABELIO": "1",
    "SLURM_EXPORT_ENV": "NONE", "SLURM_NTASKS_PER_NODE": "7", "SLURM_TRES_PER_TASK": "cpu=1", "SRUN_DEBUG": "3",
    "SLURM_NODELIST": "n9", "SLURM_EXIT_ERROR": "9", "SLURM_TIMELIMIT": "1", "SLURM_WORKING_DIR": "/nowhere",
    "SBATCH_ARRAY_INX": "1-3", "SBATCH_EXPORT": "NONE", "SBATCH_OUTPUT": "/nowhere/x", "SBATCH_WAIT": "",
    "SBATCH_MEM_PER_NODE": "1", "SBATCH_GPUS": "64", "SBATCH_CONSTRAINT": "", "PMI_RANK": "5", "PMI_FD": "77",
    "SQUEUE_PARTITION": "norm", "SQUEUE_FORMAT2": "JobID", "SQUEUE_STATES": "FAILED", "SCANCEL_INTERACTIVE": "",
    "SINFO_FORMAT": "%N", "SINFO_PARTITION": "nowhere", "SINFO_NODES": "n9", "SINFO_STATES": "down",
    "SLURM_CPU_BIND": "map_cpu:0", "SLURM_CPU_BIND_TYPE": "map_cpu:", "SLURM_CPU_BIND_LIST": "0",
    "SLURM_MEM_BIND": "local",
    "SLURM_DISTRIBUTION": "arbitrary", "SLURM_HINT": "nomultithread", "SLURM_EXCLUSIVE": "", "SLURM_OVERCOMMIT": "",
    "SLURM_KILL_BAD_EXIT": "1", "SLURM_THREADS_PER_CORE": "1", "SLURM_NTASKS_PER_GPU": "9",
    "SLURM_HOSTFILE": "/nowhere/x",
    "SLURM_TASK_PROLOG": "/bin/false", "SLURM_PROLOG": "/bin/false", "SLURM_SRUN_MULTI": "1", "SLURM_WCKEY": "x",
    "SBATCH_GRES": "gpu:k80:1", "SBATCH_NO_REQUEUE": "", "SBATCH_EXCLUSIVE": "", "SBATCH_HINT": "nomultithread",
    "SBATCH_SIGNAL": "KILL@600", "SBATCH_TIMELIMIT": "1", "SBATCH_JOB_NAME": "x", "SBATCH_DISTRIBUTION": "arbitrary",
    "SBATCH_THREADS_PER_CORE": "1", "SBATCH_GET_USER_ENV": "", "SBATCH_DEPENDENCY": "after:1", "SBATCH_DEBUG": "5",
    "SQUEUE_FORMAT": "%i", "SQUEUE_SORT": "x", "SQUEUE_USERS": "nobody", "SQUEUE_NAMES": "x", "SQUEUE_LICENSES": "x",
    "SCANCEL_STATE": "PENDING", "SCANCEL_NAME": "x", "SCANCEL_PARTITION": "nowhere", "SCONTROL_FUTURE": "",
    "PMIX_RANK": "5", "PMIX_NAMESPACE": "x.1", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3",
    "KRB5CCNAME": "FILE:/nowhere/x", "PYTHONSTARTUP": "/nowhere/x.py", "PYTHONUSERBASE": "/nowhere",
    "BASH_FUNC_srun%%": "() { exit 9; }", "BASH_FUNC_ulimit%%": "() { exit 9; }", "BASH_FUNC_trap%%": "() { exit 9; }",
}  # fmt: skip
OF_PEOPLE = {"SBATCH_PARTITION": "gpu", "SLURM_MPI_TYPE": "none", "SRUN_CPUS_PER_TASK": "1"}
MODEL = """
    import json, os, subprocess, time
    own = subprocess.run(
        ["srun", "--overlap", "--nodes=1", "--ntasks=2", "sh", "-c", "echo $SLURM_PROCID of $SLURM_NTASKS"],
        capture_output=True, text=True,
    )
    cpus = sorted(os.sched_getaffinity(0))
    json.dump([dict(os.environ), sorted(own.stdout.splitlines()), own.stderr, cpus], open("seen.json", "w"))
    while not os.path.exists("../../asked"):
        time.sleep(0.1)
    val_to_return = 1
"""


@pytest.fixture
def astray(here: Path) -> dict[str, str]:
    """An environment with all of it, a BASH_ENV that prints and fails, and folders that are none of candle's."""
    (here / "noise").write_text("echo noise from BASH_ENV\nexit 3\n")
    others = here / "lib"
    others.mkdir()
    for name in ("msgspec", "parsl", "typer", "zmq", "psutil", "rich"):
        (others / f"{name}.py").write_text("raise ImportError('this is for another Python')\n")
    long = here / ("long" * 25)
    long.mkdir()
    return ASTRAY | OF_PEOPLE | {"BASH_ENV": str(here / "noise"), "PYTHONPATH": str(others), "TMPDIR": str(long)}


@pytest.mark.newer_slurm
def test_variables_decide_neither_over_the_job_nor_over_its_step(
    write_input: WriteInput, here: Path, candle: Candle, slurm: SlurmCluster, astray: dict[str, str]
) -> None:
    control = "nworkers=4\ngpu_type=k80\nnthreads=2\nmem_per_cpu=1\nwalltime=00:05:00\n"
    control += "custom_sbatch_args=\"-J 'two words' --mem=0\""
    path = write_input(MODEL, control, "y = 0", '{"x": 1}\n{"x": 2}\n{"x": 3}\n{"x": 4}')
    environment = slurm.environment | astray
    few_files = ["bash", "-p", "-c", 'ulimit -Sn 24; exec "$@"', "bash"]  # which SLURM passes on to the job
    done = subprocess.run(
        [*few_files, sys.executable, "-m", "candle_hpo", "submit-job", str(path)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nSBATCH_ARRAY_INX, SBATCH_DEBUG, " in done.stdout
    assert ", SBATCH_WAIT: not followed; custom_sbatch_args is for what sbatch is to be asked besides\n" in done.stdout
    job = done.stdout.partition("JOB_ID=")[2].split()[0]
    folder, deadline = here / "last-candle-job", time.monotonic() + 90
    while len(list(folder.glob("run/*/seen.json"))) < 4:
        output = folder / "job.out"
        assert time.monotonic() < deadline, f"{slurm.queue()}\n{output.read_text() if output.exists() else ''}"
        time.sleep(0.1)

    assert "Running since" in candle("status", **environment).stdout
    refused = candle("resume", **environment)
    assert refused.returncode == 2, "a second campaign would have begun beside the first"
    (folder / "asked").touch()
    slurm.wait_until_empty(90)
    assert "4 trials: 4 completed" in (folder / "job.out").read_text(), (folder / "job.out").read_text()
    assert "noise" not in (folder / "job.out").read_text()

    for seen, own, errors, cpus in [json.loads(each.read_text()) for each in folder.glob("run/*/seen.json")]:
        assert own == ["0 of 2", "1 of 2"], errors
        assert set(cpus) == os.sched_getaffinity(0)
        assert {name: seen.get(name) for name in OF_PEOPLE} == OF_PEOPLE
        of_job = {"SLURM_JOB_ID": job, "SLURM_JOB_PARTITION": "gpu", "SLURM_JOB_NAME": "two words"}
        of_job |= {"SLURM_CPUS_PER_TASK": "2", "SLURM_JOB_NUM_NODES": "2", "SLURM_TASKS_PER_NODE": "2(x2)"}
        of_job |= {"SLURM_CPUS_ON_NODE": "4", "SLURM_JOB_GPUS": "0,1", "SLURM_SUBMIT_DIR": str(folder.resolve())}
        assert {name: seen.get(name) for name in of_job} == of_job
        assert seen["BASH_ENV"] == astray["BASH_ENV"]
        assert seen["PYTHONPATH"] == astray["PYTHONPATH"]
        gone = {"SLURM_GPUS", "SLURM_NTASKS", "SLURM_CONSTRAINT", "SLURM_LABELIO", "SRUN_DEBUG"}
        gone |= {"SLURM_PROCID", "SLURM_CPU_BIND", "SLURM_HINT", "PMI_RANK", "PMI_FD", "PMIX_RANK"}
        gone |= {name for name in seen if name.startswith("OMPI_COMM_WORLD")}
        assert not {name: seen[name] for name in gone & set(seen)}
        # What newer versions say of the job, and of its batch step.
        assert seen.get("SLURM_TRES_PER_TASK") in (None, "cpu=2")
        assert {seen.get("SLURM_STEP_ID"), seen.get("SLURM_STEPID")} <= {None, "-5"}
        assert not [name for name in seen if name.startswith("CANDLE_ENVIRONMENT")]
