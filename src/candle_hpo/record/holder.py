"""Who holds an experiment, and whether that process still lives."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from enum import Enum
from functools import cache
from pathlib import Path

import msgspec

from candle_hpo.core.errors import MachineError

# Hundredths of a second: the start of the machine is given in whole seconds, and a clock that is set moves it between
# two looks. No number of a process is given again within that time.
_ABOUT_THE_SAME = 150


class Holder(msgspec.Struct, frozen=True):
    """Who runs an experiment: a process of a host since a time (seconds since 1970), in a SLURM job or none ("").

    The number of a process is given again after its end, by other machines of the same name too. So `place` says where
    the number counts, and `started` when the process began by that place's own clock; -1 where the system does not say.
    `mark` is drawn for each lock that is made.
    """

    host: str
    process: int
    since: float
    job: str = ""
    place: str = ""
    started: int = -1
    mark: str = ""

    @classmethod
    def of_this_process(cls, job: str) -> Holder:
        """Return this process as a holder from now on."""
        own = os.getpid()
        started = started_at(own)
        return cls(
            host=socket.gethostname(),
            process=own,
            since=time.time(),
            job=job,
            place=this_place(),
            started=-1 if started is None else started,
            mark=secrets.token_hex(8),
        )

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        job = f" (job {self.job})" if self.job else ""
        return f"process {self.process} on {self.host}{job}, since {since}"


class Life(Enum):
    """What can be said of a holder without waiting for a sign of it."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


def read_holder(path: Path) -> Holder | None:
    """Return who holds the lock at `path`; None where nobody does.

    An empty lock, whose maker was killed before it could say who it is, is held by an unknown process.
    """
    try:
        text = path.read_bytes()
        if not text:
            return Holder("an unknown host", 0, path.stat().st_mtime)
        return msgspec.json.decode(text, type=Holder)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MachineError(f"{path} cannot be read: {error}; remove it if nothing runs the experiment") from None


def life_of(holder: Holder, job_has_ended: Callable[[str], bool | None], own_job: str = "") -> Life:
    """Return what is known of a holder: SLURM knows its jobs (None: not this one), and this machine its own processes.

    That this very job runs says nothing of who held the experiment before SLURM requeued it.
    """
    if holder.job and holder.job != own_job:
        has_ended = job_has_ended(holder.job)
        if has_ended is not None:
            return Life.DEAD if has_ended else Life.ALIVE
    if holder.place != this_place():
        return Life.UNKNOWN
    try:
        os.kill(holder.process, 0)
    except ProcessLookupError:
        return Life.DEAD
    except PermissionError:  # it is another user's
        pass
    started = started_at(holder.process)
    if started is None or holder.started == -1:
        return Life.UNKNOWN
    return Life.ALIVE if abs(started - holder.started) <= _ABOUT_THE_SAME else Life.DEAD


@cache
def this_place() -> str:
    """Return what identifies where numbers of processes count: this start of this machine, and its container (Linux).

    Elsewhere, the name of the host has to do.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}:{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return socket.gethostname()


def started_at(process: int) -> int | None:
    """Return when a process of this machine began, in hundredths of a second since the machine did (macOS: since 1970).

    No change of the clock moves that. -2 for a process that has ended and is not yet reaped, None for one that does not
    show itself.
    """
    import psutil

    try:
        found = psutil.Process(process)
        if found.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return -2
        # On Linux, psutil adds to the one number that is fixed what the clock now says of the start of the machine.
        began: float = found.create_time() - (psutil.boot_time() if psutil.LINUX else 0)
        return round(100 * began)
    except psutil.ZombieProcess:
        return -2
    except psutil.Error:
        return None
