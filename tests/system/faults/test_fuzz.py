"""Arbitrary bytes for every reader: read, or reported, and never a traceback, a hang or a memory that is full.

Longer runs: tools/fuzz.py.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import WriteInput
from support.fuzz_targets import SEEDS, SHELL, TARGETS
from support.waiting import pace

_ODD = st.sampled_from(
    [b"\n", b"\r", b"\0", b'"', b"'", b"\\", b"{", b"}", b"[", b"]", b"(", b")", b"$(", b"`", b"&", b"/", b"#", b",",
     b"=", b"\xff", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"9" * 400, b"1e999", b"NaN", b"-0", b"[" * 2000, b"x" * 5000]
)  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, seed: bytes) -> bytes:
    """A seed with some pieces cut out, moved, or put in."""
    data = seed
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 30)))
        place = draw(st.integers(0, len(data)))
        piece = draw(st.one_of(_ODD, st.binary(max_size=4), st.just(data[place : place + 20])))
        data = data[:start] + piece + data[end:]
    return data


@pytest.mark.parametrize("name", list(TARGETS))
def test_arbitrary_bytes_are_read_or_reported(name: str) -> None:
    @settings(max_examples=150)
    @given(st.one_of(changed(SEEDS[name]), st.binary(max_size=200)))
    def feed(data: bytes) -> None:
        began = time.process_time()  # a disk that syncs slowly is not a hang
        TARGETS[name](data)
        assert time.process_time() - began < 50 * usual

    usual = pace()
    TARGETS[name](SEEDS[name])
    feed()


@pytest.mark.parametrize("name", list(TARGETS))
@pytest.mark.parametrize("piece", [b"a", b"[", b"(", b"9", b"1+", b"$(", b'"', b"{", b"/", b"\\", b"1,", b"(a", b"-"])
def test_a_million_of_the_same_is_read_or_reported_soon(name: str, piece: bytes) -> None:
    seed, usual = SEEDS[name], pace()
    began = time.process_time()
    for data in (piece * (990_000 // len(piece)), seed.rstrip() + b" " + piece * ((990_000 - len(seed)) // len(piece))):
        TARGETS[name](data)
    assert time.process_time() - began < 200 * usual


LINE = b"[1," * 33_000_000


@pytest.mark.parametrize("section", ["control", "default_model", "param_space"])
def test_a_line_of_100_megabytes_in_an_input_file(section: str, write_input: WriteInput, here: Path) -> None:
    path = write_input()
    text = path.read_bytes()
    before, header, after = text.partition(b"&%b\n" % section.encode())
    path.write_bytes(before + header + b"x = " + LINE + b"\n" + after)
    seconds, megabytes, stderr, status = measured(here, "submit-job", path.name)
    assert status == 2
    number = before.count(b"\n") + 2
    assert stderr == f"x.in:{number}: this line is longer than 1,000,000 bytes; is it data?\n"
    assert megabytes < 400
    assert seconds < 100 * pace()


def test_a_line_of_100_megabytes_in_a_record(write_input: WriteInput, here: Path) -> None:
    path = write_input()
    assert measured(here, "submit-job", path.name)[3] == 0
    with (here / "last-candle-job" / "events.jsonl").open("ab") as record:
        record.write(LINE + b"\n")
    for command in ("status", "resume", "aggregate-results"):
        seconds, megabytes, stderr, status = measured(here, command)
        assert status == 3
        assert "events.jsonl:12: the record is damaged here" in stderr, stderr[:2000]
        assert len(stderr) < 2000
        assert megabytes < 400
        assert seconds < 100 * pace()


@pytest.mark.parametrize(
    "where", ["result_file=r.json", "result_file=r.csv\nresult_key=a", "result_pattern=loss.*", ""]
)
def test_100_megabytes_from_a_model(where: str, write_input: WriteInput, here: Path) -> None:
    script = f"""
        import os
        for name in ("r.json", "r.csv", os.environ["CANDLE_RESULT_FILE"]):
            with open(name, "wb") as file:
                file.write({LINE[:3]!r} * 33_000_000)
        os.write(1, {LINE[:3]!r} * 33_000_000)
        os._exit(0)
    """
    path = write_input(script, control=where, param_space='{"x": 1}')
    seconds, megabytes, stderr, status = measured(here, "submit-job", path.name)
    assert status == 1, stderr
    assert stderr == ""
    assert megabytes < 700  # the model's own included, which needs 100
    assert seconds < 300 * pace()


def measured(here: Path, *arguments: str) -> tuple[float, int, str, int]:
    """Run a command; return its processor time, its megabytes at most, children included, its errors and its status."""
    program = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss, done.returncode)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, sys.executable, "-m", "candle_hpo", *arguments],
        cwd=here, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    seconds, most, status = done.stdout.split()
    return float(seconds), int(most) // (1024 if sys.platform == "linux" else 1024**2), done.stderr, int(status)


def test_no_command_is_run_by_what_is_fuzzed() -> None:
    assert SHELL.read("$(exit 7)") == "$(exit 7)"
