"""Whether a model ran out of memory: by the kernel's count, and by the model's own last words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from candle_hpo.process.kernel_files import read_whole

# What Python, NumPy, PyTorch, CUDA, TensorFlow, C++, R and Java say when memory is refused to them, at a line's
# beginning or, where it is unmistakable, within it.
_LAST_WORDS = re.compile(
    r"^(?:[\w.]*\.)?\w*(?:MemoryError|OutOfMemory\w*)\b|CUDA out of memory|CUDA_ERROR_OUT_OF_MEMORY"
    r"|cannot allocate vector of size|std::bad_alloc|OOM when allocating tensor|java\.lang\.OutOfMemoryError"
)

_COUNT = b"\noom_kill "  # what stands before the number, which is alone on its line, and that is not the first


def speaks_of_memory(lines: Sequence[str]) -> bool:
    """Return whether the last lines of a model that failed say that it ran out of memory."""
    return any(map(_LAST_WORDS.search, lines))


class MemoryWatch:
    """Counts, from its making, the processes that the kernel has ended for lack of memory.

    The count is that of this process's cgroup, which its trials share; where there is none, of the whole machine.
    """

    def __init__(self) -> None:
        self._before = _kills()

    def has_killed(self) -> bool:
        """Return whether a process was ended since then."""
        return _kills() > self._before


def _kills() -> int:
    counter = _counter()
    if counter is None:
        return 0
    try:
        return int(read_whole(counter).partition(_COUNT)[2].partition(b"\n")[0] or 0)
    except OSError:
        return 0


@cache
def _counter() -> str | None:
    """Return the file with the count: of the cgroup (version 2, then 1), or of the machine (Linux 4.13, cgroups(7))."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    groups = {line.split(":")[1]: line.split(":", 2)[2].lstrip("/") for line in lines}
    mounts = Path("/sys/fs/cgroup")
    candidates: list[str] = [
        *([str(mounts / groups[""] / "memory.events")] if "" in groups else ()),
        *([str(mounts / "memory" / groups["memory"] / "memory.oom_control")] if "memory" in groups else ()),
        "/proc/vmstat",
    ]
    for path in candidates:
        try:
            if _COUNT in read_whole(path):
                return path
        except OSError:
            continue
    return None
