"""What candle takes for granted of Parsl and Parsl does not promise: an upgrade of it that breaks any fails here.

All that knows of Parsl is engine/pilot/parsl_workers.py and parsl_programs.py. The workers are real, on this machine;
`srun` alone is a fake, which runs its command here, in its own process group. On a cluster of several nodes,
tests/system/slurm runs them.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from candle_hpo.engine.pilot.parsl_workers import own_addresses
from support.fake_srun import SRUN

pytestmark = pytest.mark.slow

ADVICE = f"(Parsl {version('parsl')}; see engine/pilot/parsl_workers.py, and fix it there or keep this version out)"

# Each task is an expression, for a builtin can be sent to any worker. Lost managers are noticed sooner than in a job.
CAMPAIGN = """
import contextlib, json, logging, os, pathlib, signal, sys, time
import psutil
from candle_hpo.core.news import PlacesChanged, StopAsked
from candle_hpo.engine.pilot import parsl_workers
from candle_hpo.engine.pilot.pool import ClusterPool
parsl_workers._HEARTBEAT_SECONDS, parsl_workers._ENDS_AFTER_SECONDS, parsl_workers.LOST_AFTER_SECONDS = 1, 6, 7

def sees(condition, seconds):
    latest = time.monotonic() + seconds
    while not condition() and time.monotonic() < latest:
        time.sleep(0.05)
    return condition()

def places():
    return [each.places for each in news if isinstance(each, PlacesChanged)]

here = "__import__('os').environ['SLURMD_NODENAME']"
folder, seen, news = pathlib.Path(sys.argv[1]), {}, []
pool = ClusterPool(folder, {"n1": 2, "n2": 1})
pool.start_workers(news.append)
seen["all come"] = sees(lambda: places()[-1:] == [3], 60)
number = "int(__import__('os').environ['PARSL_WORKER_RANK'])"
look = f"(__import__('time').sleep(0.5), {here}, __import__('os').getppid(), {number})"
found = [each.result(60)[1:] for each in [pool.submit(eval, look) for _ in range(6)]]
seen["places"] = sorted({(node, number) for node, _, number in found})
seen["servers"] = sorted({node for node, parent, _ in found}), len({parent for _, parent, _ in found})
(server,) = {parent for node, parent, _ in found if node == "n1"}
seen["forked by"] = psutil.Process(server).cmdline()
seen["manager"] = psutil.Process(server).parent().cmdline()
seen["imported"] = sorted(sys.modules)
seen["imported by workers"] = pool.submit(eval, "sorted(__import__('sys').modules)").result(60)
seen["workers"] = pool.workers_on("n1"), pool.workers_on("n3")
seen["withheld"] = [pool.withhold(frozenset(each)) for each in ({"n1:1"}, {"n1", "n1:1"}, {"n1", "n2:0", "n9:0"})]
held = [pool.submit(os.getpid) for _ in range(2)]
seen["is handed to one that is held"] = sees(lambda: any(each.done() for each in held), 2)
pool.withhold(frozenset({"n1:1"}))
seen["is handed to others then"] = len([each.result(60) for each in held])
beside = [each.result(60) for each in [pool.submit(eval, look) for _ in range(6)]]
seen["run beside a worker that is held"] = sorted({(node, number) for _, node, _, number in beside})
pool.withhold(frozenset())
seen["connected"] = {name: list(each) for name, each in pool._workers.connected().items()}
seen["addresses"] = pool.channel.hosts
seen["keys in files"] = [
    str(path) for path in folder.rglob("*")
    if path.is_file() and any(key in path.read_bytes() for key in (pool.channel.campaign, pool.channel.secret))
]

pool.exclude("n2")
seen["is excluded"] = sees(lambda: places()[-1] == 2, 20)
time.sleep(1)  # the interchange hears of it a moment later
seen["afterwards"] = sorted({each.result(60) for each in [pool.submit(eval, here) for _ in range(8)]})

def send(number, processes):
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # one that had done its work
            each.send_signal(number)

manager = psutil.Process(server).parent()
on_node = [manager, *manager.children(recursive=True)]
running = pool.submit(eval, f"(__import__('time').sleep(9), {here})[1]")
sees(lambda: any(each.tasks for each in pool._workers.connected().values()), 20)
everything = psutil.Process().children(recursive=True)
send(signal.SIGSTOP, everything)  # as SLURM suspends a job; for longer than a manager may be silent
time.sleep(8)
send(signal.SIGCONT, everything)
seen["runs on after a pause of all"] = running.exception(60) or running.result()
seen["tries after a pause of all"] = sorted(pool._workers.connected())
alone = pool.submit(eval, "__import__('time').sleep(600)")
sees(lambda: any(each.tasks for each in pool._workers.connected().values()), 20)
before = len(places())
send(signal.SIGSTOP, on_node)
fault = alone.exception(60)
seen["fault of a pause alone"] = [type(fault).__name__, str(fault)]
send(signal.SIGCONT, on_node)
seen["comes again after a pause alone"] = sees(lambda: 0 in places()[before:] and places()[-1] == 2, 60)
logs = [path.read_text() for path in folder.rglob("manager.log")]
seen["ended without being asked"] = [text for text in logs if "Missing contact with interchange" in text]
seen["logs"] = len(logs)
server = pool.submit(os.getppid).result(60)

processes = psutil.Process().children(recursive=True)
lost = pool.submit(eval, "__import__('time').sleep(600)")
pool.submit(os.getpid).result(60)
psutil.Process(server).parent().kill()
seen["is uncounted"] = sees(lambda: places()[-1] == 0, 20)
seen["lacking"] = news[-1].lacking
fault = lost.exception(60)
seen["fault"] = [type(fault).__name__, str(fault)]
seen["comes again"] = sees(lambda: places()[-1] == 2, 60)
seen["works again"] = pool.submit(eval, here).result(60)

processes += psutil.Process().children(recursive=True)
pool._workers._executor.interchange_proc.kill()
seen["is over"] = sees(lambda: isinstance(news[-1], StopAsked), 20)
seen["why"] = [news[-1].stop.reason.value, news[-1].stop.last]
try:
    pool.submit(os.getpid)
    seen["then"] = "another task was taken"
except RuntimeError as error:
    seen["then"] = str(error)
class Logged(logging.Handler):
    def emit(self, record):
        seen["logged"].append(record.getMessage())
seen["logged"] = []
logging.getLogger("parsl.programs").addHandler(Logged())
pool.shutdown()
psutil.wait_procs(processes, timeout=20)
seen["left"] = [each.cmdline() for each in processes if each.is_running() and each.status() != "zombie"]
seen["folder is left"] = folder.exists()
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    here = tmp_path_factory.mktemp("a folder's “name” $HOME")
    (here / "srun").write_text(SRUN)
    (here / "srun").chmod(0o755)
    (here / "workers").mkdir()
    environment = {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-c", CAMPAIGN, str(here / "workers")]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"no worker runs anything {ADVICE}:\n{done.stdout}{done.stderr}"
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_each_node_has_the_workers_that_it_is_to_have(seen: dict[str, Any]) -> None:
    assert seen["all come"], f"`MANAGERS` {ADVICE}"
    assert seen["places"] == [["n1", 0], ["n1", 1], ["n2", 0]], (
        f"`--max_workers_per_node`, `PARSL_WORKER_RANK` {ADVICE}"
    )
    assert seen["connected"] == {"n1.1": [2, 0], "n2.1": [1, 0]}, f"`--uid`, `worker_count`, `tasks` {ADVICE}"


def test_the_channel_takes_the_addresses_that_managers_try_and_its_keys_lie_in_no_file(seen: dict[str, Any]) -> None:
    assert seen["addresses"] == list(own_addresses())
    assert seen["keys in files"] == []


def test_workers_are_forked_from_one_process_and_not_started_each(seen: dict[str, Any]) -> None:
    assert seen["servers"] == [["n1", "n2"], 2], f"`parsl.multiprocessing.SpawnContext` {ADVICE}"
    assert "forkserver" in " ".join(seen["forked by"]), f"`parsl.multiprocessing.SpawnContext` {ADVICE}"
    assert "process_worker_pool" in seen["manager"], f"the manager's command line {ADVICE}"


def test_neither_campaign_nor_workers_import_what_takes_long_and_is_not_used(seen: dict[str, Any]) -> None:
    besides = {"parsl.dataflow.dflow", "parsl.executors.flux", "sqlalchemy"}
    assert "parsl.executors.high_throughput.executor" in seen["imported"]
    assert not besides & set(seen["imported"]), f"they are imported at the start of every job {ADVICE}"
    besides.add("parsl.providers")
    assert not besides & set(seen["imported by workers"]), f"they are imported on every node {ADVICE}"


def test_a_node_or_worker_that_is_held_is_handed_nothing_until_it_is_released(seen: dict[str, Any]) -> None:
    assert seen["workers"] == [2, 0]
    assert seen["withheld"] == [1, 2, 3]
    assert not seen["is handed to one that is held"]
    assert seen["is handed to others then"] == 2
    assert seen["run beside a worker that is held"] == [["n1", 0], ["n2", 0]]


def test_an_excluded_node_is_handed_nothing_and_its_workers_do_not_count(seen: dict[str, Any]) -> None:
    assert seen["is excluded"]
    assert seen["afterwards"] == ["n1"], f"`HOLD_MANAGER` {ADVICE}"


def test_a_pause_of_everything_loses_nothing(seen: dict[str, Any]) -> None:
    assert seen["runs on after a pause of all"] == "n1", f"the time by which it judges who is lost {ADVICE}"
    assert seen["tries after a pause of all"] == ["n1.1", "n2.1"]


def test_a_node_that_was_suspended_alone_ends_its_trials_as_it_wakes(seen: dict[str, Any]) -> None:
    """They are attempted elsewhere by then."""
    assert seen["fault of a pause alone"][0] == "WorkerStopped"
    assert seen["fault of a pause alone"][1].startswith("its worker was lost: n1.1: no sign of life for ")
    assert (seen["logs"], seen["ended without being asked"]) == (3, []), f"that a manager can be asked to end {ADVICE}"
    assert seen["comes again after a pause alone"]


def test_a_lost_manager_is_noticed_named_and_started_again(seen: dict[str, Any]) -> None:
    assert seen["is uncounted"], "the end of its step says that its workers are gone"
    assert seen["lacking"] == ["n1: its manager: Killed"]
    assert seen["fault"] == ["WorkerStopped", "its worker was lost: n1.2: its manager: Killed"], (
        f"`ManagerLost` {ADVICE}"
    )
    assert seen["comes again"]
    assert seen["works again"] == "n1"


def test_without_the_interchange_there_will_be_no_worker_again(seen: dict[str, Any]) -> None:
    assert seen["is over"], f"`interchange_proc` {ADVICE}"
    why = "the program that hands trials to the nodes has ended (-9); see campaign.log"
    assert seen["why"] == ["no_workers", why]
    assert seen["then"] == f"all workers of the job are lost: {why}"


def test_nothing_is_left(seen: dict[str, Any]) -> None:
    assert seen["left"] == []
    assert not seen["folder is left"]


IMPORTS = """
import sys
import time
from candle_hpo.engine.pilot.parsl_programs import _module_of, only_what_is_needed
with only_what_is_needed():
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


def test_two_files_alone_know_parsl() -> None:
    knowing = {
        path.name
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(each.name.partition(".")[0] == "parsl" for each in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "parsl")
        or (isinstance(node, ast.Constant) and str(node.value).startswith(("PARSL_", "parsl.")))
    }
    assert knowing == {"parsl_programs.py", "parsl_workers.py"}


def test_faults_of_its_programs_are_logged_before_their_files_go(seen: dict[str, Any]) -> None:
    (killed,) = [line for line in seen["logged"] if " Killed " in line]
    assert killed.startswith("n1.2.err: ")


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


NOT_STARTED = """
import pathlib, pickle, subprocess, sys
from candle_hpo.core.errors import MachineError
from candle_hpo.engine.pilot.parsl_workers import ParslWorkers, own_program

from parsl.executors.high_throughput.executor import HighThroughputExecutor

def start(executor):
    options = pickle.dumps({"logdir": executor.logdir, "worker_port_range": (54000, 55000), "cannot": "bind"})
    program = [*own_program("candle_hpo.engine.pilot.parsl_programs"), "interchange"]
    subprocess.run(program, input=options, check=False)
    raise RuntimeError("it does not answer")

HighThroughputExecutor.start = start
folder = pathlib.Path(sys.argv[1])
(folder / "workers").mkdir()
try:
    ParslWorkers(folder, (54000, 55000), are_all_here=True)
except MachineError as error:
    print(error)
"""


def test_why_the_interchange_cannot_begin_is_named(tmp_path: Path) -> None:
    """Parsl itself waits for it, and then has only that to say."""
    done = subprocess.run(
        [sys.executable, "-c", NOT_STARTED, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.startswith("the program that hands trials to the nodes cannot be started: "), done.stderr
    assert "unexpected keyword argument 'cannot'" in done.stdout, f"its folder {ADVICE}"
    assert done.stderr == ""


CUT_OFF = """
import os, pathlib, sys
from parsl.curvezmq import create_certificates
from candle_hpo.engine.pilot.parsl_workers import own_program

keys = create_certificates(sys.argv[1])
options = [f"--cert_dir={keys}", f"--logdir={sys.argv[1]}", "--uid=n1.1", "--addresses=127.0.0.1,192.0.2.77"]
options += ["--port=1", "--hb_threshold=9"]
options += ["--address_probe_timeout=1", "--cpu-affinity=none", "--max_workers_per_node=1"]
command = [*own_program("candle_hpo.engine.pilot.parsl_programs"), "process_worker_pool", *options]
os.execv(command[0], [*command, "--mem_per_worker=None", "--drain_period=None"])
"""


def test_a_manager_that_reaches_nobody_names_what_it_tried(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CUT_OFF, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "cannot reach 192.0.2.77:1\n", f"`ConnectionError` {ADVICE}"


HUNG = """
import threading, time
from candle_hpo.engine.pilot import parsl_programs
parsl_programs._LEAVING_SECONDS = parsl_programs._LOOK_SECONDS = 0.1
threading.Thread(target=parsl_programs._leave_when_contact_ends, daemon=True).start()
time.sleep(0.5)
def contact():
    time.sleep(3)
    print("contact has ended", flush=True)
communicator = threading.Thread(target=contact, name="Interchange-Communicator")
threading._limbo[communicator] = communicator  # where it is until it has begun, which takes a while here
time.sleep(0.5)
communicator.start()
threading.Thread(target=threading.Event().wait).start()
"""


def test_a_manager_whose_threads_wait_for_each_other_ends_after_its_contact() -> None:
    done = subprocess.run([sys.executable, "-c", HUNG], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "lost contact with the campaign\n")
    assert done.stdout == "contact has ended\n"
    module = find_spec("parsl.executors.high_throughput.process_worker_pool")
    assert module is not None
    assert module.origin is not None
    assert 'name="Interchange-Communicator"' in Path(module.origin).read_text(), f"the thread's name {ADVICE}"
