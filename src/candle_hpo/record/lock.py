"""The lock of an experiment: only one campaign may run it, and the second learns who does."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from candle_hpo.core.errors import CandleError, InputError, MachineError
from candle_hpo.files import is_at
from candle_hpo.record.holder import Holder, Life, life_of, read_holder

SIGN_SECONDS = 5.0  # between two signs of life of a holder
LEASE_SECONDS = 60.0  # without one, a holder of which nothing else is known counts as dead
_LOOK_SECONDS = 0.5
_ASK_AGAIN_SECONDS = 2.0  # for one that should let go soon
_ATTEMPTS = 5

# What file systems answer that know no hard links (link(2)).
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)

_logger = logging.getLogger(__name__)


class Held(InputError):
    """Somebody else holds the experiment, and lives."""


class ExperimentLock:
    """Holds an experiment from its making until `release`.

    A file that is put in place whole and only where none is, which every network file system does right. One whose
    holder is dead is taken over: `job_has_ended` says so of a SLURM job, if SLURM knows it; of a process, this machine
    does. Of any other nothing can be asked: but a holder touches its lock every few seconds, and one that has not done
    so for a minute, by the clock of whoever waits, is dead. `say` is called before such a wait. For `patience`, in
    seconds, a holder that lives may take to let go, and the batch system to answer, before that is an error.

    A holder that was itself held up for so long (a laptop's lid, a hanging file system) finds its lock gone: `keep`.
    """

    def __init__(
        self,
        path: Path,
        job: str,
        job_has_ended: Callable[[str], bool | None],
        say: Callable[[str], None] = lambda _: None,
        patience: float = 0.0,
    ) -> None:
        self._path = path
        self._ended = threading.Event()
        try:
            self._descriptor = _take_within(patience, path, Holder.of_this_process(job), job_has_ended, say)
        except OSError as error:
            raise MachineError(f"{path} cannot be made: {error.strerror}") from None
        self._last_sign = _now()
        self._signs = threading.Thread(target=self._give_signs, name="signs of life", daemon=True)
        try:
            self._signs.start()
        except RuntimeError as error:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            raise MachineError(f"{path.parent.name} cannot be run: {error}; too many processes run already") from None

    def _give_signs(self) -> None:
        while not self._ended.wait(SIGN_SECONDS):
            try:
                if is_at(self._descriptor, self._path):
                    os.utime(self._descriptor)
                    late, self._last_sign = _now() - self._last_sign, _now()
                    if late > 2 * SIGN_SECONDS:
                        _logger.warning("%.0f s between two signs of life: a slow file system or machine", late)
            except OSError as error:  # `keep` sees that the last sign is old, and raises
                _logger.warning("no sign of life can be given: %s", error.strerror)

    def keep(self) -> None:
        """Raise `MachineError` where the lock is no longer this process's own; cheap enough for every append."""
        if _now() - self._last_sign < 2 * SIGN_SECONDS:
            return
        try:
            if is_at(self._descriptor, self._path):
                os.utime(self._descriptor)
                self._last_sign = _now()
                return
            holder = read_holder(self._path)
        except OSError as error:
            raise MachineError(f"{self._path} cannot be reached: {error.strerror}") from None
        if holder is None:
            raise MachineError(f"{self._path} is gone; was the experiment's folder removed, or its lock?")
        raise MachineError(
            f"{self._path.parent.name} was taken over by {holder}: this process gave no sign of life for too long"
        )

    def release(self) -> None:
        """Let others run the experiment."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._signs.join()
        with suppress(OSError):  # a folder that is gone has no lock
            if is_at(self._descriptor, self._path):
                self._path.unlink()
        os.close(self._descriptor)


def quiet_seconds(path: Path) -> float:
    """Return for how long the holder of a lock has given no sign of life, as far as the clocks agree; 0 for none."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except FileNotFoundError:
        return 0.0


def _take_within(
    patience: float,
    path: Path,
    holder: Holder,
    job_has_ended: Callable[[str], bool | None],
    say: Callable[[str], None],
) -> int:
    deadline = _now() + patience
    while True:
        try:
            return _take(path, holder, job_has_ended, say)
        except CandleError:
            if _now() >= deadline:
                raise
        time.sleep(_ASK_AGAIN_SECONDS)


def _take(path: Path, holder: Holder, job_has_ended: Callable[[str], bool | None], say: Callable[[str], None]) -> int:
    """Make the lock, or take over that of a dead holder; return a descriptor of its file.

    Of several processes that find the same dead holder, the one that has made the file of its successor, a lock like
    any other, may put its own lock in place; if it dies before, the same is done with that file.
    """
    for _ in range(_ATTEMPTS):
        descriptor = _make(path, holder)
        if descriptor is not None:
            return descriptor
        earlier = read_holder(path)
        if earlier is None:
            continue
        _refuse_if_alive(path, earlier, partial(life_of, job_has_ended=job_has_ended, own_job=holder.job), say)
        succession = path.with_name(f"{path.name}.after_{earlier.mark}")
        claim = _take(succession, holder, job_has_ended, say)
        try:
            if read_holder(path) == earlier:
                return _put_in_place_of_dead(path, holder)
        finally:
            succession.unlink(missing_ok=True)
            os.close(claim)
    raise Held(f"{path.parent.name} was taken by another process just now; look at candle status")


def _make(path: Path, holder: Holder) -> int | None:
    """Make the lock, with its holder's name in it from the first moment; return None where there is one already."""
    aside, descriptor = _written_aside(path, holder)
    try:
        os.link(aside, path)
    except OSError as error:
        if os.fstat(descriptor).st_nlink == 2:  # NFS: it was made, and only the answer got lost
            return descriptor
        os.close(descriptor)
        if error.errno == errno.EEXIST:
            return None
        if error.errno in _NO_LINKS:
            return _make_without_links(path, holder)
        raise
    finally:
        aside.unlink(missing_ok=True)
    return descriptor


def _make_without_links(path: Path, holder: Holder) -> int | None:
    try:
        return _written(path, holder)
    except FileExistsError:
        return None


def _put_in_place_of_dead(path: Path, holder: Holder) -> int:
    aside, descriptor = _written_aside(path, holder)
    try:
        aside.replace(path)
    except BaseException:
        os.close(descriptor)
        aside.unlink(missing_ok=True)
        raise
    return descriptor


def _written_aside(path: Path, holder: Holder) -> tuple[Path, int]:
    aside = path.with_name(f".{path.name}-{holder.mark}")
    return aside, _written(aside, holder)


def _written(path: Path, holder: Holder) -> int:
    """Make a file that names a holder, and nothing where it cannot be written; return its descriptor."""
    data = msgspec.json.encode(holder) + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        if os.write(descriptor, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)
        os.close(descriptor)
        raise
    return descriptor


def _refuse_if_alive(
    path: Path, holder: Holder, known_life: Callable[[Holder], Life], say: Callable[[str], None]
) -> None:
    name = path.parent.name
    life = known_life(holder)
    if life is Life.UNKNOWN:
        say(f"{name} is held by {holder}; waiting up to {LEASE_SECONDS:.0f} s for a sign of life from it ...")
        life = Life.ALIVE if _shows_life(path) else Life.DEAD
    if life is Life.ALIVE:
        raise Held(f"{name} is being run by {holder}; wait for it, or stop it with candle cancel")


def _shows_life(path: Path) -> bool:
    """Wait for a holder to touch its lock; return whether it did within the time it has for that."""
    first, deadline = _signature(path), _now() + LEASE_SECONDS
    while _now() < deadline:
        time.sleep(_LOOK_SECONDS)
        now = _signature(path)
        if now is None:
            return False
        if now != first:
            return True
    return False


def _signature(path: Path) -> tuple[int, int] | None:
    """Return what changes when a lock is touched; opened for that, since NFS answers from its memory otherwise."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _now() -> float:
    """Return the seconds of a clock that nobody sets and that runs while a machine sleeps, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
