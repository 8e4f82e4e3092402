"""Imported by the fork server of a node's workers: it ends when their manager does, and they when it does.

Left to itself, a fork server ends when nobody holds its pipe any more, and its workers hold it.
"""

from __future__ import annotations

import os
import signal

from candle_hpo.model.parent import end_with_parent

end_with_parent(signal.SIGTERM)
os.register_at_fork(after_in_child=lambda: end_with_parent(signal.SIGTERM))
