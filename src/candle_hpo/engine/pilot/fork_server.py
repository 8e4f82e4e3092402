"""Imported by the fork server of a node's workers, with all that they need.

It ends when their manager does, and they when it does: left to itself, a fork server ends when nobody holds its pipe
any more, and its workers hold it. That comes first: of an import that fails, multiprocessing says nothing.
"""

from __future__ import annotations

import os
import signal

from candle_hpo.process.parent import end_with_parent

_forking = os.getpid()


def _remember_who_forks() -> None:
    global _forking
    _forking = os.getpid()


end_with_parent(signal.SIGTERM)
os.register_at_fork(
    before=_remember_who_forks,
    after_in_child=lambda: end_with_parent(signal.SIGTERM, _forking),  # which may have ended already
)

import candle_hpo.engine.pilot.worker  # noqa: E402, F401
from candle_hpo.engine.pilot.parsl_programs import import_what_workers_need  # noqa: E402

import_what_workers_need()
