"""What a process hands down to those that it starts, besides its environment and its open files."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil

# proc(5): what there may be of a process, a line or a file each.
_LINES = (
    "Umask", "Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Seccomp_filters", "CapInh", "CapPrm", "CapEff", "CapBnd",
    "CapAmb", "SigBlk", "SigIgn", "Cpus_allowed", "Mems_allowed", "Speculation_Store_Bypass", "THP_enabled",
    "untag_mask",
)  # fmt: skip
_FILES = (
    "limits", "cgroup", "oom_score_adj", "personality", "loginuid", "sessionid", "attr/current",
    "../../coredump_filter", "../../timerslack_ns",
)  # fmt: skip
_LINKS = ("root", *(f"ns/{name}" for name in ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")))


def inherited() -> dict[str, str]:
    """Return what this thread would hand down to a process, on Linux: processors, priorities, limits, rights, places.

    Nothing elsewhere.
    """
    found: dict[str, str] = {}
    if sys.platform != "linux":
        return found
    here = Path(f"/proc/self/task/{threading.get_native_id()}")
    status = (here / "status").read_text(encoding="utf-8", errors="replace")
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    found |= {name: lines[name].strip() for name in _LINES if name in lines}
    for name in _FILES:
        with suppress(OSError):  # an older kernel, or one that does not let anybody look
            found[name] = (here / name).read_text(encoding="utf-8", errors="replace")
    for name in _LINKS:
        with suppress(OSError):
            found[name] = str((here / name).readlink())
    found["nice"] = str(os.getpriority(os.PRIO_PROCESS, 0))
    found["scheduler"] = f"{os.sched_getscheduler(0)} {os.sched_getparam(0).sched_priority}"
    with suppress(OSError, psutil.Error):
        found["ionice"] = str(psutil.Process().ionice())
    return found
