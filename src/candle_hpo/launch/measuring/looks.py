"""When a file system is asked what lies in a folder: at each look where it is this machine's own, else seldom."""

from __future__ import annotations

import math
import os
import re
import time
from functools import lru_cache
from pathlib import Path

# With a thousand trials, the server of what nodes share is asked less than 200 times a second.
_SECONDS_A_CALL = 5.25
_LEAST_SECONDS = 10.0
_OF_THIS_MACHINE = frozenset(
    ("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "reiserfs", "tmpfs", "xfs", "zfs")
)
_MOUNTS = Path("/proc/self/mountinfo")  # its form: "man 5 proc"
_MOUNT = re.compile(r"(?:\S+ ){4}(?P<at>\S+) .*?- (?P<kind>\S+)")


class Looks:
    """Says, of one look after the other, whether the file system may be asked in it what lies in a folder.

    What is shared between nodes is asked again after ten seconds, or five for each call that asking took, if that is
    more; as long as nothing was there, after as long again as that has been so, if that is less. Reading files that are
    open is free.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.are_due = True
        self._is_shared = folder is not None and not is_of_this_machine(folder)
        self._calls = 0
        self._since = self._asked = -math.inf
        self._is_in_vain = True

    def begin(self) -> None:
        """Begin a look."""
        if not self._is_shared or not self._calls:
            return
        pause = max(_LEAST_SECONDS, _SECONDS_A_CALL * self._calls)
        if self._is_in_vain:
            pause = min(pause, self._asked - self._since)
        self.are_due = time.monotonic() >= self._asked + pause
        if self.are_due:
            self._calls, self._is_in_vain = 0, True

    def asked(self, calls: int = 1, *, in_vain: bool = False) -> None:
        """Note that the file system was asked, with so many calls, and whether it had nothing there."""
        self._calls, self._asked = self._calls + calls, time.monotonic()
        if self._since == -math.inf or not in_vain:
            self._since = self._asked
        self._is_in_vain = self._is_in_vain and in_vain


@lru_cache(maxsize=100)
def is_of_this_machine(folder: Path) -> bool:
    """Return whether a folder lies on a file system of this machine, which no server has to be asked about."""
    try:
        lines = _MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:  # no Linux, and so no node of a cluster
        return True
    real, kind, longest = Path(os.path.realpath(folder)), "", 0
    for mount in filter(None, map(_MOUNT.match, lines)):
        at = Path(_unescaped(mount["at"]))
        if real.is_relative_to(at) and len(at.parts) >= longest:  # of two at one place, the later one covers the other
            kind, longest = mount["kind"], len(at.parts)
    return kind in _OF_THIS_MACHINE


def _unescaped(text: str) -> str:
    return re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), text)
