"""Processes that a trial leaves behind, outside of its process group: found and ended, on Linux.

Who has become the reaper of its descendants (`PR_SET_CHILD_SUBREAPER`, prctl(2)) is the parent of all that lose theirs.
So a look at the few children of this process's main thread finds what a trial has left; only what a campaign has left
that was killed is looked for among all processes. To which trial a process belongs, its environment tells.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from candle_hpo.process.forwarding import children

_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37
_PROC = Path("/proc")
_WAIT_SECONDS = 2.0  # for a process to go that was killed; one that hangs in a system call is left
_EXPERIMENT = "CANDLE_EXPERIMENT_DIR"
_TRIAL = "CANDLE_PARAMS_FILE"
_EARLIER: set[int] = set()  # children from before this program adopted any


def adopt_orphans() -> None:
    """Become the parent of all descendants that lose theirs. Does nothing where the system cannot (macOS).

    Children that are there already, as what a shell has left that became this program, are not of its trials.
    """
    if sys.platform == "linux":
        import ctypes

        _EARLIER.update(_own_children())
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _adopts() -> bool:
    if sys.platform != "linux":
        return False
    import ctypes

    answer = ctypes.c_int()
    ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return bool(answer.value)


def end_leftovers_of_trial(hyperparameters: Path) -> int:
    """End what the trial with this file of hyperparameters has left behind; return how many processes that were.

    What it left that clears its environment is ended with the last trial, by `end_all_orphans`.
    """
    return _end_orphans(_marker(_TRIAL, str(hyperparameters)))


def left_by_trial(leader: int, environment: Mapping[str, str]) -> list[int]:
    """Return what a trial whose first process has ended has left behind, in the session of that and outside."""
    marker = _marker(_TRIAL, environment.get(_TRIAL, ""))
    return [
        each
        for process in _own_children()
        if process != leader and (_session(process) == leader or _has_in_environment(process, marker))
        for each in _with_descendants(process)
    ]


def end_all_orphans() -> int:
    """End everything that trials of this process have left behind; return how many processes that were."""
    return _end_orphans(None)


def end_leftovers_of_experiment(root: Path) -> int:
    """End all processes of the user that belong to trials of this experiment, whoever started them; return how many.

    For when no campaign runs it: these are the ones of a campaign that was killed. What leads to this process is none.
    """
    marker, ended = _marker(_EXPERIMENT, str(root)), 0
    own = set(_ancestors(os.getpid()))
    for process in _processes_of_user():
        if process not in own and _has_in_environment(process, marker):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
                ended += 1
    return ended


def _end_orphans(marker: bytes | None) -> int:
    ended, deadline = 0, time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        found = [process for process in _orphans() if marker is None or _has_in_environment(process, marker)]
        if not found:
            break
        for process in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        for process in found:
            ended += _reap_before(process, deadline)
    return ended


def _orphans() -> Iterator[int]:
    """Yield the live processes that this one has become the parent of; reap those that have ended.

    Children that this process itself has started without a session of their own are none, nor is what ran before.
    """
    if not _adopts():
        return
    own_session = os.getsid(0)
    for process in _own_children():
        if process in _EARLIER:
            continue
        try:
            state, _, _, session = (
                (_PROC / f"{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[:4]
            )
        except (OSError, ValueError):
            continue
        if int(session) != own_session:
            if state in "ZX":
                with suppress(ChildProcessError):
                    os.waitpid(process, os.WNOHANG)
            else:
                yield process


def _own_children() -> list[int]:
    """Return the children of this process's main thread, which are those that it has adopted, and few more."""
    return list(children(os.getpid(), os.getpid()))


def _with_descendants(process: int) -> Iterator[int]:
    yield process
    for child in children(process):
        yield from _with_descendants(child)


def _session(process: int) -> int:
    try:
        return os.getsid(process)
    except OSError:  # it has ended
        return 0


def _reap_before(process: int, deadline: float) -> bool:
    """Wait for the end of a child that was killed; tell whether it came before the deadline."""
    while time.monotonic() < deadline:
        try:
            if os.waitpid(process, os.WNOHANG)[0]:
                return True
        except ChildProcessError:
            return True
        time.sleep(0.001)
    return False


def _marker(variable: str, value: str) -> bytes:
    return os.fsencode(f"{variable}={value}")


def _has_in_environment(process: int, entry: bytes) -> bool:
    try:
        return entry in (_PROC / f"{process}/environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or does not let anybody look
        return False


def _processes_of_user() -> Iterator[int]:
    own = os.getuid()
    try:
        with os.scandir(_PROC) as entries:
            for entry in entries:
                if entry.name.isdecimal():
                    with suppress(OSError):
                        if entry.stat().st_uid == own:
                            yield int(entry.name)
    except OSError:  # not Linux
        return


def _ancestors(process: int) -> Iterator[int]:
    while process > 0:
        yield process
        try:
            process = int((_PROC / f"{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            return
