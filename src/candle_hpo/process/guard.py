"""A guard ends the trials' processes when the process that waits for them dies without a word, by `kill -9` too."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

from candle_hpo.process.leftovers import TRIAL, leave_alone

# Notified of each group of processes as it begins ("+group 4711") and before its number is given back ("-group 4711"),
# and in the same way of each trial, by the file of its hyperparameters. Each word ends with a NUL. The end of its input
# is the end of whoever wrote it. It is in its own session, and nobody's child, so that what ends those does not end it:
# SLURM without cgroups ends what descends from its step. What a trial has started in another session, its
# environment shows; one look may miss what is just being forked.
_GUARD = rf"""
trap '' HUP INT TERM
watch() {{
  declare -A running
  while IFS= read -r -d '' sign && IFS= read -r -d '' what; do
    key="${{sign:1}} $what"
    case $sign in
      +*) running[$key]=1 ;;
      -*) unset 'running[$key]' ;;
    esac
  done
  trials=()
  for each in "${{!running[@]}}"; do
    case $each in
      group*) kill -KILL -- "-${{each#* }}" 2>/dev/null ;;
      trial*) trials+=(-e "{TRIAL}=${{each#* }}") ;;
    esac
  done
  [ ${{#trials[@]}} -gt 0 ] || return
  for look in 1 2 3 4 5; do
    found=$(grep -lszxF "${{trials[@]}}" /proc/[0-9]*/environ)
    [ -n "$found" ] || return
    for file in $found; do process=${{file#/proc/}}; kill -KILL "${{process%/environ}}" 2>/dev/null; done
    sleep 0.1
  done
}}
exec 3<&0
watch <&3 &
echo $!
"""


class Guard:
    """Watches over groups of processes and over trials. Raises `OSError` where it cannot be started.

    To be outside of what a batch system watches, it has to be started before this process adopts orphans.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-c", _GUARD],
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )
        assert self._process.stdout is not None  # noqa: S101  # it was asked for
        started = self._process.stdout.readline()
        if not started:
            self._process.communicate()
            raise BlockingIOError("the guard of the trials' processes cannot be started")
        self._number = int(started)
        leave_alone(self._number)
        self._process.wait()

    def begin(self, group: int) -> None:
        """Take care of a group of processes."""
        self._send("+group", str(group))

    def end(self, group: int) -> None:
        """Leave it alone: its number will soon be another's."""
        self._send("-group", str(group))

    def begin_trial(self, hyperparameters: str) -> None:
        """Take care of what a trial starts outside of its group; it is known by the file of its hyperparameters."""
        self._send("+trial", hyperparameters)

    def end_trial(self, hyperparameters: str) -> None:
        """Leave a trial alone, of which nothing is left."""
        self._send("-trial", hyperparameters)

    def _send(self, *words: str) -> None:
        with suppress(BrokenPipeError):  # somebody has ended the guard; the trials need not suffer for it
            assert self._process.stdin is not None  # noqa: S101  # it was asked for
            self._process.stdin.write(b"".join(os.fsencode(word) + b"\0" for word in words))

    def close(self) -> None:
        """Let the guard go; what it still watches over is ended."""
        self._process.communicate()  # until it has closed its output
        with suppress(ChildProcessError):  # it is nobody's child, unless this process has adopted it
            os.waitpid(self._number, 0)
