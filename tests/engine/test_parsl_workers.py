"""What candle takes for granted of Parsl and Parsl does not promise: an upgrade of it that breaks any fails here.

All that knows of Parsl is engine/pilot/parsl_workers.py. The workers are real, on this machine; `srun` alone is a fake,
which runs its command here, in its own process group. On a cluster of several nodes, tests/system/slurm runs them.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from support.fake_srun import SRUN

ADVICE = f"(Parsl {version('parsl')}; see engine/pilot/parsl_workers.py, and fix it there or keep this version out)"

# Each task is an expression, for a builtin can be sent to any worker.
CAMPAIGN = """
import json, logging, os, pathlib, sys, time
import psutil
from candle_hpo.engine.pilot.pool import ClusterPool
from candle_hpo.engine.pilot.worker import node_name

def sees(condition, seconds):
    latest = time.monotonic() + seconds
    while not condition() and time.monotonic() < latest:
        time.sleep(0.05)
    return condition()

pool, seen = ClusterPool(pathlib.Path(sys.argv[1]), [2]), {}
look = "(__import__('time').sleep(0.5), __import__('os').getppid(), int(__import__('os').environ['PARSL_WORKER_RANK']))"
places = [each.result(60) for each in [pool.submit(eval, look) for _ in range(4)]]
(server,) = {parent for _, parent, _ in places}
seen["numbers"] = sorted({number for _, _, number in places})
seen["forked by"] = psutil.Process(server).cmdline()
seen["manager"] = psutil.Process(server).parent().cmdline()
seen["imported"] = sorted(sys.modules)
seen["imported by workers"] = pool.submit(eval, "sorted(__import__('sys').modules)").result(60)
seen["managers"] = list(pool._managers)
seen["addresses"] = pool.channel.hosts
seen["keys in files"] = [
    str(path) for path in pathlib.Path(sys.argv[1]).rglob("*")
    if path.is_file() and any(key in path.read_bytes() for key in (pool.channel.campaign, pool.channel.secret))
]

pool.exclude(node_name())
waiting = pool.submit(os.getpid)
seen["is handed to an excluded node"] = sees(waiting.done, 2)

processes = psutil.Process().children(recursive=True)
psutil.Process(server).parent().kill()
fault = waiting.exception(60)
seen["fault"] = [type(fault).__name__, str(fault)]
try:
    pool.submit(os.getpid)
    seen["afterwards"] = "another task was taken"
except RuntimeError as error:
    seen["afterwards"] = str(error)
class Logged(logging.Handler):
    def emit(self, record):
        seen["logged"].append(record.getMessage())
seen["logged"] = []
logging.getLogger("parsl.programs").addHandler(Logged())
pool.shutdown()
psutil.wait_procs(processes, timeout=20)
seen["left"] = [each.cmdline() for each in processes if each.is_running() and each.status() != "zombie"]
seen["folder is left"] = pathlib.Path(sys.argv[1]).exists()
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    here = tmp_path_factory.mktemp("parsl")
    (here / "srun").write_text(SRUN)
    (here / "srun").chmod(0o755)
    (here / "workers").mkdir()
    environment = {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_NAME": "x"}
    command = [sys.executable, "-c", CAMPAIGN, str(here / "workers")]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"no worker runs anything {ADVICE}:\n{done.stdout}{done.stderr}"
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_each_node_has_the_workers_that_it_is_to_have(seen: dict[str, Any]) -> None:
    assert seen["numbers"] == [0, 1], f"`--max_workers_per_node`, `PARSL_WORKER_RANK` {ADVICE}"
    assert len(seen["managers"]) == 1, f"`PARSL_WORKER_POOL_ID` {ADVICE}"


def test_the_channel_takes_the_addresses_that_managers_try_and_its_keys_lie_in_no_file(seen: dict[str, Any]) -> None:
    assert seen["addresses"] == ["127.0.0.1"], f"`all_addresses` {ADVICE}"
    assert seen["keys in files"] == []


def test_workers_are_forked_from_one_process_and_not_started_each(seen: dict[str, Any]) -> None:
    assert "forkserver" in " ".join(seen["forked by"]), f"`parsl.multiprocessing.SpawnContext` {ADVICE}"
    assert "process_worker_pool" in seen["manager"], f"the manager's command line {ADVICE}"


def test_neither_campaign_nor_workers_import_what_takes_long_and_is_not_used(seen: dict[str, Any]) -> None:
    assert "parsl.executors.high_throughput.executor" in seen["imported"]
    assert "sqlalchemy" not in seen["imported"], f"it is imported at the start of every job {ADVICE}"
    besides = {"parsl.dataflow.dflow", "parsl.executors.flux", "parsl.providers", "sqlalchemy"}
    assert not besides & set(seen["imported by workers"]), f"they are imported on every node {ADVICE}"


def test_an_excluded_node_is_handed_nothing(seen: dict[str, Any]) -> None:
    assert not seen["is handed to an excluded node"], f"`_hold_manager` {ADVICE}"


def test_lost_workers_are_noticed_and_leave_nothing(seen: dict[str, Any]) -> None:
    kind, text = seen["fault"]
    assert (kind, text[:19]) == ("WorkerStopped", "its worker was lost"), f"the errors of lost workers {ADVICE}: {text}"
    assert seen["afterwards"] == "all workers of the job are lost", f"`bad_state_is_set` {ADVICE}"
    assert seen["left"] == []
    assert not seen["folder is left"]


IMPORTS = """
import sys
from candle_hpo.engine.pilot.parsl_workers import _module_of, _only_what_programs_need
with _only_what_programs_need():
    __import__(_module_of(sys.argv[1]))
print(*sys.modules)
"""


@pytest.mark.parametrize("name", ["interchange", "process_worker_pool"])
def test_parsls_programs_import_what_they_need_and_no_more(name: str) -> None:
    """A change of Parsl that breaks this would end every job at its start."""
    command = [sys.executable, "-c", IMPORTS, name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{name} needs more of Parsl {ADVICE}:\n{done.stderr}"
    imported = done.stdout.split()
    assert f"parsl.executors.high_throughput.{name}" in imported
    assert not {"parsl.dataflow.dflow", "parsl.executors.flux", "parsl.providers", "sqlalchemy"} & set(imported), ADVICE


SOURCE = Path(__file__).parents[2] / "src" / "candle_hpo"


def test_one_file_alone_knows_parsl() -> None:
    knowing = {
        path.name
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(each.name.partition(".")[0] == "parsl" for each in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "parsl")
        or (isinstance(node, ast.Constant) and str(node.value).startswith(("PARSL_", "parsl.")))
    }
    assert knowing == {"parsl_workers.py"}


def test_faults_of_its_programs_are_logged_before_their_files_go(seen: dict[str, Any]) -> None:
    (killed,) = [line for line in seen["logged"] if " Killed " in line]
    assert ".err: " in killed
    assert "process_worker_pool" in killed


FAULTS = """
import logging, pathlib, sys
from parsl.log_utils import set_file_logger
from candle_hpo.engine.pilot.parsl_workers import log_faults

folder = pathlib.Path(sys.argv[1]) / "block-0" / "17"
folder.mkdir(parents=True)
end = set_file_logger(str(folder / "manager.log"), name="theirs", level=logging.DEBUG)
for number in range(30):
    logging.getLogger("theirs").info("WARNING: this is only information")
    logging.getLogger("theirs").warning("lost %d", number)
logging.getLogger("theirs").critical("all lost")
end()
logging.basicConfig(stream=sys.stdout, format="%(name)s %(message)s")
log_faults(folder.parent.parent)
"""


def test_warnings_and_errors_are_found_in_the_logs_of_its_programs(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS, str(tmp_path)], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert all(line.startswith("parsl.programs manager.log: ") for line in lines), ADVICE
    assert [line.rpartition(": ")[2] for line in lines] == [*(f"lost {number}" for number in range(11, 30)), "all lost"]
