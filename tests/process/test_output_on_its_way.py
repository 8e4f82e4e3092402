"""Output that still travels through another program when a script ends: it arrives, and nothing else is waited for."""

from __future__ import annotations

import ctypes
import json
import math
import os
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.stopping import StopHow
from candle_hpo.core.trial import Outcome, Status
from candle_hpo.launch.command import model_command
from candle_hpo.launch.run import run_attempt
from candle_hpo.process import forwarding, group
from candle_hpo.process.group import StopSwitch
from candle_hpo.process.leftovers import adopt_orphans, end_all_orphans
from conftest import Candle, input_text
from support.attempts import attempt_at
from support.waiting import unless_it_hangs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what processes do"),
]

PR_SET_CHILD_SUBREAPER = 36
PRINT_200 = 'for i in $(seq 200); do echo "loss: $i"; done'
PYTHON_200 = "for i in range(1, 201): print('loss:', i, flush=True)"

# Name -> suffix, script, the number that it prints last.
IDIOMS = {
    "a pipe to tee": ("sh", f"{{ {PRINT_200}; }} | tee train.log", 200),
    "tee /dev/stderr": ("sh", f"{{ {PRINT_200}; }} | tee /dev/stderr", 200),
    "exec > >(tee)": ("sh", f"exec > >(tee -a train.log) 2>&1\n{PRINT_200}", 200),
    "exec > >(a loop)": (
        "sh",
        'exec > >(while IFS= read -r l; do echo "$(date +%T) $l"; done) 2>&1\n'
        'for i in 1 2 3 4 5; do echo "loss: $i"; sleep 0.03; done',
        5,
    ),
    "exec > >(three programs)": ("sh", f"exec > >(sed s/x/y/ | cat | tee -a train.log) 2>&1\n{PRINT_200}", 200),
    "a named pipe": ("sh", f"mkfifo p; tee -a train.log < p & exec > p\n{PRINT_200}", 200),
    "a child left behind that may write to tee, too": ("sh", f"exec > >(tee -a log)\nsleep 600 &\n{PRINT_200}", 200),
    "a slow loop": ("sh", 'exec > >(while read -r l; do sleep 0.2; echo "$l"; done)\necho loss: 1; echo loss: 2', 2),
    "Python's dup2 to a program": (
        "py",
        "import os, subprocess\n"
        "tee = subprocess.Popen(['tee', '-a', 'train.log'], stdin=subprocess.PIPE)\n"
        f"os.dup2(tee.stdin.fileno(), 1)\n{PYTHON_200}",
        200,
    ),
    "a program in its own session": (
        "py",
        "import os, subprocess\n"
        "tee = subprocess.Popen(['tee', '-a', 'train.log'], stdin=subprocess.PIPE, start_new_session=True)\n"
        f"os.dup2(tee.stdin.fileno(), 1)\n{PYTHON_200}",
        200,
    ),
    "a logger that was forked": (
        "py",
        f"""
import os, time
reader, writer = os.pipe()
if os.fork() == 0:
    os.close(writer)
    for line in os.fdopen(reader):
        time.sleep(0.0005)
        print("log:", line, end="", flush=True)
    os._exit(0)
os.close(reader)
os.dup2(writer, 1)
os.close(writer)
{PYTHON_200}
os._exit(0)
""",
        200,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("suffix", "script", "last"), IDIOMS.values(), ids=IDIOMS)
def test_the_last_line_arrives_each_time_on_a_busy_machine(
    here: Path, candle: Candle, suffix: str, script: str, last: int
) -> None:
    (here / f"model.{suffix}").write_text(script)
    control = f"""
        model_script="model.{suffix}"
        workflow="grid"
        engine="local"
        nworkers=3
        result_pattern="loss: ([0-9]+)"
    """
    (here / "x.in").write_text(input_text(control, "", "\n".join(f'{{"x": {x}}}' for x in range(30))))
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        done = candle("submit-job", "x.in")
    finally:
        for each in busy:
            each.kill()
            each.wait()
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = [json.loads(path.read_text()) for path in (here / "last-candle-job" / "run").glob("*/outcome.json")]
    assert Counter(outcome["outcome"]["metrics"]["val_to_return"] for outcome in outcomes) == {float(last): 30}


@pytest.fixture(autouse=True)
def adopting() -> Iterator[None]:
    """Make this process the parent of what trials leave behind, as candle is."""
    adopt_orphans()
    yield
    end_all_orphans()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def run(here: Path, script: str, suffix: str = "sh", switch: StopSwitch | None = None, **settings: object) -> Outcome:
    (here / f"model.{suffix}").write_text(textwrap.dedent(script))
    control = Settings(
        model_script=str(here / f"model.{suffix}"),
        workflow="grid",
        result_pattern="loss: ([0-9]+)",
        **settings,  # type: ignore[arg-type]
    )
    paths = ExperimentPaths(here / "X000")
    paths.runs.mkdir(parents=True, exist_ok=True)
    model = model_command(control, "bash" if suffix == "sh" else sys.executable, seed=5, experiment=paths.root)
    attempt, trial = attempt_at(0, id="a"), paths.trial("a")
    return unless_it_hangs(lambda: run_attempt(model, attempt, trial, {}, switch or StopSwitch()))


@pytest.mark.parametrize(
    ("suffix", "script"),
    [
        ("sh", "sleep 600 & echo loss: 1"),
        ("sh", "exec > >(tee -a train.log)\nsleep 600 & echo loss: 1"),
        ("sh", "(while :; do sleep 0.01; done) & echo loss: 1"),
        ("py", "import multiprocessing, os\nmultiprocessing.Pool(2)\nprint('loss: 1', flush=True)\nos._exit(0)"),
    ],
    ids=["sleeping child", "sleeping child beside tee", "restless child", "pool"],
)
def test_what_only_inherited_the_output_is_not_waited_for(
    here: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, script: str
) -> None:
    for limit in ("QUIET_SECONDS", "MOST_SECONDS"):
        monkeypatch.setattr(forwarding, limit, math.inf)
    outcome = run(here, script, suffix)
    assert outcome.value_of(THE_VALUE) == 1


def test_what_never_arrives_fails_the_trial(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "QUIET_SECONDS", 0.3)
    outcome = run(here, "echo loss: 1\nexec > >(sleep 600; cat)\necho loss: 2")
    assert outcome.value_of(THE_VALUE) is None
    assert outcome.reason.startswith("what it printed last was still on its way through another program")


@pytest.mark.parametrize(
    "script",
    [
        "import subprocess\nsubprocess.Popen(['sleep', '600'], stdin=subprocess.PIPE)\nprint('loss: 1')",
        "import multiprocessing, os, time\n"
        "pool = multiprocessing.Pool(2)\npool.map_async(time.sleep, [600] * 20)\ntime.sleep(0.2)\n"
        "print('loss: 1', flush=True)\nos._exit(0)",
    ],
    ids=["a program that never reads its input", "a pool that was left with more to do"],
)
def test_what_may_pass_output_on_and_does_not_is_waited_for_so_long_and_no_longer(
    here: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(forwarding, "QUIET_SECONDS", 0.3)
    monkeypatch.setattr(forwarding, "MOST_SECONDS", math.inf)
    outcome = run(here, script, "py")
    assert outcome.value_of(THE_VALUE) == 1
    assert outcome.seconds > 0.3


# Outside of the trial's process group, a program prints for ever, and another passes that on, more slowly.
PRINTING_FOR_EVER = """
mkfifo p
setsid bash -c 'while :; do echo "loss: 5"; done > p' &
setsid bash -c 'while read -r l; do printf "%020000d\\n" 0; echo "$l"; sleep 0.01; done < p' &
sleep 0.3
{end}
"""


@pytest.mark.parametrize("end", ["sleep 600", "echo loss: 1"], ids=["its script runs", "its script has ended"])
def test_what_prints_for_ever_does_not_outlive_the_time_limit(
    here: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(forwarding, "MOST_SECONDS", math.inf)
    outcome = run(here, PRINTING_FOR_EVER.format(end=end), trial_timeout=1)
    assert outcome.status is (Status.TIMED_OUT if "600" in end else Status.FAILED)
    assert outcome.seconds >= 1.0


@pytest.mark.parametrize("end", ["sleep 600", "echo loss: 1"], ids=["its script runs", "its script has ended"])
def test_nor_the_limit_of_output(here: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setattr(forwarding, "MOST_SECONDS", math.inf)
    outcome = run(here, PRINTING_FOR_EVER.format(end=end), max_output=1)
    assert outcome.status is Status.FAILED
    assert outcome.reason.startswith("it printed more than max_output")
    assert (here / "X000" / "run" / "a" / "subprocess_out_and_err.txt").stat().st_size <= 1_000_000


@pytest.mark.parametrize("end", ["sleep 600", "echo loss: 1"], ids=["its script runs", "its script has ended"])
def test_nor_a_stop(here: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setattr(forwarding, "MOST_SECONDS", math.inf)
    switch = StopSwitch()
    timer = threading.Timer(1.0, switch.stop)
    timer.start()
    outcome = run(here, PRINTING_FOR_EVER.format(end=end), switch=switch)
    timer.join()
    switch.close()
    assert outcome.status is Status.INTERRUPTED


def test_what_has_ended_by_itself_keeps_its_value_though_it_is_asked_to_stop_a_moment_later(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = StopSwitch()
    waits_for_output = forwarding.let_output_arrive

    def stop_meanwhile(*arguments: Any) -> bool:
        arrived = waits_for_output(*arguments)
        switch.stop(StopHow.PURPOSE)
        return arrived

    monkeypatch.setattr(group, "let_output_arrive", stop_meanwhile)
    outcome = run(here, "echo loss: 1", switch=switch)
    switch.close()
    assert outcome.value_of(THE_VALUE) == 1


def test_what_prints_for_ever_is_waited_for_so_long_and_no_longer(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "MOST_SECONDS", 1.0)
    assert run(here, PRINTING_FOR_EVER.format(end="echo loss: 1")).seconds >= 1.0


def test_so_it_is_where_the_system_does_not_show_what_processes_do(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(forwarding, "MOST_SECONDS", 1.0)
    outcome = run(here, "(while :; do echo loss: 5; sleep 0.05; done) &\necho loss: 1")
    assert outcome.reason.startswith("what it printed last was still on its way")
    assert outcome.seconds >= 1.0


def test_output_that_is_opened_again_is_written_behind_what_is_there(here: Path) -> None:
    assert (
        run(here, "echo loss: 1; echo loss: 2 >> /dev/stderr; echo loss: 3 >> /dev/stdout; echo loss: 4").value_of(
            THE_VALUE
        )
        == 4
    )
    text = (here / "X000" / "run" / "a" / "subprocess_out_and_err.txt").read_text()
    assert text == "loss: 1\nloss: 2\nloss: 3\nloss: 4\n"
