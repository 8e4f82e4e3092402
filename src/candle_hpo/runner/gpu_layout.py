"""How the workers of an experiment are laid out on the GPUs that a cluster has: asked of its site, or else of SLURM."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

import msgspec

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.sbatch_arguments import SbatchArgument
from candle_hpo.core.site import WorkerType
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.layout import (
    Allocation,
    choose_layout,
    name_of_gpu,
    names_of_gpus,
    of_partitions,
    plan_allocation,
    too_many_for_a_trial,
    unlimited,
)
from candle_hpo.engine.devices import GpuShare
from candle_hpo.runner.listener import Say

# Arguments of `sbatch` that choose among the nodes otherwise than we do: what SLURM makes of them, it says itself.
_SAYS_WHERE = {"--constraint", "--nodes", "--nodelist", "--nodefile", "--exclude", "--ntasks-per-node"}


def gpu_layout(
    worker: WorkerType,
    gpu: str,
    settings: Settings,
    partition: str | None,
    clusters: str,
    arguments: Sequence[SbatchArgument],
    say: Say,
) -> tuple[WorkerType, Allocation]:
    """Return the kind of worker, its GPU as SLURM writes it, and how so many of them are laid out on nodes.

    Raises `InputError` where they cannot be, on what SLURM says that there is.
    """
    share = GpuShare(settings.trials_per_gpu, settings.gpus_per_trial)
    if worker.gpus_per_node is not None:
        found = plan_allocation(settings.nworkers, unlimited(worker.gpus_per_node), share)
        if found is None:
            raise InputError(too_many_for_a_trial(worker.gpus_per_node, share))
        return worker, found
    named = of_partitions(slurm.nodes(clusters, partition), partition)
    name = name_of_gpu(chain(*named), gpu)
    if name is None:
        there = names_of_gpus(chain(*named))
        where = f"partition {partition}" if partition else "this cluster"
        raise InputError(
            f'worker_type: no node of {where} has a GPU that SLURM calls "{gpu}"; '
            + (f"it knows {', '.join(there)}, and cpu" if there else "use cpu")
        )
    worker = msgspec.structs.replace(worker, gpu=name)
    if any(argument.name in _SAYS_WHERE for argument in arguments):
        most = max(node.count(name) for node in chain(*named))
        found = plan_allocation(settings.nworkers, unlimited(most), share)
        if found is not None:
            return worker, found
    megabytes = math.ceil(settings.mem_per_cpu * 1024) * settings.nthreads
    allocation, chosen = choose_layout(settings.nworkers, name, named, share, settings.nthreads, megabytes)
    if partition is None and not any(node.is_of_default for node in chain(*named) if node.partition == chosen):
        say(f'{name} GPUs are in partition {chosen}, and a job without queue goes to the default one: queue="{chosen}"')
    return worker, allocation
