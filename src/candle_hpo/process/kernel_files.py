"""Files that the kernel writes as they are read, in /proc and of a cgroup: read whole, in as few calls as can be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

_AT_ONCE = 1 << 16


def read_whole(path: str) -> bytes:
    """Return what stands in such a file. Raises `OSError`."""
    descriptor, data = os.open(path, os.O_RDONLY | os.O_CLOEXEC), b""
    try:
        while more := os.read(descriptor, _AT_ONCE):
            data += more
    finally:
        os.close(descriptor)
    return data


def children(number: int, thread: int | None = None) -> Iterator[int]:
    """Yield the children of a process, or of one of its threads; none where the system does not list them."""
    with suppress(OSError):
        for each in [thread] if thread else os.listdir(f"/proc/{number}/task"):  # noqa: PTH208
            with suppress(OSError):
                yield from map(int, read_whole(f"/proc/{number}/task/{each}/children").split())
