"""A step of this job on one of its nodes, which runs a manager there; and why one ended, of all that was said."""

from __future__ import annotations

import re
import resource
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from candle_hpo.engine.batch.slurm_environment import for_our_step
from candle_hpo.user_environment import user_environment

# With everything that the job has on the node, bound to nothing less.
_SRUN = ("srun", "--overlap", "--nodes=1", "--ntasks=1", "--cpu-bind=none", "--mpi=none", "--mem=0", "--export=ALL")

# What runs on the node: the manager, with this limit of open files, and the end of what a killed one leaves in its
# process group. The shell must outlive that signal itself; a handler, unlike an ignored signal, is not handed down.
_ON_THE_NODE = 'ulimit -Sn {}; trap : TERM; "$@"; status=$?; kill -TERM 0; exit $status'

_OF_SLURM = re.compile(r"(srun|slurmstepd)(-\S+)?: ")
_SAYS_NOTHING = re.compile(
    r"srun: error: \S+: tasks? \S+: (Exited with exit code|Terminated|Killed)|srun: (?!error: )|.*\bresource_tracker\b"
)
_OF_THE_SHELL = re.compile(r'.*: line \d+: +\d+ (.*?) +(\(core dumped\) +)?"\$@"')
_MOST_BYTES, _LONGEST = 64_000, 400


class Step:
    """A command that runs on a node of this job, until it ends or is ended. What it and srun say is in a file."""

    def __init__(self, node: str, command: Sequence[str], output: Path, files: int) -> None:
        """Start it; `files` is how many files it may have open. Raises `OSError` where srun cannot be run."""
        self._output = output
        on_the_node = ("bash", "-c", _ON_THE_NODE.format(files), "manager", *command)
        with output.open("wb") as opened:
            self._srun = subprocess.Popen(
                [*_SRUN, f"--nodelist={node}", *on_the_node],
                env=for_our_step(user_environment()),
                stdin=subprocess.DEVNULL,
                stdout=opened,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def status(self) -> int | None:
        """The exit status of srun; None as long as it runs, negative if a signal ended it and not the step."""
        return self._srun.poll()

    def cause(self) -> str:
        """Return why it ended; as long as it runs, what was said last, if anything."""
        try:
            with self._output.open("rb") as opened:
                said = opened.read(_MOST_BYTES).decode(errors="replace")
        except OSError as error:
            said = f"{self._output} cannot be read: {error.strerror}"
        return first_cause(said, self.status)

    def end(self) -> None:
        """Ask it to end."""
        with suppress(ProcessLookupError):
            self._srun.terminate()

    def wait(self, seconds: float) -> None:
        """Wait for it to end; after so many seconds, leave it to SLURM, which ends it with the job."""
        try:
            self._srun.wait(seconds)
        except subprocess.TimeoutExpired:
            self._srun.kill()
            self._srun.wait()


def soft_limit_of_files() -> int:
    """Return how many files a process may have open here, before this one raises that for itself."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft


def first_cause(said: str, status: int | None) -> str:
    """Return the first reason in what a step has said: that of SLURM, or the last line of what its program said first.

    That a task exited with some status only follows from it.
    """
    lines = [" ".join(_OF_THE_SHELL.sub(r"its manager: \1", line).split()) for line in said.splitlines()]
    lines = [line for line in lines if line]
    reasons = [line for line in lines if not _SAYS_NOTHING.match(line)] or lines[-1:]
    if not reasons:
        return "" if status is None else f"srun: exit status {status}, and not a word"
    cause = reasons[0]
    for line in reasons:  # of a traceback the last one
        if _OF_SLURM.match(line):
            break
        cause = line
    return cause if len(cause) <= _LONGEST else f"{cause[:_LONGEST]} …"
