"""A machine that misbehaves: reported in one message with status 3, and once it is well again everything completes."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from candle_hpo.core.errors import MachineError
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.trial import Status
from candle_hpo.engine.open_files import allow_open_files
from candle_hpo.record.events import TrialFinished
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events
from conftest import Candle, WriteInput

LINUX = sys.platform.startswith("linux")
RECORD = "last-candle-job/events.jsonl"


def sets(count: int) -> str:
    return "\n".join(json.dumps({"x": number}) for number in range(count))


def history(here: Path) -> History:
    return History(Objective(Direction.MINIMIZE), read_events(here / RECORD))


def assert_all_completed_once(here: Path, count: int) -> None:
    events = read_events(here / RECORD)
    ends = Counter(
        event.number
        for event in events
        if isinstance(event, TrialFinished) and event.outcome.value_of(THE_VALUE) is not None
    )
    assert ends == Counter(range(1, count + 1))


def start(here: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "candle_hpo", *arguments],
        cwd=here, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def completed(here: Path) -> int:
    return (here / RECORD).read_text().count('"completed"') if (here / RECORD).exists() else 0


@pytest.fixture
def small_disk(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 1 MB, where the experiment lies."""
    if not LINUX or os.getuid() != 0:
        pytest.skip("mounting a tmpfs needs root on Linux")
    disk = here / "candle_generated_files"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False)
    if mounted.returncode != 0:
        pytest.skip("this system lets nobody mount a tmpfs")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


# One trial fills the disk; all others need little of it, or some.
FILLS = """
import os, time
try:
    if hyperparams["x"] == 7 and not os.path.exists("../../../../../emptied"):
        with open("../../../../fill", "wb", buffering=0) as file:
            while True:
                file.write(bytes(1000))
except OSError:
    pass
NEEDS
time.sleep(0.05)
val_to_return = hyperparams["x"]
"""


@pytest.mark.parametrize(
    "needs", ["", "open('weights', 'wb').write(bytes(20_000))", "os.write(1, b'x' * 20_000)"], ids=["", "file", "print"]
)
def test_a_disk_that_fills_up(
    small_disk: Path, write_input: WriteInput, here: Path, candle: Candle, needs: str
) -> None:
    done = candle("submit-job", write_input(FILLS.replace("NEEDS", needs), "nworkers=2", "", sets(20)))
    assert done.returncode == 3, done.stdout + done.stderr
    assert "No space left on device" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    before = history(here)
    assert before.counts[Status.FAILED] == 0, done.stdout
    assert before.counts[Status.COMPLETED] >= 6
    # What ran when the record itself could not be written any more is known to have been interrupted by the resume.
    assert not before.running or "the record cannot be written" in done.stderr
    (small_disk / "fill").unlink()
    (here / "emptied").touch()
    resumed = candle("resume")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "20 trials: 20 completed" in resumed.stdout
    assert_all_completed_once(here, 20)


def test_a_disk_that_is_full_from_the_beginning(
    small_disk: Path, write_input: WriteInput, here: Path, candle: Candle
) -> None:
    with (small_disk / "fill").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(1000))
    done = candle("submit-job", write_input())
    assert done.returncode == 3
    assert "the experiment's folder cannot be made" in done.stderr
    assert "No space left on device" in done.stderr
    assert not list(small_disk.glob("experiments/*"))


def test_an_experiments_folder_that_is_removed(write_input: WriteInput, here: Path) -> None:
    process = start(
        here, "submit-job", write_input("import time; time.sleep(0.2); val_to_return = 1", "", "", sets(50)).name
    )
    wait_until(lambda: completed(here) >= 2)
    root = (here / "last-candle-job").resolve()
    shutil.rmtree(root, ignore_errors=True)
    shutil.rmtree(root, ignore_errors=True)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 3, stdout + stderr
    assert "is gone; was the experiment's folder removed" in stderr or "No such file or directory" in stdout + stderr
    assert "Traceback" not in stderr
    assert not (root / "run").exists()


@pytest.fixture
def unwritable() -> Iterator[Callable[[Path], Callable[[], None]]]:
    """Make a folder unwritable, for root too; return what makes it writable again."""
    mounted: list[Path] = []

    def make(folder: Path) -> Callable[[], None]:
        if os.getuid() != 0:
            folder.chmod(0o555)
            return lambda: folder.chmod(0o755)
        bound = subprocess.run(["mount", "--bind", folder, folder], check=False)
        if bound.returncode != 0:
            pytest.skip("this system lets nobody mount a folder")
        mounted.append(folder)
        # Not while a trial's output is just being opened there.
        wait_until(lambda: subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=False).returncode == 0)

        def unmount() -> None:
            subprocess.run(["umount", "--lazy", folder], check=True)
            mounted.remove(folder)

        return unmount

    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_an_experiments_folder_that_becomes_unwritable(
    write_input: WriteInput, here: Path, candle: Candle, unwritable: Callable[[Path], Callable[[], None]]
) -> None:
    path = write_input("import time; time.sleep(0.1); val_to_return = 1", "", "", sets(20))
    process = start(here, "submit-job", path.name)
    wait_until(lambda: completed(here) >= 2)
    make_writable = unwritable((here / "last-candle-job").resolve() / "run")
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 3, stdout + stderr
    assert "Stopped: system errors ended one trial after the other, the last 3: [Errno " in stdout
    assert "candle resume X000 continues it" in stdout
    assert len(history(here).trials) < 12
    make_writable()
    resumed = candle("resume")
    assert resumed.returncode == 0, resumed.stdout
    assert_all_completed_once(here, 20)


def test_more_workers_than_files_may_be_open(write_input: WriteInput, here: Path) -> None:
    path = write_input("", "nworkers=40", "", sets(50))
    command = f"ulimit -n 300 && {sys.executable} -m candle_hpo submit-job {path.name}"
    done = subprocess.run(["bash", "-c", command], cwd=here, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3, done.stdout + done.stderr
    assert (
        "40 workers need up to 420 open files, and this machine allows 300 (ulimit -Hn); set nworkers to 25 or less"
        in done.stderr
    )


def test_more_workers_than_files_are_open_by_default(write_input: WriteInput, here: Path) -> None:
    """All at once: each waits for the last one to have begun."""
    path = write_input("", "nworkers=150", "", sets(150))
    path.write_text(path.read_text().replace("model.py", "model"))
    script = """#!/bin/bash
touch "../../$CANDLE_TRIAL_ID.began"
until [ -e ../../hpset_00150.began ]; do sleep 0.2; done
echo "$(ulimit -Sn)" > "$CANDLE_RESULT_FILE"
"""
    (here / "model").write_text(script)
    (here / "model").chmod(0o755)
    command = f"ulimit -Sn 200 && {sys.executable} -m candle_hpo submit-job {path.name}"
    done = subprocess.run(["bash", "-c", command], cwd=here, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "150 trials: 150 completed" in done.stdout
    assert {row.value for row in history(here).trials.values() if row.outcome} == {1300.0}


@pytest.mark.skipif(not LINUX, reason="only Linux changes the limits of another process")
@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_files_that_run_out_in_the_middle(write_input: WriteInput, here: Path, candle: Candle, left: int) -> None:
    path = write_input("import time; time.sleep(0.1); val_to_return = 1", "nworkers=2\npreload=none", "", sets(20))
    process = start(here, "submit-job", path.name)
    wait_until(lambda: completed(here) >= 4)
    # The least number that was ever free: what is opened from now on gets it, or a higher one.
    free = 10_000
    for _ in range(30):
        there = {int(name) for name in os.listdir(f"/proc/{process.pid}/fd")}  # noqa: PTH208
        free = min(free, min(set(range(10_000)) - there))
        time.sleep(0.005)
    most = free + left
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (most, most))
    stdout, stderr = process.communicate(timeout=60)
    if left < 2:
        assert process.returncode == 3, stdout + stderr
        assert "Too many open files" in stdout + stderr
    assert "Traceback" not in stderr
    assert "mistake" not in stderr
    if process.returncode != 0:
        resumed = candle("resume")
        assert resumed.returncode == 0, stdout + stderr + resumed.stdout + resumed.stderr
    assert_all_completed_once(here, 20)


def test_the_limit_of_open_files_is_raised_as_far_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    was: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 20_000))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: was.append(limits))
    allow_open_files(100)
    assert was == []
    allow_open_files(1200)
    assert was == [(9700, 20_000)]
    with pytest.raises(MachineError, match="set nworkers to 2,487 or less"):
        allow_open_files(3000)


@pytest.fixture
def few_processes() -> Iterator[Callable[[int], Callable[[], None]]]:
    """A cgroup that holds so many processes and threads; the function puts the process that calls it there."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        pytest.skip("needs cgroups, thus Linux")
    path = next((line.split(":", 2)[2] for line in lines if line.split(":")[1] in ("pids", "")), "/")
    parents = [Path("/sys/fs/cgroup/pids") / path.lstrip("/"), Path("/sys/fs/cgroup") / path.lstrip("/")]
    parent = next((each for each in parents if (each / "cgroup.procs").exists()), None)
    group = (parent or Path("/")) / f"candle_test_{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("making a cgroup needs root, and a system that lets it")
    if not (group / "pids.max").exists():
        group.rmdir()
        pytest.skip("this system's cgroups do not count processes")

    def limited_to(most: int) -> Callable[[], None]:
        (group / "pids.max").write_text(str(most))
        return lambda: print(os.getpid(), file=(group / "cgroup.procs").open("w"))

    yield limited_to
    wait_until(lambda: not (group / "cgroup.procs").read_text())
    group.rmdir()


@pytest.mark.parametrize("most", [1, 2, 3, 5, 7, 8])
def test_a_machine_that_starts_no_more_processes(
    write_input: WriteInput, here: Path, candle: Candle, few_processes: Callable[[int], Callable[[], None]], most: int
) -> None:
    """Whatever it is that cannot be started: a thread, the guard, or a trial."""
    # The Python on the PATH may be a script of bash, which asks again for seconds before it gives up.
    own = f"python_bin_path='{Path(sys.executable).parent}'"
    path = write_input("val_to_return = 1", f"nworkers=4\n{own}", "", sets(30))
    done = subprocess.run(
        [sys.executable, "-m", "candle_hpo", "submit-job", path.name],
        cwd=here, capture_output=True, text=True, timeout=60, preexec_fn=few_processes(most),
    )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "mistake" not in done.stderr
    reasons = "temporarily unavailable", "can't start new thread", "guard of the trials' processes cannot be started"
    assert any(reason in done.stdout + done.stderr for reason in reasons)
    if (here / "last-candle-job").exists():
        resumed = candle("resume")
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        assert_all_completed_once(here, 30)


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process whose fsync fails and whose clock jumps on request."""
    if shutil.which("gcc") is None or not LINUX:
        pytest.skip("making a library of faults needs gcc (Debian: apt-get install gcc libc6-dev) on Linux")
    folder = tmp_path_factory.mktemp("faults")
    source = Path(__file__).parents[2] / "support" / "data" / "faults.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", folder / "faults.so", source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(folder / "faults.so"), "FAULTS": str(folder)}


def test_a_disk_that_does_not_sync(write_input: WriteInput, here: Path, candle: Candle, faults: dict[str, str]) -> None:
    path = write_input("import time; time.sleep(0.1); val_to_return = 1", "nworkers=2", "", sets(20))
    fault = Path(faults["FAULTS"]) / "fsync"
    process = start(here, "submit-job", path.name, **faults)
    wait_until(lambda: completed(here) >= 4)
    fault.touch()
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 3, stdout + stderr
    assert "the record cannot be synced to the disk: Input/output error; what is in it is safe" in stderr
    assert "once that works, candle resume X000 continues it" in stderr
    status = candle("status")
    assert status.returncode == 0, status.stderr
    refused = candle("resume", **faults)
    assert refused.returncode == 3
    fault.unlink()
    resumed = candle("resume", **faults)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert_all_completed_once(here, 20)


@pytest.mark.parametrize("jump", [86_400, -86_400])
def test_a_clock_that_jumps(
    write_input: WriteInput, here: Path, candle: Candle, faults: dict[str, str], jump: int
) -> None:
    path = write_input(
        "import time; time.sleep(0.2); val_to_return = 1", "nworkers=2\ntrial_timeout=01:00:00", "", sets(20)
    )
    fault = Path(faults["FAULTS"]) / "clock"
    process = start(here, "submit-job", path.name, **faults)
    try:
        wait_until(lambda: completed(here) >= 4)
        fault.write_text(str(jump))
        stdout, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stdout + stderr
        assert "20 trials: 20 completed" in candle("status", **faults).stdout
    finally:
        fault.unlink(missing_ok=True)
    found = history(here)
    assert all(0.2 <= row.outcome.seconds < 3600 for row in found.trials.values() if row.outcome)
    times = [event.time for event in read_events(here / RECORD) if isinstance(event, TrialFinished)]
    assert max(times) - min(times) > 80_000, "the clock did not jump"
    assert_all_completed_once(here, 20)


def test_a_new_submission_says_how_to_resume_the_old_one(write_input: WriteInput, here: Path, candle: Candle) -> None:
    script = "import time; open('began', 'w'); time.sleep(600 if hyperparams['x'] else 0); val_to_return = 1"
    path = write_input(script, "", "", sets(3))
    process = start(here, "submit-job", path.name)
    wait_until(lambda: len(list(here.glob("last-candle-job/run/*/began"))) == 2)
    (here / "model.py").write_text("val_to_return = 1")
    assert "X000 has the same input file and runs, or waits; candle status X000" in candle("submit-job", path).stdout
    process.kill()
    process.communicate()
    (here / "last-candle-job").unlink()
    (here / "last-candle-job").symlink_to("candle_generated_files/experiments/X000")
    again = candle("submit-job", path)
    assert again.returncode == 0
    said = "X000 has the same input file, and of its 3 trials 2 were interrupted or never started: candle resume X000"
    assert said in again.stdout
    assert "X00" not in candle("submit-job", path).stdout.partition("Experiment X")[0]
