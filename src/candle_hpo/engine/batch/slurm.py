"""Running SLURM's programs: the one place where candle talks to it."""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from candle_hpo.core.errors import MachineError
from candle_hpo.engine.batch.slurm_environment import for_questions, for_submission
from candle_hpo.engine.batch.slurm_text import QUEUE_FORMAT, Job, JobState, job_id_of, jobs_of
from candle_hpo.user_environment import user_environment

ANSWER_SECONDS = 120.0  # for a program of SLURM to answer

_logger = logging.getLogger(__name__)


class NoAnswer(MachineError):
    """SLURM did not answer in time; it may have done what it was asked."""


def slurm_is_here() -> bool:
    """Return whether this machine belongs to a SLURM cluster.

    Its programs alone do not make it one: without any configuration they only say so. A cluster whose controller
    does not answer just now is one.
    """
    if shutil.which("sbatch") is None:
        return False
    done = subprocess.run(
        ["sbatch", "--version"],
        env=for_questions(user_environment()),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return b"Could not establish a configuration source" not in done.stderr


def submit(script: Path) -> str:
    """Submit a job script from its own folder; return the job's id. Raises `MachineError`."""
    return job_id_of(_sbatch(script, "--parsable"))


def would_start(script: Path) -> str:
    """Return what SLURM says of when and where it would start a job script; nothing is submitted.

    Raises `MachineError` with SLURM's own words where it refuses.
    """
    return _sbatch(script, "--test-only", with_errors=True).strip()


def _sbatch(script: Path, *options: str, with_errors: bool = False) -> str:
    try:
        text = script.read_text(encoding="utf-8")
    except OSError as error:
        raise MachineError(f"{script} cannot be read: {error.strerror}") from None
    environment = for_submission(user_environment(), text)
    return _run(["sbatch", *options, script.name], script.parent, environment, with_errors=with_errors)


def find_jobs(ids: Sequence[str]) -> list[Job]:
    """Return what SLURM knows of these jobs; one that it has forgotten is not among them. Raises `MachineError`."""
    try:
        return jobs_of(
            _run(["squeue", "--noheader", "--states=all", f"--jobs={','.join(ids)}", f"--format={QUEUE_FORMAT}"])
        )
    except MachineError as error:
        if "Invalid job id" in str(error):
            return []
        raise


def job_has_ended(job: str) -> bool:
    """Return whether a job is over, or forgotten by SLURM. Raises `MachineError`."""
    return all(found.state is JobState.ENDED for found in find_jobs([job]))


def cancel(job: str) -> None:
    """Cancel a job. Raises `MachineError`."""
    _run(["scancel", job])


def node_resources() -> str:
    """Return the generic resources of all nodes, by partition. Raises `MachineError`."""
    return _run(["sinfo", "--noheader", "--format=%R %G"])


def _run(
    command: Sequence[str],
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    with_errors: bool = False,
) -> str:
    """Run a program of SLURM; return what it prints. Raises `MachineError` with all that it said."""
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=for_questions(user_environment()) if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise MachineError(f"{command[0]} is not on the PATH; is this a machine of a SLURM cluster?") from None
    except subprocess.TimeoutExpired as error:
        _logger.warning("%s does not answer: %s", command[0], error)
        raise NoAnswer(f"{command[0]} does not answer: {error}") from None
    except OSError as error:
        raise MachineError(f"{command[0]} cannot be run: {error}") from None
    if done.returncode != 0:
        said = " ".join((done.stderr + done.stdout).split())
        _logger.warning("%s: exit status %d: %s", " ".join(command[:3]), done.returncode, said)
        raise MachineError(f"{command[0]} refused (exit status {done.returncode}): {said}")
    return done.stdout + done.stderr if with_errors else done.stdout
