"""Jobs and the record: whatever is submitted is in it, or is found again. SLURM's programs are fakes here."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from candle_hpo.core.errors import InputError, MachineError, RecordError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.site import ChosenSite, Site, WorkerType
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.engine.batch import slurm
from candle_hpo.record.events import JobEnd, JobRefused, JobRequested, JobSubmitted
from candle_hpo.record.experiment import Claim, Experiment
from candle_hpo.record.holder import Life
from candle_hpo.record.log import read_events
from candle_hpo.runner import cluster_job, jobs, submission
from candle_hpo.runner.heard_signals import HeardSignals
from candle_hpo.runner.job_clock import JobClock
from candle_hpo.runner.jobs import FINDING_SECONDS, continue_in_a_next_job, record_ends_of_jobs
from candle_hpo.runner.listener import Say
from candle_hpo.runner.sighting import job_has_ended, look
from candle_hpo.runner.submission import submit_experiment
from support.fake_slurm import squeue_that_shows
from support.made_experiments import make_experiment

Fake = Callable[[str, str], Path]
MARK = "candle:0123456789abcdef"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Write a program of SLURM's in bash; return the file to which it appends the arguments of each call."""
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    monkeypatch.setattr(slurm, "user_environment", lambda: environment)
    monkeypatch.setattr(jobs, "_ASK_AGAIN_SECONDS", 0.01)

    def write(name: str, script: str) -> Path:
        program, calls = tmp_path / name, tmp_path / f"{name}.calls"
        program.write_text(f"#!/bin/bash\necho $@ >> {calls}\n{script}\n")
        program.chmod(0o755)
        return calls

    return write


@pytest.fixture
def opened(tmp_path: Path) -> Experiment:
    return Experiment(make_experiment(tmp_path / "X000", 3))


def submit(opened: Experiment) -> list[str]:
    said: list[str] = []
    with opened.claim(job_has_ended(opened)) as claim:
        submit_experiment(claim, said.append, patience=0.1)
    return said


def mark_of_last(opened: Experiment) -> str:
    return next(reversed(Experiment(opened.paths).history.requests))


def test_a_job_that_is_submitted_is_recorded(opened: Experiment, fake: Fake) -> None:
    fake("sbatch", "echo 7")
    assert submit(opened) == ["JOB_ID=7"]
    *_, request, last = read_events(opened.paths.record)
    assert isinstance(request, JobRequested)
    assert isinstance(last, JobSubmitted)
    assert (last.job, last.batch_system, last.mark) == ("7", "slurm", request.mark)
    script = opened.paths.job_script.read_text()
    assert f"--comment={request.mark}\n" in script
    assert script.endswith(f" {opened.paths.root} {request.mark}\n")
    assert opened.history.job == Experiment(opened.paths).history.job


def test_a_job_uses_the_site_of_its_submission(opened: Experiment, fake: Fake) -> None:
    """A next job is submitted by the one before, on a node by whose name another site may be chosen."""
    fake("sbatch", "echo 7")
    site = Site(worker_types={"cpu": WorkerType("far")}, sbatch_args=("--account=mine",))
    with opened.claim(job_has_ended(opened)) as claim:
        claim.keep(msgspec.structs.replace(opened.stored, site=ChosenSite("hill", "hill.toml", "", site)))
        submit_experiment(claim, lambda _: None, patience=0.1)
    script = Experiment(opened.paths).paths.job_script.read_text()
    assert "--partition=far\n" in script
    assert "--account=mine" in script


def test_a_job_that_cannot_be_recorded_is_cancelled(opened: Experiment, fake: Fake) -> None:
    fake("sbatch", "rm events.jsonl; echo 7")
    cancelled = fake("scancel", "")
    with pytest.raises(RecordError, match="is gone; was the experiment's folder removed"):
        submit(opened)
    assert cancelled.read_text() == "7\n"


def test_a_job_that_slurm_refuses_is_not_submitted(opened: Experiment, fake: Fake) -> None:
    fake("sbatch", "echo no such partition >&2; exit 1")
    fake("squeue", squeue_that_shows(opened.paths.job_script, "6|RUNNING", mark=MARK))
    with pytest.raises(MachineError, match="no such partition") as raised:
        submit(opened)
    assert not isinstance(raised.value, slurm.NoAnswer)
    history = Experiment(opened.paths).history
    assert not history.jobs
    assert history.refused is not None
    assert "no such partition" in history.refused.reason


@pytest.mark.parametrize(
    "sbatch",
    [
        "echo Welcome; echo 7; echo 3 jobs wait",
        "echo Submitted batch job 7",
        "echo 7; exit 1",
        "echo the wrapper failed >&2; exit 3",
        "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1",
    ],
)
def test_a_job_that_was_taken_is_found_whatever_sbatch_says(opened: Experiment, fake: Fake, sbatch: str) -> None:
    fake("sbatch", sbatch)
    asked = fake("squeue", squeue_that_shows(opened.paths.job_script, "7|PENDING"))
    assert submit(opened) == ["JOB_ID=7"]
    assert Experiment(opened.paths).history.jobs["7"].mark == mark_of_last(opened)
    assert f"--user={os.getuid()}" in asked.read_text()


def test_an_sbatch_that_waits_for_slurm_to_take_jobs_again_has_submitted_none(
    opened: Experiment, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so the job that it was to follow may be requeued. One that says something else may have submitted it."""
    monkeypatch.setattr(jobs, "_SHORTEST_ANSWER_SECONDS", 1.0)
    full = "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying"
    fake("sbatch", f"echo '{full}' >&2; exec sleep 60")
    requeued = fake("scontrol", "")
    with opened.claim(job_has_ended(opened)) as claim:
        assert continue_in_a_next_job(claim, "6", submit_experiment, 1.0, lambda _: None)
    assert requeued.read_text() == "requeue 6\n"
    refused = Experiment(opened.paths).history.refused
    assert refused is not None
    assert refused.reason == f"sbatch has not ended in 1 s, and said {full}"
    fake("squeue", squeue_that_shows(opened.paths.job_script))
    fake("sbatch", "exec sleep 60")
    with pytest.raises(
        slurm.NoAnswer, match="sbatch has not ended in 1 s, and said nothing; the queue does not show it"
    ):
        submit(opened)


def test_a_job_in_a_hidden_partition_is_found(opened: Experiment, fake: Fake) -> None:
    """SLURM shows it to whom it belongs with `--all` alone, unless that is its own user."""
    fake("sbatch", "echo Socket timed out >&2; exit 1")
    shown, hidden = (squeue_that_shows(opened.paths.job_script, *jobs) for jobs in (["7|PENDING"], []))
    fake("squeue", f'if [[ " $* " == *" --all "* ]]; then\n{shown}\nelse\n{hidden}\nfi')
    assert submit(opened) == ["JOB_ID=7"]


def test_a_job_that_may_have_been_taken_is_looked_for_and_then_not_known(opened: Experiment, fake: Fake) -> None:
    """Until it is found, or SLURM says that there is none."""
    fake("sbatch", "echo Zero Bytes were transmitted or received >&2; exit 1")
    asked = fake("squeue", squeue_that_shows(opened.paths.job_script))
    with pytest.raises(slurm.NoAnswer, match=r"Zero Bytes .* the queue does not show it\. Whether SLURM has"):
        submit(opened)
    assert len(asked.read_text().splitlines()) > 1
    fresh = Experiment(opened.paths)
    assert fresh.history.unresolved is not None
    assert fresh.history.unresolved.mark == mark_of_last(opened)
    fake("squeue", "echo slurm_load_jobs error: Socket timed out >&2; exit 1")
    with pytest.raises(MachineError, match="Socket timed out"):
        submit(opened)  # it asks what has become of the first
    fake("squeue", squeue_that_shows(opened.paths.job_script, "7|PENDING"))
    submitted = fake("sbatch", "echo 8")
    before = submitted.read_text()
    assert submit(opened) == ["JOB_ID=7"]
    assert submitted.read_text() == before


def test_a_submitter_that_died_leaves_a_job_that_is_found(opened: Experiment, fake: Fake) -> None:
    fake("sbatch", "echo 7")
    submit(opened)
    *rest, _ = opened.paths.record.read_bytes().splitlines(keepends=True)
    opened.paths.record.write_bytes(b"".join(rest))
    fake("squeue", squeue_that_shows(opened.paths.job_script, "6|RUNNING", "7|PENDING"))
    again = Experiment(opened.paths)
    seen = look(again.paths, again.history)
    assert seen.job is not None
    assert seen.job.slurm_state in ("PENDING", "RUNNING")
    with again.claim(job_has_ended(again)) as claim, pytest.raises(InputError, match="is job 6, which is RUNNING"):
        record_ends_of_jobs(claim)
    fake("squeue", squeue_that_shows(opened.paths.job_script, "6|CANCELLED"))
    with again.claim(job_has_ended(again)) as claim:
        record_ends_of_jobs(claim)
    ended = Experiment(opened.paths).history.jobs["6"].ended
    assert ended is not None
    assert ended.state == "CANCELLED"


def test_a_submission_of_which_nothing_came_is_recorded_as_that(opened: Experiment, fake: Fake) -> None:
    with opened.claim(job_has_ended(opened)) as claim:
        claim.record.append([JobRequested(time.time(), MARK, "other")])
    asked = fake("squeue", squeue_that_shows(opened.paths.job_script, "6|RUNNING", mark="candle:fedcba9876543210"))
    with opened.claim(job_has_ended(opened)) as claim:
        record_ends_of_jobs(claim)
    assert "--clusters=other" in asked.read_text()
    *_, last = read_events(opened.paths.record)
    assert isinstance(last, JobRefused)
    assert last.mark == MARK


@pytest.mark.parametrize(
    ("jobs", "how", "state"),
    [
        (["7|TIMEOUT"], JobEnd.ENDED, "TIMEOUT"),
        ([], JobEnd.FORGOTTEN, ""),
        (None, JobEnd.FORGOTTEN, ""),
    ],
)
def test_the_end_of_a_job_that_was_killed_is_recorded_once(
    opened: Experiment, fake: Fake, jobs: list[str] | None, how: JobEnd, state: str
) -> None:
    fake("sbatch", "echo 7")
    invalid = "echo slurm_load_jobs error: Invalid job id specified >&2; exit 1"
    asked = fake("squeue", invalid if jobs is None else squeue_that_shows(opened.paths.job_script, *jobs))
    submit(opened)
    for _ in range(2):
        with opened.claim(job_has_ended(opened)) as claim:
            record_ends_of_jobs(claim)
        job = Experiment(opened.paths).history.job
        assert job is not None
        assert job.ended is not None
        assert (job.ended.how, job.ended.state) == (how, state)
        assert job.ended.time <= time.time()
    assert len(asked.read_text().splitlines()) == 1


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETING"])
def test_an_experiment_whose_job_has_not_ended_gets_no_other(opened: Experiment, fake: Fake, state: str) -> None:
    fake("sbatch", "echo 7")
    fake("squeue", squeue_that_shows(opened.paths.job_script, f"7|{state}"))
    submit(opened)
    with opened.claim(job_has_ended(opened)) as claim, pytest.raises(InputError, match=f"is job 7, which is {state}; "):
        record_ends_of_jobs(claim)
    job = Experiment(opened.paths).history.job
    assert job is not None
    assert job.ended is None


def test_an_answer_that_is_none_ends_no_job(opened: Experiment, fake: Fake) -> None:
    fake("sbatch", "echo 7")
    fake("squeue", r"printf 'Welcome to the cluster of the Universit\xe9\n'")
    submit(opened)
    with opened.claim(job_has_ended(opened)) as claim, pytest.raises(MachineError, match="there is no list of jobs"):
        record_ends_of_jobs(claim)


def test_a_job_on_another_cluster_is_asked_for_and_cancelled_there(
    opened: Experiment, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "clusters_of", lambda *_: "other")
    submitted, cancelled = fake("sbatch", "echo '9;other'"), fake("scancel", "")
    asked = fake("squeue", "echo CLUSTER: other\n" + squeue_that_shows(opened.paths.job_script, "9|RUNNING"))
    assert submit(opened) == ["JOB_ID=9;other"]
    job = look(opened.paths, opened.history).job
    assert job is not None
    assert job.slurm_state == "RUNNING"
    slurm.cancel(job.id)
    assert submitted.read_text() == "--parsable --clusters=other job.sbatch\n"
    assert "--clusters=other --jobs=9 " in asked.read_text()
    assert cancelled.read_text() == "--clusters=other 9\n"
    monkeypatch.setenv("SLURM_CLUSTER_NAME", "other")  # within a job of that cluster, nobody else is to be asked
    fake("squeue", squeue_that_shows(opened.paths.job_script, "9|RUNNING"))
    asked.write_text("")
    assert [each.id for each in slurm.find_jobs(["9;other"])] == ["9;other"]
    assert "--clusters" not in asked.read_text()


def test_another_job_of_its_number_is_not_the_experiments(opened: Experiment, fake: Fake) -> None:
    fake("sbatch", "echo 7")
    fake("squeue", squeue_that_shows(opened.paths.job_script, "7|RUNNING", mark=MARK))
    submit(opened)
    seen = look(opened.paths, opened.history)
    assert seen.job is not None
    assert seen.job.found is None


def test_a_lock_that_is_still_touched_is_alive_whatever_slurm_does_not_know(opened: Experiment, fake: Fake) -> None:
    fake("squeue", squeue_that_shows(opened.paths.job_script))
    with opened.claim(job_has_ended(opened), job="7"):
        lock = opened.paths.lock
        lock.write_text(lock.read_text().replace('"place":"', '"place":"another machine, '))
        assert look(opened.paths, opened.history).life is Life.UNKNOWN
        os.utime(lock, (1.0, 1.0))
        assert look(opened.paths, opened.history).life is Life.DEAD


def test_a_cancelled_job_is_one_that_no_longer_waits_or_runs(opened: Experiment, fake: Fake) -> None:
    fake("scancel", "echo scancel: error: Kill job error on job id 7: Job/step already completing or completed; exit 1")
    fake("squeue", squeue_that_shows(opened.paths.job_script, "7|COMPLETING"))
    slurm.cancel("7")
    fake("squeue", squeue_that_shows(opened.paths.job_script, "7|RUNNING"))
    with pytest.raises(MachineError, match="Kill job error"):
        slurm.cancel("7")


class Submitting:
    """Submits a job that is refused so many times."""

    def __init__(self, refused: int) -> None:
        self.refused = refused

    def __call__(self, claim: Claim, say: Say, patience: float) -> None:
        """Raise as often as it is to."""
        self.refused -= 1
        if self.refused >= 0:
            raise MachineError("QOSMaxSubmitJobPerUserLimit")


def test_a_next_job_that_may_not_be_submitted_is_this_one_requeued(opened: Experiment, fake: Fake) -> None:
    controlled = fake("scontrol", "")
    with opened.claim(job_has_ended(opened)) as claim:
        assert continue_in_a_next_job(claim, "7;other", Submitting(9), 60.0, lambda *_: None)
    assert controlled.read_text() == "requeue 7\n"


@pytest.mark.parametrize(("left", "patience"), [(math.inf, FINDING_SECONDS), (86_400.0, FINDING_SECONDS), (40.0, 10.0)])
def test_sbatch_is_waited_for_a_minute_or_two_and_shorter_near_the_end(
    opened: Experiment, left: float, patience: float
) -> None:
    """A job without a limit has no end that would be near."""
    heard: list[float] = []
    with opened.claim(job_has_ended(opened)) as claim:
        continue_in_a_next_job(claim, "7", lambda *_, patience: heard.append(patience), left, lambda _: None)
    assert heard == [patience]


def test_a_next_job_is_tried_for_as_long_as_this_one_lasts(opened: Experiment, fake: Fake) -> None:
    fake("scontrol", "echo slurmctld is down >&2; exit 1")
    said: list[str] = []
    with opened.claim(job_has_ended(opened)) as claim:
        assert not continue_in_a_next_job(claim, "7", Submitting(3), 60.0, said.append)
        assert said == ["auto_resubmit=1: the next job continues"]
        assert not continue_in_a_next_job(claim, "7", Submitting(999), 0.1, said.append)
    *_, line = said
    assert "QOSMaxSubmitJobPerUserLimit; scontrol refused" in line
    assert line.endswith("slurmctld is down; candle resume X000 continues it")


def test_who_cancels_a_job_that_tries_to_continue_gets_no_other(opened: Experiment, fake: Fake) -> None:
    fake("scontrol", "exit 1")
    submitting = Submitting(2)
    with opened.claim(job_has_ended(opened)) as claim:
        assert continue_in_a_next_job(claim, "7", submitting, 60.0, lambda _: None, lambda: submitting.refused < 1)
    assert submitting.refused == 0, "it has tried again"


def queue_with(left: str) -> str:
    return squeue_that_shows(Path("/x"), "7|RUNNING", mark=MARK).replace("1:00", left)


def asked_clock(walltime: int, warning: int | None = None) -> JobClock:
    clock = JobClock("7", walltime, warning)
    clock.ask()
    return clock


def test_the_end_of_a_job_is_what_slurm_says(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the walltime was: `--time` wins, and staff extend limits."""
    fake("squeue", queue_with("UNLIMITED"))
    assert asked_clock(300).deadline is None
    asked = fake("squeue", queue_with("10:00"))
    clock = asked_clock(86_400)
    assert clock.deadline is not None
    assert clock.deadline - time.monotonic() == pytest.approx(540, abs=30)
    assert not clock.renew()
    assert len(asked.read_text().splitlines()) == 2, "it asks again within a minute"
    monkeypatch.setattr("candle_hpo.runner.job_clock._ASK_AGAIN_SECONDS", 0)
    assert not clock.renew()
    fake("squeue", queue_with("1-00:00:00"))
    assert clock.renew()
    assert clock.seconds_left == pytest.approx(86_400, abs=30)
    fake("squeue", "exit 1")
    assert not clock.renew()
    assert clock.seconds_left == pytest.approx(86_400, abs=30)
    clock.warn()
    assert clock.deadline == pytest.approx(time.monotonic(), abs=30)


@pytest.mark.parametrize("squeue", ["exit 1", queue_with("INVALID")])
def test_a_job_whose_end_slurm_does_not_say_has_its_walltime(fake: Fake, squeue: str) -> None:
    fake("squeue", squeue)
    assert asked_clock(3600, warning=600).seconds_left == pytest.approx(3600, abs=30)


KILLED = "slurmstepd-n1: error: *** JOB 7 ON n1 CANCELLED AT 2026-11-26T02:34:49 DUE TO "


@pytest.mark.parametrize(
    ("reason", "said", "completed", "is_continued", "may_run_again"),
    [
        (StopReason.WALLTIME, "", 3, True, False),
        (StopReason.OUT_OF_TIME, "", 3, True, False),
        (StopReason.WALLTIME, "", 0, False, False),  # the next job would complete none either
        (StopReason.PREEMPTED, "", 0, True, False),
        (StopReason.MAX_FAILURES, "", 3, False, False),
        (StopReason.JOB_CANCELLED, "", 3, False, True),  # its owner wants that; or SLURM requeues it
        (StopReason.JOB_CANCELLED, f"{KILLED}JOB REQUEUE ***", 3, False, True),
        (StopReason.JOB_CANCELLED, f"{KILLED}PREEMPTION ***", 0, True, False),
        (StopReason.JOB_CANCELLED, f"{KILLED}TIME LIMIT ***", 3, True, False),
        (StopReason.JOB_CANCELLED, f"{KILLED}TIME LIMIT ***", 0, False, False),
        (None, "", 3, False, False),
    ],
)
def test_which_jobs_are_continued(
    opened: Experiment,
    monkeypatch: pytest.MonkeyPatch,
    reason: StopReason | None,
    said: str,
    completed: int,
    is_continued: bool,
    may_run_again: bool,
) -> None:
    continued: list[str] = []
    monkeypatch.setattr(cluster_job, "_end_of_standard_error", lambda: said)

    def in_a_next_job(_claim: Claim, job: str, *_rest: object) -> bool:
        continued.append(job)
        return False

    monkeypatch.setattr(cluster_job, "continue_in_a_next_job", in_a_next_job)
    signals = HeardSignals(JobClock("7", 86_400), is_continued=True)
    stop = None if reason is None else Stop(reason)
    if stop in (Stop(StopReason.JOB_CANCELLED), Stop(StopReason.PREEMPTED)):
        signals.heard.append(stop)
    for settings, expected in ((1, is_continued), (0, False)):
        with opened.claim(job_has_ended(opened)) as claim:
            opened.stored = replace(opened.stored, settings=replace(opened.settings, auto_resubmit=bool(settings)))
            again = cluster_job._may_run_again(claim, "7", stop, completed, signals, lambda *_: None)
        assert bool(continued) is expected
        assert again is may_run_again or (not settings and reason is StopReason.JOB_CANCELLED)
        continued.clear()


def test_a_warning_that_comes_early_is_a_preemptions_and_hands_on_what_continues(fake: Fake) -> None:
    asked = fake("squeue", queue_with("1:00:00"))
    for is_continued, heard in ((True, [Stop(StopReason.PREEMPTED)]), (False, [])):
        signals = HeardSignals(JobClock("7", 3600), is_continued=is_continued)
        signals.hear(Stop(StopReason.WALLTIME))
        assert signals.heard == heard
        assert not asked.exists(), "a signal handler asks SLURM"
    near = HeardSignals(JobClock("7", 100), is_continued=True)
    near.hear(Stop(StopReason.WALLTIME))
    assert near.heard == []
    assert near.clock.deadline is not None
    assert near.clock.deadline > time.monotonic() + 3000, "SLURM was not asked"


def test_a_folder_that_is_another_experiments_by_now_is_left_alone(
    opened: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(InputError, match="is not the experiment that job 7 was submitted for"):
        cluster_job.run_job(str(opened.paths.root), MARK, False, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "environment", "clusters"),
    [
        ((), {}, ""),
        (("-M", "other"), {"SLURM_CLUSTERS": "c"}, "other"),
        (("--cluster=a,b",), {}, "a,b"),
        (("--mail-type=END",), {"SLURM_CLUSTERS": "c"}, "c"),
        ((), {"SLURM_CLUSTERS": "c", "SBATCH_CLUSTERS": "d"}, "d"),
    ],
)
def test_the_clusters_of_an_experiment(
    arguments: tuple[str, ...], environment: dict[str, str], clusters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission, "user_environment", lambda: environment)
    settings = Settings(model_script="/m.py", workflow="grid", custom_sbatch_args=arguments)
    chosen = ChosenSite("generic", "generic.toml", "", Site())
    assert submission.clusters_of(settings, chosen) == clusters
