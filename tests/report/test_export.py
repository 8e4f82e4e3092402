"""Trials for other programs: the files and the study that they read, Python's way in, and the dashboard."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import optuna
import pandas as pd
import pyarrow.parquet as pq
import pytest
from optuna.trial import TrialState

import candle_hpo
from candle_hpo.core.errors import InputError
from candle_hpo.core.fidelity import Fidelity
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import (
    Attempt,
    Configuration,
    Continued,
    Failure,
    FailureKind,
    Outcome,
    Status,
    Trial,
)
from candle_hpo.record.events import AnyEvent, CampaignStarted, TrialFinished, TrialStarted
from candle_hpo.record.log import RecordFile
from candle_hpo.report.dashboard_study import DashboardStudy
from candle_hpo.report.optuna_study import write_journal
from conftest import Candle
from support.attempts import attempt_at
from support.browser import open_page
from support.made_experiments import CONDITIONAL, HOSTILE, make_experiment


def test_csv_and_json_are_those_of_aggregate_results(candle: Candle, here: Path) -> None:
    make_experiment(here / "X005", 30)
    assert candle("export", "X005", "--to", "csv").returncode == 0
    assert candle("export", "X005", "--to", "json", "--output", "sub/all.json").returncode == 0
    assert candle("aggregate-results", "X005").returncode == 0
    assert (here / "X005" / "X005.csv").read_bytes() == (here / "X005" / "candle_results.csv").read_bytes()
    with (here / "X005" / "X005.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 30
    assert len(json.loads((here / "sub" / "all.json").read_text())) == 30


def test_parquet_keeps_types_where_a_column_has_one(candle: Candle, here: Path) -> None:
    make_experiment(here / "X005", 50)
    assert candle("export", "X005", "--to", "parquet").returncode == 0
    table = pq.read_table(here / "X005" / "X005.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    assert types["value"] == types["learning_rate"] == types["momentum"] == types["accuracy"] == "double"
    assert types["batch_size"] == types["number"] == "int64"
    assert types["batch_norm"] == "bool"
    assert types["dense"] == types["optimizer"] == "string"
    assert types["started"].startswith("timestamp")
    rows = table.to_pylist()
    assert {row["dense"] for row in rows} == {"[128]", "[128, 64]", "[256, 128, 64]", None}
    assert HOSTILE in {row["activation"] for row in rows}
    assert all(row["momentum"] is None for row in rows if row["optimizer"] != "sgd")


@pytest.mark.parametrize("direction", list(Direction))
def test_an_optuna_study_is_the_experiment(candle: Candle, here: Path, direction: Direction) -> None:
    paths = make_experiment(here / "X005", 80, direction=direction)
    done = candle("export", "X005", "--to", "optuna", "--output", "study.log")
    assert done.returncode == 0, done.stderr
    assert "optuna-dashboard study.log shows it" in done.stdout
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(here / "study.log")))
    study = optuna.load_study(study_name="X005", storage=storage)
    loaded = candle_hpo.load(paths.root)
    assert study.direction.name.lower() == direction.value
    assert loaded.best is not None
    assert study.best_value == loaded.best.value
    assert study.best_trial.user_attrs["id"] == loaded.best.id
    assert len(study.trials) == 80
    for trial, ours in zip(study.trials, loaded.trials, strict=True):
        assert trial.state is (TrialState.COMPLETE if ours.status == "completed" else TrialState.FAIL)
        for name in ("learning_rate", "batch_size", "batch_norm", "momentum"):
            assert trial.params.get(name) == ours.hyperparameters.get(name)
        dense = ours.hyperparameters["dense"]
        assert trial.params["dense"] == (None if dense is None else json.dumps(dense))
        assert trial.user_attrs["status"] == ours.status
    assert optuna.importance.get_param_importances(study)


def test_an_optuna_study_has_what_trials_reported(candle: Candle, here: Path) -> None:
    paths = make_experiment(here / "X005", 40, steps=27)
    ours = candle_hpo.load(paths.root).trials
    half_steps = next(trial for trial in ours if trial.status == "stopped")
    (half_steps.folder / "reports.jsonl").write_text(
        '{"step": 0.5, "val_to_return": 4}\n{"step": 1, "val_to_return": NaN}\n{"step": 2, "val_to_return": 3}\n'
    )
    done = candle("export", "X005", "--to", "optuna", "--output", "study.log")
    assert done.returncode == 0, done.stderr
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(here / "study.log")))
    for trial, one in zip(optuna.load_study(study_name="X005", storage=storage).trials, ours, strict=True):
        if one is half_steps:
            assert trial.state is TrialState.PRUNED
            assert list(trial.intermediate_values) == [1, 2], "Optuna's steps are whole numbers"
            assert math.isnan(trial.intermediate_values[1])
        elif one.last_step is not None:
            assert trial.state is (TrialState.COMPLETE if one.status == "completed" else TrialState.PRUNED)
            assert list(trial.intermediate_values) == list(range(1, int(one.last_step) + 1))
            assert trial.intermediate_values[int(one.last_step)] == one.last_value
        else:
            assert not trial.intermediate_values


@pytest.mark.slow
def test_what_cannot_be_exported(candle: Candle, here: Path) -> None:
    make_experiment(here / "X005", 3)
    done = candle("export", "X005", "--to", "parkett")
    assert done.returncode == 2
    assert 'did you mean "parquet"?' in done.stderr
    done = candle("export", "X006", "--to", "csv")
    assert done.returncode == 2
    (here / "file").write_text("")
    done = candle("export", "X005", "--to", "optuna", "--output", "file/x.log")
    assert done.returncode == 3
    assert "name another place with --output" in done.stderr


def test_in_python(here: Path) -> None:
    make_experiment(here / "X005", 40, running=2)
    (here / "last-candle-job").symlink_to("X005")
    loaded = candle_hpo.load()
    assert repr(loaded).startswith("<experiment X005: 40 of 40 trials, minimize, best 0.")
    assert loaded.names == tuple(CONDITIONAL)
    assert loaded.settings["workflow"] == "random"
    assert [trial.number for trial in loaded.trials] == list(range(1, 41))
    completed = [trial for trial in loaded.trials if trial.value is not None]
    assert {trial.status for trial in completed} == {"completed"}
    assert loaded.best == min(completed, key=lambda trial: trial.value or 0.0)
    assert [trial.status for trial in loaded.trials].count("running") == 2
    frame = loaded.to_dataframe()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns[:4]) == ["number", "id", "value", "learning_rate"]
    assert frame.loc[frame["value"].idxmin(), "id"] == loaded.best.id
    assert frame["momentum"].isna().sum() == (frame["optimizer"] != "sgd").sum()
    with pytest.raises(InputError, match="X009 is not an experiment"):
        candle_hpo.load("X009")
    with pytest.raises(AttributeError):
        candle_hpo.nothing  # noqa: B018


def test_importing_candle_costs_nothing() -> None:
    code = (
        "import candle_hpo, sys; print([n for n in sys.modules if n.split('.')[0] in ('msgspec', 'optuna', 'pandas')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_study_that_follows_the_record(here: Path) -> None:
    record = RecordFile(here / "events.jsonl")
    sets: list[dict[str, object]] = [{"kind": "a", "x": 1}, {"kind": "b", "x": 2}, {"kind": None, "x": 3}]
    trials = [attempt_at(number, values, id=f"t{number}") for number, values in enumerate(sets, start=1)]
    study = DashboardStudy(ExperimentPaths(here), Objective(Direction.MINIMIZE), ["kind", "x"], [])

    def states() -> list[tuple[int, str, float | None]]:
        study.update()
        (found,) = study.storage.get_all_studies()
        return [(t.number, t.state.name, t.value) for t in study.storage.get_all_trials(found._study_id)]

    assert states() == []
    events: list[AnyEvent] = [CampaignStarted(1.0, "h", 1, 2), TrialStarted.of(trials[0], 2.0)]
    record.append(events)
    assert states() == [(0, "RUNNING", None)]
    lost = Outcome(Status.INTERRUPTED, {}, Failure(FailureKind.MACHINE, "its worker was lost"), 1.0)
    again = attempt_at(1, sets[0], id="t1", attempt=2)
    record.append(
        [TrialFinished.of(trials[0], lost, 3.0), TrialStarted.of(again, 3.0), TrialStarted.of(trials[1], 3.0)]
    )
    assert [state for _, state, _ in states()][-2:] == ["RUNNING", "RUNNING"]
    record.append([TrialFinished.of(again, Outcome(Status.COMPLETED, {THE_VALUE: 0.5}, seconds=1.0), 4.0)])
    assert (0.5) in [value for _, _, value in states()]
    record.append([TrialStarted.of(trials[2], 5.0)])  # with a choice that no trial had before
    assert sorted(state for _, state, _ in states()) == ["COMPLETE", "RUNNING", "RUNNING"]
    study.end_running("its campaign died")
    assert sorted(state for _, state, _ in states()) == ["COMPLETE", "FAIL", "FAIL"]
    record.append([CampaignStarted(6.0, "h", 2, 2), TrialStarted.of(attempt_at(3, sets[2], id="t3", attempt=2), 6.0)])
    assert sorted(state for _, state, _ in states()) == ["COMPLETE", "FAIL", "FAIL", "RUNNING"]
    record.append(
        [TrialFinished.of(attempt_at(3, sets[2], id="t3", attempt=2), Outcome(Status.STOPPED, seconds=1.0), 7.0)]
    )
    assert sorted(state for _, state, _ in states()) == ["COMPLETE", "FAIL", "FAIL", "PRUNED"]


def test_a_study_that_follows_the_record_has_what_trials_report(here: Path) -> None:
    record, paths = RecordFile(here / "events.jsonl"), ExperimentPaths(here)
    one, two = (attempt_at(number, {"x": number}, id=f"t{number}") for number in (1, 2))
    for attempt in (one, two):
        paths.trial(attempt.trial.id).reports.parent.mkdir(parents=True)

    def report(attempt: Attempt, *steps: float) -> None:
        with paths.trial(attempt.trial.id).reports.open("a") as file:
            file.writelines(f'{{"step": {step}, "val_to_return": {step / 10}}}\n' for step in steps)

    def steps(study: DashboardStudy) -> list[tuple[str, dict[int, float]]]:
        study.update()
        (found,) = study.storage.get_all_studies()
        return [(t.state.name, t.intermediate_values) for t in study.storage.get_all_trials(found._study_id)]

    def new_study() -> DashboardStudy:
        return DashboardStudy(paths, Objective(Direction.MINIMIZE), ["x"], [])

    study = new_study()
    record.append([CampaignStarted(1.0, "h", 1, 2), TrialStarted.of(one, 2.0)])
    assert steps(study) == [("RUNNING", {})]
    report(one, 1, 1.5, 2)
    assert steps(study) == [("RUNNING", {1: 0.1, 2: 0.2})]
    report(one, 3)
    record.append([TrialFinished.of(one, Outcome(Status.STOPPED, seconds=1.0), 3.0), TrialStarted.of(two, 3.0)])
    report(two, 1)
    expected = [("PRUNED", {1: 0.1, 2: 0.2, 3: 0.3}), ("RUNNING", {1: 0.1})]
    assert steps(study) == expected == steps(new_study())


@pytest.mark.parametrize(("least", "step"), [(3, (3, 9)), (0.5, (1, 2))])
def test_with_fidelity_what_completed_below_the_last_level_is_pruned_in_optuna(
    here: Path, least: float, step: tuple[int, int]
) -> None:
    levels, objective = Fidelity("budget", least, 9).levels(3 if least == 3 else 18), Objective(Direction.MINIMIZE)
    attempts = [
        Attempt(Trial(Configuration(1, "t1", {"x": 1, "budget": least}))),
        Attempt(Trial(Configuration(2, "t1@9", {"x": 1, "budget": 9}, Continued(1, "t1", 2)))),
    ]
    record = RecordFile(here / "events.jsonl")
    record.append([CampaignStarted(1.0, "h", 1, 2)])
    live = DashboardStudy(ExperimentPaths(here), objective, ["x", "budget"], [], levels)
    for attempt, value in zip(attempts, (0.1, 0.5), strict=True):
        record.append([TrialStarted.of(attempt, 2.0)])
        live.update()
        record.append([TrialFinished.of(attempt, Outcome(Status.COMPLETED, {THE_VALUE: value}, seconds=1.0), 3.0)])
        live.update()
    rows = list(live.history.trials.values())
    write_journal(here / "study.log", "X000", Direction.MINIMIZE, rows, ["x", "budget"], {}, levels)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(here / "study.log")))
    for study in (
        optuna.load_study(study_name="X000", storage=storage),
        optuna.load_study(study_name=here.name, storage=live.storage),
    ):
        assert [trial.state for trial in study.trials] == [TrialState.PRUNED, TrialState.COMPLETE]
        assert [trial.intermediate_values for trial in study.trials] == [{step[0]: 0.1}, {step[1]: 0.5}]
        assert [trial.params for trial in study.trials] == [{"x": 1}, {"x": 1}]
        assert [(t.user_attrs["budget"], t.user_attrs["level"]) for t in study.trials] == [(least, 1), (9, 2)]
        assert study.best_trial.user_attrs["id"] == "t1@9", "the lower value is one of less"


@pytest.fixture
def served(here: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    make_experiment(here / "X005", 60, running=3)
    process = subprocess.Popen(
        [sys.executable, "-m", "candle_hpo", "dashboard", "X005", "--port", "18180"],
        cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+/dashboard/", line)
    assert address, line + process.communicate(timeout=5)[1]
    yield process, address[0]
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 0, error
    assert error == ""


def studies(address: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{address.removesuffix('dashboard/')}api/studies/0") as answer:  # noqa: S310
        found: dict[str, object] = json.load(answer)
        return found


def test_the_dashboard_follows_and_is_for_this_machine_alone(
    here: Path, served: tuple[subprocess.Popen[str], str]
) -> None:
    process, address = served
    found = studies(address)
    trials = found["trials"]
    assert isinstance(trials, list)
    assert [trial["state"] for trial in trials].count("Running") == 3
    port = int(address.split(":")[2].split("/")[0])
    listening = [line.split() for line in Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()[1:]]
    addresses = [
        fields[1].split(":")[0] for fields in listening if fields[1].endswith(f":{port:04X}") and fields[3] == "0A"
    ]
    assert addresses == ["0100007F"]
    running = [trial for trial in candle_hpo.load(here / "X005").trials if trial.status == "running"]
    record = RecordFile(here / "X005" / "events.jsonl")
    for each in running:
        trial = attempt_at(each.number, each.hyperparameters, id=each.id)
        record.append(
            [TrialFinished.of(trial, Outcome(Status.COMPLETED, {THE_VALUE: -5.0}, seconds=1.0), each.started + 1)]
        )
    deadline = time.monotonic() + 20
    while [trial["state"] for trial in studies(address)["trials"]].count("Running"):  # type: ignore[attr-defined]
        assert time.monotonic() < deadline
        time.sleep(0.3)


@pytest.mark.browser
def test_the_dashboard_in_a_browser(served: tuple[subprocess.Popen[str], str]) -> None:
    _, address = served
    seen = open_page(f"{address}studies/0", milliseconds=20_000)
    assert seen.console == []
    assert "X005" in seen.html
    assert seen.count("js-plotly-plot") >= 1
