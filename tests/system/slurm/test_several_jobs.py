"""An experiment in several jobs: it starts with the first, others join and leave, and another leads when that ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Status
from candle_hpo.record.events import CampaignStopped, PlacesChanged
from candle_hpo.record.log import read_events
from conftest import Candle, WriteInput
from support.cluster_experiments import (
    SCRIPT,
    assert_each_completed_once,
    completed,
    grid,
    history,
    wait_until,
)
from support.slurm_cluster import SlurmCluster

# Four workers in four jobs, which wait until they are released; two workers fit on a node of the cluster.
TRIALS = 28
CONTROL = "ngpus=4\njobs=4\ngpu_type=k80\nmem_per_cpu=1\nwalltime=00:05:00\ncustom_sbatch_args=--hold"


class Jobs:
    """The jobs of an experiment, by the order in which they were submitted."""

    def __init__(self, here: Path, candle: Candle, slurm: SlurmCluster, submitted: str) -> None:
        self.here, self.candle, self.slurm = here, candle, slurm
        self.ids = [line.removeprefix("JOB_ID=") for line in submitted.splitlines() if line.startswith("JOB_ID=")]

    def release(self, *places: int) -> None:
        for place in places:
            self.slurm.run("scontrol", "release", self.ids[place])

    def wait_until_workers(self, count: int, seconds: float = 60) -> None:
        wait_until(lambda: history(self.here).places == count, seconds, self.here, self.slurm)

    @property
    def leader(self) -> str:
        campaign = history(self.here).campaign
        assert campaign is not None
        return campaign.job

    def status(self) -> str:
        return self.candle("status").stdout


@pytest.fixture
def jobs(write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster) -> Jobs:
    done = on_cluster("submit-job", write_input(SCRIPT, CONTROL, "y = 0", grid(TRIALS, 1.5)))
    assert done.returncode == 0, done.stderr
    return Jobs(here, on_cluster, slurm, done.stdout)


def test_trials_start_with_the_first_job_and_jobs_join_and_leave(here: Path, jobs: Jobs, slurm: SlurmCluster) -> None:
    assert len(jobs.ids) == 4
    assert "Waiting in the queue as job" in jobs.status()
    jobs.release(1)
    jobs.wait_until_workers(1)
    assert jobs.leader == jobs.ids[1]
    jobs.release(2, 0)
    jobs.wait_until_workers(3)
    status = jobs.status()
    assert f"as job {jobs.ids[1]} on n" in status
    assert f"with it job {jobs.ids[0]} on n" in status
    assert "1 job more in the queue (JobHeldUser)" in status

    # The leader's campaign is killed: another job leads.
    before = completed(here)
    os.kill(history(here).campaigns[-1].started.process, signal.SIGKILL)
    wait_until(lambda: len(history(here).campaigns) == 2, 60, here, slurm)
    assert jobs.leader in (jobs.ids[0], jobs.ids[2])
    jobs.wait_until_workers(2)
    wait_until(lambda: completed(here) > before, 60, here, slurm)

    # The next one is cancelled, and hands over.
    slurm.run("scancel", jobs.leader)
    wait_until(lambda: len(history(here).campaigns) == 3, 60, here, slurm)
    assert {campaign.started.job for campaign in history(here).campaigns} == {*jobs.ids[:3]}
    wait_until(lambda: completed(here) == TRIALS, 180, here, slurm)
    slurm.wait_until_empty(60)
    slurm.wait_until_nothing_runs(30)
    assert_each_completed_once(here, TRIALS)
    assert f"{TRIALS} trials: {TRIALS} completed" in jobs.status()
    said = "".join(output.read_text() for output in here.glob("last-candle-job/job.*.out"))
    assert f"Job {jobs.ids[3]} is not needed any more, and cancelled" in said
    assert all(job.ended for job in history(here).jobs.values())


def test_a_job_that_ends_leaves_the_others_with_its_trials(here: Path, jobs: Jobs, slurm: SlurmCluster) -> None:
    jobs.release(0)
    jobs.wait_until_workers(1)
    jobs.release(1, 2, 3)
    jobs.wait_until_workers(4)
    slurm.run("scancel", jobs.ids[2])
    jobs.wait_until_workers(3, 90)
    wait_until(lambda: completed(here) == TRIALS, 180, here, slurm)
    slurm.wait_until_empty(60)
    assert_each_completed_once(here, TRIALS)
    found = history(here)
    assert len(found.campaigns) == 1
    assert found.counts == {Status.COMPLETED: TRIALS}
    places = [
        event.places for event in read_events(here / "last-candle-job/events.jsonl") if isinstance(event, PlacesChanged)
    ]
    assert max(places) == 4


def test_all_jobs_of_an_experiment_are_cancelled_and_continue(here: Path, jobs: Jobs, slurm: SlurmCluster) -> None:
    jobs.release(0, 1)
    jobs.wait_until_workers(2)
    wait_until(lambda: completed(here) >= 2, 60, here, slurm)
    cancelled = jobs.candle("cancel")
    assert cancelled.returncode == 0, cancelled.stderr
    assert all(job in cancelled.stdout for job in jobs.ids)
    slurm.wait_until_empty(60)
    slurm.wait_until_nothing_runs(30)
    assert len(history(here).campaigns) == 1
    resumed = jobs.candle("resume")
    assert resumed.returncode == 0, resumed.stderr
    again = Jobs(here, jobs.candle, slurm, resumed.stdout)
    assert len(again.ids) == 4
    again.release(3)
    again.wait_until_workers(1)
    again.release(2)
    again.wait_until_workers(2)

    # The leader's time is over: the other one leads.
    slurm.run("scontrol", "update", f"JobId={again.ids[3]}", "TimeLimit=1")
    slurm.run("scancel", "--batch", "--signal=USR1", again.ids[3])
    wait_until(lambda: again.leader == again.ids[2], 60, here, slurm)
    *_, before, _ = history(here).campaigns
    assert before.started.job == again.ids[3]
    stops = [
        event.stop for event in read_events(here / "last-candle-job/events.jsonl") if isinstance(event, CampaignStopped)
    ]
    assert stops[-1] == Stop(StopReason.WALLTIME)
    again.release(0, 1)
    wait_until(lambda: completed(here) == TRIALS, 180, here, slurm)
    slurm.wait_until_empty(60)
    assert_each_completed_once(here, TRIALS)
