"""What becomes of trials' processes when the campaign is killed: its guard ends them, or whoever resumes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from conftest import Candle, WriteInput, gone

LINUX = sys.platform == "linux"

PROCESSES = {
    "model.py": "import os, subprocess, time\nchild = subprocess.Popen(['sleep', '600'])\n"
    "away = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    "print(os.getpid(), child.pid, file=open('pids', 'w'))\nprint(away.pid, file=open('away', 'w'))\ntime.sleep(600)\n",
    "model.sh": "sleep 600 &\nsetsid sleep 600 &\necho $! > away\necho $$ $(jobs -p | head -1) > pids\nwait\n",
    "model.R": "system('sleep 600 & echo $! $PPID > pids; setsid sleep 600 & echo $! > away')\nSys.sleep(600)\n",
    "model": "#!/bin/sh\ntrap '' TERM HUP\nsleep 600 &\necho $$ $! > pids\nsetsid sleep 600 &\necho $! > away\nwait\n",
}


class Killed(NamedTuple):
    """A campaign that is killed with `kill -9` while two trials run, and their processes."""

    process: subprocess.Popen[bytes]
    in_groups: list[int]
    away: list[int]  # in other sessions

    @classmethod
    def starting(cls, write_input: WriteInput, here: Path, name: str) -> Killed:
        """Start the campaign, and wait for the processes."""
        path = write_input("", "nworkers=2", "", '{"x": 1}\n{"x": 2}')
        (here / name).write_text(PROCESSES[name])
        (here / name).chmod(0o755)
        path.write_text(path.read_text().replace("model.py", name))
        process = subprocess.Popen([sys.executable, "-m", "candle_hpo", "submit-job", path.name], cwd=here)
        started = cls(process, wait_for_pids(here, "pids", 2), wait_for_pids(here, "away", 2))
        assert len(started.in_groups) == 4
        wait_for_own_sessions(started.away)
        return started

    def guard(self) -> int:
        """Return its guard: a bash that reads what the campaign writes."""

        def pipes(pid: int) -> set[str]:
            links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
            return {link for link in links if link.startswith("pipe:")}

        (guard,) = (
            each.pid
            for each in psutil.process_iter(["cmdline"])
            if "--norc" in (each.info["cmdline"] or ()) and pipes(each.pid) & pipes(self.process.pid)
        )
        return int(guard)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize("name", list(PROCESSES))
def test_no_process_outlives_a_killed_campaign_for_long(
    write_input: WriteInput, here: Path, candle: Candle, name: str
) -> None:
    """With kill -9, all of each trial's group end at once, and on Linux what has left it, too."""
    if name.endswith(".R") and shutil.which("Rscript") is None:
        pytest.skip("there is no R (Debian: apt-get install r-base-core)")
    campaign = Killed.starting(write_input, here, name)
    campaign.kill()
    assert gone(*campaign.in_groups)
    if LINUX:
        assert gone(*campaign.away)
    else:
        for pid in campaign.away:
            with contextlib.suppress(ProcessLookupError):  # a few processes show their environment there, too
                os.kill(pid, signal.SIGKILL)
    (here / name).write_text(
        "val_to_return = 1\n" if name == "model.py" else "val_to_return=1\n" if name != "model" else
        '#!/bin/sh\necho 1 > "$CANDLE_RESULT_FILE"\n'
    )  # fmt: skip
    resumed = candle("resume")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "2 trials: 2 completed" in resumed.stdout
    assert "ran still" not in resumed.stdout


@pytest.mark.skipif(not LINUX, reason="escaped processes are found on Linux alone")
def test_what_outlives_a_campaign_and_its_guard_ends_before_anything_is_attempted_again(
    write_input: WriteInput, here: Path, candle: Candle
) -> None:
    """Those of a script that starts warm, the warm interpreter ends."""
    campaign = Killed.starting(write_input, here, "model")
    os.kill(campaign.guard(), signal.SIGKILL)
    campaign.kill()
    (here / "model").write_text('#!/bin/sh\necho 1 > "$CANDLE_RESULT_FILE"\n')
    resumed = candle("resume")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "2 trials: 2 completed" in resumed.stdout
    assert "of its trials' processes ran still; ended now" in resumed.stdout
    assert gone(*campaign.in_groups, *campaign.away)


def wait_for_own_sessions(pids: list[int]) -> None:
    """Wait until each has left its trial's group: `setsid` is a program that has to start before it can do that."""
    deadline = time.monotonic() + 30
    while any(os.getsid(pid) != pid for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_pids(here: Path, name: str, count: int) -> list[int]:
    deadline = time.monotonic() + 30
    while True:
        found = [file for file in here.glob(f"last-candle-job/run/*/{name}") if file.read_text().endswith("\n")]
        if len(found) >= count:
            return [int(pid) for file in found for pid in file.read_text().split()]
        assert time.monotonic() < deadline
        time.sleep(0.02)
