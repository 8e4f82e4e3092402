"""What SLURM's programs print of jobs: which they are, how they are, how much time they have. Pure functions.

A job is called by what `sbatch --parsable` prints: its number, `9`, or, on a cluster that `--clusters` names,
`9;other`. Numbers are given again, and each cluster has its own. So a job of ours has a mark in its comment, drawn for
each submission: by that it is found where its number is not known, and no other's job of its number is taken for it.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Sequence
from enum import Enum

import msgspec

from candle_hpo.core.errors import MachineError

_MARK = re.compile(r"candle:[0-9a-f]{16}")


# Reasons and states of a job that waits for somebody to release it, and for nothing else.
_HELD = re.compile(r"held|_hold|jobhold|special_exit", re.IGNORECASE)


class JobState(str, Enum):
    """What SLURM says of a job, as far as we must distinguish it."""

    PENDING = "pending"
    RUNNING = "running"
    ENDING = "ending"
    ENDED = "ended"


# Every state of `squeue` (its manual, "JOB STATE CODES"); one that is not here is an error, never "ended".
_STATES = {
    **dict.fromkeys(
        [
            "PENDING", "CONFIGURING", "POWER_UP_NODE", "EXPEDITING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD",
            "RESV_DEL_HOLD", "SPECIAL_EXIT",
        ],
        JobState.PENDING,
    ),
    **dict.fromkeys(["RUNNING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "UPDATE_DB"], JobState.RUNNING),
    **dict.fromkeys(["COMPLETING", "STAGE_OUT"], JobState.ENDING),
    **dict.fromkeys(
        [
            "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE",
            "OUT_OF_MEMORY", "REVOKED", "LAUNCH_FAILED", "RECONFIG_FAIL",
        ],
        JobState.ENDED,
    ),
}  # fmt: skip


class Job(msgspec.Struct, frozen=True):
    """One job as `squeue` reports it.

    `left` is the time left as SLURM prints it; `nodes` where it runs; `mark` and `script` say whose it is.
    """

    id: str
    state: JobState
    slurm_state: str
    reason: str
    left: str
    nodes: str
    start: str
    script: str = ""
    mark: str = ""

    def is_of(self, mark: str, script: str) -> bool:
        """Return whether it is the job that was submitted with this mark, or, where a site took that away, script."""
        return self.mark == mark if self.mark else self.script == script

    @property
    def has_ended(self) -> bool | None:
        """Whether it runs nothing any more; None where SLURM has lost sight of it, and cannot know."""
        if self.slurm_state == "NODE_FAIL":
            return None
        return self.state is JobState.ENDED

    @property
    def is_held(self) -> bool:
        """Whether it waits, and does not start before somebody releases it (`scontrol release`)."""
        return self.state is JobState.PENDING and bool(_HELD.search(f"{self.reason} {self.slurm_state}"))


class EndBySlurm(Enum):
    """Why SLURM ends a job that nobody cancelled, in the words that it writes to the job's standard error before."""

    PREEMPTION = "PREEMPTION"
    TIME_LIMIT = "TIME LIMIT"
    NODE_FAILURE = "NODE FAILURE"


_ENDED = re.compile(rf"\*\*\* JOB (\d+) ON \S+ CANCELLED AT \S+ DUE TO ({'|'.join(why.value for why in EndBySlurm)})")


def end_by_slurm(job: str, standard_error: str) -> EndBySlurm | None:
    """Return why SLURM ends a job by itself, from its standard error; None where it does not say so."""
    found = [why for number, why in _ENDED.findall(standard_error) if number == job.partition(";")[0]]
    return EndBySlurm(found[-1]) if found else None


def new_mark() -> str:
    """Return a mark for a job's comment."""
    return f"candle:{secrets.token_hex(8)}"


# The first word marks what is an answer, beside what else is printed, by a site's wrapper for instance. The last two
# may hold anything; of a path that holds a bar, only the part before it is looked at.
_FIRST = "candle_job"
QUEUE_FORMAT = f"{_FIRST}|%i|%T|%r|%L|%N|%S|%o|%k"


def jobs_of(answer: str) -> list[Job]:
    """Return the jobs that `squeue --format=QUEUE_FORMAT` prints, with its headings.

    Of several clusters, or one that is named, a line `CLUSTER: NAME` comes before its jobs. Raises `MachineError` for
    what it cannot read, and for an answer without headings: whatever printed that was not SLURM.
    """
    jobs: list[Job] = []
    has_headings, cluster = False, ""
    for line in answer.splitlines():
        if named := re.fullmatch(r"CLUSTER: (\S+)\s*", line):
            cluster = named[1]
        _, first, rest = line.partition(f"{_FIRST}|")
        if not first:
            continue
        fields = rest.split("|", 7)
        if fields[0] == "JOBID":
            has_headings = True
            continue
        if len(fields) != 8:
            raise MachineError(f"squeue answered {line!r}, which is not of the form {QUEUE_FORMAT}")
        number, state, reason, left, nodes, start, script, comment = fields
        if state not in _STATES:
            raise MachineError(f'squeue says that job {number} is "{state}", a state unknown to candle')
        marks = _MARK.findall(comment)
        mark = marks[-1] if marks else ""
        jobs.append(Job(job_id(number, cluster), _STATES[state], state, reason, left, nodes, start, script, mark))
    if not has_headings:
        raise MachineError(f"squeue answered {answer!r}, in which there is no list of jobs")
    return jobs


def job_id(number: str, cluster: str = "") -> str:
    """Return what a job is called by its number and its cluster, if that is named."""
    return f"{number};{cluster}" if cluster else number


def job_text(job: str) -> str:
    """Return the name of a job for people: `9`, or `9 on the cluster other`."""
    number, _, cluster = job.partition(";")
    return f"{number} on the cluster {cluster}" if cluster else number


def release_command(job: str) -> str:
    """Return the command by which somebody who may do so lets a job start that is held."""
    number, _, cluster = job.partition(";")
    return f"scontrol {f'--clusters={cluster} ' if cluster else ''}release {number}"


def submitted_job(answer: str) -> str | None:
    """Return the job that `sbatch --parsable` says it submitted; None where that is not all that was printed."""
    text = answer.strip()
    return text if re.fullmatch(r"\d+(?:;\S+)?", text, re.ASCII) else None


class Heard(Enum):
    """How much the controller has heard of what `sbatch` failed to do."""

    NOTHING = "nothing"
    PERHAPS = "perhaps"
    IT_ALL = "it all"


# What `sbatch` says where it reached no controller, and where a connection was lost on the way. Nothing else is assumed
# of its text, which may be that of a site's wrapper.
_NOT_REACHED = re.compile(
    r"\(connect failure\)|configuration source|known by database|talking to the database|can't be reached now"
)
_LOST_ON_THE_WAY = re.compile(
    r"timed? ?out|zero bytes|communication|connection|not connected|(send|receive) failure|data received|reset by peer"
    r"|broken pipe|unable to contact slurm|unexpected message|unspecified error|temporarily unavailable",
    re.IGNORECASE,
)


def slurm_takes_none(said: str) -> bool:
    """Return whether `sbatch`, which had to be ended, was waiting for SLURM to take jobs again (`MaxJobCount`)."""
    return "temporarily unable to accept job" in said


def what_slurm_heard(refusal: str) -> Heard:
    """Return what the controller may have heard where `sbatch` failed with these words."""
    if _NOT_REACHED.search(refusal):
        return Heard.NOTHING
    return Heard.PERHAPS if _LOST_ON_THE_WAY.search(refusal) else Heard.IT_ALL


def with_mark(arguments: Sequence[str], mark: str) -> list[str]:
    """Return arguments of `sbatch`, each one word, with a mark in the comment, behind the user's own."""
    comments = [each for each in arguments if each.startswith("--comment=")]
    others = [each for each in arguments if each not in comments]
    return [*others, " ".join([*comments[-1:], mark]) if comments else f"--comment={mark}"]


def seconds_of_signal(value: str | None) -> int | None:
    """Return how many seconds before its end a job is warned by the value of `--signal`; None where there is none."""
    return None if value is None else int(value.partition("@")[2] or 60)


def time_left(text: str) -> float | None:
    """Return the seconds left that `squeue` prints (`D-HH:MM:SS`, `MM:SS`); infinite: no limit; None: not known."""
    if text == "UNLIMITED":
        return math.inf
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if not match:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
