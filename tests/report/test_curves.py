"""What trials reported on their way, in the views of an experiment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.console import Console

from candle_hpo.core.objective import Direction, Objective
from candle_hpo.record.folder import read_experiment_settings
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events
from candle_hpo.report.curves import last_points
from candle_hpo.report.live_page import Frame, live_page, sparkline_with_gaps, trials_on_page
from candle_hpo.report.words import ordinal, step_text
from support.made_experiments import BEGAN, make_experiment

LOSS = Objective(Direction.MINIMIZE, "loss")


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25, "accuracy": 1}\n', [(1, 0.5), (2, 0.25)]),
        ('{"val_to_return": 3}\n{"accuracy": 1}\n{"loss": 2}\n', [(1, 3), (3, 2)]),
        ('{"epoch": 4, "loss": 1}\n{"epoch": 3, "loss": 0}\n{"iter": 5, "loss": 2}\n', [(4, 1), (5, 2)]),
        ('{"step": 1, "loss": NaN}\n{"step": 2, "loss": "-inf"}\n', [(1, None), (2, None)]),
        ('{"step": NaN, "loss": 1}\n[1]\n7\n\xff\n{"step": 2, "loss": 1}\n{"step": 3, "lo', [(2, 1)]),
        ("[" * 100_000 + "\n" + '{"step": 1.5, "loss": 1e999}\n', [(1.5, None)]),
        ("", []),
    ],
)  # fmt: skip
def test_points_of_a_file_that_grows(tmp_path: Path, text: str, points: list[tuple[float, float | None]]) -> None:
    file = tmp_path / "reports.jsonl"
    file.write_bytes(text.encode("latin-1"))
    assert last_points(file, LOSS, 1_000_000) == points


def test_of_a_long_file_the_end_is_read(tmp_path: Path) -> None:
    file = tmp_path / "reports.jsonl"
    file.write_text("".join(f'{{"step": {step}, "loss": {step / 2}}}\n' for step in range(100_000)))
    points = last_points(file, LOSS)
    assert points[-1] == (99_999, 49_999.5)
    assert 300 < len(points) < 1000
    assert points[0].step + len(points) - 1 == 99_999, "the first line is whole, too"
    file.write_text('{"loss": 1}\n' * 10_000)
    assert last_points(file, LOSS) == [], "which step each is of is not known"


def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "reports.jsonl")
    assert last_points(tmp_path / "reports.jsonl", LOSS) == []
    assert last_points(tmp_path / "nothing", LOSS) == []
    assert last_points(tmp_path, LOSS) == []


@pytest.mark.parametrize(("width", "blocks"), [(80, 10), (200, 13)])
def test_running_trials_show_their_curve_their_step_and_their_rank(tmp_path: Path, width: int, blocks: int) -> None:
    paths = make_experiment(tmp_path / "X000", 60, workers=8, running=3, steps=27)
    history = History(Objective(Direction.MINIMIZE), read_events(paths.record))
    frame = Frame(width, 24, BEGAN + 3600, "X000", "")
    curves = {
        row.trial.id: last_points(paths.trial(row.trial.id).reports, history.objective)
        for row in trials_on_page(history, frame)
    }
    del curves["hpset_00059"]  # what it reported cannot be read
    frame = Frame(width, 24, BEGAN + 3600, "X000", "", curves=curves)
    console = Console(width=width, height=24, highlight=False)
    with console.capture() as captured:
        console.print(live_page(history, read_experiment_settings(paths), frame))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) < width
    first, second = (next(line for line in lines if f"hpset_000{number}" in line) for number in (58, 59))
    curve = sparkline_with_gaps([point.value for point in curves["hpset_00058"][-blocks:]])
    assert len(curve) == blocks
    assert f"  {curve}  step 13  3rd of 14 at step 9  learn" in first
    assert f"  {' ' * blocks}  step 9   3rd of 14 at step 9  learn" in second


def test_words_of_reports() -> None:
    assert sparkline_with_gaps([1, None, 8, 4]) == "▁!█▄"
    assert sparkline_with_gaps([]) == ""
    assert sparkline_with_gaps([None, None]) == "!!"
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111, 1013)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th", "1,013th",
    ]  # fmt: skip
    assert [step_text(step) for step in (4.0, 0.5, 1_234_567.0)] == ["4", "0.5", "1,234,567"]
