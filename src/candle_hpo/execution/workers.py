"""Workers: slots that run one trial at a time, each with what is its own."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from candle_hpo.core.experiment import Settings
from candle_hpo.execution.devices import VISIBLE


class Worker(msgspec.Struct, frozen=True):
    """One slot. `environment` is what tells the model which devices are the slot's own."""

    number: int
    environment: dict[str, str]


class Workforce(msgspec.Struct, frozen=True):
    """The workers of one machine, and what the user should know of how they came about."""

    workers: tuple[Worker, ...]
    notes: tuple[str, ...] = ()


def share_out(settings: Settings, gpus: Sequence[str], trials: int) -> Workforce:
    """Return `nworkers` workers on a machine that has these GPUs; no more than there are trials.

    A worker has a GPU of its own where there are any, unless `worker_type` is `cpu`; no two share one, so
    there are no more workers than GPUs. GPUs asked for where there are none are a note, not an error.
    """
    wanted, kind = min(settings.nworkers, trials), settings.worker_type
    if kind == "cpu":
        # An empty list hides the GPUs from the model: a worker of this kind owns none.
        hidden = {VISIBLE: ""} if gpus else {}
        return Workforce(tuple(Worker(number, hidden) for number in range(wanted)))
    if not gpus:
        note = f"no GPU here ({kind} was asked for): trials run on the CPUs" if kind else ""
        return Workforce(tuple(Worker(number, {}) for number in range(wanted)), (note,) if note else ())
    notes: tuple[str, ...] = ()
    if wanted > len(gpus):
        one = len(gpus) == 1
        there = "is 1 GPU: 1 trial runs" if one else f"are {len(gpus)} GPUs: {len(gpus)} trials run"
        notes = (
            f"{wanted} workers were asked for, and there {there} at a time, each on a GPU of its own "
            '(worker_type="cpu" uses none)',
        )
    return Workforce(tuple(Worker(number, {VISIBLE: gpu}) for number, gpu in enumerate(gpus[:wanted])), notes)
