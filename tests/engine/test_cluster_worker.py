"""What a cluster's worker says of its trials; the cluster itself is in tests/system/slurm."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace

import pytest

from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Place
from candle_hpo.engine.channel import Address, CampaignEnd, WorkerEnd
from candle_hpo.engine.pilot import worker as cluster_worker
from candle_hpo.launch.command import model_command
from candle_hpo.launch.measuring.outcome_file import collector
from candle_hpo.process.group import StopSwitch
from conftest import gone
from support.attempts import attempt_at


@pytest.mark.parametrize(("script", "waits"), [("kill -9 $$", True), ("exit 3", False), ("val_to_return=1", False)])
def test_a_killed_model_is_reported_only_when_its_worker_lives_on(
    script: str, waits: bool, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SLURM may end the model first and its worker a moment later; then the machine is to blame, not the model."""
    monkeypatch.setenv("PARSL_WORKER_RANK", "0")
    process = SimpleNamespace(
        run=lambda function: function(),
        guard=None,
        warm_host=lambda model, shared: None,
        script_watch=lambda model: None,
        reachable=lambda *_: nullcontext(),
    )
    monkeypatch.setattr(cluster_worker, "_worker_process", lambda: process)
    pauses: list[float] = []
    monkeypatch.setattr(cluster_worker, "time", SimpleNamespace(sleep=pauses.append, monotonic=lambda: 0.0))
    (here / "model.sh").write_text(script)
    settings = Settings(model_script=str(here / "model.sh"), workflow="grid")
    paths = ExperimentPaths(here / "X000")
    paths.runs.mkdir(parents=True)
    model = model_command(settings, "bash", seed=1, experiment=paths.root)
    campaign = CampaignEnd(["127.0.0.1"])
    outcome = cluster_worker.cluster_runner(model, paths, campaign.address, gpus=None)(attempt_at(0, id="a"))
    campaign.close()
    assert pauses == ([cluster_worker.ENDED_TOGETHER_SECONDS] if waits else []), outcome
    # Its outcome is on the disk before the wait: a worker that was ended in it leaves no failure to be collected.
    collected = collector(paths, THE_VALUE)(attempt_at(0, id="a"))
    assert collected is None if waits else collected is not None


def test_a_worker_without_a_channel_runs_its_attempts_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> WorkerEnd:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(cluster_worker, "WorkerEnd", refuse)
    campaign = CampaignEnd(["127.0.0.1"])
    process = object.__new__(cluster_worker._WorkerProcess)
    process._channel = None
    with process.reachable(campaign.address, attempt_at(1), Place("n1", 0), StopSwitch()):
        pass
    campaign.close()
    assert "n1:0 cannot be reached while it runs hpset_00001/1: can't start new thread" in caplog.text


class NotToBeSent(Exception):
    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{what} at {where}")


def fail(kind: type[Exception], *words: str) -> None:
    raise kind(*words)


@pytest.mark.parametrize("words", [(NotToBeSent, "n1", "odd"), (ValueError, "plain")])
def test_an_error_on_a_worker_can_be_sent(words: tuple[object, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one that cannot, the campaign would never hear, nor of anything after it."""

    monkeypatch.setenv("PARSL_WORKER_RANK", "0")
    with pytest.raises(Exception, match=r"odd at n1|plain") as raised:
        cluster_worker.call_on_worker(pickle.dumps((fail, words, {})))
    assert pickle.loads(pickle.dumps(raised.value)).args == raised.value.args  # noqa: S301


def test_what_all_trials_have_in_common_is_sent_with_each_and_read_once(here: Path) -> None:
    settings = Settings(model_script=str(here / "model.sh"), workflow="grid")
    paths = ExperimentPaths(here / "X000")
    model = model_command(settings, "bash", seed=1, experiment=paths.root)
    address = Address(("127.0.0.1",), 54000, b"campaign", b"public", b"secret")
    run = cluster_worker.cluster_runner(model, paths, address, gpus=None)
    arrived = pickle.loads(pickle.dumps(run))  # noqa: S301
    assert isinstance(arrived, cluster_worker._OnAnyWorker)
    assert (arrived._model, arrived._paths, arrived._campaign, arrived._gpus) == (model, paths, address, None)
    assert pickle.loads(pickle.dumps(run)) is arrived  # noqa: S301


MANAGER = """
import multiprocessing, sys, time
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(sys.argv[1:])
worker = context.Process(target=time.sleep, args=(60,))
worker.start()
print(worker.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux notifies a process of its parent's end")
def test_a_parent_that_has_ended_already_is_missed_too() -> None:
    """A worker may be forked just before its fork server ends, and ask only then to end with it."""
    ask = "import signal; from candle_hpo.process.parent import end_with_parent; end_with_parent(signal.SIGTERM{})"
    for parent, status in [("", 0), (", 4_000_000", -signal.SIGTERM)]:
        assert subprocess.run([sys.executable, "-c", ask.format(parent)], check=False).returncode == status


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux notifies a process of its parent's end")
def test_a_fork_server_and_its_workers_end_with_the_manager() -> None:
    command = [sys.executable, "-c", MANAGER, "candle_hpo.engine.pilot.fork_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as manager:
        assert manager.stdout is not None
        worker = int(manager.stdout.readline())
        server = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
        manager.kill()
    assert gone(worker, server)


def test_a_worker_that_is_asked_to_end_twice_clears_up_once_and_wholly() -> None:
    """Its manager, its step and SLURM each send SIGTERM."""
    program = """
        import time
        from candle_hpo.engine.pilot.worker import _WorkerProcess

        def attempt():
            try:
                print("runs", flush=True)
                time.sleep(60)
            finally:
                print("clears up", flush=True)
                time.sleep(1)
                print("has cleared up", flush=True)

        _WorkerProcess().run(attempt)
    """
    with subprocess.Popen([sys.executable, "-c", dedent(program)], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        for said in ("runs\n", "clears up\n"):
            assert worker.stdout.readline() == said
            worker.send_signal(signal.SIGTERM)
        assert worker.stdout.read() == "has cleared up\n"
        assert worker.wait() == 128 + signal.SIGTERM
