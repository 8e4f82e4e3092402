"""What a guard ends when whoever waited for the trials dies without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from candle_hpo.process.group import StopSwitch
from candle_hpo.process.guard import Guard
from candle_hpo.process.leftovers import TRIAL
from conftest import gone

LINUX = sys.platform == "linux"
STUBBORN = "trap '' TERM HUP INT; echo ready; while true; do sleep 0.1; done"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that are ended with the test."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def stubborn(started: list[subprocess.Popen[bytes]], trial: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a process in its own session, of a trial."""
    environment = {**os.environ, TRIAL: str(trial)} if trial else dict(os.environ)
    process = subprocess.Popen(
        ["bash", "-c", STUBBORN], env=environment, start_new_session=True, stdout=subprocess.PIPE
    )
    started.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_a_guard_ends_the_groups_that_it_watches_over_and_no_others(started: list[subprocess.Popen[bytes]]) -> None:
    watched, left, other = (stubborn(started) for _ in range(3))
    guard = Guard()
    guard.begin(watched.pid)
    guard.begin(left.pid)
    guard.end(left.pid)
    guard.close()
    assert watched.wait(10) == -signal.SIGKILL
    assert left.poll() is None
    assert other.poll() is None


@pytest.mark.skipif(not LINUX, reason="other systems do not show each process's environment")
@pytest.mark.parametrize("name", ["hpset_00001", 'it\'s [1] of $HOME; "x" *', " ends with a space "])
def test_a_guard_ends_what_a_trial_has_started_in_its_own_session(
    started: list[subprocess.Popen[bytes]], tmp_path: Path, name: str
) -> None:
    trial, finished, longer = tmp_path / name / "params.json", tmp_path / name, tmp_path / name / "params.json.more"
    own, of_finished, of_longer = (stubborn(started, each) for each in (trial, finished, longer))
    guard = Guard()
    guard.begin_trial(str(trial))
    guard.begin_trial(str(finished))
    guard.end_trial(str(finished))
    guard.close()
    assert own.wait(10) == -signal.SIGKILL
    assert of_finished.poll() is None
    assert of_longer.poll() is None


def test_a_guard_keeps_many_apart_that_begin_and_end_in_any_order(
    started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    watched, left = stubborn(started), stubborn(started)
    own, of_finished = (stubborn(started, tmp_path / name) for name in ("own", "finished"))
    guard = Guard()
    for number in range(100):
        guard.begin_trial(f"{tmp_path}/{'long' * number}")
    guard.begin(left.pid)
    guard.begin_trial(str(tmp_path / "finished"))
    for number in range(100):
        guard.end_trial(f"{tmp_path}/{'long' * number}")
        guard.end_trial(f"{tmp_path}/{'long' * number}")  # which is not there any more
    guard.end_trial(str(tmp_path / "finished"))
    guard.end(left.pid)
    guard.begin(watched.pid)
    guard.begin_trial(str(tmp_path / "own"))
    guard.close()
    assert watched.wait(10) == own.wait(10) == -signal.SIGKILL
    assert left.poll() is None
    assert of_finished.poll() is None


@pytest.mark.skipif(not LINUX, reason="other systems do not show a process's time")
def test_a_guard_has_nothing_to_do_while_trials_begin_and_end() -> None:
    guard = Guard()
    its = psutil.Process(guard._number).cpu_times()
    for number in range(20_000):
        guard.begin_trial(f"/experiment/run/hpset_{number}/params.json")
        guard.end_trial(f"/experiment/run/hpset_{number}/params.json")
    now = psutil.Process(guard._number).cpu_times()
    guard.close()
    assert now.user + now.system - its.user - its.system < 0.1  # to be notified of each took seconds


def test_a_guard_knows_a_trial_before_its_first_process(started: list[subprocess.Popen[bytes]], tmp_path: Path) -> None:
    """Who starts it may be killed before it can say which process that is."""
    guard, trial = Guard(), tmp_path / "params.json"
    switch = StopSwitch(guard=guard)
    switch.expect(str(trial))
    process = stubborn(started, trial)
    guard.close()
    assert process.wait(10) == -signal.SIGKILL


def test_a_guard_outlives_whatever_ends_all_that_descends_from_its_process(
    started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    watched = stubborn(started)
    program = tmp_path / "waits.py"
    program.write_text(
        "import sys, psutil\n"
        "from candle_hpo.process.guard import Guard\n"
        "guard = Guard()\n"
        f"guard.begin({watched.pid})\n"
        "print(len(psutil.Process().children(recursive=True)), guard._number, flush=True)\n"
        "sys.stdin.read()\n"
    )
    waits = subprocess.Popen([sys.executable, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.append(waits)
    assert waits.stdout is not None
    descendants, guard = waits.stdout.readline().split()
    assert descendants == b"0"
    waits.kill()
    assert watched.wait(10) == -signal.SIGKILL
    assert gone(int(guard))
