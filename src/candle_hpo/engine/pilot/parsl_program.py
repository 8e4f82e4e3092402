"""Parsl's programs, started quickly: its interchange, and its process worker pool on each node.

    python -m candle_hpo.engine.pilot.parsl_program NAME ARGUMENTS       those of Parsl's NAME.py

Parsl starts each worker in an interpreter of its own. That is half a second of processor time and 50 MB for each, and
on a shared file system all of them read the same thousand files. Here they are forked from one process that has
imported what they need: multiprocessing's fork server, an interpreter of its own, without threads.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import runpy
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from candle_hpo.engine.pilot.partial_import import as_if_not_installed, without_own_code
from candle_hpo.process.parent import end_with_parent

INTERCHANGE, WORKER_POOL = "interchange", "process_worker_pool"


def main() -> None:
    """Run the program until it is told to end."""
    name = sys.argv.pop(1)
    context = multiprocessing.get_context("forkserver")
    if name == INTERCHANGE:
        end_with_parent(signal.SIGTERM)  # else it would outlive a killed campaign where SLURM does not end what is left
    if name == WORKER_POOL:
        context.set_forkserver_preload(["candle_hpo.engine.pilot.fork_server"])
        multiprocessing.forkserver.ensure_running()  # while this process imports, too
    with without_what_programs_do_not_need():
        import parsl.multiprocessing

        parsl.multiprocessing.SpawnContext = context
        runpy.run_module(module_of(name), run_name="__main__", alter_sys=True)


def module_of(name: str) -> str:
    """Return the full name of the module of a program."""
    return f"parsl.executors.high_throughput.{name}"


@contextmanager
def without_what_programs_do_not_need() -> Iterator[None]:
    """Import of Parsl what is asked for alone, and not all kinds of executors and providers besides: half as much."""
    without_own_code("parsl")
    without_own_code("parsl.executors")
    with as_if_not_installed("sqlalchemy"):
        yield


if __name__ == "__main__":
    main()
