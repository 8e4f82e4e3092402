"""Programs that are asked for their `--help`."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from candle_hpo.core.errors import MachineError
from candle_hpo.script.questions import ask_for_help
from conftest import gone


def program(folder: Path, text: str) -> str:
    path = folder / "program"
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_what_it_prints_is_the_answer_whatever_its_status(tmp_path: Path) -> None:
    asked = program(tmp_path, 'echo "for $1"; echo more >&2; touch left; exit 3')
    assert ask_for_help([asked], os.environ, 60) == "for --help\nmore\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["program"]


def test_what_it_has_started_ends_with_it(tmp_path: Path) -> None:
    asked = program(tmp_path, f"sleep 600 & echo $! > {tmp_path}/its_pid; echo done")
    assert ask_for_help([asked], os.environ, 60) == "done\n"
    assert gone(int((tmp_path / "its_pid").read_text()))


def test_what_does_not_answer_in_time_has_said_nothing(tmp_path: Path) -> None:
    assert ask_for_help([program(tmp_path, "echo begins; exec sleep 600")], os.environ, 0.1) == ""


def test_what_does_not_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"does not run: .*No such file"):
        ask_for_help([str(tmp_path / "none")], os.environ, 60)
