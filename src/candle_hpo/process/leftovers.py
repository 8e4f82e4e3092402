"""Processes that a trial leaves behind, outside of its process group: found and ended.

On Linux, who has become the reaper of its descendants (`PR_SET_CHILD_SUBREAPER`, prctl(2)) is the parent of all that
lose theirs: this process, or the branch of a warm host that forked the trial. So a look at the few children of its main
thread finds what a trial has left; only what was left by a campaign or a branch that was killed is looked for among all
processes. To which trial a process belongs, its environment says.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from candle_hpo.process.kernel_files import children, read_whole

_PR_SET_CHILD_SUBREAPER = 36
_WAIT_SECONDS = 2.0  # for a process to go that was killed; one that hangs in a system call is left
_EXPERIMENT = "CANDLE_EXPERIMENT_DIR"
TRIAL = "CANDLE_PARAMS_FILE"  # the variable that says to which trial a process belongs
_OF_NO_TRIAL: set[int] = set()  # children that are not orphans of a trial: older than any, or candle's own


def adopt_orphans() -> None:
    """Become the parent of all descendants that lose theirs. Does nothing where the system cannot (macOS).

    Children that are there already, as what a shell has left that became this program, are not of its trials.
    """
    if sys.platform == "linux":
        import ctypes

        _OF_NO_TRIAL.update(_own_children())
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def leave_alone(process: int) -> None:
    """Keep a child of this process, which lives as long as trials do, from being looked at after each of them."""
    _OF_NO_TRIAL.add(process)


def end_leftovers_of_trial(hyperparameters: Path, reaper: int | None = None) -> int:
    """End what the trial with this file of hyperparameters has left behind; return how many processes that were.

    `reaper` is the process that has adopted it, if not this one. What it left that clears its environment is ended with
    the last trial, by `end_all_orphans` or the reaper itself.
    """
    return _end_orphans(lambda process: _has(process, TRIAL, str(hyperparameters)), reaper)


def left_by_trial(leader: int, environment: Mapping[str, str], reaper: int | None = None) -> list[int]:
    """Return what a trial whose first process has ended has left behind, in the session of that and outside."""
    found: list[int] = []
    for number in _adopted(reaper):
        with suppress(OSError, psutil.Error):  # it has ended
            if number != leader and (os.getsid(number) == leader or _has(number, TRIAL, environment.get(TRIAL, ""))):
                found += _with_descendants(number)
    return found


def end_all_of_trial(hyperparameters: Path) -> None:
    """End all processes of the user that show this trial, whoever has adopted them: the one who should may be gone."""
    _kill(
        process
        for process in psutil.process_iter()
        if _has(process.pid, TRIAL, str(hyperparameters)) and process.pid != os.getpid() and _is_of_user(process)
    )


def end_all_orphans() -> int:
    """End everything that trials of this process have left behind; return how many processes that were."""
    return _end_orphans(lambda _: True, None)


def end_leftovers_of_experiment(root: Path) -> int:
    """End all processes of the user that belong to trials of this experiment, whoever started them; return how many.

    For when no campaign runs it: these are the ones of a campaign that was killed. What leads to this process is none.
    """
    own = [psutil.Process(), *psutil.Process().parents()]
    return len(
        _kill(
            process
            for process in psutil.process_iter()
            if _has(process.pid, _EXPERIMENT, str(root)) and process not in own and _is_of_user(process)
        )
    )


def _end_orphans(is_meant: Callable[[int], bool], reaper: int | None) -> int:
    ended, deadline = 0, time.monotonic() + _WAIT_SECONDS
    while (left := deadline - time.monotonic()) > 0 and (
        killed := _kill(_processes(filter(is_meant, _orphans(reaper))))
    ):
        ended += len(psutil.wait_procs(killed, timeout=left)[0])
    return ended


def _kill(found: Iterable[psutil.Process]) -> list[psutil.Process]:
    """End processes at once; return those that could be."""
    killed = []
    for process in found:
        with suppress(psutil.Error):
            process.kill()
            killed.append(process)
    return killed


def _processes(numbers: Iterable[int]) -> Iterator[psutil.Process]:
    for number in numbers:
        with suppress(psutil.Error):  # it has ended, and another thread has reaped it
            yield psutil.Process(number)


def _orphans(reaper: int | None) -> Iterator[int]:
    """Yield the live processes that the reaper, or this process, has become the parent of.

    Its own that have ended are reaped. Children that this process itself has started in its own session do not count.
    """
    own_session = os.getsid(0)
    for number in _adopted(reaper):
        with suppress(OSError, psutil.Error):  # it has ended, and another thread has reaped it
            if reaper is not None:
                if psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
                    yield number
            elif os.getsid(number) != own_session and os.waitpid(number, os.WNOHANG) == (0, 0):
                yield number


def _adopted(reaper: int | None) -> list[int]:
    """Return the children of a process that adopts; of this one those of its main thread, which are few more."""
    return _own_children() if reaper is None else list(children(reaper, reaper))


def _own_children() -> list[int]:
    return [each for each in children(os.getpid(), os.getpid()) if each not in _OF_NO_TRIAL]


def _with_descendants(process: int) -> Iterator[int]:
    yield process
    for child in children(process):
        yield from _with_descendants(child)


def _has(process: int, variable: str, value: str) -> bool:
    """Return whether a process began with this value of a variable."""
    try:
        if sys.platform == "linux":  # psutil would look at more than that, and this is done at the end of each trial
            return os.fsencode(f"{variable}={value}") in read_whole(f"/proc/{process}/environ").split(b"\0")
        return bool(psutil.Process(process).environ().get(variable) == value)
    except (OSError, psutil.Error):  # it has ended, or does not let anybody look
        return False


def _is_of_user(process: psutil.Process) -> bool:
    try:
        return bool(process.uids().effective == os.geteuid())
    except psutil.Error:
        return False
