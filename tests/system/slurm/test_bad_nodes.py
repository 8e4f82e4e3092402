"""Nodes that do not answer, or on which everything fails, and scripts that fail everywhere."""

from __future__ import annotations

import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from candle_hpo.record.events import TrialFinished
from candle_hpo.record.log import read_events
from conftest import Candle, WriteInput
from support.cluster_experiments import (
    GPUS,
    SCRIPT,
    assert_each_completed_once,
    completed,
    grid,
    history,
    wait_until,
    with_sbatch_that,
)
from support.slurm_cluster import SlurmCluster


@pytest.mark.newer_slurm
def test_nodes_that_do_not_answer_cost_their_own_workers_and_join_late(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    """One has a daemon that does not answer as the job starts, another is suspended while it runs trials."""

    def ran_on(node: str) -> int:
        outcomes = [each.outcome for each in history(here).attempts if each.outcome.failure is None]
        return sum(outcome.place is not None and outcome.place.node == node for outcome in outcomes)

    path = write_input(SCRIPT, f"{GPUS}\ncustom_sbatch_args='--nodelist=n[1-3]'", "y = 0", grid(2000, 0.5))
    slurm.send("n3", signal.SIGSTOP)
    try:
        assert on_cluster("submit-job", path).returncode == 0
        wait_until(lambda: completed(here) >= 8, 60, here, slurm)
        assert len(history(here).running) <= 4, "trials wait for a node that is not there"
        slurm.send("n2", signal.SIGSTOP, to_all=True)
        wait_until(lambda: len(history(here).lacking) == 2, 90, here, slurm)
        status = on_cluster("status").stdout
        assert "No workers on n3: srun: error: " in status
        assert "No workers on n2: no sign of life for 30 s" in status
        assert len(history(here).running) <= 4
    finally:
        slurm.send("n3", signal.SIGCONT)
        slurm.send("n2", signal.SIGCONT, to_all=True)
    wait_until(lambda: history(here).places == 6, 90, here, slurm)
    before = {node: ran_on(node) for node in ("n2", "n3")}
    wait_until(lambda: all(ran_on(node) > number for node, number in before.items()), 60, here, slurm)
    assert "No workers on" not in on_cluster("status").stdout
    assert on_cluster("cancel").returncode == 0
    slurm.wait_until_empty(60)
    slurm.wait_until_nothing_runs(10)
    events = read_events(here / "last-candle-job" / "events.jsonl")
    ends = Counter(e.number for e in events if isinstance(e, TrialFinished) and e.outcome.failure is None)
    assert set(ends.values()) == {1}


# Runs candle with less patience with nodes that all fail than three minutes.
IMPATIENT = """
from candle_hpo.engine.pilot import managers
managers.HOPELESS_SECONDS = 5.0
from candle_hpo.__main__ import main
main()
"""


def test_a_job_none_of_whose_nodes_starts_workers_ends_with_slurms_words_and_can_be_resumed(
    write_input: WriteInput, here: Path, candle: Candle, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    """The daemons of its nodes have ended when it has begun, and before its workers have."""
    beside = here.parent
    (beside / "impatient.py").write_text(IMPATIENT)
    waits = f"{{ while [ ! -e {beside}/go ]; do sleep 0.1; done; }}"
    impatient = f"sed -i 's| -m candle_hpo run-job | {beside}/impatient.py run-job |' job.sbatch"
    environment = with_sbatch_that(waits, here, slurm, impatient)
    control = "nworkers=4\ngpu_type=k80\nmem_per_cpu=1\nwalltime=00:10:00\ncustom_sbatch_args='--nodelist=n[1-2]'"
    path, nodes = write_input(SCRIPT, control, "y = 0", grid(8, 0.1)), ("n1", "n2")
    ended: list[str] = []
    try:
        with ThreadPoolExecutor(1) as other_shell:
            try:
                submitted = other_shell.submit(candle, "submit-job", path, **environment)
                wait_until(lambda: bool(slurm.processes("n1", "impatient.py run-job")), 60, here, slurm)
                for node in nodes:
                    slurm.end(node)
                    ended.append(node)
            finally:
                (beside / "go").touch()
            assert submitted.result().returncode == 0, submitted.result().stderr
        wait_until(lambda: history(here).stopped is not None, 120, here, slurm)
    finally:
        for node in ended:
            slurm.start_node(node)
    slurm.wait_until_empty(60)
    (job,) = history(here).jobs
    assert "ExitCode=3:0" in slurm.run("scontrol", "show", "job", job)
    status = on_cluster("status").stdout
    for node in nodes:
        assert f" {node}: srun: error: Task launch for StepId={job}." in status
    assert "candle resume X000 continues it" in status
    assert "8 trials: 8 not started" in status
    wait_until(lambda: slurm.run("sinfo", "--noheader", "--nodes=n[1-2]", "--format=%T") == "idle\n", 60, here, slurm)
    assert on_cluster("resume").returncode == 0
    slurm.wait_until_empty(90)
    assert_each_completed_once(here, 8)
    assert {row.attempt.number for row in history(here).trials.values()} == {1}


def test_a_broken_script_ends_the_job_early(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    path = write_input("raise ValueError(hyperparams['batch_size'])", f"{GPUS}\nauto_resubmit=1", "", grid(60, 0))
    assert on_cluster("submit-job", path).returncode == 0
    slurm.wait_until_empty(90)
    said = (here / "last-candle-job" / "job.out").read_text()
    assert "Stopped: too many failures: the first " in said, said
    assert (
        10 <= len(history(here).trials) <= 30
    )  # one node alone does not decide, and its workers may begin before others
    assert len(history(here).jobs) == 1
    assert "Stopped at" in on_cluster("status").stdout
    (here / "model.py").write_text("val_to_return = 1")
    assert "--retry-failed does" in on_cluster("resume").stdout
    slurm.wait_until_empty(90)
    assert on_cluster("resume", "--retry-failed").returncode == 0
    slurm.wait_until_empty(90)
    assert_each_completed_once(here, 60)


def test_a_bad_node_is_taken_out_of_use_and_costs_no_trial(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    """All fails there at once, also where its workers begin before those of the other nodes."""
    script = 'import os, time\nassert os.environ["SLURMD_NODENAME"] != "n1", "this node is broken"\n'
    script += "time.sleep(0.3)\nval_to_return = 1\n"
    control = f"{GPUS}\ncustom_sbatch_args=--nodelist='n[1-3]'"
    assert on_cluster("submit-job", write_input(script, control, "y = 0", grid(60, 0))).returncode == 0
    slurm.wait_until_empty(120)
    status = on_cluster("status").stdout
    assert "Node n1 is out of use: " in status, status
    assert "60 trials: 60 completed" in status, status
    assert history(here).places == 4


def test_of_a_node_with_a_broken_gpu_the_other_one_is_used(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    script = """
        import os, time
        own = os.environ["SLURMD_NODENAME"], os.environ["CUDA_VISIBLE_DEVICES"]
        assert own != ("n2", "1"), "CUDA error: uncorrectable ECC error encountered"
        time.sleep(0.5)
        val_to_return = 1
    """
    control = f"{GPUS}\ncustom_sbatch_args=--nodelist='n[1-3]'"
    assert on_cluster("submit-job", write_input(script, control, "y = 0", grid(80, 0))).returncode == 0
    slurm.wait_until_empty(120)
    status = on_cluster("status").stdout
    assert "Worker n2:1 is out of use: " in status, status
    assert "80 trials: 80 completed" in status, status
    assert history(here).places == 5


def test_sets_that_fail_at_once_cost_no_node(
    write_input: WriteInput, here: Path, on_cluster: Candle, slurm: SlurmCluster
) -> None:
    """Most of a grid diverges, as many beside each other as make a row on every node; the others complete."""
    script = """
        import time
        assert hyperparams["batch_size"] not in range(2**20, 2**90), "loss is nan"
        assert hyperparams["epochs"] not in (1, 3), "loss is nan"
        time.sleep(0.3)
        val_to_return = 1
    """
    control = "nworkers=8\nmem_per_cpu=1\ncustom_sbatch_args='--nodes=4 --ntasks-per-node=2'"
    assert on_cluster("submit-job", write_input(script, control, "y = 0", grid(120, 0))).returncode == 0
    slurm.wait_until_empty(120)
    good = sum(1 + number % 5 not in (1, 3) for number in [*range(20), *range(90, 120)])
    status = on_cluster("status").stdout
    assert "is out of use" not in status, status
    assert f"120 trials: {good} completed, {120 - good} failed" in status, status
    assert (
        len({row.outcome.place.node for row in history(here).trials.values() if row.outcome and row.outcome.place}) == 4
    )
    assert history(here).places == 8
