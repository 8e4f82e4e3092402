"""What an experiment does now, over the whole table of what its record, its lock and its last job may say."""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from candle_hpo.commands.watch import Watched
from candle_hpo.core.objective import Direction, Objective
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.job_text import Job, JobState
from candle_hpo.record.events import (
    AnyEvent,
    CampaignStarted,
    CampaignStopped,
    JobEnd,
    JobEnded,
    JobRefused,
    JobRequested,
    JobSubmitted,
    PlacesChanged,
    TrialStarted,
)
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.history import History
from candle_hpo.record.holder import Holder, Life
from candle_hpo.record.log import RecordFile
from candle_hpo.runner.liveness import Liveness, liveness, replay_now, state_of
from candle_hpo.runner.sighting import LastJob, Sighting
from support.attempts import attempt_at
from support.made_experiments import make_experiment

HERE, OF_THE_JOB, OF_AN_EARLIER_JOB = "", "7", "6"
TRIAL = TrialStarted.of(attempt_at(1, id="hpset_00001"), 2.0)
LIVES = [None, *Life]
FORGOTTEN, RECORDED = "forgotten", "its end is recorded"
JOBS = [None, FORGOTTEN, RECORDED, *JobState]


def history_of(campaign: str | None, stop: Stop | None, is_stopped: bool) -> History:
    events: list[AnyEvent] = []
    if campaign is not None:
        events.append(CampaignStarted(1.0, "h", 1, 1, job=campaign))
        events.append(CampaignStopped(3.0, stop) if is_stopped else TRIAL)
    return History(Objective(Direction.MINIMIZE), events)


def sighting_of(life: Life | None, job: str | JobState | None) -> Sighting:
    holder = None if life is None else Holder("h", 1, 1.0)
    if job is None:
        return Sighting(holder, life, None)
    known = Job("7", job, str(job), "", "", "", "") if isinstance(job, JobState) else None
    ended = JobEnded(4.0, "7", JobEnd.CAMPAIGN_ENDED) if job == RECORDED else None
    return Sighting(holder, life, LastJob("7", known, ended))


def expected(campaign: str | None, is_stopped: bool, stop: Stop | None, life: Life | None, job: str | None) -> Liveness:
    """The table in words: a job that waits; one that has run no campaign; no campaign; its end; and who holds it."""
    is_held = life in (Life.ALIVE, Life.UNKNOWN)
    is_over = job in (FORGOTTEN, RECORDED, JobState.ENDED)
    if job is JobState.PENDING:
        return Liveness.QUEUED
    if job is not None and (campaign is None or (job is not RECORDED and campaign != OF_THE_JOB)):
        return Liveness.LOST if is_over and not is_held else Liveness.STARTING
    if campaign is None:
        return Liveness.STARTING
    if is_stopped:
        return Liveness.STOPPED if stop else Liveness.DONE
    return Liveness.RUNNING if is_held else Liveness.LOST


def test_a_job_whose_end_nobody_recorded_hides_no_later_one() -> None:
    """The first job was killed before it could say that it ended, and SLURM has forgotten it."""
    out_of_time = CampaignStopped(3.0, Stop(StopReason.WALLTIME))
    first: list[AnyEvent] = [JobSubmitted(1.0, "6"), CampaignStarted(2.0, "h", 1, 1, job="6"), out_of_time]
    second: list[AnyEvent] = [JobSubmitted(4.0, "7"), CampaignStarted(5.0, "h", 1, 1, job="7"), CampaignStopped(6.0)]
    history = History(Objective(), [*first, *second, JobEnded(7.0, "7", JobEnd.CAMPAIGN_ENDED)])
    assert history.job is not None
    seen = Sighting(None, None, LastJob(history.job.id, None, history.job.ended))
    assert liveness(history, seen) is Liveness.DONE


def test_a_job_that_may_have_been_submitted_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = make_experiment(tmp_path / "X000", 3)
    history = History(Objective(), [JobRequested(1.0, "candle:0123456789abcdef")])
    jobs: list[Job] = []
    monkeypatch.setattr(slurm, "own_jobs", lambda _: jobs)
    monkeypatch.setattr(slurm, "find_jobs", lambda _: jobs)
    text = "Whether its job was submitted is not known, and SLURM shows none; candle resume X000 submits one"
    assert state_of(paths, history, None).text == text
    jobs.append(Job("7", JobState.PENDING, "PENDING", "Priority", "1:00", "", "N/A", mark="candle:0123456789abcdef"))
    assert state_of(paths, history, None).text == "Waiting in the queue as job 7 (Priority)"


@pytest.mark.parametrize(
    ("job", "state", "reason", "text"),
    [
        ("7", "PENDING", "JobHeldUser", "job 7 (JobHeldUser); it is held until scontrol release 7"),
        (
            "7;other",
            "REQUEUE_HOLD",
            "None",
            "job 7 on the cluster other; it is held until scontrol --clusters=other release 7",
        ),
        ("7", "PENDING", "Priority", "job 7 (Priority)"),
    ],
)
def test_a_job_that_is_held_says_what_lets_it_start(
    job: str, state: str, reason: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = make_experiment(tmp_path / "X000", 3)
    jobs = [Job(job, JobState.PENDING, state, reason, "1:00", "", "N/A", mark="candle:0123456789abcdef")]
    monkeypatch.setattr(slurm, "find_jobs", lambda _: jobs)
    history = History(Objective(), [JobSubmitted(1.0, job, mark="candle:0123456789abcdef")])
    assert state_of(paths, history, None).text == f"Waiting in the queue as {text}"


def test_a_job_that_tries_to_get_a_next_one_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, mark = make_experiment(tmp_path / "X000", 3), "candle:0123456789abcdef"
    jobs = [Job("7", JobState.RUNNING, "RUNNING", "None", "1:00", "n1", "N/A", mark=mark)]
    monkeypatch.setattr(slurm, "find_jobs", lambda _: jobs)
    begun: list[AnyEvent] = [JobSubmitted(1.0, "7", mark=mark), CampaignStarted(2.0, "h", 1, 1, job="7")]
    stopped = CampaignStopped(3.0, Stop(StopReason.WALLTIME))
    history = History(Objective(), [*begun, stopped, JobRequested(4.0, mark), JobRefused(5.0, mark, "no")])
    text = state_of(paths, history, None).text
    assert text.endswith("; no next job yet: no; job 7 tries again as long as it lasts, ten minutes at most")
    history.refused = None
    assert state_of(paths, history, None).text.endswith(": the walltime is nearly over; job 7 is RUNNING")
    history = History(Objective(), [*begun, stopped, JobRequested(4.0, mark), JobRefused(5.0, mark, "no")])
    jobs[0] = replace(jobs[0], state=JobState.ENDED)
    assert state_of(paths, history, None).text.endswith(
        "; there is no next job: no; candle resume X000, where you may submit, continues it"
    )


def test_a_requeued_job_is_the_last_one_again() -> None:
    events: list[AnyEvent] = [JobSubmitted(1.0, "6"), JobSubmitted(2.0, "7"), CampaignStarted(3.0, "h", 1, 1, job="6")]
    last = History(Objective(), events).job
    assert last is not None and (last.id, last.ended) == ("6", None)


@pytest.mark.parametrize("job", JOBS, ids=str)
@pytest.mark.parametrize("life", LIVES, ids=str)
def test_the_whole_table_and_nothing_that_is_looked_at_changes(life: Life | None, job: str | None) -> None:
    ends = [(False, None), (True, None), (True, Stop(StopReason.WALLTIME))]
    for campaign, (is_stopped, stop) in itertools.product([None, HERE, OF_THE_JOB, OF_AN_EARLIER_JOB], ends):
        history, seen = history_of(campaign, stop, is_stopped), sighting_of(life, job)
        before = copy.deepcopy(vars(history))
        assert liveness(history, seen) is expected(campaign, is_stopped, stop, life, job), (campaign, is_stopped, stop)
        assert vars(history) == before


@pytest.mark.parametrize(
    ("campaign", "is_stopped", "life", "job", "now"),
    [
        (None, False, None, JobState.PENDING, Liveness.QUEUED),
        (OF_THE_JOB, True, None, JobState.PENDING, Liveness.QUEUED),  # requeued
        (None, False, None, JobState.RUNNING, Liveness.STARTING),
        (None, False, None, JobState.ENDED, Liveness.LOST),
        (None, False, None, None, Liveness.STARTING),
        (OF_THE_JOB, False, Life.ALIVE, JobState.RUNNING, Liveness.RUNNING),
        (OF_THE_JOB, False, Life.DEAD, FORGOTTEN, Liveness.LOST),
        (HERE, False, Life.UNKNOWN, None, Liveness.RUNNING),
        (HERE, False, None, None, Liveness.LOST),
        (HERE, True, Life.ALIVE, None, Liveness.DONE),
    ],
)
def test_what_people_meet(
    campaign: str | None, is_stopped: bool, life: Life | None, job: str | None, now: Liveness
) -> None:
    assert liveness(history_of(campaign, None, is_stopped), sighting_of(life, job)) is now


@pytest.mark.parametrize(
    ("state", "now", "running"), [(JobState.RUNNING, "Running since", 3), (JobState.ENDED, "Interrupted: job 7", 0)]
)
def test_one_question_to_the_batch_system_answers_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: JobState, now: str, running: int
) -> None:
    asked: list[Sequence[str]] = []

    def find_jobs(ids: Sequence[str]) -> list[Job]:
        asked.append(ids)
        return [Job("7", state, state.name, "", "1:00", "n1", "", script=str(paths.job_script))]

    monkeypatch.setattr(slurm, "find_jobs", find_jobs)
    paths = make_experiment(tmp_path / "X000", 3)
    paths.record.unlink()
    record = RecordFile(paths.record)
    trials = [attempt_at(number) for number in (1, 2, 3)]
    began = CampaignStarted(1.0, "h", 1, 8, job="7")
    record.append([JobSubmitted(0.0, "7"), began, *(TrialStarted.of(trial, 2.0) for trial in trials)])
    record.close()
    paths.lock.write_bytes(msgspec.json.encode(Holder("h", 1, 1.0, job="7", mark="a")))
    watched = Watched(Experiment(paths))
    for _ in range(3):
        watched.update()
    assert asked == [["7"]]
    assert watched.state.startswith(now)
    assert len(watched.history.running) == running
    assert watched.is_over is (running == 0)
    assert len(replay_now(Experiment(paths)).running) == running
    assert asked == [["7"], ["7"]]


@pytest.mark.parametrize(
    ("places", "text"),
    [
        ([], "Starting its workers, as job 7 on n[1-2], 1:00 left"),
        (
            [PlacesChanged(2.0, 0, ("n1, n2: srun: error: no",))],
            "Waiting for workers, as job 7 on n[1-2], 1:00 left: n1, n2: srun: error: no",
        ),
        ([PlacesChanged(2.0, 2, ("n2: srun: error: no",))], "Running since "),
    ],
)
def test_a_job_without_workers_does_not_run_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: list[AnyEvent], text: str
) -> None:
    opened = in_a_job_that_is("RUNNING", places, tmp_path, monkeypatch)
    assert state_of(opened.paths, opened.history, None).text.startswith(text)
    assert opened.history.lacking == (places[0].lacking if places else ())  # type: ignore[union-attr]


def test_a_suspended_job_does_not_run_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lock is not touched meanwhile, either."""
    opened = in_a_job_that_is("SUSPENDED", [PlacesChanged(2.0, 2)], tmp_path, monkeypatch)
    os.utime(opened.paths.lock, (1.0, 1.0))
    state = state_of(opened.paths, opened.history, None)
    assert state.text == "SLURM has suspended job 7 on n[1-2], 1:00 left; it continues when SLURM resumes it"
    assert not state.is_over


def in_a_job_that_is(
    slurm_state: str, places: list[AnyEvent], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Experiment:
    paths = make_experiment(tmp_path / "X000", 3)
    found = Job("7", JobState.RUNNING, slurm_state, "", "1:00", "n[1-2]", "", script=str(paths.job_script))
    monkeypatch.setattr(slurm, "find_jobs", lambda _: [found])
    paths.record.unlink()
    record = RecordFile(paths.record)
    record.append([JobSubmitted(0.0, "7"), CampaignStarted(1.0, "h", 1, 0, job="7"), *places])
    record.close()
    paths.lock.write_bytes(msgspec.json.encode(Holder("h", 1, 1.0, job="7", mark="a")))
    return Experiment(paths)


@pytest.mark.parametrize(
    ("events", "text"),
    [
        (
            [CampaignStarted(1.0, "h", 1, 8, job="7"), CampaignStopped(3.0), JobEnded(3.0, "7", JobEnd.CAMPAIGN_ENDED)],
            "Ended at ",
        ),
        ([JobEnded(3.0, "7", JobEnd.ENDED, "BOOT_FAIL")], "Job 7 ended (BOOT_FAIL), before any trial ran"),
        ([JobEnded(3.0, "7", JobEnd.FORGOTTEN)], "Job 7 is not known to SLURM any more, before any trial ran"),
        (
            [CampaignStarted(1.0, "h", 1, 8, job="7"), TRIAL, JobEnded(3.0, "7", JobEnd.ENDED, "NODE_FAIL")],
            "Interrupted: job 7 (NODE_FAIL), which ran it since ",
        ),
    ],
)
def test_of_a_job_that_has_ended_by_the_record_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[AnyEvent], text: str
) -> None:
    def find_jobs(ids: Sequence[str]) -> list[Job]:
        raise AssertionError(f"SLURM is asked of {ids}")

    monkeypatch.setattr(slurm, "find_jobs", find_jobs)
    paths = make_experiment(tmp_path / "X000", 3)
    history = History(Objective(Direction.MINIMIZE), [JobSubmitted(0.0, "7"), *events])
    state = state_of(paths, history, None)
    assert state.text.startswith(text)
    assert state.is_over
