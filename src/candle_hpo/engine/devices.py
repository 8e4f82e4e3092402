"""The GPUs of this machine that this process may use."""

from __future__ import annotations

import itertools
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

VISIBLE = "CUDA_VISIBLE_DEVICES"

_logger = logging.getLogger(__name__)


class GpuShare(NamedTuple):
    """How GPUs are given to workers: `trials` workers share one, or a worker has `gpus` of them; one of both is 1."""

    trials: int = 1
    gpus: int = 1

    def workers_on(self, gpus: int) -> int:
        """Return how many workers so many GPUs of a machine serve."""
        return gpus // self.gpus * self.trials

    def of_worker(self, slot: int, gpus: Sequence[str]) -> Sequence[str]:
        """Return the GPUs of the worker in this place of a machine; fewer than it should have where there are none.

        Workers beside each other are on different GPUs, so that few workers do not crowd on one.
        """
        place = slot % (len(gpus) // self.gpus) if slot < self.workers_on(len(gpus)) else len(gpus)
        return gpus[place * self.gpus : (place + 1) * self.gpus]


OWN_GPU = GpuShare()


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them.

    Where that variable is set, a batch system or the user has chosen; only else all GPUs of the machine count.
    """
    chosen = os.environ.get(VISIBLE)
    if chosen is not None:
        return parse_visible(chosen)
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        done = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        _logger.warning("GPUs cannot be asked for: %s", error)
        return []
    if done.returncode != 0:
        _logger.warning("nvidia-smi: exit status %d: %s", done.returncode, " ".join(done.stderr.split()))
    return done.stdout.split() if done.returncode == 0 else []


def parse_visible(chosen: str) -> list[str]:
    """Return the GPUs that a value of `CUDA_VISIBLE_DEVICES` names.

    As CUDA reads it: those before the first that is not a device (`-1`, or SLURM's `NoDevFiles`) count, each once.
    """
    names = [name.strip() for name in chosen.split(",")]
    devices = list(itertools.takewhile(lambda name: re.fullmatch(r"\d+|(GPU|MIG)-\S+", name), names))
    return list(dict.fromkeys(devices))
