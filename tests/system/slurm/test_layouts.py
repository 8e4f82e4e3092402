"""A cluster whose nodes differ: they have four, two, two and two GPUs of AMD, pretended ones; all else is real."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from candle_hpo.core.site import WorkerType
from candle_hpo.engine.batch.site import read_site
from conftest import Candle, WriteInput
from support.slurm_cluster import SlurmCluster, why_not

GPUS = {"n1": 4, "n2": 2, "n3": 2, "n4": 2}
SCRIPT = """
    import json, os, time
    names = ("SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
    print(json.dumps([os.environ.get(name) for name in names]))
    time.sleep(1)
    val_to_return = hyperparams["x"]
"""


class MixedCluster(SlurmCluster):
    """The same cluster with other GPUs, of which SLURM sets AMD's variable alone."""

    def _write_configuration(self) -> None:
        super()._write_configuration()
        for number in range(2, max(GPUS.values())):
            os.mknod(self.folder / "devices" / f"nvidia{number}", stat.S_IFCHR | 0o666, os.makedev(195, number))
        lines: list[str] = []
        for line in (self.folder / "slurm.conf").read_text().splitlines():
            if line.startswith("NodeName="):
                ports = line.partition("Port=[")[2].partition("-")[0]
                for place, (node, count) in enumerate(GPUS.items()):
                    one = line.replace("n[1-4]", node).replace("k80:2", f"MI250:{count}")
                    lines.append(one.replace(f"[{one.partition('[')[2].partition(']')[0]}]", str(int(ports) + place)))
            else:
                lines.append(line)
        (self.folder / "slurm.conf").write_text("\n".join(lines) + "\n")
        (self.folder / "gres.conf").write_text(
            "".join(
                f"NodeName={node} Name=gpu Type=MI250 Count={count} Flags=amd_gpu_env "
                f"File={self.folder}/devices/nvidia[0-{count - 1}]\n"
                for node, count in GPUS.items()
            )
        )


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    if lacking := why_not():
        pytest.skip(lacking)
    cluster = MixedCluster(tmp_path_factory.mktemp("slurm"))
    try:
        yield cluster
    finally:
        cluster.stop()


def test_workers_are_laid_out_on_the_gpus_that_nodes_have_and_what_cannot_be_is_refused(
    write_input: WriteInput, here: Path, candle: Candle, slurm: SlurmCluster
) -> None:
    grid = "\n".join(json.dumps({"x": x}) for x in range(12))
    control = "worker_type=mi250\nmem_per_cpu=1"
    done = candle("submit-job", write_input(SCRIPT, f"nworkers=9\n{control}", "x = 0", grid), **slurm.environment)
    assert done.returncode == 2
    assert (
        "nworkers=9: there are no nodes with MI250 GPUs for so many workers, as many on each; there are, at most, for "
        "nworkers=4 (1 node), nworkers=8 (4 nodes with 2 each) in partitions norm, gpu"
    ) in done.stderr
    done = candle("submit-job", write_input(SCRIPT, f"nworkers=5\n{control}", "x = 0", grid), **slurm.environment)
    assert done.returncode == 0, done.stderr
    assert "5 workers become 6: 3 nodes with 2 GPUs each, all of them used" in done.stdout
    slurm.wait_until_empty(90)
    assert "12 trials: 12 completed" in candle("status", **slurm.environment).stdout
    seen = [json.loads(path.read_text()) for path in here.glob("last-candle-job/run/*/subprocess_out_and_err.txt")]
    assert {cuda for _, cuda, _ in seen} == {None}
    assert len({(node, gpu) for node, _, gpu in seen}) == 6, seen
    assert {gpu for _, _, gpu in seen} == {"0", "1"}


def test_a_site_file_is_written_from_what_slurm_says(here: Path, candle: Candle, slurm: SlurmCluster) -> None:
    environment = {**slurm.environment, "XDG_CONFIG_HOME": str(here / "config")}
    done = candle("site", "--new", **environment)
    assert done.returncode == 0, done.stderr
    file = here / "config/candle/sites/candletest.toml"
    assert file.read_text() in done.stdout
    assert "It is in use here from now on" in done.stdout
    site = read_site(file)
    assert site.worker_types == {"cpu": WorkerType("norm"), "MI250": WorkerType("norm", "MI250")}
    assert f"Site: {file.stem} " in candle("site", **environment).stdout
    again = candle("site", "--new", **environment)
    assert again.returncode == 2
    assert f"{file} is there already, and is kept" in again.stderr
