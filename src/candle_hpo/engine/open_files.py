"""How many files this process may have open: each worker of this machine needs a few."""

from __future__ import annotations

import resource

from candle_hpo.core.errors import MachineError

_OF_A_WORKER = 8  # while it starts a process: the output, the pipes of the start, and what is watched of others
_OF_CANDLE = 100


def allow_open_files(workers: int) -> None:
    """Raise the soft limit as far as so many workers need it, and no further: the models inherit it.

    (Old programs go through all numbers of files up to it.) Raises `MachineError` where the hard limit is too low.
    """
    needed = _OF_CANDLE + _OF_A_WORKER * workers
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        most = max(1, (hard - _OF_CANDLE) // _OF_A_WORKER)
        raise MachineError(
            f"{workers:,} workers need up to {needed:,} open files, and this machine allows {hard:,} (ulimit -Hn); "
            f"set nworkers to {most:,} or less"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
