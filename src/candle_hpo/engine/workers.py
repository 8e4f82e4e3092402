"""Workers: slots that run one trial at a time, each with what is its own."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from candle_hpo.core.experiment import Settings
from candle_hpo.engine.devices import OWN_GPU, VISIBLE, GpuShare


class Worker(msgspec.Struct, frozen=True):
    """One slot. `environment` shows the model which devices are the slot's own."""

    number: int
    environment: dict[str, str]


class Workforce(msgspec.Struct, frozen=True):
    """The workers of one machine, and what the user should know of how they came about."""

    workers: tuple[Worker, ...]
    notes: tuple[str, ...] = ()


def share_out(settings: Settings, gpus: Sequence[str], trials: int) -> Workforce:
    """Return `nworkers` workers on a machine that has these GPUs; no more than there are trials.

    A worker has its own GPU where there are any, unless `worker_type` is `cpu`, or its share of them as
    `trials_per_gpu` and `gpus_per_trial` say; there are no more workers than that allows. GPUs asked for where there
    are none are a note, not an error.
    """
    wanted, kind = min(settings.nworkers, trials), settings.worker_type
    if kind == "cpu":
        # An empty list hides the GPUs from the model: a worker of this kind owns none.
        hidden = {VISIBLE: ""} if gpus else {}
        return Workforce(tuple(Worker(number, hidden) for number in range(wanted)))
    if not gpus:
        note = f"no GPU here ({kind} was asked for): trials run on the CPUs" if kind else ""
        return Workforce(tuple(Worker(number, {}) for number in range(wanted)), (note,) if note else ())
    share = GpuShare(settings.trials_per_gpu, settings.gpus_per_trial)
    most = share.workers_on(len(gpus))
    if most == 0:
        note = (
            f"gpus_per_trial={share.gpus}, and there {_are_gpus(len(gpus))}: one trial runs at a time, on all of them"
        )
        return Workforce((Worker(0, {VISIBLE: ",".join(gpus)}),), (note,))
    notes: tuple[str, ...] = ()
    if wanted > most:
        runs = "1 trial runs" if most == 1 else f"{most} trials run"
        each = "each on its own GPU" if share == OWN_GPU else f"with {_words(share)}"
        notes = (
            f"{wanted} workers were asked for, and there {_are_gpus(len(gpus))}: {runs} at a time, {each} "
            '(worker_type="cpu" uses none)',
        )
    elif share != OWN_GPU:
        notes = (f"{wanted} at a time, and there {_are_gpus(len(gpus))}, with {_words(share)}",)
    workers = (Worker(slot, {VISIBLE: ",".join(share.of_worker(slot, gpus))}) for slot in range(min(wanted, most)))
    return Workforce(tuple(workers), notes)


def _are_gpus(number: int) -> str:
    return "is 1 GPU" if number == 1 else f"are {number} GPUs"


def _words(share: GpuShare) -> str:
    return f"{share.gpus} GPUs each" if share.gpus > 1 else f"{share.trials} on each GPU"
