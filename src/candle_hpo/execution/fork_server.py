"""Imported by the fork server of a node's workers, with all that they need.

It ends when their manager does, and they when it does: left to itself, a fork server ends when nobody holds its pipe
any more, and its workers hold it.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys

import candle_hpo.execution.cluster_worker  # noqa: F401
from candle_hpo.execution.parsl_program import WORKER_POOL, module_of, without_what_programs_do_not_need
from candle_hpo.model.parent import end_with_parent

with without_what_programs_do_not_need():
    importlib.import_module(module_of(WORKER_POOL))
del sys.modules[module_of(WORKER_POOL)]  # a worker runs it anew, as the main module that it is in its manager

end_with_parent(signal.SIGTERM)
os.register_at_fork(after_in_child=lambda: end_with_parent(signal.SIGTERM))
