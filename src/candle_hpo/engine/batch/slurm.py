"""Running SLURM's programs: the one place where candle talks to it."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from candle_hpo.core.errors import MachineError
from candle_hpo.engine.batch.job_text import (
    QUEUE_FORMAT,
    Heard,
    Job,
    JobState,
    job_id,
    jobs_of,
    slurm_takes_none,
    submitted_job,
    what_slurm_heard,
)
from candle_hpo.engine.batch.layout import NODES_FORMAT, Node, nodes_of
from candle_hpo.engine.batch.new_site import PARTITIONS_FORMAT, Partition, partitions_of
from candle_hpo.engine.batch.slurm_environment import for_questions, for_submission
from candle_hpo.user_environment import user_environment

ANSWER_SECONDS = 120.0  # for a program of SLURM to answer

_logger = logging.getLogger(__name__)


class NoAnswer(MachineError):
    """SLURM did not answer, or not clearly; it may have done what it was asked."""


class NotSent(MachineError):
    """SLURM has not heard what it was to be asked."""


def slurm_is_here() -> bool:
    """Return whether this machine belongs to a SLURM cluster.

    Its programs alone do not make it one: without any configuration they only say so. A cluster whose controller
    does not answer just now is one.
    """
    if shutil.which("sbatch") is None:
        return False
    try:
        done = subprocess.run(
            ["sbatch", "--version"],
            env=for_questions(user_environment()),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    return b"Could not establish a configuration source" not in done.stderr


def submit(script: Path, clusters: str = "", seconds: float = ANSWER_SECONDS) -> str:
    """Submit a job script from its own folder, to one of these clusters, within so many seconds; return the job's id.

    Raises `MachineError` where SLURM rejects it, `NotSent` where it never heard of it, and `NoAnswer` where it is not
    certain what has become of it.
    """
    try:
        answer = _sbatch(script, "--parsable", *_to(clusters), seconds=seconds)
    except NotSent:
        raise
    except NoAnswer as error:
        raise (NotSent if slurm_takes_none(str(error)) else NoAnswer)(str(error)) from None
    except MachineError as error:
        kinds = {Heard.NOTHING: NotSent, Heard.PERHAPS: NoAnswer, Heard.IT_ALL: MachineError}
        raise kinds[what_slurm_heard(str(error))](str(error)) from None
    job = submitted_job(answer)
    if job is None:
        raise NoAnswer(f"sbatch answered {answer!r}, which is not a job's number alone")
    return job


def would_start(script: Path, clusters: str = "") -> str:
    """Return what SLURM says of when and where it would start a job script; nothing is submitted.

    Raises `MachineError` with SLURM's own words where it refuses.
    """
    return _sbatch(script, "--test-only", *_to(clusters), with_errors=True).strip()


def _sbatch(script: Path, *options: str, with_errors: bool = False, seconds: float = ANSWER_SECONDS) -> str:
    try:
        text = script.read_text(encoding="utf-8")
    except OSError as error:
        raise NotSent(f"{script} cannot be read: {error.strerror}") from None
    environment = for_submission(user_environment(), text)
    command = ["sbatch", *options, script.name]
    return _run(command, script.parent, environment, with_errors=with_errors, seconds=seconds)


def find_jobs(ids: Sequence[str]) -> list[Job]:
    """Return what SLURM says of the jobs of these numbers, whosoever they are; what it does not know is not among them.

    Raises `MachineError`.
    """
    numbers: dict[str, list[str]] = {}
    for job in ids:
        number, _, cluster = job.partition(";")
        numbers.setdefault(cluster, []).append(number)
    found: list[Job] = []
    for cluster, of_cluster in numbers.items():
        try:
            found += _queue(cluster, f"--jobs={','.join(of_cluster)}", "--states=all")
        except MachineError as error:
            if "Invalid job id" not in str(error):
                raise
    return found


def own_jobs(clusters: str = "") -> list[Job]:
    """Return all jobs of this user; one that SLURM has forgotten is not among them. Raises `MachineError`."""
    return _queue(clusters, f"--user={os.getuid()}", "--states=all")


def _queue(clusters: str, *arguments: str) -> list[Job]:
    # All: of partitions, too, that are hidden, and whose jobs are else shown to nobody who asks for their own.
    jobs = jobs_of(_run(["squeue", "--all", f"--format={QUEUE_FORMAT}", *_on(clusters), *arguments]))
    if clusters and not _on(clusters):
        return [replace(job, id=job_id(job.id, clusters)) for job in jobs]
    return jobs


def _to(clusters: str) -> list[str]:
    """Return the argument for these clusters."""
    return [f"--clusters={clusters}"] if clusters else []


def _on(clusters: str) -> list[str]:
    """Return the same, but none within a job of that cluster, where its own answer is there without the accounting."""
    return [] if clusters == os.environ.get("SLURM_CLUSTER_NAME") else _to(clusters)


def cancel(job: str) -> None:
    """Cancel a job; one that has ended meanwhile is cancelled. Raises `MachineError`."""
    number, _, cluster = job.partition(";")
    try:
        _run(["scancel", *_on(cluster), number])
    except MachineError as error:
        try:
            left = [found for found in find_jobs([job]) if found.state in (JobState.PENDING, JobState.RUNNING)]
        except MachineError:
            raise error from None
        if left:
            raise


def requeue(job: str) -> None:
    """Have this very job end and wait in the queue again. Raises `MachineError`."""
    _run(["scontrol", "requeue", job.partition(";")[0]])


def nodes(clusters: str = "", partitions: str | None = None) -> list[Node]:
    """Return the nodes of these partitions, or of all that are not hidden, once in each. Raises `MachineError`."""
    named = [] if partitions is None else [f"--partition={partitions}"]
    return nodes_of(_run(["sinfo", "--noheader", "--Node", f"--format={NODES_FORMAT}", *named, *_on(clusters)]))


def partitions() -> list[Partition]:
    """Return the partitions that are not hidden, the default one first. Raises `MachineError`."""
    return partitions_of(_run(["sinfo", "--noheader", f"--format={PARTITIONS_FORMAT}"]))


def cluster_name() -> str:
    """Return what this machine's cluster is called. Raises `MachineError`."""
    named = re.search(r"^ClusterName\s*=\s*(\S+)", _run(["scontrol", "show", "config"]), re.MULTILINE)
    if named is None:
        raise MachineError("scontrol show config names no cluster")
    return named[1]


def node_names(nodes: str) -> list[str]:
    """Return the names of the nodes in a list such as `n[1-3,7]`, in its order. Raises `MachineError`."""
    return _run(["scontrol", "show", "hostnames", nodes]).split()


def _run(
    command: Sequence[str],
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    with_errors: bool = False,
    seconds: float = ANSWER_SECONDS,
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
            errors="replace",  # a site's banner may be in any encoding
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        raise NotSent(f"{command[0]} is not on the PATH; is this a machine of a SLURM cluster?") from None
    except subprocess.TimeoutExpired as error:
        said = " ".join(b" ".join(filter(None, (error.stderr, error.stdout))).decode(errors="replace").split())
        what = f"{command[0]} has not ended in {seconds:.0f} s, and said {said or 'nothing'}"
        _logger.warning("%s", what)
        raise NoAnswer(what) from None
    except OSError as error:
        raise NotSent(f"{command[0]} cannot be run: {error}") from None
    if done.returncode != 0:
        said = " ".join((done.stderr + done.stdout).split())
        _logger.warning("%s: exit status %d: %s", " ".join(command[:3]), done.returncode, said)
        raise MachineError(f"{command[0]} refused (exit status {done.returncode}): {said}")
    return done.stdout + done.stderr if with_errors else done.stdout
