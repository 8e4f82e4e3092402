"""The lock of an experiment: one campaign at a time, whoever dies in between."""

from __future__ import annotations

import errno
import math
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import msgspec
import psutil
import pytest

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.record import lock
from candle_hpo.record.holder import Holder, Life, life_of, read_holder, started_at, this_place
from candle_hpo.record.lock import ExperimentLock
from conftest import Candle, WriteInput
from support.waiting import unless_it_hangs

LINUX = sys.platform.startswith("linux")


def never(job: str) -> bool:
    raise AssertionError(f"there is no job {job} to ask for")


def take(path: Path, job: str = "") -> ExperimentLock:
    return ExperimentLock(path, job, never)


def of_a_dead_process() -> Holder:
    process = subprocess.Popen([sys.executable, "-c", ""])
    holder = Holder("here", process.pid, 1.0, place=this_place(), started=1, mark="dead")
    process.wait()
    return holder


def leave(path: Path, holder: Holder) -> None:
    path.write_bytes(msgspec.json.encode(holder))


@pytest.fixture
def path(here: Path) -> Path:
    (here / "X003").mkdir()
    return here / "X003" / "campaign.lock"


def test_a_requeued_job_takes_over_from_its_dead_process_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SLURM says of both lives of a requeued job that it runs: they are one job."""
    leave(path, msgspec.structs.replace(of_a_dead_process(), job="7"))
    second = take(path, job="7")
    with pytest.raises(InputError, match="is being run by"):
        take(path, job="7")
    second.release()
    monkeypatch.setattr(lock, "LEASE_SECONDS", 1.0)
    leave(path, msgspec.structs.replace(of_a_dead_process(), job="7", place="another node"))
    said: list[str] = []
    ExperimentLock(path, "7", never, said.append).release()
    assert [line.rpartition("; ")[2] for line in said] == ["waiting up to 1 s for a sign of life from it ..."]


def test_the_second_learns_who_holds_it(path: Path) -> None:
    first = take(path)
    with pytest.raises(InputError, match=rf"X003 is being run by process {os.getpid()} on .*, since \d{{4}}-"):
        take(path)
    first.release()
    take(path).release()
    assert list(path.parent.iterdir()) == []


def test_a_dead_holder_is_followed_at_once(path: Path) -> None:
    leave(path, of_a_dead_process())
    said: list[str] = []
    held = ExperimentLock(path, "", never, said.append)
    assert said == [], "nothing is waited for"
    holder = read_holder(path)
    assert holder is not None
    assert holder.process == os.getpid()
    held.release()
    assert list(path.parent.iterdir()) == []


def test_the_number_of_a_dead_holder_may_be_anothers(path: Path) -> None:
    own = Holder.of_this_process("")
    leave(path, msgspec.structs.replace(own, started=own.started - 200))
    take(path).release()


def test_a_process_that_nobody_reaps_is_dead(path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    holder = Holder("here", process.pid, 1.0, place=this_place(), started=started_at(process.pid) or 0)
    assert life_of(holder, never) is Life.ALIVE
    process.kill()
    deadline = time.monotonic() + 30
    while life_of(holder, never) is Life.ALIVE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert life_of(holder, never) is Life.DEAD
    process.communicate()


@pytest.mark.skipif(not LINUX, reason="it is the kernel's number that is compared with, proc(5)")
def test_a_clock_that_is_set_does_not_move_when_a_process_began(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    assert started_at(os.getpid()) == int(fields[19]) * 100 // os.sysconf("SC_CLK_TCK")
    own = Holder.of_this_process("")
    earlier = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: earlier - 3_600)
    assert psutil.Process().create_time() < time.time() - 3_600
    assert life_of(own, never) is Life.ALIVE


def test_of_a_holder_that_does_not_say_when_it_began_nothing_is_known() -> None:
    own = Holder.of_this_process("")
    assert life_of(msgspec.structs.replace(own, started=-1), never) is Life.UNKNOWN


def test_a_holder_on_another_machine_that_gives_no_sign_is_dead(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE_SECONDS", 0.8)
    leave(path, Holder("elsewhere", os.getpid(), 1.0, place="another boot", started=5, mark="a"))
    said: list[str] = []
    ExperimentLock(path, "", never, said.append).release()
    (line,) = said
    assert line.startswith(f"X003 is held by process {os.getpid()} on elsewhere, since 1970-01-01")


def test_a_holder_on_another_machine_that_gives_signs_lives(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE_SECONDS", math.inf)
    leave(path, Holder("elsewhere", 7, 1.0, place="another boot", started=5, mark="a"))
    timer = threading.Timer(1.0, lambda: os.utime(path))
    timer.start()
    with pytest.raises(InputError, match="is being run by process 7 on elsewhere"):
        unless_it_hangs(lambda: take(path))
    timer.join()


def test_a_holder_that_lets_go_soon_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_ASK_AGAIN_SECONDS", 0.01)
    held = take(path)
    timer = threading.Timer(0.3, held.release)
    timer.start()
    ExperimentLock(path, "", never, patience=30).release()
    timer.join()
    held = take(path)
    with pytest.raises(InputError, match="is being run by"):
        ExperimentLock(path, "", never, patience=0.1)
    held.release()


def test_a_holder_gives_signs_of_life(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "SIGN_SECONDS", 0.05)
    held = take(path)
    first = path.stat().st_mtime_ns
    deadline = time.monotonic() + 30
    while path.stat().st_mtime_ns == first:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    held.release()


@pytest.mark.parametrize(("has_ended", "taken"), [(True, True), (False, False)])
def test_of_a_job_slurm_knows(path: Path, has_ended: bool, taken: bool) -> None:
    leave(path, Holder("n1", 7, 1.0, job="4711", mark="a"))
    if taken:
        ExperimentLock(path, "4712", lambda job: has_ended).release()
    else:
        with pytest.raises(InputError, match=r"process 7 on n1 \(job 4711\)"):
            ExperimentLock(path, "4712", lambda job: has_ended)


def _compete(path: Path, start: Barrier, wins: Path) -> None:
    start.wait(20)
    try:
        take(path)
    except InputError:
        os._exit(0)
    (wins / str(os.getpid())).touch()
    start.wait(20)
    os._exit(0)


@pytest.mark.slow
@pytest.mark.skipif(not LINUX, reason="needs processes that fork")
@pytest.mark.parametrize("dead", [True, False])
def test_of_many_that_come_at_once_one_gets_it(here: Path, dead: bool) -> None:
    """Each loser must see the winner's lock, and not take it for the dead one that it saw before."""
    context = multiprocessing.get_context("fork")
    for round_number in range(12):
        folder = here / f"X{round_number:03d}"
        (folder / "wins").mkdir(parents=True)
        if dead:
            leave(folder / "campaign.lock", of_a_dead_process())
        start = context.Barrier(6)
        processes = [
            context.Process(target=_compete, args=(folder / "campaign.lock", start, folder / "wins")) for _ in range(6)
        ]
        for process in processes:
            process.start()
        deadline = time.monotonic() + 20
        while sum(process.is_alive() for process in processes) > 1:
            assert time.monotonic() < deadline, "more than one holds it"
            time.sleep(0.01)
        time.sleep(0.05)
        assert len(list((folder / "wins").iterdir())) == 1
        for process in processes:
            process.kill()
            process.join()


def test_one_that_died_while_it_took_over_is_followed_too(path: Path) -> None:
    leave(path, of_a_dead_process())
    leave(path.with_name("campaign.lock.after_dead"), msgspec.structs.replace(of_a_dead_process(), mark="too"))
    take(path).release()
    assert list(path.parent.iterdir()) == []


def test_an_empty_lock_is_that_of_an_unknown_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk may leave one where there are no hard links."""
    monkeypatch.setattr(lock, "LEASE_SECONDS", 0.6)
    path.touch()
    take(path).release()


def test_a_lock_that_is_something_else_is_left_alone(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(MachineError, match=r"campaign\.lock cannot be read: .*remove it if nothing runs"):
        take(path)
    assert path.read_text() == "mine"


def test_a_file_system_without_links(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: object, target: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    held = take(path)
    with pytest.raises(InputError, match="is being run by"):
        take(path)
    held.release()
    assert list(path.parent.iterdir()) == []


def test_a_link_that_was_made_though_nfs_says_otherwise(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.link

    def made(source: Path, target: Path) -> None:
        real(source, target)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", made)
    take(path).release()
    assert list(path.parent.iterdir()) == []


def test_a_full_disk_leaves_no_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError, match=r"campaign\.lock cannot be made: No space left on device"):
        take(path)
    assert list(path.parent.iterdir()) == []


def test_one_that_lost_its_lock_learns_it_and_leaves_the_others(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "SIGN_SECONDS", 0.05)
    held = take(path)
    held.keep()
    other = Holder("elsewhere", 7, 1.0, place="another boot", mark="a")
    leave(path.with_name("aside"), other)
    path.with_name("aside").replace(path)
    time.sleep(0.2)
    with pytest.raises(MachineError, match=r"X003 was taken over by process 7 on elsewhere.*no sign of life"):
        held.keep()
    held.release()
    assert read_holder(path) == other


def test_a_folder_that_was_removed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "SIGN_SECONDS", 0.05)
    held = take(path)
    path.unlink()
    path.parent.rmdir()
    time.sleep(0.2)
    with pytest.raises(MachineError, match=r"campaign\.lock is gone; was the experiment's folder removed"):
        held.keep()
    held.release()


@pytest.mark.slow
def test_status_and_cancel_do_not_take_another_machine_for_this_one(
    write_input: WriteInput, here: Path, candle: Candle
) -> None:
    assert candle("submit-job", write_input()).returncode == 0
    path = here / "last-candle-job" / "campaign.lock"
    record = here / "last-candle-job" / "events.jsonl"
    record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[:-1]))
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    leave(path, Holder(os.uname().nodename, sleeper.pid, 1.0, place="another boot", started=5, mark="a"))
    assert "no sign of life" not in candle("status").stdout
    os.utime(path, (time.time() - 600, time.time() - 600))
    assert "no sign of life from it for 0:10:0" in candle("status").stdout
    cancelled = candle("cancel")
    assert cancelled.returncode == 2
    assert "cancel it on that host" in cancelled.stderr
    assert sleeper.poll() is None
    sleeper.kill()
    sleeper.wait()


def test_signs_of_life_that_fail_or_come_late_are_logged(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stale(_: int) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    def logged(text: str) -> bool:
        deadline = time.monotonic() + 30
        while not any(text in message for message in caplog.messages) and time.monotonic() < deadline:
            time.sleep(0.01)
        return any(text in message for message in caplog.messages)

    monkeypatch.setattr("candle_hpo.record.lock.SIGN_SECONDS", 0.05)
    lock = take(path)
    with monkeypatch.context() as broken:
        broken.setattr(os, "utime", stale)
        assert logged("no sign of life can be given: Stale file handle")
        time.sleep(0.2)
    assert logged("s between two signs of life: a slow file system or machine")
    lock.release()
