"""What every engine does, as the campaign sees it: the local one, and the cluster's on workers of this machine.

`srun` alone is a fake, as in test_parsl_workers.py; on a cluster, tests/system/slurm runs whole experiments.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from candle_hpo.core.news import Ended, Reported, StopAsked
from candle_hpo.core.stopping import Stop, StopHow, StopReason
from candle_hpo.core.trial import Outcome, Report, Status
from candle_hpo.engine.pooled import PooledEngine
from support.attempts import attempt_at
from support.fake_srun import SRUN

pytestmark = pytest.mark.slow

MODEL = """
touch has_begun
[ "$CANDLE_TRIAL_NUMBER" = 9 ] && printf '{"step": %d, "val_to_return": 0.5}\\n' 1 2 3 >> "$CANDLE_REPORTS_FILE"
case $CANDLE_TRIAL_NUMBER in [1-3]) ;; *) sleep 600 ;; esac
echo "$CANDLE_TRIAL_NUMBER" > "$CANDLE_RESULT_FILE"
"""

SCRIPT = """
import json, pathlib, sys, time
from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.news import Ended, StopAsked
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.stopping import Stop, StopHow, StopReason
from candle_hpo.core.trial import Attempt, Configuration, Trial
from candle_hpo.engine.pooled import PooledEngine
from candle_hpo.launch.command import model_command

kind, root = sys.argv[1], pathlib.Path.cwd() / "X000"
paths = ExperimentPaths(root)
paths.runs.mkdir(parents=True)
script = str(root.parent / "model")
model = model_command(Settings(model_script=script, workflow="grid"), script, 1, root)
if kind == "local":
    from candle_hpo.engine.local import LocalPool, local_runner
    from candle_hpo.engine.workers import Worker
    pool = LocalPool([Worker(0, {}), Worker(1, {})])
    run = local_runner(pool, model, paths)
else:
    from candle_hpo.engine.pilot.pool import ClusterPool
    from candle_hpo.engine.pilot.worker import cluster_runner
    (root / "workers").mkdir()
    pool = ClusterPool(root / "workers", {"n1": 2})
    run = cluster_runner(model, paths, pool.channel, gpus=None)
engine = PooledEngine(pool, run, 2 if kind == "local" else 0, pool.stop)
if kind == "cluster":
    pool.start_workers(engine.announce, engine.report)
else:
    pool.report_to(engine.report)

def hear(count, seconds=90):
    found, latest = [], time.monotonic() + seconds
    while len(found) < count and time.monotonic() < latest:
        found += engine.news(0.5)
    return found

def ends(found):
    ended = [(each.attempt.trial.number, each.outcome) for each in found]
    return sorted([number, outcome.status, outcome.value_of(THE_VALUE), outcome.reason] for number, outcome in ended)

def attempt_at(number):
    return Attempt(Trial(Configuration(number, f"hpset_{number:05d}", {})))

def start(*numbers):
    for number in numbers:
        engine.start(attempt_at(number))

def see_begin(*numbers):
    latest = time.monotonic() + 60
    while not all((paths.trial(f"hpset_{number:05d}").run / "has_begun").exists() for number in numbers):
        assert time.monotonic() < latest
        time.sleep(0.05)

places = [engine.news(0)[0].places]
while places[-1] != 2:
    places += [each.places for each in hear(1)]
seen = {"places": places, "nothing": engine.news(0)}
start(1, 2)
seen["ended"] = ends(ended := hear(2))
seen["workers"] = sorted(each.outcome.worker.rpartition(":")[2] for each in ended)
start(4, 5)
see_begin(4, 5)
for _ in range(2):
    engine.stop(attempt_at(4), StopHow.PURPOSE)
seen["one of two"] = ends(hear(1)), engine.news(0)
engine.stop(attempt_at(5), StopHow.INTERRUPT)
seen["interrupted"] = ends(hear(1))
start(6)
engine.stop(attempt_at(6), StopHow.PURPOSE)
seen["before it begins"] = ends(hear(1))
engine.stop(attempt_at(6), StopHow.PURPOSE)
start(3)
seen["next"] = ends(hear(1))
start(9)
heard = hear(3, 60)
seen["reported"] = [(type(each).__name__, each.attempt == attempt_at(9), each.report.step) for each in heard]
engine.stop(attempt_at(9), StopHow.PURPOSE)
(ended,) = hear(1)
seen["last report"] = ended.outcome.status, ended.outcome.last_report.step, ended.outcome.last_report.metrics
engine.report("hpset_00009/1", ended.outcome.last_report)
seen["reported too late"] = engine.news(0)
start(7, 8)
see_begin(7, 8)
engine.ask_to_stop(Stop(StopReason.CTRL_C))
(asked,) = hear(1)
seen["asked"] = isinstance(asked, StopAsked) and asked.stop == Stop(StopReason.CTRL_C)
engine.stop(None, StopHow.INTERRUPT)
seen["stopped"] = ends(hear(2))
pool.shutdown()
print(json.dumps(seen))
"""


@pytest.fixture(scope="module", params=["local", "cluster"])
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    here = tmp_path_factory.mktemp(request.param)
    for name, text in (("srun", SRUN), ("model", "#!/bin/bash" + MODEL)):
        (here / name).write_text(text)
        (here / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-c", SCRIPT, request.param]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_how_many_places_there_are_is_the_first_news(seen: dict[str, Any]) -> None:
    assert seen["places"][-1] == 2
    assert seen["nothing"] == []


def test_each_attempt_that_was_started_ends_once_with_its_outcome(seen: dict[str, Any]) -> None:
    assert seen["ended"] == [[1, "completed", 1.0, ""], [2, "completed", 2.0, ""]]
    assert set(seen["workers"]) <= {"0", "1"}


def test_a_wish_to_stop_is_news_and_stops_nothing_by_itself(seen: dict[str, Any]) -> None:
    assert seen["asked"]


def test_what_is_stopped_ends_as_interrupted(seen: dict[str, Any]) -> None:
    assert seen["stopped"] == [[number, "interrupted", None, "stopped while it ran"] for number in (7, 8)]


def test_one_of_two_is_stopped_while_the_other_runs_on(seen: dict[str, Any]) -> None:
    assert seen["one of two"] == [[[4, "stopped", None, ""]], []]


def test_one_that_is_not_stopped_on_purpose_is_interrupted(seen: dict[str, Any]) -> None:
    assert seen["interrupted"] == [[5, "interrupted", None, "stopped while it ran"]]


def test_one_is_stopped_before_it_begins(seen: dict[str, Any]) -> None:
    assert seen["before it begins"] == [[6, "stopped", None, ""]]


def test_what_one_reports_is_news_in_its_order_and_comes_with_its_end(seen: dict[str, Any]) -> None:
    assert seen["reported"] == [["Reported", True, step] for step in (1, 2, 3)]
    assert seen["last report"] == ["stopped", 3, {"val_to_return": 0.5}]


def test_reports_of_one_that_does_not_run_are_not_news(seen: dict[str, Any]) -> None:
    assert seen["reported too late"] == []


def test_one_that_has_ended_is_not_stopped_and_neither_is_the_next(seen: dict[str, Any]) -> None:
    assert seen["next"] == [[3, "completed", 3.0, ""]]


def engine_with_one_attempt() -> tuple[PooledEngine, Future[Any]]:
    """Return an engine that runs the first attempt, and the future that says how it ends."""
    future: Future[Any] = Future()

    class Pool(Executor):
        def submit(self, *_: Any) -> Future[Any]:  # type: ignore[override]
            return future

    engine = PooledEngine(Pool(), lambda _: pytest.fail(), 1, lambda *_: None)
    engine.start(attempt_at(1))
    return engine, future


@pytest.mark.parametrize(
    ("how", "status"), [(StopHow.PURPOSE, Status.STOPPED), (StopHow.INTERRUPT, Status.INTERRUPTED)]
)
def test_one_that_is_stopped_while_its_worker_is_lost_was_stopped(how: StopHow, status: Status) -> None:
    engine, future = engine_with_one_attempt()
    engine.stop(attempt_at(1), how)
    future.set_exception(OSError("its worker was lost"))
    (_, ended) = engine.news(0)
    assert isinstance(ended, Ended)
    assert ended.outcome == Outcome.stopped(how)
    assert ended.outcome.status is status


def test_where_a_worker_is_lost_what_its_attempt_reported_last_is_known() -> None:
    engine, future = engine_with_one_attempt()
    for step in (1, 2):
        engine.report("hpset_00001/1", Report(step, {"loss": 0.5}))
        engine.report("hpset_00002/1", Report(step, {"loss": 0.5}))
    assert engine.news(0)[1:] == [Reported(attempt_at(1), Report(step, {"loss": 0.5})) for step in (1, 2)]
    future.set_exception(OSError("its worker was lost"))
    (ended,) = engine.news(0)
    assert isinstance(ended, Ended)
    assert (ended.outcome.status, ended.outcome.last_report) == (Status.INTERRUPTED, Report(2, {"loss": 0.5}))


def test_reports_that_nobody_hears_are_dropped_at_some_time() -> None:
    engine = PooledEngine(Executor(), lambda _: pytest.fail(), 1, lambda *_: None)
    for step in range(20_000):
        engine.report("hpset_00001/1", Report(step, {}))
    engine.ask_to_stop(Stop(StopReason.CTRL_C))
    assert engine.news(0)[-1] == StopAsked(Stop(StopReason.CTRL_C))
    assert engine.news(0) == []
