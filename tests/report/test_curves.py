"""What trials reported on their way, in the views of an experiment."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from candle_hpo.commands import status as verb
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Outcome, Report, Status, default_trial_id
from candle_hpo.record.events import AnyEvent, CampaignStarted, TrialFinished, TrialStarted
from candle_hpo.record.folder import read_experiment_settings
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events
from candle_hpo.report.charts.charts import for_print, rows_of
from candle_hpo.report.charts.curves import POINTER, curve_charts
from candle_hpo.report.curves import MOST_CURVES, MOST_POINTS, curves_of, last_points, thinned
from candle_hpo.report.live_page import Frame, live_page, sparkline_with_gaps, trials_on_page
from candle_hpo.report.page.data import page_data
from candle_hpo.report.page.render import report_page
from candle_hpo.report.savings import savings_lines
from candle_hpo.report.words import ordinal, step_text
from support.attempts import attempt_at
from support.made_experiments import BEGAN, CONDITIONAL, make_experiment

LOSS = Objective(Direction.MINIMIZE, "loss")


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25, "accuracy": 1}\n', [(1, 0.5), (2, 0.25)]),
        ('{"val_to_return": 3}\n{"accuracy": 1}\n{"loss": 2}\n', [(1, 3), (3, 2)]),
        ('{"epoch": 4, "loss": 1}\n{"epoch": 3, "loss": 0}\n{"iter": 5, "loss": 2}\n', [(4, 1), (5, 2)]),
        ('{"step": 1, "loss": NaN}\n{"step": 2, "loss": "-inf"}\n', [(1, None), (2, None)]),
        ('{"step": NaN, "loss": 1}\n[1]\nx\n\xff\n{"step": 2, "loss": 1}\n{"step": 3, "lo', [(2, 1)]),
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


def test_what_is_not_a_regular_file_is_not_waited_for(tmp_path: Path) -> None:
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


def test_the_status_shows_the_step_of_each_running_trial(here: Path) -> None:
    paths = make_experiment(here / "candle_generated_files/experiments/X000", 60, workers=8, running=4, steps=27)
    paths.trial("hpset_00059").reports.unlink()  # then the record says how far it was when it was weighed
    console = Console(width=300, highlight=False)
    with console.capture() as captured:
        verb.status("X000", console)
    running = dict(re.findall(r"(hpset_\d+) for .*?\d:\d\d:\d\d( at step \d+)?: ", captured.get()))
    assert running["hpset_00058"] == " at step 13"
    assert running["hpset_00059"] == " at step 9"
    assert len(running) == 4


def test_words_of_reports() -> None:
    assert sparkline_with_gaps([1, None, 8, 4]) == "▁!█▄"
    assert sparkline_with_gaps([]) == ""
    assert sparkline_with_gaps([None, None]) == "!!"
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111, 1013)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th", "1,013th",
    ]  # fmt: skip
    assert [step_text(step) for step in (4.0, 0.5, 1_234_567.0)] == ["4", "0.5", "1,234,567"]


def test_the_charts_of_curves(tmp_path: Path) -> None:
    paths = make_experiment(tmp_path / "X000", 60, workers=8, running=3, steps=27)
    history = History(Objective(Direction.MINIMIZE), read_events(paths.record))
    data = page_data("X000", history, CONDITIONAL, None, curves_of(paths, history))
    assert data.curves is not None
    rows = rows_of(data)["curves"]
    by_status = {status: {row["p"] for row in rows if row["k"] == status} for status in data.statuses}
    for status in (Status.COMPLETED, Status.STOPPED):
        assert len(by_status[status.value]) == history.counts[status] > 5
    assert len(by_status["running"]) == 3
    order = [["stopped", "completed", "running"].index(str(row["k"])) for row in rows]
    assert order == sorted(order), "the faint ones are below the others"
    best = [(row["s"], row["v"], row["e"]) for row in rows if row["p"] == data.best]
    assert [step for step, *_ in best] == list(range(1, 28))
    assert history.best is not None
    assert best[-1] == (27, pytest.approx(history.best.value, rel=1e-5), True)
    charts = curve_charts(data)
    assert {name: list(each) for name, each in charts.items()} == {name: ["linear", "log"] for name in charts}
    assert "log" in charts
    text = report_page(paths, read_experiment_settings(paths), history)
    assert 'id="curves"' in text
    (figure,) = (chart for name, chart in for_print(data) if name == "curves")
    assert '"near"' in msgspec.json.encode([*POINTER]).decode()
    assert '"near"' not in msgspec.json.encode(figure).decode(), "nothing in a figure answers to a pointer"


def test_where_nothing_is_reported_there_is_no_chart(tmp_path: Path) -> None:
    paths = make_experiment(tmp_path / "X000", 20, running=2)
    history = History(Objective(Direction.MINIMIZE), read_events(paths.record))
    assert curve_charts(page_data("X000", history, CONDITIONAL, None, curves_of(paths, history))) == {}
    assert 'id="curves"' not in report_page(paths, read_experiment_settings(paths), history)


def test_of_many_trials_the_best_and_an_even_choice_are_read_and_thinned_out(tmp_path: Path) -> None:
    paths, count = ExperimentPaths(tmp_path), MOST_CURVES + 50
    events: list[AnyEvent] = [CampaignStarted(1.0, "h", 1, 2)]
    text = "".join(f'{{"step": {step}, "val_to_return": {1 / step!r}}}\n' for step in range(1, 101))
    for number in range(1, count + 1):
        one = attempt_at(number)
        last = Report(100, {THE_VALUE: 0.01})
        outcome = Outcome(Status.COMPLETED, {THE_VALUE: 1.0 if number == 7 else 2.0}, last_report=last)
        events += [TrialStarted.of(one, 1.0), TrialFinished.of(one, outcome, 2.0)]
        file = paths.trial(default_trial_id(number)).reports
        file.parent.mkdir(parents=True)
        file.write_text(text)
    history = History(Objective(Direction.MINIMIZE), events)
    curves = curves_of(paths, history)
    assert (len(curves.points), curves.left_out) == (MOST_CURVES, 50)
    assert 7 in curves.points
    assert sum(map(len, curves.points.values())) <= MOST_POINTS
    assert {(points[0], points[-1]) for points in curves.points.values()} == {((1, 1.0), (100, 0.01))}
    data = page_data("X000", history, [], None, curves)
    assert len(msgspec.json.encode(data.curves)) < 500_000


def test_an_even_choice() -> None:
    assert thinned(range(101), 5) == [0, 25, 50, 75, 100]
    assert thinned([1, 2], 2) == [1, 2]


@pytest.mark.parametrize(
    ("whole", "stopped", "max_steps", "said"),
    [
        ([10, 10], [1, 4], None, "2 of 4 trials stopped early; 38 % of the steps were not run"),
        ([10], [1, 4], 20, "2 of 3 trials stopped early; 50 % of the steps were not run"),
        ([8, 12], [1, 4], None, "2 of 4 trials stopped early; about 38 % of the steps were not run"),
        ([10, 10], [1, None], None, "2 of 4 trials stopped early; 22 % of the steps were not run"),
        ([10], [None], None, "1 of 2 trials stopped early"),
        ([None], [4], None, "1 of 2 trials stopped early"),
        ([], [4], 10, "1 of 1 trials stopped early; about 60 % of the steps were not run"),
        ([10], [], 10, ""),
    ],
)
def test_what_stopping_saved(
    tmp_path: Path, whole: list[float | None], stopped: list[float | None], max_steps: int | None, said: str
) -> None:
    outcomes = [Outcome(Status.COMPLETED, {THE_VALUE: 1.0}, last_report=_report(step)) for step in whole]
    outcomes += [Outcome(Status.STOPPED, last_report=_report(step)) for step in stopped]
    events: list[AnyEvent] = []
    for number, outcome in enumerate(outcomes, start=1):
        one = attempt_at(number)
        events += [TrialStarted.of(one, 1.0), TrialFinished.of(one, outcome, 2.0)]
    stored = read_experiment_settings(make_experiment(tmp_path / "X000", 1))
    stored = msgspec.structs.replace(stored, settings=msgspec.structs.replace(stored.settings, max_steps=max_steps))
    assert "".join(savings_lines(History(Objective(Direction.MINIMIZE), events), stored)) == said


def _report(step: float | None) -> Report | None:
    return None if step is None else Report(step, {THE_VALUE: 1.0})
