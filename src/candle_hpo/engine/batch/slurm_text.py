"""SLURM's texts: the request and the job script that we write, and the answers that we read. Pure functions."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence

import msgspec

from candle_hpo.core.errors import MachineError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.sbatch_arguments import SbatchArgument, SbatchArgumentError
from candle_hpo.engine.batch.site import WorkerType
from candle_hpo.engine.devices import OWN_GPU, GpuShare

# How long before the end of the walltime SLURM warns the campaign, and with which signal. SLURM looks at its
# clock only now and then, so a warning can come up to a minute early; it never comes late.
WARNING_SIGNAL = "USR1"

# The worker type that stands for GPUs to which a cluster gives no type (`Gres=gpu:4`).
UNTYPED_GPU = "gpu"


class Allocation(msgspec.Struct, frozen=True):
    """What is asked of SLURM: `workers` workers, each with its CPUs and, perhaps, its GPU.

    On a GPU node `per_node` workers share the node, with `gpus` GPUs; CPU workers are left for SLURM to place (None).
    """

    workers: int
    nodes: int | None = None
    per_node: int | None = None
    gpus: int | None = None


def plan_allocation(
    workers: int, worker: WorkerType, gpus_per_node: int | None, share: GpuShare = OWN_GPU
) -> Allocation:
    """Return how so many workers are laid out on nodes: exactly as many, on as few nodes as that allows.

    GPUs are given out by `share`; what is laid out is units of it: a GPU with its trials, or a trial with its GPUs.
    The largest number of GPUs a node that divides `workers` is taken, if it uses at least half of a node's GPUs;
    else `workers` is rounded up to fill its nodes evenly, and every GPU of them is used.
    """
    if worker.gpu is None:
        return Allocation(workers)
    most = max(1, (gpus_per_node or share.gpus) // share.gpus)
    units = _units(-(-workers // share.trials), most)
    assert units.nodes and units.per_node  # noqa: S101  # as GPUs are
    return Allocation(
        units.workers * share.trials, units.nodes, units.per_node * share.trials, units.per_node * share.gpus
    )


def _units(workers: int, most: int) -> Allocation:
    exact = max(number for number in range(1, most + 1) if workers % number == 0)
    if exact * 2 >= min(most, workers):
        return Allocation(workers, workers // exact, exact)
    nodes = math.ceil(workers / most)
    per_node = math.ceil(workers / nodes)
    return Allocation(nodes * per_node, nodes, per_node)


def sbatch_options(settings: Settings, worker: WorkerType, allocation: Allocation, name: str) -> list[tuple[str, str]]:
    """Return the options of `sbatch` as pairs; what the user gives in `custom_sbatch_args` comes after them."""
    partition = settings.queue or worker.partition
    options = [
        ("--job-name", f"candle_{name}"),
        ("--output", "job.out"),
        ("--open-mode", "append"),
        ("--time", walltime_text(settings.walltime)),
        # The campaign is warned in time to record what runs as interrupted, and to continue in a next job.
        ("--signal", f"B:{WARNING_SIGNAL}@{warning_seconds(settings.walltime)}"),
        # What continues by itself also does where SLURM ends its job for another's, or loses its first node.
        ("--requeue" if settings.auto_resubmit else "--no-requeue", ""),
        ("--no-kill", ""),  # a node that fails takes its own workers along, and not the job
        ("--cpus-per-task", str(settings.nthreads)),
        ("--ntasks", str(allocation.workers)),
    ]
    if settings.mem_per_cpu:
        options.append(("--mem-per-cpu", f"{math.ceil(settings.mem_per_cpu * 1024)}M"))
    if allocation.nodes is not None:
        options += [("--nodes", str(allocation.nodes)), ("--ntasks-per-node", str(allocation.per_node))]
        kind = "gpu" if worker.gpu == UNTYPED_GPU else f"gpu:{worker.gpu}"
        options += [("--gres", f"{kind}:{allocation.gpus}")]
    if partition:
        options.append(("--partition", partition))
    if settings.project:
        options.append(("--account", settings.project))
    return options


def warning_seconds(walltime: int) -> int:
    """Return how many seconds before a walltime's end the campaign is warned: a minute, if there is time for it."""
    return min(60, walltime // 4)


# Options of which sbatch takes one: those that say the same in another way.
_ALIKE = {
    **dict.fromkeys(("--mem", "--mem-per-cpu", "--mem-per-gpu"), "memory"),
    **dict.fromkeys(("--requeue", "--no-requeue"), "requeue"),
}
_OF_A_LAYOUT = ("--nodes", "--ntasks-per-node", "--ntasks-per-core", "--ntasks-per-socket", "--overcommit")


def with_arguments(
    options: Sequence[tuple[str, str]], arguments: Sequence[SbatchArgument]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the options without those that the arguments replace, and the arguments, of which later ones win.

    Generic resources are added up: to SLURM a second `--gres`, such as `--gres=lscratch:100`, takes the place of the
    first, and its GPUs away. Raises `SbatchArgumentError` for what would take GPUs from their workers.
    """
    if any(name == "--gres" for name, _ in options):
        for argument in arguments:
            if argument.name in _OF_A_LAYOUT:
                reason = "workers with GPUs are laid out on nodes by nworkers, worker_type and the GPUs of a node"
                raise SbatchArgumentError(f"{argument.text} is not possible: {reason}")
    winning = {_ALIKE.get(each.name, each.name): each for each in arguments if each.name != "--gres"}
    kept = [(name, value) for name, value in options if _ALIKE.get(name, name) not in winning and name != "--gres"]
    resources = [value for name, value in options if name == "--gres"]
    resources += [each.value for each in arguments if each.name == "--gres" and each.value]
    if resources:
        kept.append(("--gres", ",".join(resources)))
    return kept, [each.text for each in winning.values()]


def job_script(options: Sequence[tuple[str, str]], extra: Sequence[str], command: Sequence[str]) -> str:
    """Return the job script: the request, and the one command that the batch step becomes.

    It is submitted from the experiment's folder, which is where `job.out` lies then.
    """
    lines = [
        # -p: it reads no BASH_ENV, which may print, fail or change what it does, and yet hands it on, and all else.
        "#!/bin/bash -p",
        *(f"#SBATCH {name}={value}" if value else f"#SBATCH {name}" for name, value in options),
    ]
    if extra:
        lines.append(f"#SBATCH {shlex.join(extra)}")
    # `exec`: SLURM's warning signal goes to the batch step's first process, which has to be the campaign.
    return "\n".join([*lines, "", f"exec {shlex.join(command)}", ""])


def walltime_text(seconds: int) -> str:
    """Return a duration as SLURM reads it: D-HH:MM:SS."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (f"{days}-" if days else "") + f"{hours:02d}:{minutes:02d}:{seconds:02d}"


def gpus_on_a_node(answer: str, gpu: str, partition: str | None) -> int | None:
    """Return how many GPUs of this name a node has at most, from `sinfo -h -o '%R %G'`; None: none has any.

    A line is for instance `gpu gpu:k80:4(S:0-1),lscratch:800`; nodes of other partitions do not count.
    """
    counts: list[int] = []
    kind = "(?::[^:,()]+)?" if gpu == UNTYPED_GPU else f":{re.escape(gpu)}"
    for line in answer.splitlines():
        name, _, resources = line.partition(" ")
        if partition is None or name in partition.split(","):
            found = re.findall(rf"(?:^|,)gpu{kind}:(\d+)", resources.strip(), re.IGNORECASE)
            counts += [int(count) for count in found]
    return max(counts, default=None)


def workers_by_node(text: str) -> list[int]:
    """Return the number of workers of each node, from `SLURM_TASKS_PER_NODE`: `2(x3),1` is 2, 2, 2, 1."""
    counts: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part.strip())
        if not match:
            raise MachineError(f'SLURM_TASKS_PER_NODE is "{text}", which is not of the form 2(x3),1')
        counts += [int(match[1])] * int(match[2] or 1)
    return counts
