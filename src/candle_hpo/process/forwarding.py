"""Output that still travels through another program of the trial when its script ends: it is waited for, on Linux.

After `exec > >(tee -a train.log)` or `mkfifo`, and with a logger process of a script's own, the last lines lie in a
pipe when the script ends, and the program that reads it needs a moment yet. proc(5) shows what such a program does:
which pipes a process reads, what lies in them unread, who still writes to them, and whether it works or sleeps. A
server, or a pool of workers, that merely inherited the output is not waited for.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import termios
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from candle_hpo.process.kernel_files import children

QUIET_SECONDS = 5.0  # since something moved last, for what has not ended by then
MOST_SECONDS = 10.0  # in all
_GROWING_SECONDS = 0.5
_FIRST_PAUSE, _LONGEST_PAUSE = 0.004, 0.05
_IDLE_LOOKS = 3
_WORKING = (psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP)
_PROC = Path("/proc")
_File = tuple[int, int]  # device and inode


class _Process(NamedTuple):
    """What can be seen of a process: its files, and whether it runs, or waits for a child."""

    reads: dict[int, tuple[_File, bool]]  # descriptor -> file, and whether that is a pipe, else a socket
    writes: set[_File]
    is_working: bool


class _Way(NamedTuple):
    """Whether processes could pass anything on to the output, whether they do, and how many bytes they have to read."""

    may_pass_on: bool
    is_busy: bool = False
    unread: int = 0
    unread_input: int = 0


def let_output_arrive(find: Callable[[], Iterable[int]], output: Path, is_over: Callable[[], bool]) -> bool:
    """Wait until no process that is found has anything on its way to a file of output, or none does anything for it.

    Return whether all has arrived: not where a program has not read all of its standard input in the end, nor where
    the output still grew, or something was unread, when it was over.
    """
    began = moved = time.monotonic()
    before, idle_looks, pause = (0, -1), 0, _FIRST_PAUSE
    while found := list(find()):
        way = _on_its_way([_look_at(number) for number in found], output)
        now, seen = time.monotonic(), (way.unread, _size(output))
        # One look may come just as a program begins, or has read all and not yet written it.
        idle_looks = idle_looks + 1 if seen == before and not way.is_busy else 0
        if idle_looks == (_IDLE_LOOKS if way.may_pass_on else 1):
            return True
        if seen != before:
            before, moved = seen, now
        if now > began + MOST_SECONDS or is_over():
            return way.unread == 0 and now > moved + _GROWING_SECONDS
        if now > moved + QUIET_SECONDS:
            return way.unread_input == 0
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE, 2 * pause) if way.is_busy else _FIRST_PAUSE
    return True


def let_group_write(group: int, output: Path, is_over: Callable[[], bool]) -> bool:
    """Wait, on a system that does not show what processes do, while a group has one and the output grows (macOS).

    Return whether it grows no more.
    """
    before, latest = -1, time.monotonic() + MOST_SECONDS
    with suppress(ProcessLookupError, PermissionError):  # none is left, or none but zombies
        while (size := _size(output)) != before:
            os.killpg(group, 0)
            if time.monotonic() > latest or is_over():
                return False
            before = size
            time.sleep(_GROWING_SECONDS)
    return True


def _on_its_way(found: list[tuple[int, _Process]], output: Path) -> _Way:
    """Return what these processes may have to pass on: none can where none reads, or none holds the output.

    Four signs show that a process passes on what it reads from a pipe: that is its standard input; nobody writes to it
    any more; something in it is unread; the process works. Two are enough. One alone is what a pool's worker shows,
    too: it has a pipe by which it notices its parent's end.
    """
    status = _status(output)
    file_of_output = status and (status.st_dev, status.st_ino)
    if not any(process.reads for _, process in found) or not any(file_of_output in each.writes for _, each in found):
        return _Way(may_pass_on=False)
    is_busy, unread, unread_input = False, 0, 0
    written = _still_written(found)
    for number, process in found:
        for descriptor, (file, is_pipe) in process.reads.items():
            waiting = _unread(number, descriptor) if is_pipe else 0
            signs = (descriptor == 0) + (file not in written)
            is_busy |= signs + (waiting > 0) + process.is_working >= 2
            unread += waiting
            unread_input += waiting if descriptor == 0 else 0
    return _Way(True, is_busy, unread, unread_input)


def _still_written(found: list[tuple[int, _Process]]) -> set[_File]:
    """Return the pipes that a process writes to which is not about to end itself, as it has no more input."""
    ending: set[int] = set()
    while True:
        written = {file for number, process in found if number not in ending for file in process.writes}
        more = {
            number
            for number, process in found
            if 0 in process.reads and number not in ending and process.reads[0][0] not in written
        }
        if not more:
            return written
        ending |= more


def _look_at(number: int) -> tuple[int, _Process]:
    reads: dict[int, tuple[_File, bool]] = {}
    writes: set[_File] = set()
    with suppress(OSError):  # it has ended, or does not let anybody look
        for entry in os.scandir(_PROC / f"{number}/fd"):
            with suppress(OSError):
                allowed, status = entry.stat(follow_symlinks=False).st_mode, entry.stat()
                file = (status.st_dev, status.st_ino)
                is_pipe = stat.S_ISFIFO(status.st_mode)
                if allowed & stat.S_IRUSR and (is_pipe or (stat.S_ISSOCK(status.st_mode) and entry.name == "0")):
                    reads[int(entry.name)] = (file, is_pipe)
                if allowed & stat.S_IWUSR and not stat.S_ISSOCK(status.st_mode):
                    writes.add(file)
    return number, _Process(reads, writes, _is_working(number))


def _is_working(number: int) -> bool:
    with suppress(psutil.Error):
        state = psutil.Process(number).status()
        return state in _WORKING or (state == psutil.STATUS_SLEEPING and any(children(number)))
    return False


def _unread(number: int, descriptor: int) -> int:
    """Return how many bytes lie in the pipe that a process reads."""
    try:
        pipe = os.open(_PROC / f"{number}/fd/{descriptor}", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return 0
    try:
        return int(struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0])
    finally:
        os.close(pipe)


def _size(output: Path) -> int:
    status = _status(output)
    return 0 if status is None else status.st_size


def _status(output: Path) -> os.stat_result | None:
    with suppress(OSError):  # the model has removed it
        return output.stat()
    return None
