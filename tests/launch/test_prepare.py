"""The line `prepare`: what it finds, and that trials start warm after it where it changes nothing that they inherit."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.trial import Status
from conftest import gone
from support.waiting import unless_it_hangs
from support.warm_trials import Trials

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="warm start is for Linux")

SCRIPT = """
import os, sys
print("host", os.getppid())
val_to_return = float(open("made.txt").read()) if os.path.exists("made.txt") else 1
"""
COLD = "because the line prepare changes what its imports may find, or leaves something running"


@pytest.mark.parametrize(
    "line",
    [
        "candle_get_param lr > made.txt; echo said",
        "set -eu; candle_get_param lr > made.txt; mkdir -p a/b",
        'bash -c "candle_get_param lr" > made.txt',
        "x=1; f() { :; }; (cd / && export Y=1); candle_get_param lr > made.txt; sleep 0.01 & wait",
        "read line; candle_get_param lr > made.txt; true",
    ],
)
def test_a_line_that_leaves_all_as_it_was(here: Path, line: str) -> None:
    trials = Trials(here, "X000", SCRIPT, prepare=line)
    hosts = set()
    for rate in (1e-05, 0.5):
        outcome = trials.run(lr=rate)
        assert (outcome.value_of(THE_VALUE), outcome.reason) == (rate, ""), trials.output
        hosts.add(trials.output.split()[-1])
        assert trials.output.startswith("said\n") == line.endswith("said")
        assert not (trials.folder / "done_by_prepare.txt").exists()
    trials.host.close()
    assert (len(hosts), trials.notes) == (1, [])
    assert hosts != {str(os.getpid())}


@pytest.mark.parametrize(
    "line",
    [
        "export A=1",
        "f() { :; }; export -f f",
        "cd ..; echo $PWD",
        "umask 077",
        "ulimit -S -c 0; ulimit -S -n 99",
        "trap '' USR1",
        "exec > >(cat)",
        "exec 5< /dev/null",
        "sleep 600 &",
        "(sleep 600 &)",
        "renice -n 19 $$ > /dev/null",
    ],
)
def test_a_line_that_changes_what_a_process_inherits(here: Path, line: str) -> None:
    trials = Trials(here, "X000", SCRIPT, prepare=line)
    for _ in range(2):
        outcome = trials.run()
        assert (outcome.value_of(THE_VALUE), outcome.reason) == (1, "")
        assert trials.output.split()[-1] == str(os.getpid())
        assert not (trials.folder / "done_by_prepare.txt").exists()
    trials.host.close()
    assert trials.notes == [f"Each trial starts a fresh interpreter, {COLD}"]


def test_what_a_line_leaves_running_is_there_for_the_script(here: Path) -> None:
    line = "(while :; do echo x >> log.txt; sleep 0.02; done) & echo $! > server.txt"
    script = "import time\nbefore = len(open('log.txt').read())\ntime.sleep(0.5)\n"
    trials = Trials(here, "X000", f"{script}val_to_return = len(open('log.txt').read()) - before\n", prepare=line)
    assert (trials.run().value_of(THE_VALUE) or 0) > 0
    assert gone(int((trials.folder / "server.txt").read_text()))
    trials.host.close()


@pytest.mark.parametrize(("line", "status"), [("exit 7", 7), ("false", 1), ("candle_get_param no || exit 3", 3)])
def test_a_line_that_fails(here: Path, line: str, status: int) -> None:
    trials = Trials(here, "X000", SCRIPT, prepare=line)
    outcome = trials.run()
    assert (outcome.status, f"exit status {status}" in outcome.reason) == (Status.FAILED, True)
    trials.host.close()
    assert trials.notes == []


def test_a_line_that_ends_its_shell_runs_no_script(here: Path) -> None:
    trials = Trials(here, "X000", SCRIPT, prepare="exit 0")
    assert trials.run().reason.startswith("it ended without a value")
    trials.host.close()


def test_time_and_output_are_those_of_both(here: Path) -> None:
    line = "echo begins; sleep 0.3"
    trials = Trials(here, "X000", SCRIPT, prepare=line, trial_timeout=1000)
    assert trials.run().seconds > 0.3
    assert trials.output.splitlines()[0] == "begins"
    trials.host.close()
    slow = Trials(here, "X001", "import time\ntime.sleep(600)", prepare="sleep 600", trial_timeout=1)
    assert unless_it_hangs(slow.run).status is Status.TIMED_OUT
    slow.host.close()
