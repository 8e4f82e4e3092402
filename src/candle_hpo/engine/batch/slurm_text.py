"""SLURM's texts: the request and the job script that we write, and the answers that we read. Pure functions."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from pathlib import PurePath

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.sbatch_arguments import SbatchArgument, SbatchArgumentError
from candle_hpo.core.site import WorkerType
from candle_hpo.engine.batch.layout import UNTYPED_GPU, Allocation

# How long before the end of the walltime SLURM warns the campaign, and with which signal. SLURM looks at its
# clock only now and then, so a warning can come up to a minute early; it never comes late.
WARNING_SIGNAL = "USR1"


def sbatch_options(
    settings: Settings, worker: WorkerType, allocation: Allocation, folder: str
) -> list[tuple[str, str]]:
    """Return the options of `sbatch` as pairs; what the user gives in `custom_sbatch_args` comes after them.

    `folder` is the experiment's, where the job is submitted. Raises `InputError` where a job can have no output there.
    """
    partition = settings.queue or worker.partition
    name = re.sub(r"[^\w.-]", "_", PurePath(folder).name)
    options = [
        ("--job-name", f"candle_{name}"),
        ("--output", output_in(folder, "job.%j.out" if settings.jobs > 1 else "job.out")),
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


def output_in(folder: str, name: str = "job.out") -> str:
    """Return how `sbatch --output` names job.out, or a pattern, in the folder where the job is submitted.

    SLURM replaces `%j` and its like in the folder's name as well, where that is not named with `%%`; and of a backslash
    it makes nothing that it can open (sbatch(1), "filename pattern"). Raises `InputError` for such a folder.
    """
    if "\\" in folder or ("%" in folder and "\n" in folder):
        what = "a backslash" if "\\" in folder else "a line break beside a %"
        raise InputError(
            f"{folder!r} has {what} in its name: SLURM cannot write a job's output there; rename the folder"
        )
    return f"{folder.replace('%', '%%')}/{name}" if "%" in folder else name


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
        *(f"#SBATCH {shlex.quote(f'{name}={value}' if value else name)}" for name, value in options),
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


def workers_by_node(text: str) -> list[int]:
    """Return the number of workers of each node, from `SLURM_TASKS_PER_NODE`: `2(x3),1` is 2, 2, 2, 1."""
    counts: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part.strip())
        if not match:
            raise MachineError(f'SLURM_TASKS_PER_NODE is "{text}", which is not of the form 2(x3),1')
        counts += [int(match[1])] * int(match[2] or 1)
    return counts
