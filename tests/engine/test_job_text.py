"""What is made of SLURM's texts about jobs, those of its versions from 20.11 to 25.05. No SLURM is needed here."""

from __future__ import annotations

import math

import pytest

from candle_hpo.core.errors import MachineError
from candle_hpo.engine.batch.job_text import (
    QUEUE_FORMAT,
    EndBySlurm,
    Heard,
    Job,
    JobState,
    end_by_slurm,
    job_id,
    job_text,
    jobs_of,
    new_mark,
    seconds_of_signal,
    submitted_job,
    time_left,
    what_slurm_heard,
    with_mark,
)

MARK = "candle:0123456789abcdef"
HEADINGS = "candle_job|JOBID|STATE|REASON|TIME_LEFT|NODELIST|START_TIME|COMMAND|COMMENT\n"
PENDING = f"candle_job|7|PENDING|Priority|5:00||2026-11-23T18:00:00|/x/job.sbatch|{MARK}\n"
RUNNING = "candle_job|8|RUNNING|None|1-02:03:04|n[1-3]|2026-11-23T17:00:00|(null)|(null)\n"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("4:05", 245), ("1-00:00:01", 86_401), ("UNLIMITED", math.inf), ("NOT_SET", None), ("INVALID", None), ("", None)],
)
def test_the_time_left(text: str, seconds: float | None) -> None:
    assert time_left(text) == seconds


@pytest.mark.parametrize(("answer", "job"), [("12\n", "12"), ("12;biowulf\n", "12;biowulf"), (" 9;other ", "9;other")])
def test_the_job_that_was_submitted(answer: str, job: str) -> None:
    assert submitted_job(answer) == job


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no\n",
        "12 jobs\n",
        "-1",
        "2 jobs wait\n12\n",
        "12\nThank you\n",
        "Submitted batch job 12\n",
        "3\n12\n",
    ],
)
def test_a_number_among_other_things_is_not_taken_for_the_jobs(answer: str) -> None:
    assert submitted_job(answer) is None


@pytest.mark.parametrize(
    ("refusal", "heard"),
    [
        ("sbatch: error: Batch job submission failed: Invalid partition name specified", Heard.IT_ALL),
        (
            "sbatch: error: QOSMaxSubmitJobPerUserLimit sbatch: error: Batch job submission failed: Job violates "
            "accounting/QOS policy (job submit limit, user's size and/or time limits)",
            Heard.IT_ALL,
        ),
        ("sbatch: error: Please contact help@lab.org: Connect to login2 to submit.", Heard.IT_ALL),
        ("sbatch: error: Batch job submission failed: Access/permission denied", Heard.IT_ALL),
        ("submitted. the wrapper failed", Heard.IT_ALL),
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", Heard.PERHAPS),
        ("sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received", Heard.PERHAPS),
        ("sbatch: error: Batch job submission failed: Message receive failure", Heard.PERHAPS),
        ("sbatch: error: Batch job submission failed: Communication connection failure", Heard.PERHAPS),
        ("sbatch: error: Batch job submission failed: Transport endpoint is not connected", Heard.PERHAPS),
        ("sbatch: error: Batch job submission failed: Connection timed out", Heard.PERHAPS),
        ("sbatch: error: Batch job submission failed: Unspecified error", Heard.PERHAPS),
        ("Batch job submission failed: Unable to contact slurm controller (connect failure)", Heard.NOTHING),
        ("sbatch: fatal: Could not establish a configuration source", Heard.NOTHING),
    ],
)
def test_whether_a_job_may_come_of_a_failed_submission(refusal: str, heard: Heard) -> None:
    assert what_slurm_heard(refusal) is heard


def test_jobs_in_the_queue() -> None:
    pending, running = jobs_of(HEADINGS + PENDING + RUNNING)
    start = "2026-11-23T18:00:00"
    expected = Job("7", JobState.PENDING, "PENDING", "Priority", "5:00", "", start, "/x/job.sbatch", MARK)
    assert pending == expected
    assert (running.state, running.nodes, running.left, running.mark) == (JobState.RUNNING, "n[1-3]", "1-02:03:04", "")


def test_what_else_is_printed_is_passed_over() -> None:
    """Banners of a wrapper, before and behind; of several clusters, each with its headings, from 20.11 on."""
    banner = "Welcome to the cluster!\n7|PENDING|not an answer\n"
    of_clusters = f"CLUSTER: here\n{HEADINGS}\nCLUSTER: other\n{HEADINGS}{PENDING}"
    assert [job.id for job in jobs_of(banner + HEADINGS + PENDING + "Maintenance on Monday\n")] == ["7"]
    assert [job.id for job in jobs_of(banner + of_clusters)] == ["7;other"]
    assert [job.id for job in jobs_of(f"quota: 90 % {HEADINGS}{PENDING}")] == ["7"]
    assert jobs_of(HEADINGS) == []


@pytest.mark.parametrize("answer", ["", "\n", "Welcome to the cluster!\n", PENDING])
def test_an_answer_without_headings_is_none(answer: str) -> None:
    with pytest.raises(MachineError, match="there is no list of jobs"):
        jobs_of(answer)


def test_a_state_that_we_do_not_know_is_an_error_and_no_end() -> None:
    with pytest.raises(MachineError, match='job 7 is "DREAMING", a state unknown to candle'):
        jobs_of(HEADINGS + PENDING.replace("PENDING", "DREAMING"))
    with pytest.raises(MachineError, match="which is not of the form"):
        jobs_of(HEADINGS + "candle_job|7|PEND")


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        *dict.fromkeys(["PENDING", "REQUEUED", "RUNNING", "SUSPENDED", "COMPLETING", "EXPEDITING"], False).items(),
        *dict.fromkeys(["COMPLETED", "CANCELLED", "TIMEOUT", "PREEMPTED", "LAUNCH_FAILED"], True).items(),
        ("NODE_FAIL", None),  # SLURM sees the node no more; what runs there may live
    ],
)
def test_which_states_are_an_end(state: str, ended: bool | None) -> None:
    (job,) = jobs_of(HEADINGS + PENDING.replace("PENDING", state))
    assert job.has_ended is ended


def test_another_job_of_the_same_number_is_not_ours() -> None:
    ours, without_comment = jobs_of(HEADINGS + PENDING + PENDING.replace(MARK, "(null)"))
    (others,) = jobs_of(HEADINGS + PENDING.replace(MARK, new_mark()))
    assert ours.is_of(MARK, "/x/job.sbatch")
    assert not others.is_of(MARK, "/x/job.sbatch")
    assert without_comment.is_of(MARK, "/x/job.sbatch")  # some sites take comments away
    assert not without_comment.is_of(MARK, "/y/job.sbatch")


def test_the_mark_stands_behind_the_users_own_comment() -> None:
    assert with_mark(["--nice=5"], MARK) == ["--nice=5", f"--comment={MARK}"]
    assert with_mark(["--comment=a | b", "--nice=5"], MARK) == ["--nice=5", f"--comment=a | b {MARK}"]
    (job,) = jobs_of(HEADINGS + PENDING.replace(MARK, f"a | b {MARK}"))
    assert job.mark == MARK
    assert QUEUE_FORMAT.count("|") == 8


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (" DUE TO TIME LIMIT ***", EndBySlurm.TIME_LIMIT),
        (" DUE TO PREEMPTION ***", EndBySlurm.PREEMPTION),
        (" DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***", EndBySlurm.NODE_FAILURE),
        (" DUE TO JOB REQUEUE ***", None),
        (" ***", None),
    ],
)
def test_who_ends_a_job(said: str, why: EndBySlurm | None) -> None:
    line = f"slurmstepd-n1: error: *** JOB 3 ON n1 CANCELLED AT 2026-11-26T02:34:49{said}\n"
    assert end_by_slurm("3;other", f"epoch 1\n{line}") is why
    assert end_by_slurm("4", line) is None


def test_what_a_job_is_called() -> None:
    assert (job_id("9"), job_id("9", "other")) == ("9", "9;other")
    assert (job_text("9"), job_text("9;other")) == ("9", "9 on the cluster other")


@pytest.mark.parametrize(("value", "seconds"), [(None, None), ("B:USR1@600", 600), ("B:SIGUSR1", 60)])
def test_how_long_before_its_end_a_job_is_to_be_warned(value: str | None, seconds: int | None) -> None:
    assert seconds_of_signal(value) == seconds
