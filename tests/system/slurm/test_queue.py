"""Jobs from before they are submitted until they are cancelled: who submits, who waits, what is recorded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from candle_hpo.record.events import CampaignStarted, JobEnd, JobEnded, JobRequested, JobSubmitted
from candle_hpo.record.log import read_events
from conftest import Candle, WriteInput
from support.cluster_experiments import (
    GPUS,
    SCRIPT,
    SIXTY,
    assert_each_completed_once,
    completed,
    grid,
    history,
    wait_until,
    with_sbatch_that,
)
from support.slurm_cluster import SlurmCluster
from support.waiting import unless_it_hangs


@pytest.mark.newer_slurm
def test_an_experiment_in_the_queue_is_seen_and_cancelled(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    path = write_input(SCRIPT, "custom_sbatch_args=--begin=now+1hour\nmem_per_cpu=1", "y = 0", grid(4, 0))
    assert on_cluster("submit-job", path).returncode == 0
    status = on_cluster("status").stdout
    assert "Waiting in the queue as job" in status
    assert "(BeginTime)" in status
    assert "4 trials: 4 not started" in status
    refused = on_cluster("resume")
    assert refused.returncode == 2
    assert "which is PENDING; wait for it, or stop it with candle cancel" in refused.stderr
    assert "is cancelled" in on_cluster("cancel").stdout
    slurm.wait_until_empty(20)
    assert "ended (CANCELLED), before any trial ran" in on_cluster("status").stdout
    again = on_cluster("cancel")
    assert again.returncode == 2
    assert "X000 is not running" in again.stderr


def test_of_two_resumes_at_once_one_submits(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    path = write_input(SCRIPT, "custom_sbatch_args=--begin=now+1hour\nmem_per_cpu=1", "y = 0", grid(4, 0))
    assert on_cluster("submit-job", path).returncode == 0
    assert on_cluster("cancel").returncode == 0
    slurm.wait_until_empty(20)
    with ThreadPoolExecutor(2) as both:
        ended = sorted(both.map(lambda _: on_cluster("resume"), range(2)), key=lambda done: done.returncode)
    assert [done.returncode for done in ended] == [0, 2], ended
    assert "X000 is being run by process" in ended[1].stderr or "which is PENDING; wait for it" in ended[1].stderr
    cancelled, waiting = history(here).jobs.values()
    assert cancelled.ended is not None
    assert (cancelled.ended.how, cancelled.ended.state) == (JobEnd.ENDED, "CANCELLED")
    assert waiting.ended is None
    assert slurm.run("squeue", "--noheader", "--format=%i").split() == [waiting.id]
    assert on_cluster("cancel").returncode == 0
    slurm.wait_until_empty(20)


@pytest.mark.parametrize(
    ("then", "status"),
    [
        ("sleep 8", 0),
        ("kill -KILL $PPID", -signal.SIGKILL),
        ("{ echo 12; echo sbatch: error: Socket timed out on send/recv operation >&2; exit 1; }", 0),
    ],
)
def test_a_job_that_starts_before_it_is_recorded_loses_nothing(
    then: str, status: int, write_input: WriteInput, here: Path, candle: Candle, slurm: SlurmCluster
) -> None:
    """It waits for whoever has submitted it, and records itself where that one has died."""
    path = write_input(SCRIPT, "nworkers=2\nmem_per_cpu=1", "y = 0", grid(4, 0))
    done = candle("submit-job", path, **with_sbatch_that(then, here, slurm))
    assert done.returncode == status, done.stderr
    slurm.wait_until_empty(90)
    (experiment,) = here.glob("candle_generated_files/experiments/X*")
    _, request, first, second, *_, last = read_events(experiment / "events.jsonl")
    assert isinstance(request, JobRequested)
    assert isinstance(first, JobSubmitted)
    assert isinstance(second, CampaignStarted)
    assert isinstance(last, JobEnded)
    assert first.job == second.job == last.job
    assert "4 trials: 4 completed" in (experiment / "job.out").read_text()


def test_the_job_of_a_submitter_that_died_is_found_while_it_waits(
    write_input: WriteInput, here: Path, candle: Candle, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    path = write_input(SCRIPT, "custom_sbatch_args=--begin=now+1hour\nmem_per_cpu=1", "y = 0", grid(4, 0))
    killed = candle("submit-job", path, **with_sbatch_that("kill -KILL $PPID", here, slurm))
    assert killed.returncode == -signal.SIGKILL
    (experiment,) = here.glob("candle_generated_files/experiments/X*")
    (job,) = slurm.run("squeue", "--noheader", "--format=%i").split()
    assert f"Waiting in the queue as job {job} (BeginTime)" in on_cluster("status", experiment).stdout
    refused = on_cluster("resume", experiment)
    assert f"is job {job}, which is PENDING; wait for it" in refused.stderr
    assert slurm.run("squeue", "--noheader", "--format=%i").split() == [job]
    assert "is cancelled" in on_cluster("cancel", experiment).stdout
    slurm.wait_until_empty(20)


def test_a_cancelled_job_shows_the_truth_and_can_be_resumed(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    path = write_input(SCRIPT, GPUS, "y = 0", SIXTY)
    assert on_cluster("submit-job", path).returncode == 0
    wait_until(lambda: completed(here) >= 6, 60, here, slurm)
    assert on_cluster("cancel").returncode == 0
    slurm.wait_until_empty(60)
    slurm.wait_until_nothing_runs(10)
    status = on_cluster("status").stdout
    assert "candle resume X000 continues it" in status
    assert " interrupted, " in status
    assert " running" not in status
    path.write_text(path.read_text().replace("workflow=", "restart_from_exp=X000\nworkflow="))
    assert on_cluster("submit-job", path).returncode == 0
    slurm.wait_until_empty(120)
    assert_each_completed_once(here, 60)


def test_what_a_user_cancels_does_not_continue_by_itself(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    control = f"{GPUS}\nauto_resubmit=1"
    assert on_cluster("submit-job", write_input(SCRIPT, control, "y = 0", SIXTY)).returncode == 0
    wait_until(lambda: completed(here) >= 6, 60, here, slurm)
    assert on_cluster("cancel").returncode == 0
    slurm.wait_until_empty(60)
    assert len(history(here).jobs) == 1
    assert "candle resume X000 continues it" in on_cluster("status").stdout


def test_watch_a_job_from_the_login_node(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    """From the queue to the end of the job, in a shell that only sees the folder."""
    script = """
        import os, time
        while not os.path.exists("../../go"):
            time.sleep(0.1)
        print("slept")
        val_to_return = hyperparams["x"]
    """
    done = on_cluster("submit-job", write_input(script, "nworkers=2\nmem_per_cpu=1\ncustom_sbatch_args=--hold"))
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "-m", "candle_hpo", "watch"]
    environment = {**os.environ, **slurm.environment}
    seen: list[str] = []
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as watch:

        def read_until(start: str) -> None:
            assert watch.stdout is not None
            for line in watch.stdout:
                seen.append(line)
                if line.startswith(start):
                    return
            raise AssertionError(f"no line begins with {start!r}:\n{''.join(seen)}")

        try:
            unless_it_hangs(lambda: read_until("Waiting in the queue as job "))
            (job,) = slurm.run("squeue", "--noheader", "--format=%i").split()
            slurm.run("scontrol", "release", job)
            unless_it_hangs(lambda: read_until("Running since "))
            assert f" as job {job} on n" in seen[-1]
            (here / "last-candle-job" / "go").touch()
            unless_it_hangs(lambda: read_until("4 trials: 4 completed"))
            assert watch.wait(60) == 0
        finally:
            watch.kill()
    assert on_cluster("logs", "1").stdout == "slept\n"
    done = on_cluster("report")
    assert done.returncode == 0, done.stderr
