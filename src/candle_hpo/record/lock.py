"""The lock of an experiment: only one campaign may run it, and the second is told who does."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from candle_hpo.core.errors import InputError, MachineError


class Holder(msgspec.Struct, frozen=True):
    """Who runs an experiment: a process of a host since a time (seconds since 1970), in a SLURM job or none ("")."""

    host: str
    process: int
    since: float
    job: str = ""

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        job = f" (job {self.job})" if self.job else ""
        return f"process {self.process} on {self.host}{job}, since {since}"


class ExperimentLock:
    """Holds an experiment from its making until `release`.

    A file that is made only if it does not exist, which every network file system does right. One whose holder is
    dead is taken over: `job_has_ended` says so of a SLURM job; of a process, this host's own list of processes does.
    """

    def __init__(self, path: Path, job: str, job_has_ended: Callable[[str], bool]) -> None:
        self._path = path
        holder = Holder(socket.gethostname(), os.getpid(), time.time(), job)
        data = msgspec.json.encode(holder) + b"\n"
        for _ in range(2):
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                self._take_over(job_has_ended)
            except OSError as error:
                raise MachineError(f"{path} cannot be made: {error.strerror}") from None
            else:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                return
        raise InputError(f"{path.parent.name} was taken by another process just now; look at candle status")

    def _take_over(self, job_has_ended: Callable[[str], bool]) -> None:
        holder = read_holder(self._path)
        if holder is None:
            return
        if not is_dead(holder, job_has_ended):
            raise InputError(
                f"{self._path.parent.name} is being run by {holder}; wait for it, or stop it with candle cancel"
            )
        self._path.unlink(missing_ok=True)

    def release(self) -> None:
        """Let others run the experiment."""
        self._path.unlink(missing_ok=True)


def read_holder(path: Path) -> Holder | None:
    """Return who holds the lock at `path`; None where nobody does."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holder)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise MachineError(f"{path} cannot be read: {error}; remove it if nothing runs the experiment") from None


def is_dead(holder: Holder, job_has_ended: Callable[[str], bool]) -> bool:
    """Tell whether a holder has certainly ended; one on another host, outside a job, may live."""
    if holder.job:
        return job_has_ended(holder.job)
    if holder.host != socket.gethostname():
        return False
    try:
        os.kill(holder.process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # it is another user's
        return False
    return False
