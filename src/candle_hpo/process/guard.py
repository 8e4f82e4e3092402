"""A guard ends the trials' processes when the process that waits for them dies without a word, by `kill -9` too."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from threading import Lock

from candle_hpo.process.leftovers import TRIAL, leave_alone

# It waits for the end of its input, which is the end of whoever could write there, and until then does nothing. Then it
# reads what there is to end in a file that it has inherited: "group 4711", and "trial" with the file of a trial's
# hyperparameters, a NUL behind each word, and more of them where entries were. It is in its own session, and nobody's
# child, so that what ends those does not end it: SLURM without cgroups ends what descends from its step. What a trial
# has started in another session, its environment shows; one look may miss what is just being forked.
_GUARD = rf"""
trap '' HUP INT TERM
watch() {{
  read -r
  trials=()
  while IFS= read -r -d '' kind; do
    case $kind in
      group) IFS= read -r -d '' what; kill -KILL -- "-$what" 2>/dev/null ;;
      trial) IFS= read -r -d '' what; trials+=(-e "{TRIAL}=$what") ;;
    esac
  done < <(tr -s '\000' <&"$1")
  [ ${{#trials[@]}} -gt 0 ] || return
  for look in 1 2 3 4 5; do
    found=$(grep -lszxF "${{trials[@]}}" /proc/[0-9]*/environ)
    [ -n "$found" ] || return
    for file in $found; do process=${{file#/proc/}}; kill -KILL "${{process%/environ}}" 2>/dev/null; done
    sleep 0.1
  done
}}
exec 3<&0
watch "$1" <&3 &
echo $!
"""
_PLACE = 8192  # bytes for an entry; the longest path has 4096


class Guard:
    """Watches over groups of processes and over trials. Raises `OSError` where it cannot be started.

    Each of them costs one system call as it begins and one as it ends. To be outside of what a batch system watches, a
    guard has to be started before this process adopts orphans.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: dict[tuple[str, str], tuple[int, int]] = {}  # of the file: where they begin, how long they are
        self._free: list[int] = []
        self._file = _file_without_name()
        try:
            self._process = subprocess.Popen(
                ["bash", "--norc", "--noprofile", "-c", _GUARD, "guard", str(self._file)],
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[self._file],
                bufsize=0,
            )
        except BaseException:
            os.close(self._file)
            raise
        assert self._process.stdout is not None  # noqa: S101  # it was asked for
        started = self._process.stdout.readline()
        if not started:
            self._process.communicate()
            os.close(self._file)
            why = os.strerror(errno.EAGAIN)
            raise BlockingIOError(errno.EAGAIN, f"{why}: bash, which is to guard the trials, cannot be started")
        self._number = int(started)
        leave_alone(self._number)
        self._process.wait()

    def begin(self, group: int) -> None:
        """Take care of a group of processes."""
        self._add("group", str(group))

    def end(self, group: int) -> None:
        """Leave it alone: its number will soon be another's."""
        self._remove("group", str(group))

    def begin_trial(self, hyperparameters: str) -> None:
        """Take care of what a trial starts outside of its group; it is known by the file of its hyperparameters."""
        self._add("trial", hyperparameters)

    def end_trial(self, hyperparameters: str) -> None:
        """Leave a trial alone, of which nothing is left."""
        self._remove("trial", hyperparameters)

    def _add(self, kind: str, what: str) -> None:
        with self._lock:
            if (kind, what) not in self._entries:
                begin = self._free.pop() if self._free else len(self._entries) * _PLACE
                entry = os.fsencode(f"{kind}\0{what}\0")
                self._entries[kind, what] = begin, len(entry)
                os.pwrite(self._file, entry, begin)

    def _remove(self, kind: str, what: str) -> None:
        with self._lock:
            begin, length = self._entries.pop((kind, what), (0, 0))
            if length:
                os.pwrite(self._file, bytes(length), begin)
                self._free.append(begin)

    def close(self) -> None:
        """Let the guard go; what it still watches over is ended."""
        self._process.communicate()  # until it has closed its output
        os.close(self._file)
        with suppress(ChildProcessError):  # it is nobody's child, unless this process has adopted it
            os.waitpid(self._number, 0)


def _file_without_name() -> int:
    """Return the descriptor of a file that nobody else can open: in memory, where the system has that.

    Its number has two digits at least: those of one digit are for the shell's own.
    """
    if sys.platform == "linux":
        found = os.memfd_create("guard")
    else:
        with tempfile.TemporaryFile() as file:
            found = os.dup(file.fileno())
    try:
        return fcntl.fcntl(found, fcntl.F_DUPFD_CLOEXEC, 10)
    finally:
        os.close(found)
