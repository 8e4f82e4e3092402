"""Each node with its own network: ports that are blocked, addresses that lead nowhere, and who is contacted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from candle_hpo.core.objective import Direction, Objective
from candle_hpo.record.events import AnyEvent, TrialReported
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events
from conftest import WriteInput
from support.networks import CONTROLLER, DECOY, NETWORK, NOBODY, NetworkedCluster, why_no_networks
from support.slurm_cluster import why_not

pytestmark = pytest.mark.slurm

SCRIPT = """
    import time
    for epoch in (1, 2):
        print(f"epoch {epoch}: loss {hyperparams['x']}", flush=True)
        time.sleep(0.5)
"""
CONTROL = """nworkers=3
mem_per_cpu=1
walltime=00:10:00
custom_sbatch_args='--nodes=3 --ntasks-per-node=1'
stopping=asha
max_steps=2
result_pattern='epoch (?P<epoch>[0-9]+): loss (?P<loss>[0-9.]+)'"""
PORTS = "54000-55000"  # of which Parsl takes one


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[NetworkedCluster]:
    if lacking := why_not() or why_no_networks():
        pytest.skip(lacking)
    cluster = NetworkedCluster(tmp_path / "cluster", nodes=3)
    try:
        yield cluster
    finally:
        cluster.stop()


def test_a_node_that_cannot_reach_the_campaign_says_so_and_joins_late_and_nobody_else_is_contacted(
    write_input: WriteInput, here: Path, cluster: NetworkedCluster
) -> None:
    def candle(*arguments: str | Path) -> str:
        command = cluster.at("slurmctld", [sys.executable, "-m", "candle_hpo", *map(str, arguments)])
        environment = {**os.environ, **cluster.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def history() -> History:
        return History(Objective(Direction.MINIMIZE, "loss"), events())

    def events() -> list[AnyEvent]:
        return list(read_events(here / "last-candle-job" / "events.jsonl"))

    def reported_from() -> set[str]:
        """The nodes of trials whose reports have come to the campaign while they ran."""
        reported = {each.number for each in events() if isinstance(each, TrialReported)}
        rows = [row for number, row in history().trials.items() if number in reported]
        return {row.outcome.place.node for row in rows if row.outcome and row.outcome.place}

    def wait_until(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, candle("status")
            time.sleep(0.2)

    cluster.cut("n3", PORTS)
    candle("submit-job", write_input(SCRIPT, CONTROL, "x = 0", "\n".join(json.dumps({"x": x}) for x in range(600))))
    wait_until(lambda: bool(history().lacking))
    (reason,) = history().lacking
    port = reason.rpartition(":")[2]
    assert reason == f"n3: cannot reach {DECOY}:{port}, {NETWORK}.1:{port}"
    assert f"No workers on {reason}" in candle("status")
    wait_until(lambda: reported_from() == {"n1", "n2"})
    cluster.restore("n3", PORTS)
    wait_until(lambda: reported_from() == {"n1", "n2", "n3"})
    assert not history().lacking
    candle("cancel")
    cluster.wait_until_empty(60)

    nodes = {f"{NETWORK}.{number}" for number in (1, 2, 3)}
    assert {address for _, address, _ in cluster.contacts()} == nodes | {CONTROLLER}
    # Others would be seen, and who asks for a name.
    subprocess.run(cluster.at("n3", ["bash", "-c", f"echo > /dev/udp/{NETWORK}.77/80"]), check=False)
    assert subprocess.run(cluster.at("n2", ["timeout", "1", "getent", "hosts", "nobody.invalid"])).returncode != 0
    wait_until(lambda: {("arp", f"{NETWORK}.77", 0), ("arp", NOBODY, 0)} <= cluster.contacts())
