"""A guard ends the trials' processes when the process that waits for them dies without a word, by `kill -9` too."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

from candle_hpo.process.leftovers import leave_alone

# Notified of each group of processes as it begins ("+ 4711") and before its number is given back ("- 4711"). The end of
# its input is the end of whoever wrote it. It is in its own session, so that what ends that one does not end it.
_GUARD = r"""
trap '' HUP INT TERM
running=()
while read -r sign group; do
  case $sign in
    +) running[group]=1 ;;
    -) unset "running[group]" ;;
  esac
done
for group in "${!running[@]}"; do kill -KILL -- "-$group" 2>/dev/null; done
"""


class Guard:
    """Watches over groups of processes from `begin` to `end`. Raises `OSError` where it cannot be started."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-c", _GUARD],
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )
        leave_alone(self._process.pid)

    def begin(self, group: int) -> None:
        """Take care of a group of processes."""
        self._send(b"+ %d\n" % group)

    def end(self, group: int) -> None:
        """Leave it alone: its number will soon be another's."""
        self._send(b"- %d\n" % group)

    def _send(self, line: bytes) -> None:
        with suppress(BrokenPipeError):  # somebody has ended the guard; the trials need not suffer for it
            assert self._process.stdin is not None  # noqa: S101  # it was asked for
            self._process.stdin.write(line)

    def close(self) -> None:
        """Let the guard go; what it still watches over is ended."""
        self._process.communicate()
