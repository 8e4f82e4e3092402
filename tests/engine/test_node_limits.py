"""What a node must allow for its workers to begin."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from candle_hpo.core.errors import MachineError
from candle_hpo.engine.pilot.node_limits import socket_folder

ALLOW = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[1])))
from candle_hpo.core.errors import MachineError
from candle_hpo.engine import open_files
try:
    getattr(open_files, sys.argv[2])(*map(int, sys.argv[3:]))
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
except MachineError as error:
    print(error)
"""


@pytest.mark.parametrize("tmpdir", ["long", "missing", "a file", "fine"])
def test_sockets_lie_where_they_can(tmpdir: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp")  # noqa: S108
    given = {"long": tmp_path / ("long" * 25), "missing": tmp_path / "gone", "a file": tmp_path / "x", "fine": other}
    given["long"].mkdir()
    given["a file"].write_text("")
    monkeypatch.setenv("TMPDIR", str(given[tmpdir]))
    assert socket_folder([str(other)]) == str(other)
    if tmpdir != "fine":
        with pytest.raises(MachineError, match=rf"there is no folder for sockets here \(TMPDIR={given[tmpdir]}: \S+"):
            socket_folder([])
    assert not list(given["long"].iterdir())


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="mounting a tmpfs needs root on Linux")
def test_sockets_do_not_lie_on_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    full, other = Path(tempfile.mkdtemp(dir="/tmp")), "/dev/shm"  # noqa: S108  # a short path: it is the disk that is full
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", full], check=True)
    try:
        (full / "fill").write_bytes(bytes(4096))
        monkeypatch.setenv("TMPDIR", str(full))
        assert socket_folder([other]) == other
        with pytest.raises(MachineError, match=rf"TMPDIR={full}: No space left on device"):
            socket_folder([])
    finally:
        subprocess.run(["umount", "--lazy", full], check=True)
        full.rmdir()


@pytest.mark.parametrize(
    ("hard", "what", "said"),
    [
        (1000, ["allow_workers_of_a_node", "50"], "250"),
        (200, ["allow_workers_of_a_node", "50"], "50 workers of a node need up to 250 open files, and it allows 200"),
        (1000, ["allow_connections", "200"], "900"),
        (500, ["allow_connections", "200"], "500"),  # one worker that cannot be reached runs all the same
        (200, ["allow_connections", "200"], "200 workers need at least 300 open files"),
        (1000, ["allow_many_connections"], "1000"),
    ],
)
def test_open_files_are_raised_or_their_want_is_named(hard: int, what: list[str], said: str) -> None:
    command = [sys.executable, "-c", ALLOW, str(hard), *what]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(said), done.stdout + done.stderr
