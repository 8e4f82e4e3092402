"""The file of a new site, from what SLURM says of the cluster."""

from __future__ import annotations

import msgspec
import pytest

from candle_hpo.core.errors import MachineError
from candle_hpo.core.site import Site, WorkerType
from candle_hpo.engine.batch.layout import nodes_of
from candle_hpo.engine.batch.new_site import new_site, partitions_of

NODES = """
norm*|cn0001|(null)|56|257000|idle
norm*|cn0002|(null)|56|257000|mixed
long|cn0001|(null)|56|257000|idle
debug|gpu-a1|gpu:a100-sxm4:4(S:0-1)|64|515000|mixed
gpu|gpu-a1|gpu:a100-sxm4:4(S:0-1)|64|515000|mixed
gpu|gpu-a2|gpu:a100-sxm4:2|64|515000|idle
gpu|gpu-k1|gpu:k80:4|56|257000|down
old|gpu-k2|gpu:k80:2|56|257000|idle
any|x1|gpu:8|56|257000|idle
closed|z9|gpu:h100:8|56|257000|idle
"""
PARTITIONS = """
debug|30:00|up
norm*|10-00:00:00|up
long|infinite|up
gpu|10-00:00:00|up
old|2-00:00:00|up
any|1:00:00|up
closed|1:00:00|inact
"""


def test_a_new_site_is_what_slurm_says() -> None:
    text = new_site("hill", "login2.hill.edu", nodes_of(NODES), partitions_of(PARTITIONS))
    assert msgspec.toml.decode(text, type=Site) == Site(
        description="the cluster hill",
        hosts=("login[0-9]*", "cn[0-9]*", "gpu-a[0-9]*", "gpu-k[0-9]*", "x[0-9]*", "z[0-9]*"),
        worker_types={
            "cpu": WorkerType("norm"),
            "a100-sxm4": WorkerType("gpu", "a100-sxm4"),
            "k80": WorkerType("old", "k80"),  # its nodes in the other one are down
            "gpu": WorkerType("any", "gpu"),
        },
    )
    assert 'partition = "gpu"   # jobs may last 10-00:00:00; also: debug (30:00)' in text
    assert 'gpu = "a100-sxm4"   # 2 nodes have 2 or 4' in text


def test_processor_workers_are_not_sent_to_nodes_with_gpus() -> None:
    nodes = nodes_of("gpu*|g1|gpu:a100:4|64|515000|idle\ncpu|c1|(null)|64|515000|idle")
    text = new_site("hill", "hill", nodes, partitions_of("gpu*|1:00|up\ncpu|1:00|up"))
    assert msgspec.toml.decode(text, type=Site).worker_types["cpu"].partition == "cpu"


@pytest.mark.parametrize("partitions", ["", "norm*|1:00|down"])
def test_a_cluster_without_a_partition_is_none(partitions: str) -> None:
    with pytest.raises(MachineError, match="no partition that is up and has nodes"):
        new_site("hill", "hill", nodes_of(NODES), partitions_of(partitions))
