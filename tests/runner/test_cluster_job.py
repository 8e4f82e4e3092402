"""Jobs and the record: whatever is submitted is in it or is cancelled. SLURM's programs are fakes here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from candle_hpo.core.errors import InputError, MachineError, RecordError
from candle_hpo.engine.batch import slurm
from candle_hpo.record.events import JobEnd, JobSubmitted
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.log import read_events
from candle_hpo.runner.cluster_job import record_end_of_last_job, submit_experiment
from support.made_experiments import make_experiment

Fake = Callable[[str, str], Path]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Write a program of SLURM's in bash; return the file to which it appends the arguments of each call."""
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    monkeypatch.setattr(slurm, "user_environment", lambda: environment)

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
    with opened.claim(slurm.job_has_ended) as claim:
        submit_experiment(claim, said.append)
    return said


def test_a_job_that_is_submitted_is_recorded(opened: Experiment, fake: Fake) -> None:
    fake("sbatch", "echo 7")
    assert submit(opened) == ["JOB_ID=7"]
    *_, last = read_events(opened.paths.record)
    assert isinstance(last, JobSubmitted)
    assert (last.job, last.batch_system) == ("7", "slurm")
    assert opened.history.job == Experiment(opened.paths).history.job


def test_a_job_that_cannot_be_recorded_is_cancelled(opened: Experiment, fake: Fake) -> None:
    fake("sbatch", "rm events.jsonl; echo 7")
    cancelled = fake("scancel", "")
    with pytest.raises(RecordError, match="is gone; was the experiment's folder removed"):
        submit(opened)
    assert cancelled.read_text() == "7\n"


def test_a_job_that_slurm_refuses_is_not_recorded(opened: Experiment, fake: Fake) -> None:
    fake("sbatch", "echo no such partition >&2; exit 1")
    with pytest.raises(MachineError, match="no such partition"):
        submit(opened)
    assert not Experiment(opened.paths).history.jobs


@pytest.mark.parametrize(
    ("squeue", "how", "state"),
    [
        ("echo '7|TIMEOUT|None|0:00|n1|N/A'", JobEnd.ENDED, "TIMEOUT"),
        ("echo slurm_load_jobs error: Invalid job id specified >&2; exit 1", JobEnd.FORGOTTEN, ""),
    ],
)
def test_the_end_of_a_job_that_was_killed_is_recorded_once(
    opened: Experiment, fake: Fake, squeue: str, how: JobEnd, state: str
) -> None:
    fake("sbatch", "echo 7")
    asked = fake("squeue", squeue)
    submit(opened)
    for _ in range(2):
        with opened.claim(slurm.job_has_ended) as claim:
            record_end_of_last_job(claim)
        job = Experiment(opened.paths).history.job
        assert job is not None
        assert job.ended is not None
        assert (job.ended.how, job.ended.state) == (how, state)
        assert job.ended.time <= time.time()
    assert len(asked.read_text().splitlines()) == 1


@pytest.mark.parametrize("state", ["PENDING", "RUNNING", "COMPLETING"])
def test_an_experiment_whose_job_has_not_ended_gets_no_other(opened: Experiment, fake: Fake, state: str) -> None:
    fake("sbatch", "echo 7")
    fake("squeue", f"echo '7|{state}|None|1:00|n1|N/A'")
    submit(opened)
    with opened.claim(slurm.job_has_ended) as claim, pytest.raises(InputError, match=f"is job 7, which is {state}; "):
        record_end_of_last_job(claim)
    job = Experiment(opened.paths).history.job
    assert job is not None
    assert job.ended is None
