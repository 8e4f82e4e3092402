"""Whom the programs of a job contact: the addresses of its own nodes, and nobody else, and they ask for no names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from candle_hpo.engine.pilot.parsl_workers import own_addresses
from support.fake_srun import SRUN

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).parents[1] / "support" / "data" / "contacts.c"

JOB = """
import os, pathlib, sys, time
from candle_hpo.engine.pilot.pool import ClusterPool

pool, news = ClusterPool(pathlib.Path(sys.argv[1]), {"n1": 1, "n2": 1}), []
pool.start_workers(news.append)
latest = time.monotonic() + 60
while not (news and news[-1].places == 2):
    assert time.monotonic() < latest, news
    time.sleep(0.05)
look = "(__import__('time').sleep(1), __import__('os').environ['SLURMD_NODENAME'])[1]"
asked = [pool.submit(eval, look) for _ in range(2)]
assert {each.result(60) for each in asked} == {"n1", "n2"}
pool.shutdown()
"""
OUTSIDE = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.connect(("192.0.2.1", 80))  # sends nothing
for ask in (socket.gethostbyname, lambda name: socket.getaddrinfo(name, 80)):
    try:
        ask("nobody.invalid")
    except OSError:
        pass
"""


@pytest.fixture
def contacts(tmp_path: Path) -> dict[str, str]:
    """The environment of a program whose contacts are noted, in the file that it names."""
    if shutil.which("gcc") is None or not sys.platform.startswith("linux"):
        pytest.skip("noting contacts needs gcc (Debian: apt-get install gcc libc6-dev) on Linux")
    library = tmp_path / "contacts.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return {**os.environ, "LD_PRELOAD": str(library), "CONTACTS": str(tmp_path / "contacts")}


def run(program: str, environment: dict[str, str], *arguments: Path) -> set[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return {line.replace("::ffff:", "") for line in Path(environment["CONTACTS"]).read_text().splitlines()}


def test_contacts_are_noted(contacts: dict[str, str]) -> None:
    assert run(OUTSIDE, contacts) == {"connect 192.0.2.1", "name nobody.invalid"}


def test_a_job_contacts_its_own_nodes_alone(contacts: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    (tmp_path / "workers").mkdir()
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    found = run(JOB, {**contacts, "PATH": path}, tmp_path / "workers")
    assert {f"connect {address}" for address in own_addresses()} <= found, "managers try all of them"
    assert found <= {f"connect {address}" for address in own_addresses()}
