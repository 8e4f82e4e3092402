"""Workers, steps and campaigns that are killed, and nodes that go down, while a job runs."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from candle_hpo.record.holder import started_at
from conftest import Candle, WriteInput, gone
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


def test_a_lost_node_costs_only_time(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    assert on_cluster("submit-job", write_input(SCRIPT, GPUS, "y = 0", SIXTY)).returncode == 0
    wait_until(lambda: completed(here) >= 6, 60, here, slurm)
    assert "Running since" in on_cluster("status").stdout
    node = json.loads(next(iter(here.glob("last-candle-job/run/*/ran.json"))).read_text())[0]
    killed = slurm.processes(node, "process_worker_pool")
    assert killed
    for process in killed:
        os.kill(process, signal.SIGKILL)
    slurm.wait_until_empty(120)
    slurm.wait_until_nothing_runs(10)
    assert "60 trials: 60 completed" in (here / "last-candle-job" / "job.out").read_text()
    assert_each_completed_once(here, 60)


@pytest.mark.parametrize("killed", ["process_worker_pool", "multiprocessing.forkserver"])
def test_workers_and_their_models_end_with_the_processes_above_them(
    killed: str, write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    """The node's manager, and the fork server of its workers; each the oldest of those with this in its name."""
    assert on_cluster("submit-job", write_input(SCRIPT, GPUS, "y = 0", grid(6, 100))).returncode == 0
    nodes = [f"n{number}" for number in range(1, slurm.nodes + 1)]

    def trials() -> dict[str, list[int]]:
        found = {node: slurm.processes(node, "_warm_host.py") for node in nodes}
        return {node: running for node, running in found.items() if running}

    # On each of three nodes, a warm host and its keeper; for each of the six workers, a branch of that and its trial.
    wait_until(lambda: sum(map(len, trials().values())) == 3 * 2 + 6 * 2, 60, here, slurm)
    node, running = next(iter(trials().items()))
    os.kill(min(slurm.processes(node, killed), key=lambda pid: started_at(pid) or 0), signal.SIGKILL)
    assert gone(*running), "models outlive their worker"
    assert on_cluster("cancel").returncode == 0
    slurm.wait_until_empty(60)
    slurm.wait_until_nothing_runs(10)


def test_a_node_that_goes_down_takes_its_workers_and_not_the_job(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    assert on_cluster("submit-job", write_input(SCRIPT, f"{GPUS}\nretries=2", "y = 0", SIXTY)).returncode == 0
    wait_until(lambda: completed(here) >= 6, 60, here, slurm)
    campaign = history(here).campaign
    assert campaign is not None
    ran = {json.loads(path.read_text())[0] for path in here.glob("last-candle-job/run/*/ran.json")}
    batch = slurm.run("squeue", "--noheader", "--format=%B").split()[0]
    node = sorted(ran - {batch})[0]
    try:
        slurm.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
        slurm.wait_until_empty(120)
    finally:
        if "down" in slurm.run("sinfo", "--noheader", f"--nodes={node}", "--format=%T"):  # else it is back by itself
            slurm.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
    folder = here / "last-candle-job"
    log = (folder / "campaign.log").read_text()  # a trial may lose its worker twice: then this says how
    assert "60 trials: 60 completed" in (folder / "job.out").read_text(), log
    assert_each_completed_once(here, 60)
    assert any(row.attempt.number > 1 for row in history(here).trials.values()), "the node was not lost"


def test_a_killed_batch_step_loses_nothing(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    assert on_cluster("submit-job", write_input(SCRIPT, GPUS, "y = 0", SIXTY)).returncode == 0
    wait_until(lambda: completed(here) >= 6, 60, here, slurm)
    campaign = history(here).campaign
    assert campaign is not None
    os.kill(campaign.process, signal.SIGKILL)
    slurm.wait_until_empty(60)
    slurm.wait_until_nothing_runs(10)
    status = on_cluster("status").stdout
    assert "Interrupted: job" in status
    assert "6 interrupted" in status
    assert on_cluster("resume").returncode == 0
    slurm.wait_until_empty(120)
    assert_each_completed_once(here, 60)
    assert "60 trials: 60 completed" in on_cluster("status").stdout


def test_what_workers_finished_for_a_killed_batch_step_is_collected(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    """The campaign hangs while its workers finish what they run, and is killed before it could record that."""
    assert on_cluster("submit-job", write_input(SCRIPT, GPUS, "y = 0", SIXTY)).returncode == 0

    def workers_have_them() -> bool:
        """Whether what runs by the record has reached its workers, which takes a moment."""
        running = history(here).running.values()
        return len(running) == 6 and all((here / "last-candle-job/run" / row.trial.id).exists() for row in running)

    wait_until(lambda: completed(here) >= 6 and workers_have_them(), 60, here, slurm)
    campaign = history(here).campaign
    assert campaign is not None
    os.kill(campaign.process, signal.SIGSTOP)

    def finished_unrecorded() -> set[int]:
        found: set[int] = set()
        for number, row in history(here).running.items():
            path = here / "last-candle-job" / "run" / row.trial.id / "outcome.json"
            if path.exists() and json.loads(path.read_text())["attempt"] == row.attempt.number:
                found.add(number)
        return found

    wait_until(lambda: len(finished_unrecorded()) >= 5, 20, here, slurm)
    collected = finished_unrecorded()
    os.kill(campaign.process, signal.SIGKILL)
    slurm.wait_until_empty(60)
    slurm.wait_until_nothing_runs(10)
    assert on_cluster("resume").returncode == 0
    slurm.wait_until_empty(120)
    assert_each_completed_once(here, 60)
    assert {history(here).trials[number].attempt.number for number in collected} == {1}


def test_what_trials_leave_on_a_node_is_ended(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    """While the job runs on: a daemon that left the trial's process group."""
    script = """
        import os, subprocess, time
        if hyperparams["batch_size"] == 1:
            daemon = subprocess.Popen(["sleep", "600"], start_new_session=True)
            print(daemon.pid, file=open("pids", "w"))
        else:
            pids = "../hpset_00001/outcome.json"
            while not os.path.exists(pids):
                time.sleep(0.05)
            time.sleep(2)
            pid = open("../hpset_00001/pids").read().strip()
            assert not os.path.exists(f"/proc/{pid}"), "it is still there"
        val_to_return = 1
    """
    path = write_input(script, "nworkers=2\nmem_per_cpu=1", "", grid(2, 0))
    assert on_cluster("submit-job", path).returncode == 0
    slurm.wait_until_empty(60)
    assert "2 trials: 2 completed" in (here / "last-candle-job" / "job.out").read_text()


def test_a_job_whose_steps_are_cancelled_starts_them_again(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    assert on_cluster("submit-job", write_input(SCRIPT, GPUS, "y = 0", SIXTY)).returncode == 0
    wait_until(lambda: completed(here) >= 6, 60, here, slurm)
    (job,) = history(here).jobs
    steps = [f"{job}.{number}" for number in range(3)]
    assert set(steps) <= set(slurm.run("squeue", "--steps", "--noheader", "--format=%i").split())
    slurm.run("scancel", *steps)
    wait_until(lambda: history(here).places == 0, 20, here, slurm)
    assert "CANCELLED AT" in "".join(history(here).lacking)
    slurm.wait_until_empty(120)
    assert "60 trials: 60 completed" in (here / "last-candle-job" / "job.out").read_text()
    assert_each_completed_once(here, 60)
    assert {row.attempt.number for row in history(here).trials.values()} == {1, 2}
