"""How workers with GPUs are laid out on nodes, from SLURM's own texts. No SLURM is needed here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candle_hpo.core.errors import InputError
from candle_hpo.engine.batch.layout import (
    Allocation,
    choose_layout,
    name_of_gpu,
    names_of_gpus,
    nodes_of,
    of_partitions,
    plan_allocation,
    unlimited,
)
from candle_hpo.engine.devices import OWN_GPU, GpuShare, gpus_of_slot, hidden_gpus


@pytest.mark.parametrize(
    ("workers", "per_node", "expected"),
    [
        (1, 4, Allocation(1, 1, 1, 1)),
        (4, 4, Allocation(4, 1, 4, 4)),
        (6, 2, Allocation(6, 3, 2, 2)),
        (6, 4, Allocation(6, 2, 3, 3)),
        (8, 4, Allocation(8, 2, 4, 4)),
        (3, 4, Allocation(3, 1, 3, 3)),
        (5, 4, Allocation(6, 2, 3, 3)),  # rounded up: two nodes evenly, rather than five nodes with one GPU each
        (7, 4, Allocation(8, 2, 4, 4)),
        (1000, 4, Allocation(1000, 250, 4, 4)),
        (5, 1, Allocation(5, 5, 1, 1)),
    ],
)
def test_gpus_are_packed_on_few_nodes(workers: int, per_node: int, expected: Allocation) -> None:
    assert plan_allocation(workers, unlimited(per_node)) == expected


@given(st.integers(1, 2000), st.integers(1, 16))
def test_an_allocation_has_no_idle_gpu_and_few_too_many(workers: int, per_node: int) -> None:
    allocation = plan_allocation(workers, unlimited(per_node))
    assert allocation is not None
    assert allocation.nodes is not None
    assert allocation.per_node is not None
    assert allocation.workers == allocation.nodes * allocation.per_node
    assert workers <= allocation.workers < workers + per_node
    assert allocation.per_node <= per_node
    fewest = -(-workers // per_node)
    assert fewest <= allocation.nodes <= 2 * fewest


@given(st.integers(1, 60), st.lists(st.integers(0, 8), min_size=1, max_size=12))
def test_an_allocation_is_one_that_the_nodes_have(workers: int, gpus: list[int]) -> None:
    allocation = plan_allocation(workers, Counter(gpus))
    most = max(each * sum(gpu >= each for gpu in gpus) for each in range(1, 9))
    if allocation is None:
        assert workers > most, "there is a layout"
    else:
        assert workers <= allocation.workers <= most
        assert allocation.nodes is not None
        assert sum(each >= (allocation.gpus or 0) for each in gpus) >= allocation.nodes


@pytest.mark.parametrize(
    ("workers", "nodes", "expected"),
    [
        (5, {2: 4}, Allocation(6, 3, 2, 2)),
        (8, {4: 1, 2: 3}, Allocation(8, 4, 2, 2)),
        (4, {4: 1, 2: 3}, Allocation(4, 1, 4, 4)),
        (6, {4: 1, 2: 3}, Allocation(6, 3, 2, 2)),
        (7, {4: 1, 2: 3}, Allocation(8, 4, 2, 2)),
        (9, {4: 1, 2: 3}, None),
        (5, {4: 1, 1: 4}, Allocation(5, 5, 1, 1)),
        (9, {2: 4}, None),
        (1, {}, None),
    ],
)
def test_only_as_many_nodes_are_asked_for_as_have_the_gpus(
    workers: int, nodes: Mapping[int, float], expected: Allocation | None
) -> None:
    assert plan_allocation(workers, nodes) == expected


@pytest.mark.parametrize(
    ("workers", "share", "expected"),
    [
        (8, GpuShare(trials=4), Allocation(8, 1, 8, 2)),
        (10, GpuShare(trials=4), Allocation(12, 1, 12, 3)),
        (32, GpuShare(trials=4), Allocation(32, 2, 16, 4)),
        (4, GpuShare(gpus=2), Allocation(4, 2, 2, 4)),
        (2, GpuShare(gpus=4), Allocation(2, 2, 1, 4)),
        (2, GpuShare(gpus=3), Allocation(2, 2, 1, 3)),
        (2, GpuShare(gpus=5), None),
    ],
)
def test_gpus_are_laid_out_for_the_workers_that_share_them(
    workers: int, share: GpuShare, expected: Allocation | None
) -> None:
    assert plan_allocation(workers, unlimited(4), share) == expected


SINFO = """norm*|c1|(null)|64|256000|idle
gpu|g1|gpu:A100:4(S:0,2),lscratch:800|64|257000+|mixed
gpu|g2|gpu:A100:2,gpu:k80:2|8|64000|allocated
gpu|g3|gpu:A100:2|8|64000|idle
gpu|g4|gpu:A100:2|8|64000|down*
mig|m1|gpu:a100_3g.20gb:2(S:0),gpu:a100_1g.5gb:3|64|257000|idle
old|o1|gpu:2|8|64000|idle
old|o2|gpu:(null):2(S:0-1)|8|64000|drained
"""


def layout(workers: int, kind: str, partition: str | None, share: GpuShare = OWN_GPU) -> tuple[Allocation, str]:
    named = of_partitions(nodes_of(SINFO), partition)
    gpu = name_of_gpu([node for nodes in named for node in nodes], kind)
    assert gpu is not None
    return choose_layout(workers, gpu, named, share, cpus=1, megabytes=7168)


@pytest.mark.parametrize(
    ("kind", "partition", "name"),
    [
        ("a100", "gpu", "A100"),
        ("A100", None, "A100"),
        ("K80", "gpu", "k80"),
        ("k80", "norm", None),
        ("k8", None, None),
        ("A100_3G.20GB", "mig", "a100_3g.20gb"),
        ("gpu", "old", "gpu"),
        ("GPU", "gpu", "gpu"),
        ("gpu", "norm", None),
        ("a100", "old", None),
    ],
)
def test_gpus_are_known_by_their_names_in_any_case(kind: str, partition: str | None, name: str | None) -> None:
    named = of_partitions(nodes_of(SINFO), partition)
    assert name_of_gpu([node for nodes in named for node in nodes], kind) == name


def test_all_names_are_known_and_that_of_gpus_without_one() -> None:
    assert names_of_gpus(nodes_of(SINFO)) == ["A100", "a100_1g.5gb", "a100_3g.20gb", "gpu", "k80"]


@pytest.mark.parametrize(
    ("workers", "kind", "partition", "expected"),
    [
        (4, "a100", None, (Allocation(4, 1, 4, 4), "gpu")),
        (6, "a100", "gpu", (Allocation(6, 3, 2, 2), "gpu")),
        (8, "a100", "gpu", (Allocation(8, 4, 2, 2), "gpu")),  # with the one that is down, which may come back
        (4, "gpu", "gpu", (Allocation(4, 1, 4, 4), "gpu")),  # of any type
        (2, "gpu", "old,norm", (Allocation(2, 1, 2, 2), "old")),
        (3, "a100_1g.5gb", None, (Allocation(3, 1, 3, 3), "mig")),
    ],
)
def test_a_layout_is_of_the_nodes_of_one_partition(
    workers: int, kind: str, partition: str | None, expected: tuple[Allocation, str]
) -> None:
    assert layout(workers, kind, partition) == expected


def test_nodes_without_the_cpus_or_the_memory_come_last() -> None:
    nodes = [nodes_of("gpu|g1|gpu:k80:4|4|256000|idle\ngpu|g2|gpu:k80:4|4|256000|idle\n")]
    assert choose_layout(4, "k80", nodes, OWN_GPU, cpus=2, megabytes=7168) == (Allocation(4, 2, 2, 2), "gpu")
    assert choose_layout(4, "k80", nodes, OWN_GPU, cpus=1, megabytes=128_000) == (Allocation(4, 2, 2, 2), "gpu")
    assert choose_layout(8, "k80", nodes, OWN_GPU, cpus=2, megabytes=7168) == (Allocation(8, 2, 4, 4), "gpu")


@pytest.mark.parametrize(
    ("workers", "kind", "share", "text"),
    [
        (
            9,
            "a100",
            OWN_GPU,
            "nworkers=9: there are no nodes with A100 GPUs for so many workers, as many on each; there are, at most, "
            "for nworkers=4 (1 node), nworkers=8 (4 nodes with 2 each) in partition gpu",
        ),
        (4, "gpu", GpuShare(gpus=5), "gpus_per_trial: a node has 4 GPUs of this type; 5 for a trial are too many"),
        (30, "k80", GpuShare(trials=3), "there are, at most, for nworkers=6 (1 node) in partition gpu"),
    ],
)
def test_what_can_never_start_is_refused_with_the_layouts_that_can(
    workers: int, kind: str, share: GpuShare, text: str
) -> None:
    with pytest.raises(InputError) as raised:
        layout(workers, kind, "gpu", share)
    assert text in str(raised.value)


ALL = {"CUDA_VISIBLE_DEVICES": "0,1", "ROCR_VISIBLE_DEVICES": "0,1", "ZE_AFFINITY_MASK": "0,1", "HOME": "/"}


@pytest.mark.parametrize(
    ("environment", "is_amd", "slot", "share", "own"),
    [
        ({"CUDA_VISIBLE_DEVICES": "2,5"}, False, 1, OWN_GPU, {"CUDA_VISIBLE_DEVICES": "5"}),
        ({"CUDA_VISIBLE_DEVICES": "MIG-8a,MIG-9b"}, False, 1, OWN_GPU, {"CUDA_VISIBLE_DEVICES": "MIG-9b"}),
        ({"ROCR_VISIBLE_DEVICES": "2,5"}, True, 1, OWN_GPU, {"ROCR_VISIBLE_DEVICES": "5"}),
        ({"ROCR_VISIBLE_DEVICES": "0,1,2,3"}, True, 1, GpuShare(gpus=2), {"ROCR_VISIBLE_DEVICES": "2,3"}),
        ({"ZE_AFFINITY_MASK": "0.0,0.1"}, False, 1, OWN_GPU, {"ZE_AFFINITY_MASK": "0.1"}),
        (ALL, False, 1, OWN_GPU, {name: "1" for name in ALL if name != "HOME"}),
        # There, CUDA_VISIBLE_DEVICES is heeded too, and counts what ROCR_VISIBLE_DEVICES has left.
        (ALL, True, 1, OWN_GPU, {"CUDA_VISIBLE_DEVICES": "0", "ROCR_VISIBLE_DEVICES": "1", "ZE_AFFINITY_MASK": "0"}),
        ({"CUDA_VISIBLE_DEVICES": "0", "ROCR_VISIBLE_DEVICES": "0,1"}, True, 1, OWN_GPU, {"ROCR_VISIBLE_DEVICES": "1"}),
        ({"CUDA_VISIBLE_DEVICES": "0"}, False, 1, OWN_GPU, None),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, False, 0, OWN_GPU, None),
        ({}, False, 0, OWN_GPU, None),
    ],
)
def test_a_worker_sees_its_own_gpus_whoever_made_them(
    here: Path,
    environment: dict[str, str],
    is_amd: bool,
    slot: int,
    share: GpuShare,
    own: dict[str, str] | None,
) -> None:
    driver = here / "kfd"
    if is_amd:
        driver.touch()
    assert gpus_of_slot(slot, share, environment, driver) == own


def test_a_worker_without_a_gpu_sees_none() -> None:
    assert hidden_gpus(ALL) == {"CUDA_VISIBLE_DEVICES": "", "ROCR_VISIBLE_DEVICES": ""}
    assert hidden_gpus({}) == {}
