"""The GPUs of this machine that this process may use."""

from __future__ import annotations

import itertools
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from candle_hpo.core.command_words import OF_A_WORKER

# Where SLURM lists the GPUs of a step. Where a cluster does not say which they are, it sets all of them (gres.conf(5),
# "Flags").
LISTS = OF_A_WORKER
VISIBLE, AMD, INTEL, _ = LISTS
_DRIVER_OF_AMD = Path("/dev/kfd")

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


def gpus_of_slot(
    slot: int, share: GpuShare, environment: Mapping[str, str], driver_of_amd: Path = _DRIVER_OF_AMD
) -> dict[str, str] | None:
    """Return the variables that show a worker its GPUs alone, of the step's; None: there are too few."""
    lists = {name: parse_visible(environment[name]) for name in LISTS if environment.get(name)}
    own = {name: share.of_worker(slot, gpus) for name, gpus in lists.items()}
    own = {name: gpus for name, gpus in own.items() if len(gpus) == share.gpus}
    if not own:
        return None
    if own.get(AMD) and driver_of_amd.exists():
        # There, programs count what that variable has left, from 0; and they heed the others besides.
        counted = [str(number) for number in range(share.gpus)]
        own = {name: gpus if name == AMD else counted for name, gpus in own.items()}
    return {name: ",".join(gpus) for name, gpus in own.items()}


def hidden_gpus(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that hide GPUs which are not a worker's own; an empty list of Intel's shows them all."""
    return {name: "" for name in LISTS if name in environment and name != INTEL}


def usable_cpus() -> int:
    """Return how many CPUs this process, and thereby its trials, may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
    """Return the GPUs that a value of `CUDA_VISIBLE_DEVICES`, or of AMD's or Intel's such variable, names.

    As CUDA reads it: those before the first that is not a device (`-1`, or SLURM's `NoDevFiles`) count, each once. An
    Intel GPU may be a part of one (`0.1`), an NVIDIA one too (`MIG-…`).
    """
    names = [name.strip() for name in chosen.split(",")]
    devices = list(itertools.takewhile(lambda name: re.fullmatch(r"\d+(\.\d+)?|(GPU|MIG)-\S+", name), names))
    return list(dict.fromkeys(devices))
