"""How workers with GPUs are laid out on a cluster's nodes, from what SLURM says of these. Pure functions."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from candle_hpo.core.errors import InputError
from candle_hpo.engine.devices import OWN_GPU, GpuShare

# The worker type that stands for GPUs of any type, and for those to which a cluster gives none (`Gres=gpu:4`).
UNTYPED_GPU = "gpu"

NODES_FORMAT = "%P|%N|%G|%c|%m|%T"

# States of a node (sinfo(1), "NODE STATE CODES") in which it takes no job until somebody sees to it.
_NOT_IN_USE = re.compile(r"(down|drain|fail|error|unknown|future|inval)", re.IGNORECASE)
_GPUS = re.compile(r"(?:^|,)gpu(?::(\(null\)|[^:,()]+))?:(\d+)", re.IGNORECASE)
_UNLIMITED = math.inf


class Node(msgspec.Struct, frozen=True):
    """A node in one of its partitions: how many GPUs of each type it has (`""` where that has no name), and CPUs."""

    partition: str
    is_of_default: bool
    name: str
    gpus: dict[str, int]
    cpus: int
    megabytes: int
    is_in_use: bool

    def count(self, gpu: str) -> int:
        """Return how many GPUs of this name the node has; of any, where the name is that of the untyped."""
        return sum(self.gpus.values()) if gpu == UNTYPED_GPU else self.gpus.get(gpu, 0)


class Allocation(msgspec.Struct, frozen=True):
    """What is asked of SLURM: `workers` workers, each with its CPUs and, perhaps, its GPU.

    On a GPU node `per_node` workers share the node, with `gpus` GPUs; CPU workers are left for SLURM to place (None).
    """

    workers: int
    nodes: int | None = None
    per_node: int | None = None
    gpus: int | None = None


def nodes_of(answer: str) -> list[Node]:
    """Return the nodes that `sinfo -h -N -o NODES_FORMAT` prints, each once in each of its partitions.

    A line is for instance `gpu*|cn1|gpu:k80:4(S:0-1),lscratch:800|56|257000+|mixed`; one of another form is of no node.
    """
    nodes: list[Node] = []
    for line in answer.splitlines():
        fields = line.strip().split("|")
        if len(fields) != 6:
            continue
        partition, name, resources, cpus, megabytes, state = fields
        gpus: Counter[str] = Counter()
        for kind, count in _GPUS.findall(resources):
            gpus["" if kind in ("", "(null)") else kind] += int(count)
        is_in_use = not _NOT_IN_USE.match(state)
        is_of_default = partition.endswith("*")
        nodes.append(
            Node(partition.rstrip("*"), is_of_default, name, dict(gpus), _number(cpus), _number(megabytes), is_in_use)
        )
    return nodes


def _number(text: str) -> int:
    """Return the number that a text begins with; 0 where there is none."""
    match = re.match(r"\d+", text)
    return int(match[0]) if match else 0


def name_of_gpu(nodes: Iterable[Node], wanted: str) -> str | None:
    """Return what SLURM calls GPUs of this name, in whatever case it is written; None: no node has any."""
    known = {name for node in nodes for name in node.gpus}
    if wanted.lower() == UNTYPED_GPU:
        return UNTYPED_GPU if known else None
    return wanted if wanted in known else next((each for each in known if each.lower() == wanted.lower()), None)


def names_of_gpus(nodes: Iterable[Node]) -> list[str]:
    """Return the worker types that there can be, for messages."""
    return sorted({name or UNTYPED_GPU for node in nodes for name in node.gpus})


def of_partitions(nodes: Sequence[Node], partitions: str | None) -> list[list[Node]]:
    """Return the nodes of each partition where a job may run: those named, `a,b`, or all, the default one first."""
    if partitions is not None:
        names = partitions.split(",")
    else:
        names = [node.partition for node in sorted(nodes, key=lambda node: not node.is_of_default)]
    return [[node for node in nodes if node.partition == name] for name in dict.fromkeys(names)]


def choose_layout(
    workers: int, gpu: str, partitions: Sequence[Sequence[Node]], share: GpuShare, cpus: int, megabytes: int
) -> tuple[Allocation, str]:
    """Return how so many workers are laid out, and in which partition; each has so many CPUs, and so much memory.

    Nodes that are in use come first, and such as have the CPUs and the memory by what SLURM says; but it may count them
    otherwise, and what is down may come back. Raises `InputError` for what the cluster has not the GPUs for.
    """

    def fitting(node: Node) -> int:
        by_memory = node.megabytes // megabytes if megabytes else node.cpus
        units = min(node.count(gpu) // share.gpus, min(node.cpus // cpus, by_memory) // share.trials)
        return units * share.gpus if node.is_in_use else 0

    views = (fitting, lambda node: node.count(gpu) if node.is_in_use else 0, lambda node: node.count(gpu))
    for nodes in partitions:
        for view in views:
            found = plan_allocation(workers, Counter(map(view, nodes)), share)
            if found is not None:
                return found, nodes[0].partition
    raise InputError(_refusal(workers, gpu, partitions, share))


def plan_allocation(workers: int, nodes_by_gpus: Mapping[int, float], share: GpuShare = OWN_GPU) -> Allocation | None:
    """Return how so many workers are laid out evenly, on as few nodes as that allows; None: there is no such layout.

    `nodes_by_gpus` is how many nodes have so many GPUs. GPUs are given out by `share`; what is laid out is units of it:
    a GPU with its trials, or a trial with its GPUs. The largest number of units a node that divides all of them is
    taken, if it uses at least half of a node's; else they are rounded up to fill nodes evenly.
    """
    capacities: Counter[int] = Counter()
    for gpus, nodes in nodes_by_gpus.items():
        capacities[gpus // share.gpus] += nodes  # type: ignore[assignment]  # it may be unlimited
    units = _units(-(-workers // share.trials), capacities)
    if units is None:
        return None
    nodes, per_node = units
    return Allocation(nodes * per_node * share.trials, nodes, per_node * share.trials, per_node * share.gpus)


def unlimited(gpus_per_node: int) -> Mapping[int, float]:
    """Return nodes with so many GPUs, of which nobody knows how many there are."""
    return {gpus_per_node: _UNLIMITED}


def _units(wanted: int, capacities: Mapping[int, float]) -> tuple[int, int] | None:
    """Return on how many nodes there are how many units each, with as many as are wanted, or a few more."""
    most = max(capacities, default=0)
    even = [(wanted // each, each) for each in range(min(most, wanted), 0, -1) if wanted % each == 0]
    rounded = [_rounded_up(wanted, each) for each in range(most, 0, -1)]
    even, rounded = ([each for each in layouts if _fits(*each, capacities)] for layouts in (even, rounded))
    if even and (even[0][1] * 2 >= min(most, wanted) or not rounded):
        return even[0]
    return rounded[0] if rounded else None


def _rounded_up(wanted: int, most: int) -> tuple[int, int]:
    nodes = -(-wanted // most)
    return nodes, -(-wanted // nodes)


def _fits(nodes: int, per_node: int, capacities: Mapping[int, float]) -> bool:
    return nodes <= _nodes_with(per_node, capacities)


def _nodes_with(units: int, capacities: Mapping[int, float]) -> float:
    return sum(nodes for capacity, nodes in capacities.items() if capacity >= units)


def _refusal(workers: int, gpu: str, partitions: Sequence[Sequence[Node]], share: GpuShare) -> str:
    """Return why there is no layout, and those with the most workers that there are."""
    most = max(node.count(gpu) for nodes in partitions for node in nodes)
    if most < share.gpus:
        return too_many_for_a_trial(most, share)
    kind = "GPUs" if gpu == UNTYPED_GPU else f"{gpu} GPUs"
    there_are: dict[str, list[str]] = {}
    for nodes in partitions:
        if layouts := _most_in(nodes, gpu, share):
            there_are.setdefault(layouts, []).append(nodes[0].partition)
    texts = (
        f"{layouts} in partition{'s' if len(names) > 1 else ''} {', '.join(names)}"
        for layouts, names in there_are.items()
    )
    return (
        f"nworkers={workers}: there are no nodes with {kind} for so many workers, as many on each; there are, at most, "
        f"for {'; '.join(texts)}"
    )


def _most_in(nodes: Sequence[Node], gpu: str, share: GpuShare) -> str:
    """Return the layouts on these nodes with which no other has as many workers on a node, and more in all."""
    capacities = Counter(units for node in nodes if (units := node.count(gpu) // share.gpus))
    texts: list[str] = []
    for units in sorted(capacities, reverse=True):
        count, each = int(_nodes_with(units, capacities)), units * share.trials
        texts.append(f"nworkers={count * each} ({'1 node' if count == 1 else f'{count} nodes with {each} each'})")
    return ", ".join(texts)


def too_many_for_a_trial(gpus: int, share: GpuShare) -> str:
    """Return what is wrong where a trial is to have more GPUs than a node has."""
    return f"gpus_per_trial: a node has {gpus} GPUs of this type; {share.gpus} for a trial are too many"
