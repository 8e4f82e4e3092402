"""Several jobs of an experiment, by what SLURM says of them. SLURM's programs are fakes here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Outcome, Status
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.pilot.guests import Guests, forget_guests, guests, invitations, invite
from candle_hpo.engine.pilot.managers import node_of
from candle_hpo.engine.pilot.parsl_workers import Contact
from candle_hpo.record.events import CampaignStarted, CampaignStopped, JobSubmitted, TrialFinished, TrialStarted
from candle_hpo.record.experiment import Claim, Experiment
from candle_hpo.record.folder import write_experiment_settings
from candle_hpo.record.holder import Holder, read_holder
from candle_hpo.runner import several_jobs
from candle_hpo.runner.heard_signals import HeardSignals
from candle_hpo.runner.job_clock import JobClock
from candle_hpo.runner.liveness import Liveness, settle, state_of
from candle_hpo.runner.several_jobs import dismiss_others, fill_up, is_final
from candle_hpo.runner.sighting import job_has_ended
from candle_hpo.runner.submission import submit_experiment
from support.attempts import attempt_at
from support.fake_slurm import HEADINGS
from support.made_experiments import make_experiment

Answers = Callable[..., None]


@pytest.fixture
def opened(tmp_path: Path) -> Experiment:
    """An experiment of twelve workers in three jobs, 6, 7 and 8, of which 6 leads."""
    opened = Experiment(make_experiment(tmp_path / "X000", 3, workers=10))
    settings = msgspec.structs.replace(opened.settings, jobs=3, auto_resubmit=True)
    write_experiment_settings(opened.paths, msgspec.structs.replace(opened.stored, settings=settings))
    opened = Experiment(opened.paths)
    with opened.claim(job_has_ended(opened)) as claim:
        submitted = [JobSubmitted(time.time(), job, mark=mark(job)) for job in ("6", "7", "8")]
        claim.record.append([*submitted, CampaignStarted(time.time(), "n1", 4711, 4, "6")])
    return Experiment(opened.paths)


def _signals() -> HeardSignals:
    return HeardSignals(JobClock("6", 300), is_continued=False)


def mark(job: str) -> str:
    return f"candle:{int(job):016x}"


@pytest.fixture
def slurm_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """Let `squeue` show jobs, such as `7|PENDING`; what `scancel` is asked to cancel is in a file."""
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    monkeypatch.setattr(slurm, "user_environment", lambda: environment)
    for program, body in (("scancel", f"echo $1 >> {tmp_path}/cancelled"), ("sbatch", "echo 9")):
        (tmp_path / program).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / program).chmod(0o755)

    def say(*jobs: str) -> None:
        lines = [f"candle_job|{job}|Priority|1:00|n{job[0]}|N/A|job.sbatch|{mark(job[0])}" for job in jobs]
        body = "\n".join(f"echo '{line}'" for line in (HEADINGS, *lines))
        (tmp_path / "squeue").write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / "squeue").chmod(0o755)

    yield say


def state(opened: Experiment) -> tuple[Liveness | None, str]:
    found = state_of(opened.paths, opened.history, read_holder(opened.paths.lock))
    return found.liveness, found.text


def test_what_runs_and_what_waits_is_shown(opened: Experiment, slurm_says: Answers) -> None:
    slurm_says("6|RUNNING", "7|RUNNING", "8|PENDING")
    with opened.claim(job_has_ended(opened), job="6"):
        now, text = state(opened)
    assert now is Liveness.RUNNING
    assert text.endswith("as job 6 on n6, 1:00 left; with it job 7 on n7; 1 job more in the queue (Priority)")


def test_while_nobody_leads_the_next_job_counts(opened: Experiment, slurm_says: Answers) -> None:
    with opened.claim(job_has_ended(opened)) as claim:
        claim.record.append([CampaignStopped(time.time(), Stop(StopReason.WALLTIME))])
    opened = Experiment(opened.paths)
    slurm_says("6|TIMEOUT", "7|RUNNING", "8|PENDING")
    assert state(opened) == (Liveness.STARTING, "Job 7 is starting its workers on n7")
    slurm_says("6|TIMEOUT", "7|CANCELLED", "8|PENDING")
    assert state(opened) == (Liveness.QUEUED, "Waiting in the queue as job 8 (Priority)")


def test_a_leader_submits_the_jobs_that_are_missing_and_records_those_that_ended(
    opened: Experiment, slurm_says: Answers
) -> None:
    slurm_says("6|RUNNING", "7|TIMEOUT", "8|PENDING")
    asked: list[int] = []
    with opened.claim(job_has_ended(opened), job="6") as claim:
        fill_up(claim, "6", asked.append, pytest.fail)
        assert not asked, "nothing has completed since it was submitted"
        attempt = attempt_at(7)
        done = TrialFinished.of(attempt, Outcome(Status.COMPLETED, metrics={THE_VALUE: 1.0}), time.time())
        claim.record.append([TrialStarted.of(attempt, time.time()), done])
        fill_up(claim, "6", asked.append, pytest.fail)
        assert asked == [1]
        jobs = claim.record.history.jobs
        assert [job for job, each in jobs.items() if each.ended] == ["7"]


def test_jobs_that_are_not_needed_any_more_are_cancelled(
    opened: Experiment, slurm_says: Answers, tmp_path: Path
) -> None:
    slurm_says("6|RUNNING", "7|RUNNING", "8|PENDING")
    said: list[str] = []
    with opened.claim(job_has_ended(opened), job="6") as claim:
        dismiss_others(claim, "6", said.append)
        assert [job for job, each in claim.record.history.jobs.items() if each.ended] == ["7", "8"]
    assert (tmp_path / "cancelled").read_text() == "8\n"
    assert said == ["Job 8 is not needed any more, and cancelled"]


@pytest.mark.parametrize("refused_from", [2, 1])
def test_fewer_jobs_than_were_wanted_run_all_the_same(
    opened: Experiment, slurm_says: Answers, tmp_path: Path, refused_from: int
) -> None:
    slurm_says()
    counted = f"n=$(( $(cat {tmp_path}/count 2>/dev/null || echo 0) + 1 )); echo $n > {tmp_path}/count"
    refuse = f"[ $n -lt {refused_from} ] || {{ echo QOSMaxSubmitJobPerUserLimit >&2; exit 1; }}"
    (tmp_path / "sbatch").write_text(f"#!/bin/bash\n{counted}\n{refuse}\necho 1$n\n")
    said: list[str] = []

    def submit(claim: Claim) -> None:
        submit_experiment(claim, said.append, patience=0.1, jobs=3)

    with opened.claim(job_has_ended(opened)) as claim:
        if refused_from == 1:
            with pytest.raises(Exception, match="QOSMaxSubmitJobPerUserLimit"):
                submit(claim)
            return
        submit(claim)
    assert said[:2] == ["10 workers become 12: 3 jobs of 4 each", "JOB_ID=11"]
    assert said[2].startswith("1 of 3 jobs were submitted, and run all trials; no more, for: sbatch refused")
    assert "--ntasks=4\n" in opened.paths.job_script.read_text()


def test_whoever_leads_next_waits_for_the_guests_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, waits = ExperimentPaths(tmp_path), []
    for job in ("6", "7"):
        (tmp_path / "guests").mkdir(exist_ok=True)
        (tmp_path / "guests" / job).touch()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            forget_guests(tmp_path, ["7"])

    monkeypatch.setattr("candle_hpo.runner.several_jobs.time.sleep", sleep)
    several_jobs._wait_for_guests_of_others(paths, "6", _signals())
    assert len(waits) == 3
    assert guests(tmp_path) == {"6"}
    forget_guests(tmp_path, ["6"])
    assert not (tmp_path / "guests").exists()


@pytest.mark.parametrize(
    ("stop", "final"),
    [
        (None, True),
        (Stop(StopReason.MAX_FAILURES), True),
        (Stop(StopReason.ERROR), True),
        (Stop(StopReason.WALLTIME), False),
        (Stop(StopReason.JOB_CANCELLED), False),
        (Stop(StopReason.NO_WORKERS), False),
    ],
)
def test_what_ends_all_jobs(stop: Stop | None, final: bool) -> None:
    assert is_final(stop) is final


def test_a_leader_is_gone_when_its_lock_is_or_nothing_says_that_it_lives(
    opened: Experiment, slurm_says: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, silence = several_jobs._Leader(opened.paths, "7"), 0.0
    monkeypatch.setattr("candle_hpo.runner.several_jobs.time.monotonic", lambda: silence)
    assert leader.may_be_gone(), "nobody holds it"
    held = Holder("n1", 4711, time.time(), job="6", place="elsewhere")
    opened.paths.lock.write_bytes(msgspec.json.encode(held))
    gone: list[bool] = []
    for says in ("6|RUNNING", "6|COMPLETED", "6|PENDING"):
        slurm_says(says)
        silence += 100
        opened.paths.lock.touch()
        assert not leader.may_be_gone(), "it has just given a sign of life"
        silence += 16
        gone.append(leader.may_be_gone())
    assert gone == [False, True, True]
    monkeypatch.setattr(type(opened.paths.lock), "open", lambda *_: (_ for _ in ()).throw(OSError(5, "I/O error")))
    assert not leader.may_be_gone(), "a file system that is out of order says nothing"


def test_managers_that_join_again_have_other_names(opened: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interchange would take one with a known name for that one, and forget what that ran."""
    started: list[str] = []

    class FakeStep:
        status = None

        def __init__(self, node: str, command: list[str], output: Path, files: int) -> None:
            started.append(next(word for word in command if word.startswith("--uid=")))

        def cause(self) -> str:
            return ""

        def end(self) -> None:
            self.status = 0

        def wait(self, seconds: float) -> None:
            pass

    monkeypatch.setattr("candle_hpo.engine.pilot.guests.Step", FakeStep)
    folder = opened.paths.root / "workers_x"
    folder.mkdir()
    contact = Contact(("127.0.0.1",), 54321, "keys", "logs")
    invite(folder, "6", contact)
    (invitation,) = invitations(opened.paths.root)
    for _ in range(2):
        there = Guests(invitation, contact, "7", {"n1": 2, "n2": 1}, lambda: None)
        while len(started) % 2:
            time.sleep(0.01)
        assert guests(opened.paths.root) == {"7"}
        there.leave()
    assert not guests(opened.paths.root)
    assert len(set(started)) == len(started) >= 2
    assert all(name.endswith("@7") and node_of(name.removeprefix("--uid=")) in ("n1", "n2") for name in started)


@pytest.mark.parametrize(("says", "now"), [("8|PENDING", Liveness.QUEUED), ("8|RUNNING", Liveness.STARTING)])
def test_what_a_dead_leader_ran_is_interrupted_though_another_job_is_to_come(
    opened: Experiment, slurm_says: Answers, says: str, now: Liveness
) -> None:
    with opened.claim(job_has_ended(opened)) as claim:
        claim.record.append([TrialStarted.of(attempt_at(7), time.time())])
    opened = Experiment(opened.paths)
    opened.paths.lock.write_bytes(msgspec.json.encode(Holder("n1", 4711, time.time(), job="6", place="elsewhere")))
    slurm_says("6|RUNNING", says)
    settle(opened.paths, opened.history, read_holder(opened.paths.lock))
    assert len(opened.history.running) == 1, "it lives"
    slurm_says("6|CANCELLED", says)
    assert settle(opened.paths, opened.history, None).liveness is now
    assert len(opened.history.running) == 1, "it may have begun after the record was read"
    assert settle(opened.paths, opened.history, read_holder(opened.paths.lock)).liveness is now
    assert not opened.history.running
