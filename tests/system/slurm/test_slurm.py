"""Batch mode on a real SLURM cluster: the exercise, faults, limits. Its GPUs are pretended, all else is real."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.engine.batch.job_text import jobs_of
from candle_hpo.record.events import CampaignStarted, JobEnd, JobEnded, JobRequested, JobSubmitted, TrialFinished
from candle_hpo.record.history import History
from candle_hpo.record.holder import started_at
from candle_hpo.record.log import read_events
from conftest import Candle, WriteInput, gone
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


@pytest.fixture
def on_cluster(candle: Candle, slurm: SlurmCluster) -> Candle:
    def run(*arguments: str | Path) -> object:
        return candle(*arguments, **slurm.environment)

    return run  # type: ignore[return-value]


def grid(count: int, pause: float) -> str:
    lines = [{"epochs": 1 + number % 5, "batch_size": 2**number, "pause": pause} for number in range(count)]
    return "\n".join(map(json.dumps, lines))


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


SIXTY = grid(60, 1.0)


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
