"""All that candle takes from Parsl, imported without SQLAlchemy.

Only Parsl's monitoring needs that, which is not used; it would be a third of the import, for which a job's start waits.
"""

from __future__ import annotations

from candle_hpo.engine.pilot.partial_import import as_if_not_installed

with as_if_not_installed("sqlalchemy"):
    import parsl
    import parsl.multiprocessing
    from parsl.concurrent import ParslPoolExecutor
    from parsl.errors import ParslError
    from parsl.executors import HighThroughputExecutor
    from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost
    from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD
    from parsl.launchers import SrunLauncher
    from parsl.providers import LocalProvider

__all__ = [
    "DEFAULT_LAUNCH_CMD",
    "HighThroughputExecutor",
    "LocalProvider",
    "ManagerLost",
    "ParslError",
    "ParslPoolExecutor",
    "SrunLauncher",
    "WorkerLost",
    "parsl",
]
