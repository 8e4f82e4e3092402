"""The live view and the logs: what they show of a record that grows, on a terminal and in a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from candle_hpo.core.errors import RecordError
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.trial import Failure, FailureKind, Outcome, Place, Status
from candle_hpo.record.events import AnyEvent, CampaignStarted, CampaignStopped, TrialFinished, TrialStarted
from candle_hpo.record.folder import read_experiment_settings
from candle_hpo.record.history import History
from candle_hpo.record.log import RecordFile, read_events
from candle_hpo.record.tail import RecordChanged, RecordTail
from candle_hpo.report.live_page import Frame, live_page, sparkline, sparkline_text, trials_on_page
from candle_hpo.report.summary import failures_by_reason
from conftest import Candle, WriteInput
from support.attempts import attempt_at
from support.made_experiments import BEGAN, make_experiment

pytestmark = pytest.mark.slow

SLOW = """
import time
for step in range(1000):
    print("step", step, flush=True)
    time.sleep(0.05)
    import os
    if os.path.exists("../../../../../go"): break
val_to_return = hyperparams["x"]
"""


def test_a_tail_reads_each_event_once_and_no_torn_line(here: Path) -> None:
    path = here / "events.jsonl"
    tail = RecordTail(path)
    assert tail.read() == []
    record = RecordFile(path)
    trial = attempt_at(0, {"x": 1}, id="a")
    record.append([CampaignStarted(1.0, "h", 1, 1)])
    assert len(tail.read()) == 2  # with the header
    assert tail.read() == []
    record.append([TrialStarted.of(trial, 2.0)])
    before = path.stat().st_size
    ended = TrialFinished.of(trial, Outcome(Status.FAILED, {}, Failure(FailureKind.NO_VALUE, "r")), 3.0)
    record.append([ended])
    whole = path.read_bytes()
    os.truncate(path, before + 20)
    assert tail.read() == [TrialStarted.of(trial, 2.0)]
    assert tail.read() == []
    path.write_bytes(whole)
    assert tail.read() == [ended]


def test_a_record_that_became_shorter_is_no_longer_the_same(here: Path) -> None:
    path = here / "events.jsonl"
    record = RecordFile(path)
    record.append([CampaignStarted(1.0, "h", 1, 1), CampaignStopped(2.0)])
    tail = RecordTail(path)
    tail.read()
    size = path.stat().st_size
    os.truncate(path, size - 10)
    with pytest.raises(RecordChanged):
        tail.read()
    damaged = RecordTail(path)
    path.write_text("{}\n")
    with pytest.raises(RecordError, match="not a record of candle"):
        damaged.read()


def test_improvements_end_with_the_best(tmp_path: Path) -> None:
    events = list(read_events(make_experiment(tmp_path / "X000", 300).record))
    history = History(Objective(Direction.MINIMIZE))
    for event in events:
        history.apply(event)
    values = [value for _, value in history.improvements]
    assert values == sorted(values, reverse=True)
    assert history.best is not None
    assert history.best.outcome is not None
    assert values[-1] == history.best.outcome.value_of(THE_VALUE)
    assert history.busy_share(0.0) == pytest.approx(0.95, abs=0.05)


def test_a_trial_that_is_attempted_again_is_not_a_failure_any_more() -> None:
    trial, again = attempt_at(0, id="a"), attempt_at(0, id="a", attempt=2)
    history = History(Objective(Direction.MAXIMIZE))
    lost = Outcome(Status.INTERRUPTED, {}, Failure(FailureKind.MACHINE, "its worker was lost"), 1.0, Place("n1", 0))
    events: list[AnyEvent] = [CampaignStarted(0.0, "h", 1, 2), TrialStarted.of(trial, 0.0)]
    for event in [*events, TrialFinished.of(trial, lost, 1.0)]:
        history.apply(event)
    assert list(map(str, failures_by_reason(history))) == ["1 interrupted (a): its worker was lost"]
    history.apply(TrialStarted.of(again, 2.0))
    assert failures_by_reason(history) == []
    assert history.busy_share(4.0) == pytest.approx((1 + 2) / 8)
    assert history.elapsed(4.0) == 4.0


@pytest.mark.parametrize("width", [80, 110, 200])
@pytest.mark.parametrize("height", [24, 60])
@pytest.mark.parametrize("running", [0, 3, 1000])
def test_the_page_fits_its_terminal(tmp_path: Path, width: int, height: int, running: int) -> None:
    paths = make_experiment(tmp_path / "X000", 200 + running, workers=max(8, running), running=running)
    history = History(Objective(Direction.MINIMIZE))
    for event in read_events(paths.record):
        history.apply(event)
    frame = Frame(width, height, BEGAN + 3600, "X000 of made.in", "Running since " + "long " * 60)
    outputs = {row.trial.id: "epoch 3: loss 0.5" for row in trials_on_page(history, frame)}
    frame = msgspec.structs.replace(frame, outputs=outputs)
    page = live_page(history, read_experiment_settings(paths), frame)
    console = Console(width=width, height=height, force_terminal=True, color_system=None, highlight=False)
    with console.capture() as captured:
        console.print(page)
    lines = captured.get().splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) < width
    text = "\n".join(lines)
    assert "200/" in text
    assert f"{running:,} running" in text
    assert f"{max(8, running):,} workers, busy" in text
    assert "val_to_return is nan" in text
    assert "best (minimize): " in text
    assert "█" in text
    if running:
        assert "ends about" in text
        assert ("epoch 3: loss" in text) == (width >= 110)


def test_sparklines() -> None:
    assert sparkline([1, 1, 1]) == "▁▁▁"
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([1000, 100, 10, 1]) == "█▆▃▁"
    history = History(Objective(Direction.MINIMIZE))
    history.improvements = [(100.0, 8.0), (110.0, 4.0)]
    assert sparkline_text(history, 120.0, 4) == "  ██▁▁  8 → 4, found 0:00:10 ago"


class Terminal:
    """A program on its own terminal, as wide and high as a person's."""

    def __init__(self, *command: str | Path, cwd: Path, columns: int = 80, rows: int = 24) -> None:
        self._end, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "candle_hpo", *map(str, command)],
            cwd=cwd,
            env={name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        self.text = ""

    def press(self, keys: str) -> None:
        os.write(self._end, keys.encode())

    def wait_for(self, pattern: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, f"{pattern} is not in {self.text}"
            self._read()

    def _read(self) -> bool:
        ready, _, _ = select.select([self._end], [], [], 0.2)
        try:
            data = os.read(self._end, 65536) if ready else b""
        except OSError:  # Linux says so when the other end is closed
            return False
        self.text += data.decode(errors="replace")
        return True

    def end(self, seconds: float = 60) -> int:
        deadline = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < deadline:
            self._read()
        while self._read() and self._process.poll() is None:
            pass
        try:
            return self._process.wait(max(0.1, deadline - time.monotonic()))
        finally:
            self._process.kill()
            os.close(self._end)


@pytest.fixture
def slow_experiment(write_input: WriteInput, here: Path) -> subprocess.Popen[str]:
    """An experiment of four slow trials, two at a time, that runs; the file `go` makes it end."""
    path = write_input(SLOW, control="nworkers=2")
    process = subprocess.Popen(
        [sys.executable, "-m", "candle_hpo", "submit-job", str(path)],
        cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while not list(here.glob("last-candle-job/run/*/subprocess_out_and_err.txt")):
        assert time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)
    return process


def test_watch_on_a_terminal_until_q_and_until_the_end(here: Path, slow_experiment: subprocess.Popen[str]) -> None:
    terminal = Terminal("watch", cwd=here, columns=120)
    terminal.wait_for("2 running")
    terminal.wait_for(r"\| step \d")
    terminal.press("q")
    assert terminal.end() == 0
    assert slow_experiment.poll() is None
    terminal = Terminal("watch", cwd=here)
    terminal.wait_for("2 running")
    terminal.press("\x03")
    assert terminal.end() == 0
    assert "X000 keeps running" in terminal.text
    assert slow_experiment.poll() is None
    terminal = Terminal("watch", cwd=here)
    terminal.wait_for("2 running")
    (here / "go").write_text("")
    assert terminal.end() == 0
    assert "4 trials: 4 completed" in terminal.text
    assert "candle report X000" in terminal.text
    out, _ = slow_experiment.communicate(timeout=20)
    assert slow_experiment.returncode == 0, out


def test_watch_in_a_pipe_and_logs_that_follow(here: Path, slow_experiment: subprocess.Popen[str]) -> None:
    def start(name: str, *arguments: str) -> subprocess.Popen[str]:
        with (here / name).open("w") as printed:
            return subprocess.Popen(
                [sys.executable, "-m", "candle_hpo", *arguments],
                cwd=here, stdout=printed, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip

    watch, logs = start("watch.txt", "watch"), start("logs.txt", "logs", "1", "--follow")
    line = re.compile(r"^0:00:\d\d  0/4 ended, 0 completed, 2 running, 0 failed, best: none yet$", re.MULTILINE)
    deadline = time.monotonic() + 60
    while not (line.search((here / "watch.txt").read_text()) and (here / "logs.txt").read_text()):
        assert time.monotonic() < deadline, (here / "watch.txt").read_text()
        time.sleep(0.05)
    assert watch.poll() is None
    assert logs.poll() is None
    (here / "go").write_text("")
    _, error = watch.communicate(timeout=60)
    assert watch.returncode == 0, error
    out = (here / "watch.txt").read_text()
    assert "\x1b" not in out
    assert "4 trials: 4 completed" in out
    _, error = logs.communicate(timeout=60)
    assert logs.returncode == 0, error
    steps = [int(line.split()[1]) for line in (here / "logs.txt").read_text().splitlines()]
    assert steps == list(range(len(steps)))
    assert "hpset_00001: completed after 0:00:" in error
    slow_experiment.communicate(timeout=60)


def test_watch_an_experiment_whose_campaign_died(
    here: Path, candle: Candle, slow_experiment: subprocess.Popen[str]
) -> None:
    slow_experiment.kill()
    slow_experiment.communicate()
    done = candle("watch")
    assert done.returncode == 0, done.stderr
    assert "Interrupted: process" in done.stdout
    assert "candle resume X000 continues it" in done.stdout


def test_logs(candle: Candle, write_input: WriteInput, here: Path) -> None:
    script = "print('x is', hyperparams['x']); val_to_return = 1 if hyperparams['x'] != 3 else None"
    assert candle("submit-job", write_input(script)).returncode == 1
    assert candle("logs", "hpset_00002").stdout == "x is 3\n"
    assert candle("logs", "X000", "2").stdout == "x is 3\n"
    assert candle("resume", "--retry-failed").returncode == 1
    assert candle("logs", "2", "--attempt", "1").stdout == "x is 3\n"
    (here / "last-candle-job" / "run" / "hpset_00002" / "subprocess_out_and_err.txt").write_bytes(b"\x1b[31mred\xff\n")
    command = [sys.executable, "-m", "candle_hpo", "logs", "2"]
    assert subprocess.run(command, cwd=here, capture_output=True, check=True).stdout == b"\x1b[31mred\xff\n"
    terminal = Terminal("logs", "2", cwd=here)
    assert terminal.end() == 0
    assert "[31mred" in terminal.text
    assert "\x1b" not in terminal.text
    for arguments, message in [
        (["hpset_9"], 'X000 has no trial "hpset_9" that has begun; there are hpset_00001, hpset_00002'),
        (["../x"], "has no trial"),
        (["2", "--attempt", "7"], "there is no output of attempt 7 at hpset_00002"),
        (["X009", "1"], "X009 is not an experiment"),
        (["X000", "1", "2"], "name one trial"),
    ]:
        done = candle("logs", *arguments)
        assert done.returncode == 2
        assert message in done.stderr
