"""A site's file for somebody to look over, from what SLURM says of a cluster. Pure functions."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence

import msgspec

from candle_hpo.core.errors import MachineError
from candle_hpo.engine.batch.job_text import time_left
from candle_hpo.engine.batch.layout import UNTYPED_GPU, Node

PARTITIONS_FORMAT = "%P|%l|%a"
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_MOST_HOSTS = 8


class Partition(msgspec.Struct, frozen=True):
    """A partition: `limit` is the most time that a job may ask for there, as SLURM writes it."""

    name: str
    is_default: bool
    limit: str
    is_up: bool

    @property
    def seconds(self) -> float:
        """The limit in seconds; infinite where there is none, or none that can be read."""
        found = time_left(self.limit)
        return math.inf if found is None else found


def partitions_of(answer: str) -> list[Partition]:
    """Return the partitions that `sinfo -h -o PARTITIONS_FORMAT` prints, each once, the default one first."""
    found: dict[str, Partition] = {}
    for line in answer.splitlines():
        fields = line.strip().split("|")
        if len(fields) == 3:
            name = fields[0].rstrip("*")
            found.setdefault(name, Partition(name, fields[0].endswith("*"), fields[1], fields[2] == "up"))
    return sorted(found.values(), key=lambda each: not each.is_default)


def new_site(cluster: str, host: str, nodes: Sequence[Node], partitions: Sequence[Partition]) -> str:
    """Return the text of a site's file: its machines, and a worker type for CPUs and for each type of GPU.

    Of several partitions, the one that is chosen has nodes in use, is the default one, or lets jobs run longest, or has
    the most nodes, in this order; all of them are named. Raises `MachineError` where SLURM shows no partition.
    """
    known = {each.name: each for each in partitions if each.is_up}
    usable = [node for node in nodes if node.partition in known]
    if not usable:
        raise MachineError("SLURM shows no partition that is up and has nodes; is this the cluster that you mean?")
    hosts = list(dict.fromkeys([_pattern(host), *(_pattern(node.name) for node in nodes)]))
    types = {"cpu": _worker_type("cpu", None, usable, known)}
    for gpu in sorted({name for node in usable for name in node.gpus}):
        types[gpu] = _worker_type(gpu or UNTYPED_GPU, gpu, usable, known)
    return "\n".join(
        [
            f"# The cluster {cluster}, as SLURM showed it on {host}. Look it over: which partitions you may use, SLURM",
            "# does not say. How many GPUs a node has is asked for each job, unless gpus_per_node says it.",
            "",
            f"description = {json.dumps(f'the cluster {cluster}')}",
            f"hosts = {json.dumps(hosts[:_MOST_HOSTS])}   # its machines, by which it is recognized",
            "# modules = []      # environment modules that every model needs here",
            "# sbatch_args = []  # arguments of every job, such as --account=mine",
            *(line for lines in types.values() for line in ["", *lines]),
            "",
        ]
    )


def _worker_type(name: str, gpu: str | None, nodes: Iterable[Node], partitions: dict[str, Partition]) -> list[str]:
    """Return the lines of a worker type: that of CPUs (None), of GPUs of a type, or of those without one ("")."""
    fitting = [node for node in nodes if gpu is None or node.gpus.get(gpu)]

    def rank(partition: str) -> tuple[bool, bool, float, int]:
        there = [node for node in fitting if node.partition == partition]
        known = partitions[partition]
        # Nodes with GPUs are for those who need them.
        has_gpus = gpu is None and all(node.gpus for node in there)
        return (
            any(node.is_in_use for node in there) and not has_gpus,
            known.is_default,
            known.seconds,
            len(there),
        )

    names = sorted({node.partition for node in fitting}, key=rank, reverse=True)
    first, others = names[0], [f"{each} ({partitions[each].limit})" for each in names[1:]]
    more = f"; also: {', '.join(others)}" if others else ""
    lines = [
        f"[worker_types.{name if _BARE_KEY.fullmatch(name) else json.dumps(name)}]",
        f"partition = {json.dumps(first)}   # jobs may last {partitions[first].limit}{more}",
    ]
    if gpu is None:
        return lines
    counts = sorted({node.gpus[gpu] for node in fitting})
    machines = len({node.name for node in fitting})
    each = " or ".join(map(str, counts))
    plural = "node has" if machines == 1 else "nodes have"
    return [*lines, f"gpu = {json.dumps(name)}   # {machines:,} {plural} {each}"]


def _pattern(host: str) -> str:
    """Return a pattern for machines that are named as this one is, such as `cn[0-9]*`."""
    digit = re.search(r"\d", host)
    return host if digit is None else f"{host[: digit.start()]}[0-9]*"
