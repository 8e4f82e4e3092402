"""What people see: the table of results, the summary, the progress of a run."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from candle_hpo.commands.progress import Progress
from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Failure, FailureKind, Outcome, Status
from candle_hpo.record.events import AnyEvent, CampaignStarted, TrialFinished, TrialStarted
from candle_hpo.record.folder import Provenance, StoredExperiment
from candle_hpo.record.history import History
from candle_hpo.report import words
from candle_hpo.report.charts.axes import objective_scales
from candle_hpo.report.charts.charts import objective_charts
from candle_hpo.report.page.data import page_data
from candle_hpo.report.results import as_csv, as_json, as_table, check_result_format, result_rows
from candle_hpo.report.summary import best_line, counts_line, failure_lines, running_lines
from support.attempts import attempt_at

NAMES = ["layers", "activation", "rate"]
SETS: list[dict[str, object]] = [
    {"layers": [10, 20], "activation": "relu", "rate": 1e-7, "constant": None},
    {"layers": None, "activation": 'a "quoted", text', "rate": 0.5, "constant": None},
    {"layers": True, "activation": "zwei\nZeilen", "constant": None},
    {"layers": 1, "activation": "ü", "rate": 2, "constant": None},
]
OUTCOMES = [
    Outcome(Status.COMPLETED, {THE_VALUE: 0.1 + 0.2}, seconds=1.5),
    Outcome(Status.FAILED, {}, Failure(FailureKind.EXIT_STATUS, "exit status 1: ValueError"), 2.0),
    Outcome(Status.COMPLETED, {THE_VALUE: -4.0}, seconds=1.0),
]


def history(direction: Direction = Direction.MINIMIZE, outcomes: list[Outcome] = OUTCOMES) -> History:
    events: list[AnyEvent] = [CampaignStarted(99.0, "here", 1, 2)]
    for number, values in enumerate(SETS, start=1):
        trial = attempt_at(number, values)
        events.append(TrialStarted.of(trial, 100.0))
        if number <= len(outcomes):
            events.append(TrialFinished.of(trial, outcomes[number - 1], 102.0))
    return History(Objective(direction), events)


def test_the_csv_is_candles_with_our_columns_last() -> None:
    text = as_csv(result_rows(history()), NAMES, None)
    assert list(csv.reader(io.StringIO(text))) == [
        ["result", "dirname", "id", "layers", "activation", "rate", "status", "seconds", "attempts"],
        ["-4.0", "hpset_00003", "hpset_00003", "true", "zwei\nZeilen", "", "completed", "1.000", "1"],
        [
            "0.30000000000000004",
            "hpset_00001",
            "hpset_00001",
            "[10, 20]",
            "relu",
            "1e-07",
            "completed",
            "1.500",
            "1",
        ],
        ["", "hpset_00002", "hpset_00002", "null", 'a "quoted", text', "0.5", "failed", "2.000", "1"],
    ]


def test_the_best_is_first_in_either_direction() -> None:
    rows = result_rows(history(Direction.MAXIMIZE))
    assert [row.trial.number for row in rows] == [1, 3, 2]


def test_a_result_format() -> None:
    first = as_csv(result_rows(history()), NAMES, "%07.3f").splitlines()[1]
    assert first.startswith("-04.000,hpset_00003")


@pytest.mark.parametrize("text", ["%d%d", "%", "3", "%s and %s", "", "%q"])
def test_what_is_not_a_result_format(text: str) -> None:
    with pytest.raises(InputError, match=r"is not a printf format for one number; write for instance %07.3f"):
        check_result_format(text)
    check_result_format("%07.3f")
    check_result_format(None)


def test_the_json_has_everything() -> None:
    table = json.loads(as_json(result_rows(history()), NAMES, None))
    assert table[1] == {
        "result": 0.1 + 0.2,
        "dirname": "hpset_00001",
        "id": "hpset_00001",
        "hyperparameters": {"layers": [10, 20], "activation": "relu", "rate": 1e-7, "constant": None},
        "status": "completed",
        "reason": "",
        "metrics": {},
        "seconds": 1.5,
        "attempts": 1,
        "script": "",
    }
    assert table[2]["result"] is None
    assert table[2]["reason"] == "exit status 1: ValueError"


def shown(renderable: object, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(renderable)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_cuts_nothing_off(width: int) -> None:
    text = shown(as_table(result_rows(history()), NAMES, None, Direction.MINIMIZE), width)
    assert "…" not in text
    assert all(len(line) <= width for line in text.splitlines())
    assert "best first: the lowest result" in text
    assert "hpset_00003" in text


def test_the_summary(here: Path) -> None:
    paths = ExperimentPaths(here)
    output = paths.trial("hpset_00002").output
    output.parent.mkdir(parents=True)
    output.write_text("epoch 1\n\nTraceback\nValueError: no\n")
    now = history()
    assert counts_line(now, 6) == "6 trials: 2 completed, 1 failed, 1 running, 2 not started"
    assert best_line(now, NAMES).startswith('best (minimize): -4 by hpset_00003: layers=true, activation="zwei')
    (running,) = running_lines(now, NAMES, paths, 165.0)
    assert running.startswith("hpset_00004 for 0:01:05: layers=1")
    lines = list(failure_lines(now, paths, lines_each=2))
    assert lines == [
        "1 failed (hpset_00002): exit status 1: ValueError",
        f"  see {output.relative_to(here)}",
        "  | Traceback",
        "  | ValueError: no",
    ]


def test_failures_of_one_kind_are_reported_once(here: Path) -> None:
    failed = [Outcome(Status.FAILED, {}, Failure(FailureKind.EXIT_STATUS, "exit status 1: same")) for _ in SETS]
    paths = ExperimentPaths(here)
    output = paths.trial("hpset_00001").output
    output.parent.mkdir(parents=True)
    output.write_text("")
    lines = list(failure_lines(history(outcomes=failed), paths))
    assert lines[0] == "4 failed (hpset_00001, hpset_00002, hpset_00003, …): exit status 1: same"
    assert len(lines) == 2
    assert best_line(history(outcomes=failed), NAMES) == "best: none, no trial has completed"


def stored(total: int) -> StoredExperiment:
    return StoredExperiment(
        input_file="/x.in",
        settings=Settings(model_script="/m.py", workflow="grid"),
        default_model={},
        names=NAMES,
        total=total,
        seed=1,
        interpreter="/python3",
        provenance=Provenance.of_this_process(),
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_live_page_fits_its_terminal(width: int) -> None:
    console = Console(file=Terminal(), width=width, height=24, force_terminal=True, highlight=False)
    with Progress(history(), stored(100_000), console) as progress:
        progress.update()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    shown_lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in text.splitlines()]
    assert max(map(len, shown_lines)) <= width - 4, shown_lines
    if width == 40:
        return
    assert "3/100,000" in text
    assert "2 completed, 1 running, 1 failed" in text
    assert "left" in text
    assert "hpset_00003" in text


def test_plain_lines_where_there_is_no_terminal() -> None:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    with Progress(history(), stored(6), console) as progress:
        for _ in range(100):
            progress.update()
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 1
    expected = "0:00:00  3/6 ended, 2 completed, 1 running, 1 failed, about 0:00:02 left, best: -4 hpset_00003"
    assert lines[0].startswith(expected)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (3661, "1:01:01"), (90_061, "1 d 1:01:01")]
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_hyperparameters_called_like_our_columns() -> None:
    trial = attempt_at(0, {"status": 1, "dirname": "d"}, id="a")
    events: list[AnyEvent] = [TrialStarted.of(trial, 1.0), TrialFinished.of(trial, OUTCOMES[0], 2.0)]
    rows = result_rows(History(Objective(Direction.MINIMIZE), events))
    header, line = as_csv(rows, ["status", "dirname"], None).splitlines()
    assert header == "result,dirname,id,hyperparameter_status,hyperparameter_dirname,status,seconds,attempts"
    assert line == "0.30000000000000004,a,a,1,d,completed,1.500,1"


def test_texts_are_none_of_what_pandas_makes_of_them() -> None:
    texts = [
        "NA",
        "None",
        "n/a",
        " NULL",
        "True",
        "F",
        "0x10",
        "007",
        "1_0",
        "a\rb",
        "a\r\nb",
        "a\x00b",
        "",
        "relu",
        "none",
    ]
    trials = [attempt_at(number, {"s": text}) for number, text in enumerate([*texts, None, True], start=1)]
    events: list[AnyEvent] = [TrialStarted.of(trial, 1.0) for trial in trials]
    events += [TrialFinished.of(trial, OUTCOMES[0], 2.0) for trial in trials]
    table = as_csv(result_rows(History(Objective(Direction.MINIMIZE), events)), ["s"], None)
    read = pd.read_csv(io.StringIO(table))["s"].tolist()
    assert [cell if cell in ("relu", "none") else json.loads(cell) for cell in read[:-2]] == texts
    assert (pd.isna(read[-2]), read[-1]) == (True, "true")


def test_a_trial_without_a_hyperparameter_is_not_set_on_its_axis() -> None:
    sets: list[dict[str, object]] = [{"kind": "a", "x": 3}, {"kind": "b"}, {"x": 3}]
    events: list[AnyEvent] = []
    for number, values in enumerate(sets, start=1):
        attempt = attempt_at(number, values)
        events += [
            TrialStarted.of(attempt, 1.0),
            TrialFinished.of(attempt, Outcome(Status.COMPLETED, {THE_VALUE: float(number)}), 2.0),
        ]
    data = page_data("X000", History(Objective(), events), ["kind", "x"])
    (scale, *_) = objective_scales(data).values()
    shares = [
        each["calculate"] for each in objective_charts(data, scale)["parallel"]["transform"] if "calculate" in each
    ]
    for column, share in zip((0, 1), shares, strict=False):
        assert share.startswith(f"isValid(datum.c{column}) ? "), "what is not there is nothing that could be moved"
        assert "/ 0" not in share, "one value alone has the middle of its axis"
