"""Files that a script leaves, by the names that stand for them in each trial."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from candle_hpo.runner.measured_files import MeasuredFiles

TABLE = "epoch,val_loss\n1,0.5\n2,0.25\n"


@pytest.mark.parametrize(
    ("left", "name"),
    [
        ("logs/version_3/metrics.csv", "logs/version_*/metrics.csv"),
        ("loss[1].csv", "loss[1].csv"),
        ("loss[2026-11-26].csv", "loss[2026-11-26].csv"),
        ("run[a]/version_3/loss.csv", "run[a]/version_3/loss.csv"),
        ("what?.csv", "what?.csv"),
    ],
)
def test_a_file_is_found_again_by_its_name_in_each_trial(left: str, name: str, tmp_path: Path) -> None:
    (tmp_path / left).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / left).write_text(TABLE)
    files = MeasuredFiles(tmp_path)
    (candidate,) = files.candidates()
    assert (candidate.file, candidate.key, candidate.value) == (name, "val_loss", 0.25)
    confirmed = files.confirmed(candidate)
    assert confirmed is not None
    assert (confirmed.times, confirmed.has_step) == (2, True)


def test_of_several_the_last_one_by_its_number_stands_for_all_unless_another_is_newer(tmp_path: Path) -> None:
    for number in (9, 10):
        (tmp_path / f"step_{number}").mkdir()
        (tmp_path / f"step_{number}" / "loss.csv").write_text(TABLE)
        os.utime(tmp_path / f"step_{number}" / "loss.csv", (number, number))
    assert [each.file for each in MeasuredFiles(tmp_path).candidates()] == ["step_*/loss.csv"]
    os.utime(tmp_path / "step_9" / "loss.csv", (11, 11))
    assert [each.file for each in MeasuredFiles(tmp_path).candidates()] == ["step_10/loss.csv", "step_9/loss.csv"]
