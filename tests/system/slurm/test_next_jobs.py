"""What does not fit into one job continues in the next one, or in the same one when SLURM requeues it."""

from __future__ import annotations

import os
import signal
import time
from itertools import pairwise
from pathlib import Path

from candle_hpo.record.events import CampaignStarted, JobEnd, JobEnded, JobSubmitted
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
)
from support.slurm_cluster import SlurmCluster


def test_an_experiment_three_walltimes_long_ends_unattended(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    control = "nworkers=2\nmem_per_cpu=1\nwalltime=00:01:00\nauto_resubmit=1"
    assert on_cluster("submit-job", write_input(SCRIPT, control, "y = 0", grid(50, 4.0))).returncode == 0
    wait_until(lambda: completed(here) >= 50, 420, here, slurm)
    slurm.wait_until_empty(60)
    assert_each_completed_once(here, 50)
    jobs = [*history(here).jobs]
    assert len(jobs) >= 3
    ends = JobEnded, CampaignStarted, JobSubmitted
    events = read_events(here / "last-candle-job" / "events.jsonl")
    order = [(type(event), event.job) for event in events if isinstance(event, ends)]
    expected: list[tuple[type, str]] = [(JobSubmitted, jobs[0]), (CampaignStarted, jobs[0])]
    for before, after in pairwise(jobs):
        expected += [(JobSubmitted, after), (JobEnded, before), (CampaignStarted, after)]
    assert order == [*expected, (JobEnded, jobs[-1])]
    assert "50 trials: 50 completed" in on_cluster("status").stdout


def test_a_job_that_is_warned_early_and_may_submit_no_other_is_requeued(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    """As a preemption warns, on nodes from which nobody may submit, in a job without a limit."""
    control = f"{GPUS}\nauto_resubmit=1\ncustom_sbatch_args=--time=UNLIMITED"
    assert on_cluster("submit-job", write_input(SCRIPT, control, "y = 0", SIXTY)).returncode == 0
    wait_until(lambda: completed(here) >= 6, 60, here, slurm)
    (job,) = history(here).jobs
    slurm.run("scontrol", "update", "PartitionName=norm", "AllocNodes=nowhere")
    try:
        slurm.run("scancel", "--signal=USR1", "--batch", job)
        wait_until(lambda: "PENDING" in slurm.run("squeue", "--noheader", "--format=%T"), 60, here, slurm)
        status = on_cluster("status").stdout
        assert f"Waiting in the queue as job {job} (BeginTime)" in status
    finally:
        slurm.run("scontrol", "update", "PartitionName=norm", "AllocNodes=ALL")
    # SLURM lets a requeued job wait for two minutes. In the second in which it ended, it would start nowhere.
    slurm.run("scontrol", "update", f"JobId={job}", "StartTime=now+3")
    slurm.wait_until_empty(120)
    assert "60 trials: 60 completed" in (here / "last-candle-job" / "job.out").read_text()
    assert_each_completed_once(here, 60)
    assert [*history(here).jobs] == [job]
    ended = history(here).jobs[job].ended
    assert ended is not None
    assert ended.how is JobEnd.CAMPAIGN_ENDED


def test_a_job_that_slurm_requeues_continues(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    """Its steps get SIGTERM first, as in the grace of a preemption; then its campaign hangs, and holds its lock."""
    path = write_input(SCRIPT, f"{GPUS}\nretries=2\ncustom_sbatch_args=--requeue", "y = 0", SIXTY)
    assert on_cluster("submit-job", path).returncode == 0
    wait_until(lambda: completed(here) >= 6, 60, here, slurm)
    campaign = history(here).campaign
    assert campaign is not None
    slurm.run("scancel", "--signal=TERM", campaign.job)
    time.sleep(5)
    before = completed(here)
    wait_until(lambda: completed(here) > before, 90, here, slurm)  # workers have come again
    assert len(history(here).campaigns) == 1
    os.kill(campaign.process, signal.SIGSTOP)
    slurm.run("scontrol", "requeue", campaign.job)
    wait_until(lambda: "PENDING" in slurm.run("squeue", "--noheader", "--format=%T"), 60, here, slurm)
    slurm.run("scontrol", "update", f"JobId={campaign.job}", "StartTime=now+3")
    slurm.wait_until_empty(120)
    assert "60 trials: 60 completed" in (here / "last-candle-job" / "job.out").read_text()
    assert_each_completed_once(here, 60)
