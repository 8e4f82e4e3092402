"""How often reports are looked for: at each look in a folder of this machine, seldom in one that nodes share."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from candle_hpo.core.paths import TrialPaths
from candle_hpo.core.trial import Report
from candle_hpo.launch.measuring import looks
from candle_hpo.launch.measuring.growing_file import GrowingFile
from candle_hpo.launch.measuring.looks import Looks, is_of_this_machine
from candle_hpo.launch.measuring.matching_files import MatchingFiles
from candle_hpo.launch.measuring.objective import Measurement, ResultSource
from candle_hpo.launch.measuring.report_watch import LOOK_SECONDS, ReportWatch
from candle_hpo.launch.measuring.result_file import ResultFiles

SECONDS = 500
AT_ONCE = 6  # calls of one look
BEGIN = 100  # seconds, after which what is done at the beginning is over


class Clock:
    """The time that is looked at, which passes as a test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(time, "monotonic", found)
    return found


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let all folders be those that nodes share."""
    monkeypatch.setattr(looks, "is_of_this_machine", lambda _: False)
    yield


class Calls:
    """The calls of candle's that ask a file system what is there, with their times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
        self.times: list[float] = []
        self.are_the_trials = False
        for name, cost in [("stat", 1), ("open", 1), ("scandir", 4)]:
            monkeypatch.setattr(os, name, self._counted(getattr(os, name), cost, clock))

    def _counted(self, real: Callable[..., object], cost: int, clock: Clock) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if not self.are_the_trials:
                self.times += [clock.now] * cost
            return real(*arguments, **options)

        return call


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def replace(path: Path, text: str) -> None:
    aside = path.with_suffix(".aside")
    aside.write_text(text)
    aside.replace(path)


def row(folder: Path, step: int) -> None:
    append(folder / "log.csv", f"{step},{1 / step}\n" if step > 1 else "epoch,loss\n1,1.0\n")


def line(folder: Path, step: int) -> None:
    append(folder / "log.jsonl", json.dumps({"epoch": step, "loss": 1 / step}) + "\n")


def again(folder: Path, step: int) -> None:
    (folder / "log.json").write_text(json.dumps({"epoch": step, "loss": 1 / step}))


def another(folder: Path, step: int) -> None:
    replace(folder / "log.json", json.dumps({"epoch": step, "loss": 1 / step}))


def checkpoint(folder: Path, step: int) -> None:
    place = folder / f"checkpoint-{step // 100 * 100}"
    place.mkdir(exist_ok=True)
    replace(place / "state.json", json.dumps({"history": [{"epoch": step, "loss": 1 / step}]}))


def nothing(_folder: Path, _step: int) -> None:
    pass


WAYS: dict[str, tuple[ResultSource, Callable[[Path, int], None], float]] = {
    "a table": (ResultSource(file="log.csv", key="loss", objective="loss"), row, LOOK_SECONDS),
    "lines of JSON": (ResultSource(file="log.jsonl", key="loss", objective="loss"), line, LOOK_SECONDS),
    "a file that is written again": (ResultSource(file="log.json", key="loss", objective="loss"), again, LOOK_SECONDS),
    "a file that is replaced": (ResultSource(file="log.json", key="loss", objective="loss"), another, 11.0),
    "files in folders": (
        ResultSource(file="checkpoint-*/state.json", key="history[*].loss", objective="loss"),
        checkpoint,
        50.0,
    ),
    "a pattern in a file": (
        ResultSource(file="log.csv", pattern=r"(?P<epoch>\d+),(?P<loss>\S+)", objective="loss"),
        row,
        LOOK_SECONDS,
    ),
    "a file that never comes": (ResultSource(file="log.csv", key="loss", objective="loss"), nothing, 0.0),
    "event files that never come": (ResultSource(file="runs/*/*tfevents*", key="loss"), nothing, 0.0),
    "no report": (ResultSource(), nothing, 0.0),
}


def watched(
    folder: Path, clock: Clock, calls: Calls, source: ResultSource, write: Callable[[Path, int], None]
) -> list[tuple[float, Report]]:
    """Return when which report was passed on, of a trial that writes once a second."""
    paths, heard = TrialPaths(folder, folder / "checkpoint", folder / "output.txt"), list[tuple[float, Report]]()
    watch = ReportWatch(source, folder, paths, lambda report: heard.append((clock.now - 1000, report)))
    measurement = Measurement(source, folder, paths, "")
    for tick in range(int(SECONDS / LOOK_SECONDS)):
        clock.now = 1000 + tick * LOOK_SECONDS
        if tick % 2 == 0:
            calls.are_the_trials = True
            write(folder, tick // 2 + 1)
            calls.are_the_trials = False
        measurement.look()
        watch.look()
    return heard


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("way", WAYS)
def test_what_nodes_share_is_asked_once_in_five_seconds_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, way: str
) -> None:
    source, write, late = WAYS[way]
    with monkeypatch.context() as patch:
        calls = Calls(patch, clock)
        heard = watched(tmp_path, clock, calls, source, write)
    assert calls.times, "else none are counted"
    assert len([time for time in calls.times if time >= 1000 + BEGIN]) <= (SECONDS - BEGIN) / 5 + AT_ONCE
    if write is not nothing:
        assert heard[-1][1].step >= SECONDS - late
        assert all(time - report.step <= late for time, report in heard if time > BEGIN)


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("way", WAYS)
def test_what_an_earlier_attempt_has_left_is_asked_about_as_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, way: str
) -> None:
    source, write, _ = WAYS[way]
    write(tmp_path, 1)
    with monkeypatch.context() as patch:
        calls = Calls(patch, clock)
        watched(tmp_path, clock, calls, source, lambda *_: None)
    assert len([time for time in calls.times if time >= 1000 + BEGIN]) <= (SECONDS - BEGIN) / 4.5 + AT_ONCE


def test_in_a_folder_of_this_machine_what_is_replaced_is_seen_at_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    source, write, _ = WAYS["a file that is replaced"]
    with monkeypatch.context() as patch:
        patch.setattr(looks, "is_of_this_machine", lambda _: True)
        assert len(watched(tmp_path, clock, Calls(patch, clock), source, write)) == SECONDS


@pytest.mark.usefixtures("shared")
def test_what_is_not_there_yet_is_looked_for_ever_less_often(clock: Clock) -> None:
    its, asked = Looks(Path("/")), []
    for tick in range(200):
        clock.now = 1000 + tick * 0.5
        its.begin()
        if its.are_due:
            its.asked(in_vain=True)
            asked.append(tick * 0.5)
    assert asked == [0, 0.5, 1, 2, 4, 8, 16, *range(26, 100, 10)]


@pytest.mark.usefixtures("shared")
def test_a_file_that_was_cut_by_the_trial_is_believed_after_two_looks(tmp_path: Path, clock: Clock) -> None:
    log = tmp_path / "log.csv"
    log.write_text("loss\n0.5\n0.4\n")
    files = ResultFiles(tmp_path, "log.csv")
    log.write_text("loss\n")
    for second in range(5):
        clock.now = 1000.0 + second
        files.look()
    append(log, "0.5\n0.4\n0.3\n")
    assert files.written().begin == 0


def test_a_file_that_another_node_has_replaced_is_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_text("1\n")
    growing = GrowingFile(path)
    assert growing.read() == (b"1\n", b"", False, True)
    real = os.pread

    def stale(*_: object) -> bytes:
        monkeypatch.setattr(os, "pread", real)
        raise OSError(errno.ESTALE, "of a network file system")

    monkeypatch.setattr(os, "pread", stale)
    replace(path, "2\n")
    assert growing.read() == (b"2\n", b"", True, True)
    growing.close()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("checkpoint-*/state.json", ["checkpoint-5/state.json", "checkpoint-10/state.json"]),
        ("*.json", ["a.json", "b1.json"]),
        ("?.json", ["a.json"]),
        ("[!a]*.json", ["b1.json"]),
        ("**/*.json", ["a.json", "b1.json", "checkpoint-5/state.json", "checkpoint-10/state.json"]),
        ("**/state.json", ["checkpoint-5/state.json", "checkpoint-10/state.json"]),
        ("none/*/x", []),
        ("a.json/*", []),
    ],
)
def test_names_that_fit_are_those_of_glob_the_last_by_their_numbers_first(
    tmp_path: Path, pattern: str, names: list[str]
) -> None:
    for name in ("a.json", "b1.json", "checkpoint-5/state.json", "checkpoint-10/state.json", "checkpoint-x/other"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    found = [str(path.relative_to(tmp_path)) for path in MatchingFiles(tmp_path, pattern)]
    assert found[::-1] == names
    assert sorted(names) == sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob(pattern))


MOUNTS = r"""21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:40 / /home rw,relatime shared:2 - nfs4 server:/home rw,vers=4.2
23 22 0:41 / /home/me/my\040scratch rw - tmpfs tmpfs rw
24 21 0:42 / /data rw - ext4 /dev/sdb1 rw
25 21 0:43 / /data rw - lustre 10.0.0.1@tcp:/data rw
"""


@pytest.mark.parametrize(
    ("folder", "is_own"),
    [("/home/me", False), ("/homes", True), ("/home/me/my scratch/x", True), ("/data/x", False), ("/", True)],
)
def test_which_folders_are_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, is_own: bool
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(looks, "_MOUNTS", mounts)
    is_of_this_machine.cache_clear()
    assert is_of_this_machine(Path(folder)) is is_own
    is_of_this_machine.cache_clear()


def test_a_machine_that_does_not_say_what_it_has_has_its_own_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "_MOUNTS", tmp_path / "none")
    is_of_this_machine.cache_clear()
    assert is_of_this_machine(Path("/home"))
    is_of_this_machine.cache_clear()
