"""Clusters with accounts, two of one database: jobs on the other one, and those that limits do not let continue."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from candle_hpo.core.objective import Direction, Objective
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events
from conftest import Candle, WriteInput
from support.accounts import Accounts, ClusterWithAccounts, why_no_accounts
from support.slurm_cluster import why_not

# The clusters are made once.
pytestmark = [pytest.mark.slurm, pytest.mark.xdist_group("accounts")]

# Two trials end at once, the others when the test says so.
SCRIPT = """
    import os, time
    while hyperparams["x"] > 1 and not os.path.exists("../../go"):
        time.sleep(0.1)
    val_to_return = hyperparams["x"]
"""
SETS = "\n".join(json.dumps({"x": x}) for x in range(8))
CONTROL = "nworkers=2\nmem_per_cpu=1\nwalltime=00:30:00"

Clusters = tuple[ClusterWithAccounts, ClusterWithAccounts]


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clusters]:
    """The cluster where jobs are submitted, and another one; each calls its first job 9."""
    if lacking := why_not(None) or why_no_accounts():
        pytest.skip(lacking)
    folder = tmp_path_factory.mktemp("accounts")
    started: list[Accounts | ClusterWithAccounts] = [accounts := Accounts(folder / "accounts")]
    try:
        local = ClusterWithAccounts(folder / "local", accounts, "local", first_job=9)
        started.append(local)
        other = ClusterWithAccounts(folder / "other", accounts, "other", first_job=9)
        started.append(other)
        yield local, other
    finally:
        for each in reversed(started):
            each.stop()


@pytest.fixture
def on_local(candle: Candle, clusters: Clusters) -> Candle:
    def run(*arguments: str | Path) -> object:
        return candle(*arguments, **clusters[0].environment)

    return run  # type: ignore[return-value]


def history(here: Path) -> History:
    return History(Objective(Direction.MINIMIZE), read_events(here / "last-candle-job" / "events.jsonl"))


def wait_until(condition: Callable[[], bool], here: Path, cluster: ClusterWithAccounts) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        output = here / "last-candle-job" / "job.out"
        assert time.monotonic() < deadline, f"{cluster.queue()}\n{output.read_text() if output.exists() else ''}"
        time.sleep(0.1)


def completed(here: Path) -> int:
    return (here / "last-candle-job" / "events.jsonl").read_text().count('"completed"')


def let_all_end(here: Path) -> None:
    (here / "last-candle-job" / "go").touch()


def assert_all_completed(here: Path) -> None:
    assert "8 trials: 8 completed" in (here / "last-candle-job" / "job.out").read_text()
    assert completed(here) == 8


def test_a_job_on_another_cluster_is_asked_and_cancelled_there(
    write_input: WriteInput, here: Path, on_local: Candle, clusters: Clusters
) -> None:
    local, other = clusters
    assert local.run("sbatch", "--parsable", "--hold", "--output=/dev/null", "--wrap=true") == "9\n"
    try:
        path = write_input(SCRIPT, f"{CONTROL}\ngpu_type=k80\ncustom_sbatch_args='-M other'", "", SETS)
        done = on_local("submit-job", path)
        assert "\nJOB_ID=9;other\n" in done.stdout, done.stdout + done.stderr
        wait_until(lambda: completed(here) == 2, here, other)
        assert "as job 9 on the cluster other on n1, " in on_local("status").stdout
        assert "(job 9;other), since " in on_local("resume").stderr
        assert "job 9 on the cluster other is cancelled" in on_local("cancel").stdout
        other.wait_until_empty(60)
        let_all_end(here)
        assert "\nJOB_ID=10;other\n" in on_local("resume").stdout
        other.wait_until_empty(90)
        assert_all_completed(here)
        assert local.run("squeue", "--noheader", "--format=%i %T") == "9 PENDING\n"
    finally:
        local.run("scancel", "9")


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ("project=nobody", "Invalid account or account/partition combination specified"),
        ("custom_sbatch_args=--qos=nobody", "Invalid qos specification"),
        ("custom_sbatch_args='-M nowhere'", "No cluster 'nowhere' known by database"),
    ],
)
def test_an_account_a_qos_or_a_cluster_that_is_not_there_is_refused(
    write_input: WriteInput, here: Path, on_local: Candle, control: str, message: str
) -> None:
    done = on_local("submit-job", write_input(SCRIPT, f"{CONTROL}\n{control}", "", SETS))
    assert done.returncode == 3, done.stdout
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (here / "last-candle-job").exists()
    assert not list((here / "candle_generated_files" / "experiments").iterdir())


def test_a_job_whose_user_may_have_no_other_is_requeued(
    write_input: WriteInput, here: Path, on_local: Candle, clusters: Clusters
) -> None:
    local, _ = clusters
    local.run("sacctmgr", "--immediate", "add", "qos", "single", "MaxSubmitJobsPerUser=1")
    local.run("sacctmgr", "--immediate", "modify", "user", "root", "where", "cluster=local", "set", "qos+=single")
    control = f"{CONTROL}\nauto_resubmit=1\ncustom_sbatch_args=--qos=single"
    assert on_local("submit-job", write_input(SCRIPT, control, "", SETS)).returncode == 0
    wait_until(lambda: completed(here) == 2, here, local)
    (job,) = history(here).jobs
    local.run("scancel", "--signal=USR1", "--batch", job)
    wait_until(lambda: local.run("squeue", "--noheader", "--format=%T") == "PENDING\n", here, local)
    assert f"Waiting in the queue as job {job} (BeginTime)" in on_local("status").stdout
    output = (here / "last-candle-job" / "job.out").read_text()
    assert "sbatch: error: QOSMaxSubmitJobPerUserLimit" in output
    assert f"so job {job} waits in the queue again, and continues" in output
    let_all_end(here)
    local.run("scontrol", "update", f"JobId={job}", "StartTime=now+3")  # SLURM lets it wait for two minutes
    local.wait_until_empty(90)
    assert_all_completed(here)
    assert [*history(here).jobs] == [job]


def test_where_nothing_may_be_submitted_nor_requeued_status_says_so(
    write_input: WriteInput, here: Path, on_local: Candle, clusters: Clusters
) -> None:
    """While the job tries, and afterwards; who cancels it meanwhile gets no other one."""
    local, _ = clusters
    control = f"{CONTROL}\nauto_resubmit=1\ncustom_sbatch_args=--no-requeue"
    assert on_local("submit-job", write_input(SCRIPT, control, "", SETS)).returncode == 0
    wait_until(lambda: completed(here) == 2, here, local)
    (job,) = history(here).jobs
    local.run("scontrol", "update", "PartitionName=norm", "AllocNodes=nowhere")
    try:
        local.run("scancel", "--signal=USR1", "--batch", job)
        refusal = "no next job yet: sbatch refused (exit status 1): sbatch: error: "
        wait_until(lambda: refusal in on_local("status").stdout, here, local)
        assert f"; job {job} tries again as long as it lasts, " in on_local("status").stdout
        assert "is cancelled" in on_local("cancel").stdout
    finally:
        local.run("scontrol", "update", "PartitionName=norm", "AllocNodes=ALL")
    local.wait_until_empty(60)
    status = on_local("status").stdout
    assert len(history(here).jobs) == 1, "it submitted another, although it was cancelled"
    assert "; there is no next job: sbatch refused (exit status 1): " in status
    assert "; candle resume X000, where you may submit, continues it" in status
    let_all_end(here)
    assert on_local("resume").returncode == 0
    local.wait_until_empty(90)
    assert_all_completed(here)
