"""Batch mode on a real SLURM cluster: the exercise, what models see, refusals. GPUs are pretended, all else is real."""

from __future__ import annotations

import csv
import json
import os
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from candle_hpo.core.objective import THE_VALUE
from candle_hpo.engine.batch.job_text import jobs_of
from conftest import Candle, WriteInput, gone
from support.cluster_experiments import GPUS, SCRIPT, completed, grid, history, wait_until
from support.slurm_cluster import SlurmCluster


def test_each_trial_has_its_own_files(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    script = """
        import os, sys
        from pathlib import Path
        os.remove("helper.py")  # each trial has its own
        rate = float(Path(__file__).with_name("c.ini").read_text().split("=")[1])
        assert rate == float(Path("made.txt").read_text()) == float(input()), rate
        val_to_return = rate * int(Path("data/factor.txt").read_text())
    """
    (here / "data").mkdir()
    (here / "data" / "factor.txt").write_text("3")
    (here / "c.ini").write_text("[train]\nlr = 0.1\n")
    (here / "in.txt").write_text("{{ train.lr }}\n")
    (here / "helper.py").touch()
    control = 'config_file="c.ini"\nstdin_file="in.txt"\nlink="data"\nrun_in="script"\n' + GPUS
    control += "\nprepare='candle_get_param train.lr > made.txt'"
    path = write_input(script, control, "", "\n".join(json.dumps({"train.lr": 10.0**-n}) for n in range(1, 9)))
    done = on_cluster("submit-job", path)
    assert done.returncode == 0, done.stderr
    slurm.wait_until_empty(90)
    assert "8 trials: 8 completed" in on_cluster("status").stdout
    found = {n: trial.outcome and trial.outcome.value_of(THE_VALUE) for n, trial in history(here).trials.items()}
    assert found == {n: 10.0**-n * 3 for n in range(1, 9)}
    assert (here / "helper.py").exists()


@pytest.mark.newer_slurm
def test_the_exercise(write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster) -> None:
    sets = [{"epochs": e, "batch_size": b, "pause": 0.3} for e in (2, 4, 6, 8, 10) for b in (64, 128, 256, 512, 1024)]
    path = write_input(SCRIPT, GPUS, "y = 0", "\n".join(map(json.dumps, sets)))
    done = on_cluster("submit-job", path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["Input file submitted successfully", "Status: candle status"]
    assert "JOB_ID=" in done.stdout
    slurm.wait_until_empty(90)

    job = (here / "last-candle-job" / "job.out").read_text()
    assert "6 workers on 3 nodes" in job
    assert "25 trials: 25 completed" in job, job
    assert "25 trials: 25 completed" in on_cluster("status").stdout
    assert on_cluster("aggregate-results").returncode == 0
    with (here / "candle_generated_files" / "candle_results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    header = ["result", "dirname", "id", "epochs", "batch_size", "pause", "status", "seconds", "attempts"]
    assert list(rows[0]) == header
    assert [float(row["result"]) for row in rows] == sorted(s["batch_size"] / s["epochs"] for s in sets)

    ran = [json.loads(path.read_text()) for path in here.glob("last-candle-job/run/*/ran.json")]
    by_gpu: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for node, gpu, began, ended in ran:
        by_gpu.setdefault((node, gpu), []).append((began, ended))
    assert len(by_gpu) == 6, by_gpu
    assert {gpu for _, gpu in by_gpu} == {"0", "1"}
    for times in by_gpu.values():
        times.sort()
        assert all(ended <= began for (_, ended), (began, _) in pairwise(times))
    # The keys of the worker pool are gone with it.
    assert not list(here.glob("last-candle-job/workers_*"))
    assert not (here / "last-candle-job" / "campaign.lock").exists()


def test_the_trials_of_a_worker_are_forked_from_its_own_warm_interpreter(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    script = """
        import os, time
        import numpy
        slot = [os.environ["SLURMD_NODENAME"], os.environ["CUDA_VISIBLE_DEVICES"]]
        print(os.getppid(), *slot)
        time.sleep(0.3)
        val_to_return = 1
    """
    done = on_cluster("submit-job", write_input(script, GPUS, "y = 0", grid(24, 0)))
    assert done.returncode == 0, done.stderr
    slurm.wait_until_empty(90)
    assert completed(here) == 24
    outputs = [path.read_text().split() for path in here.glob("last-candle-job/run/*/subprocess_out_and_err.txt")]
    hosts = {tuple(slot): host for host, *slot in outputs}
    assert len(hosts) == len(set(hosts.values())) == 6
    assert all(hosts[tuple(slot)] == host for host, *slot in outputs)
    assert gone(*map(int, hosts.values()))


def test_a_dry_run_shows_the_script_and_makes_nothing(write_input: WriteInput, here: Path, on_cluster: Candle) -> None:
    options = "dry_run=1\nqueue=gpu\nproject=lab\ncustom_sbatch_args='--nice=5 --comment=\"a b\"'"
    path = write_input(SCRIPT, f"{GPUS}\n{options}", "y = 0", grid(4, 0))
    before = sorted(here.iterdir())
    done = on_cluster("submit-job", path)
    assert done.returncode == 0, done.stderr
    for line in ["--nodes=3", "--ntasks-per-node=2", "--gres=gpu:k80:2", "--partition=gpu", "--account=lab"]:
        assert f"  #SBATCH {line}\n" in done.stdout
    assert "  #SBATCH --nice=5 '--comment=a b candle:" in done.stdout
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize(
    ("control", "status", "message"),
    [
        ("queue=nowhere", 3, "sbatch refused (exit status 1): sbatch: error: invalid partition specified: nowhere"),
        (
            "ngpus=9\ngpu_type=K80",
            2,
            "nworkers=9: there are no nodes with k80 GPUs for so many workers, as many on each; there are, at most, "
            "for nworkers=8 (4 nodes with 2 each) in partitions norm, gpu",
        ),
        ("gpu_type=v100", 2, 'no node of this cluster has a GPU that SLURM calls "v100"; it knows k80, and cpu'),
        (
            "gpu_type=k80\ncustom_sbatch_args=-N2",
            2,
            "--nodes=2 is not possible: workers with GPUs are laid out on nodes by",
        ),
        ("custom_sbatch_args=--no-such-option", 3, "unrecognized option '--no-such-option'"),
    ],
)
def test_a_refusal_shows_slurms_own_words_and_leaves_nothing(
    write_input: WriteInput, here: Path, on_cluster: Candle, control: str, status: int, message: str
) -> None:
    done = on_cluster("submit-job", write_input(SCRIPT, control, "y = 0", grid(4, 0)))
    assert done.returncode == status
    assert message in done.stderr
    assert not (here / "last-candle-job").exists()
    assert not list((here / "candle_generated_files" / "experiments").iterdir())


@pytest.mark.newer_slurm
def test_slurm_knows_no_state_of_jobs_that_candle_does_not(slurm: SlurmCluster) -> None:
    with pytest.raises(RuntimeError, match="job states include: ") as refused:
        slurm.run("squeue", "--states=unheard-of")
    said = str(refused.value).partition("include: ")[2]
    states = [state.strip().upper() for state in said.split(",")]
    assert "RUNNING" in states
    jobs_of("".join(f"candle_job|{line}\n" for line in ["JOBID", *(f"7|{state}||||||" for state in states)]))


def test_workers_of_cpus_have_their_threads_and_the_users_own_path(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    """Nothing of our Python reaches the model; CPU workers are left for SLURM to place, and bound to no CPU."""
    threads = os.environ.get("OMP_NUM_THREADS", "2")  # what the user has set wins over nthreads
    path = slurm.environment.get("PATH", os.environ["PATH"])
    script = f"""
        import os
        assert os.sched_getaffinity(0) == {os.sched_getaffinity(0)}, os.sched_getaffinity(0)
        assert os.environ["OMP_NUM_THREADS"] == "{threads}", os.environ["OMP_NUM_THREADS"]
        assert os.environ.get("CUDA_VISIBLE_DEVICES", "") == ""
        val_to_return = len(os.environ["PATH"].split(os.pathsep))
    """
    given = write_input(script, "nworkers=5\nnthreads=2\nmem_per_cpu=1", "y = 0", grid(10, 0))
    assert on_cluster("submit-job", given).returncode == 0
    slurm.wait_until_empty(90)
    found = history(here)
    assert "10 completed" in (here / "last-candle-job" / "job.out").read_text()
    assert {trial.value for trial in found.trials.values() if trial.outcome} == {float(len(path.split(os.pathsep)))}


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="there is no R (Debian: apt-get install r-base-core)")
@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("model.R", "val_to_return <- hyperparams$batch_size / hyperparams$epochs"),
        ("model.sh", "val_to_return=$(( $(candle_get_param batch_size) / $(candle_get_param epochs) ))"),
    ],
)
def test_scripts_in_other_languages(
    script: str, text: str, write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    path = write_input("", f"{GPUS}", "", "\n".join(f'{{"epochs": 1, "batch_size": {size}}}' for size in (3, 1, 2)))
    (here / script).write_text(text)
    path.write_text(path.read_text().replace("model.py", script))
    assert on_cluster("submit-job", "x.in").returncode == 0
    wait_until(lambda: completed(here) == 3, 60, here, slurm)
    values = {row.trial.id: row.value for row in history(here).trials.values() if row.outcome}
    assert values == {"hpset_00001": 3, "hpset_00002": 1, "hpset_00003": 2}


def test_two_trials_share_a_gpu_and_a_trial_has_two(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    script = """
        import os, time
        print(os.environ["SLURMD_NODENAME"], os.environ["CUDA_VISIBLE_DEVICES"])
        time.sleep(1)
        val_to_return = 1
    """
    for keyword, workers, places in (("trials_per_gpu", 4, {"0", "1"}), ("gpus_per_trial", 2, {"0,1"})):
        control = f"nworkers={workers}\ngpu_type=k80\nmem_per_cpu=1\nwalltime=00:05:00\n{keyword}=2"
        done = on_cluster("submit-job", write_input(script, control, "y = 0", grid(8, 0)))
        assert done.returncode == 0, done.stderr
        slurm.wait_until_empty(90)
        assert completed(here) == 8
        outputs = [path.read_text().split() for path in here.glob("last-candle-job/run/*/subprocess_out_and_err.txt")]
        assert {devices for _, devices in outputs} == places
        assert len({node for node, _ in outputs}) == (1 if keyword == "trials_per_gpu" else 2)
