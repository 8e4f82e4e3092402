"""Time that stands still while the process does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from candle_hpo.process.awake import AwakeClock
from candle_hpo.process.group import MOMENT_SECONDS, Limits, OwnProcess, Program, StopSwitch, run_to_its_end


@pytest.mark.parametrize(
    ("looks", "counted", "seen"),
    [
        ([1, 2, 4, 8.9], 0, [1, 1, 2, 4.9]),  # shorter ones are time
        ([1, 61, 62], 0, [1, 0, 1]),
        ([1, 61, 62], 15, [1, 15, 1]),
        ([1, 9, 10], 15, [1, 8, 1]),  # no more than there was
        ([1, 31, 32, 62, 63], 15, [1, 15, 1, 15, 1]),  # each time again
    ],
)
def test_a_pause_is_left_out_but_for_what_is_to_count(looks: list[float], counted: float, seen: list[float]) -> None:
    times = iter([0.0, 0.0, *looks])
    clock = AwakeClock(counted, lambda: next(times))
    moments = [clock.now() for _ in range(len(looks) + 1)]
    assert [after - before for before, after in pairwise(moments)] == pytest.approx(seen)


class _Asked(OwnProcess):
    """A process, with the times for which somebody has waited for its end."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(process)
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None) -> bool:
        self.waits.append(timeout)
        return super().wait(timeout)


@pytest.mark.parametrize(("limits", "waits"), [(Limits(), [None]), (Limits(60), [1.0]), (Limits(None, 1000), [1.0])])
def test_nobody_looks_at_the_clock_for_a_trial_without_limits(
    limits: Limits, waits: list[float | None], tmp_path: Path
) -> None:
    process = _Asked(subprocess.Popen(["sleep", "0.7"], start_new_session=True))
    lasted: list[int] = []
    program = Program(
        [], tmp_path, {}, tmp_path / "output", limits, when_it_lasts=lambda: lasted.append(len(process.waits))
    )
    assert run_to_its_end(process, time.monotonic(), program, StopSwitch()).status == 0
    assert process.waits[:2] == [MOMENT_SECONDS, *waits]
    assert lasted == [1]


def test_a_trial_that_ends_in_a_moment_does_not_last(tmp_path: Path) -> None:
    process = OwnProcess(subprocess.Popen(["true"], start_new_session=True))
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    lasted: list[bool] = []
    program = Program([], tmp_path, {}, tmp_path / "output", Limits(), when_it_lasts=lambda: lasted.append(True))
    assert run_to_its_end(process, time.monotonic(), program, StopSwitch()).status == 0
    assert not lasted


TRIAL = """
import os, pathlib
from candle_hpo.process.group import Limits, Program, StopSwitch, run_process
model = ["sh", "-c", "echo $$ > model; sleep 2; echo done"]
print(run_process(Program(model, pathlib.Path(), os.environ, pathlib.Path("output"), Limits(5)), StopSwitch()))
"""


@pytest.mark.slow
def test_a_trial_that_is_suspended_with_its_worker_is_not_too_long_for_that(tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-c", TRIAL], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    begun, deadline = tmp_path / "model", time.monotonic() + 60
    while not (begun.exists() and begun.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    group = int(begun.read_text())
    for number in (signal.SIGSTOP, signal.SIGCONT):
        worker.send_signal(number)
        os.killpg(group, number)
        time.sleep(6 if number is signal.SIGSTOP else 0)
    said, _ = worker.communicate(timeout=60)
    assert "status=0" in said, said
    assert "timed_out=False" in said, said
    assert (tmp_path / "output").read_text() == "done\n"
