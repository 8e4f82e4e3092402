"""All that candle takes from Parsl, imported without SQLAlchemy.

Only Parsl's monitoring needs that, which is not used; it would be a third of the import, in every process of a job.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _as_if_not_installed(name: str) -> Iterator[None]:
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # makes an import of it an ImportError
    try:
        yield
    finally:
        del sys.modules[name]


with _as_if_not_installed("sqlalchemy"):
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
