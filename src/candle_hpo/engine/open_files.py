"""How many files this process may have open: a worker of this machine needs a few, and one elsewhere a connection."""

from __future__ import annotations

import logging
import resource

from candle_hpo.core.errors import MachineError

_OF_A_WORKER = 8  # while it starts a process: the output, the pipes of the start, and what is watched of others
_OF_A_WORKER_ELSEWHERE = 3  # to the manager of a cluster's node: the pipes of its process
_OF_A_CONNECTION = 4  # while a worker tries several addresses; later one
_OF_CANDLE = 100
_MANY = 65_536

_logger = logging.getLogger(__name__)


def allow_open_files(workers: int) -> None:
    """Raise the soft limit as far as so many workers need it, and no further: the models inherit it.

    (Old programs go through all numbers of files up to it.) Raises `MachineError` where the hard limit is too low.
    """
    needed = _OF_CANDLE + _OF_A_WORKER * workers
    allowed = _raise_limit(needed)
    if allowed < needed:
        most = max(1, (allowed - _OF_CANDLE) // _OF_A_WORKER)
        raise MachineError(
            f"{workers:,} workers need up to {needed:,} open files, and this machine allows {allowed:,} (ulimit -Hn); "
            f"set nworkers to {most:,} or less"
        )


def allow_workers_of_a_node(workers: int) -> None:
    """Raise the soft limit for the programs that keep so many workers of a cluster's node busy, and no further.

    Raises `MachineError` where the hard limit is too low.
    """
    needed = _OF_CANDLE + _OF_A_WORKER_ELSEWHERE * workers
    allowed = _raise_limit(needed)
    if allowed < needed:
        most = max(1, (allowed - _OF_CANDLE) // _OF_A_WORKER_ELSEWHERE)
        raise MachineError(
            f"{workers:,} workers of a node need up to {needed:,} open files, and it allows {allowed:,} (ulimit -Hn), "
            f"enough for {most:,}; have its staff raise that, or spread the workers over more nodes"
        )


def allow_many_connections() -> None:
    """Raise the soft limit of a program that starts none as far as may be."""
    _raise_limit(_MANY)


def allow_connections(workers: int) -> None:
    """Raise the soft limit for a connection to each worker, as far as it can be: one without any runs all the same.

    Raises `MachineError` where the campaign would have no files left for itself.
    """
    needed, least = _OF_CANDLE + _OF_A_CONNECTION * workers, _OF_CANDLE + workers
    allowed = _raise_limit(needed)
    if allowed < least:
        raise MachineError(
            f"{workers:,} workers need at least {least:,} open files, and the job's first node allows {allowed:,} "
            f"(ulimit -Hn); set nworkers to {max(1, allowed - _OF_CANDLE):,} or less"
        )
    if allowed < needed:
        _logger.warning("%d workers and %d open files (ulimit -Hn): some may not be reached", workers, allowed)


def _raise_limit(needed: int) -> int:
    """Raise the soft limit so far, or as far as the hard limit lets it; return how far that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
