"""Whatever shows a record says the same of it: counts, the best trial and its value, what varies, why trials failed."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import tempfile
from pathlib import Path

import optuna
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from optuna.storages.journal import JournalFileBackend
from rich.console import Console, RenderableType

import candle_hpo
from candle_hpo.commands.status import status
from candle_hpo.commands.watch import Watched
from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import (
    Attempt,
    Failure,
    FailureKind,
    Hyperparameters,
    Outcome,
    Place,
    Report,
    Status,
    default_trial_id,
)
from candle_hpo.record.events import (
    AnyEvent,
    CampaignStarted,
    CampaignStopped,
    TrialFinished,
    TrialReported,
    TrialStarted,
    TrialStopAsked,
)
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.folder import Provenance, StoredExperiment, read_experiment_settings, write_experiment_settings
from candle_hpo.record.history import History
from candle_hpo.record.log import RecordFile
from candle_hpo.report.columns import columns_of, representative_sets
from candle_hpo.report.dashboard_study import DashboardStudy
from candle_hpo.report.frame import data_frame, write_parquet
from candle_hpo.report.live_page import Frame, live_page
from candle_hpo.report.optuna_study import write_journal
from candle_hpo.report.page.data import page_data
from candle_hpo.report.page.render import report_page
from candle_hpo.report.results import as_csv, as_json, as_table, result_rows
from candle_hpo.report.savings import savings_lines
from candle_hpo.report.summary import best_line, counts_line, failures_by_reason, note_on_one_value
from candle_hpo.report.words import column_texts, hyperparameter_lines, plain
from candle_hpo.runner.liveness import replay_now
from support.attempts import attempt_at

NAMES = ["x", "kind"]
# Values that could look alike: a whole number and the float, texts of them, floats that differ in the seventh digit.
ALIKE: list[object] = [
    *(1, 1.0, "1", "1.0", True, "true", "True", None, "null", ""),
    *(0.1234567, 0.12345674, 1e-7, "1e-07", [1], [1.0], "[1]", '"1"', '"1'),
]


def experiment(root: Path, events: list[AnyEvent], total: int, direction: Direction) -> ExperimentPaths:
    root.mkdir(parents=True)
    paths = ExperimentPaths(root)
    write_experiment_settings(
        paths,
        StoredExperiment(
            input_file=str(root / "x.in"),
            settings=Settings(model_script=str(root / "m.py"), workflow="grid", direction=direction),
            default_model={},
            names=NAMES,
            total=total,
            seed=1,
            interpreter=sys.executable,
            provenance=Provenance.of_this_process(),
        ),
    )
    record = RecordFile(paths.record)
    record.append(events)
    record.close()
    return paths


def what_was_saved(
    ended: dict[int, TrialFinished], stopped_by_death: list[int], reports: dict[int, Report], begun: int
) -> str:
    """Return what is to be said of trials that were stopped early: "" where there is none."""
    stopped = [*stopped_by_death, *(n for n, event in ended.items() if event.outcome.status is Status.STOPPED)]
    whole = [n for n, event in ended.items() if event.outcome.status is Status.COMPLETED]
    run = [report.step for number in whole if (report := ended[number].outcome.last_report)]
    if not stopped:
        return ""
    said = f"{len(stopped)} of {begun} trials stopped early"
    if not run or not any(number in reports for number in stopped):
        return said
    length = sum(run) / len(run)
    left = sum(max(0, length - reports[number].step) for number in stopped if number in reports)
    ran = sum(reports[number].step if number in reports else length for number in stopped)
    ran += sum(run) + length * (len(whole) - len(run))
    return f"{said}; {100 * left / (left + ran):.0f} % of the steps were not run"


def printed(renderable: RenderableType, width: int) -> str:
    with io.StringIO() as file:
        Console(file=file, width=width, highlight=False).print(renderable)
        return file.getvalue()


def status_of(paths: ExperimentPaths) -> str:
    with io.StringIO() as file:
        status(str(paths.root), Console(file=file, width=10_000, highlight=False))
        return file.getvalue()


VALUES = st.sampled_from([0.5, 0.5, -1.0, 2.0, 0.5000000001])
PLACE = Place("n", 0)


def without_value(status: Status, kind: FailureKind, reason: str) -> Outcome:
    return Outcome(status, failure=Failure(kind, reason), seconds=1.0, place=PLACE)


ENDS = st.one_of(
    VALUES.map(lambda value: Outcome(Status.COMPLETED, {THE_VALUE: value}, seconds=1.0, place=PLACE)),
    VALUES.map(
        lambda value: Outcome(
            Status.COMPLETED, {THE_VALUE: value}, place=PLACE, last_report=Report(9.0, {THE_VALUE: value})
        )
    ),
    st.sampled_from(
        [
            without_value(Status.FAILED, FailureKind.EXIT_STATUS, "exit status 1; last output: ValueError: 3"),
            without_value(Status.FAILED, FailureKind.EXIT_STATUS, "exit status 1; last output: ValueError: 4"),
            without_value(Status.TIMED_OUT, FailureKind.TIME, "it ran longer than trial_timeout"),
            without_value(Status.OUT_OF_MEMORY, FailureKind.MEMORY, "out of memory"),
            without_value(Status.INTERRUPTED, FailureKind.MACHINE, "stopped while it ran"),
            Outcome(Status.STOPPED, seconds=1.0, place=PLACE),
            Outcome(Status.STOPPED, seconds=1.0, place=PLACE, last_report=Report(4.0, {THE_VALUE: 0.25})),
            Outcome(Status.STOPPED, seconds=1.0, place=PLACE, last_report=Report(1.5, {THE_VALUE: None})),
        ]
    ),
    st.none(),  # it still runs
)


@st.composite
def records(draw: st.DrawFn) -> tuple[list[AnyEvent], int]:
    """Return the events of a record in which trials begin and end in any order, and some failed ones again."""
    count = draw(st.integers(0, 12))
    events: list[AnyEvent] = [CampaignStarted(1.0, "h", 1, 4)]
    trials: list[Attempt] = []
    for number in range(1, count + 1):
        values: Hyperparameters = {"x": draw(st.sampled_from(ALIKE)), "kind": draw(st.sampled_from(["a", "b"]))}
        trials.append(attempt_at(number, values))
    events += [TrialStarted.of(trial, 2.0) for trial in draw(st.permutations(trials))]
    for trial in trials:
        if draw(st.booleans()):
            events.append(TrialReported(2.0, trial.trial.number, 1, Report(1.0, {THE_VALUE: -7.0}), 1, 1))
        if draw(st.booleans()):
            events.append(TrialStopAsked(2.0, trial.trial.number, 1, 1.0))
    attempted_again: list[Attempt] = []
    for trial in draw(st.permutations(trials)):
        outcome = draw(ENDS)
        if outcome is not None:
            events.append(TrialFinished.of(trial, outcome, 3.0))
            if outcome.status is not Status.COMPLETED and draw(st.booleans()):
                attempted_again.append(trial.again())
    for trial in attempted_again:
        outcome = draw(ENDS)
        events.append(TrialStarted.of(trial, 4.0))
        if outcome is not None:
            events.append(TrialFinished.of(trial, outcome, 5.0))
    if draw(st.booleans()):
        running = History(Objective(Direction.MINIMIZE), events).running.values()
        events += [
            TrialFinished.of(row.attempt, Outcome(Status.FAILED, failure=Failure(FailureKind.NO_VALUE, "no")), 6.0)
            for row in running
        ]
        events.append(CampaignStopped(6.0))
    return events, count + draw(st.integers(0, 3))


@settings(max_examples=60)
@given(record=records(), direction=st.sampled_from(list(Direction)))
def test_all_views_of_a_record_agree(record: tuple[list[AnyEvent], int], direction: Direction) -> None:
    events, total = record
    with tempfile.TemporaryDirectory() as folder:
        paths = experiment(Path(folder) / "X000", events, total, direction)
        history = replay_now(Experiment(paths))
        rows = result_rows(history)
        completed = [row for row in rows if row.value is not None]
        # What is right, from the record alone; what was left running by a campaign that is gone was interrupted.
        last = {event.number: event for event in events if isinstance(event, TrialFinished)}
        begun = {event.number: event.attempt for event in events if isinstance(event, TrialStarted)}
        ended = {number: event for number, event in last.items() if event.attempt == begun[number]}
        counts = dict.fromkeys(Status, 0)
        for event in ended.values():
            counts[event.outcome.status] += 1
        asked = {(event.number, event.attempt) for event in events if isinstance(event, TrialStopAsked)}
        stopped_by_death = [n for n, attempt in begun.items() if n not in ended and (n, attempt) in asked]
        counts[Status.STOPPED] += len(stopped_by_death)
        counts[Status.INTERRUPTED] += len(begun) - len(ended) - len(stopped_by_death)
        reports = {
            event.number: event.report
            for event in events
            if isinstance(event, TrialReported) and event.attempt == begun[event.number]
        } | {number: event.outcome.last_report for number, event in ended.items() if event.outcome.last_report}
        measured = {number: event.outcome.value_of(THE_VALUE) for number, event in ended.items()}
        values = {number: value for number, value in measured.items() if value is not None}
        sign = 1 if direction is Direction.MINIMIZE else -1
        best = min(values, key=lambda number: (sign * values[number], number)) if values else None

        shown = status_of(paths)
        said = re.findall(r"([\d,]+) ([a-z ]+)", counts_line(history, total).partition(": ")[2])
        words = {each.value.replace("_", " "): f"{amount:,}" for each, amount in counts.items() if amount}
        if "stopped" in words:
            words["stopped early"] = words.pop("stopped")
        assert {name: amount for amount, name in said if name != "not started"} == words
        assert counts_line(history, total) in shown
        assert best_line(history, NAMES) in shown
        watched = Watched(Experiment(paths))
        watched.update()
        saved = what_was_saved(ended, stopped_by_death, reports, len(begun))
        assert list(map(str, savings_lines(history, watched.stored))) == ([saved] if saved else [])
        assert saved in shown
        followed = watched.history
        assert (followed.counts, followed.ended, followed.running) == (history.counts, history.ended, history.running)
        assert [str(kind) for kind in failures_by_reason(followed)] == [
            str(kind) for kind in failures_by_reason(history)
        ]
        assert all(str(kind) in shown for kind in failures_by_reason(history)[:5])
        page = printed(live_page(watched.history, watched.stored, Frame(200, 60, 10.0, "X000", "")), 200)
        assert best_line(history, NAMES) in page

        data = page_data("X000", history, NAMES)
        assert [data.statuses[each] for each in data.status].count("completed") == counts[Status.COMPLETED]
        assert (None if data.best is None else (data.ids[data.best], data.value[data.best])) == (
            None if best is None else (default_trial_id(best), values[best])
        )
        html = report_page(paths, read_experiment_settings(paths), history)
        assert f"<dd>{counts[Status.COMPLETED]:,} completed<small>" in html
        assert saved.partition(";")[0] in html
        assert [data.statuses[each] for each in data.status].count("stopped") == counts[Status.STOPPED]

        csv_rows = list(csv.DictReader(io.StringIO(as_csv(rows, NAMES, None))))
        json_rows = json.loads(as_json(rows, NAMES, None))
        loaded = candle_hpo.load(paths.root)
        assert [row["id"] for row in csv_rows] == [row["id"] for row in json_rows] == [row.trial.id for row in rows]
        for statuses in (
            [row["status"] for row in csv_rows],
            [row["status"] for row in json_rows],
            [trial.status for trial in loaded.trials],
            list(loaded.to_dataframe()["status"]),
        ):
            assert {each: statuses.count(each.value) for each in Status} == counts
        assert all(row["result"] == "" for row in csv_rows if row["status"] != "completed")
        reported = {default_trial_id(n): (report.step, report.value_of(THE_VALUE)) for n, report in reports.items()}
        nothing = (None, None)
        for row in csv_rows:
            shown_last = tuple(
                float(row[name]) if row[name] else None for name in ("last_step", "last_value") if name in row
            )
            assert shown_last == (reported.get(row["id"], nothing) if reported else ())
        assert all(
            (row.get("last_step"), row.get("last_value")) == reported.get(row["id"], nothing) for row in json_rows
        )
        assert all((trial.last_step, trial.last_value) == reported.get(trial.id, nothing) for trial in loaded.trials)
        assert ("last_step" in loaded.to_dataframe()) is bool(reported)
        table = printed(as_table(rows, NAMES, None, direction), 300).splitlines()
        assert len(completed) == len(values)
        if best is None:
            assert history.best is None
            assert loaded.best is None
            return
        name, value = default_trial_id(best), values[best]
        assert history.best is not None
        assert followed.best is not None
        assert loaded.best is not None
        assert history.best.trial.number == followed.best.trial.number == loaded.best.number == best
        assert history.best.value == loaded.best.value == value
        assert (csv_rows[0]["id"], float(csv_rows[0]["result"])) == (name, value)
        assert (json_rows[0]["id"], json_rows[0]["result"]) == (name, value)
        assert name in table[1]
        assert f"by {name}: " in shown
        frame = loaded.to_dataframe()
        assert frame.sort_values(["value", "number"], ascending=[sign > 0, True], kind="stable").iloc[0]["id"] == name

        write_journal(
            Path(folder) / "log", "X000", direction, sorted(rows, key=lambda row: row.trial.number), NAMES, {}
        )
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(Path(folder) / "log")))
        assert optuna.load_study(study_name="X000", storage=storage).best_trial.user_attrs["id"] == name
        study = DashboardStudy(paths, Objective(direction), NAMES, [])
        study.update()
        (found,) = study.storage.get_all_studies()
        assert study.storage.get_best_trial(found._study_id).user_attrs["id"] == name


def test_of_equal_values_the_first_proposed_is_the_best_whichever_ended_first(here: Path) -> None:
    trials = [attempt_at(number, {"x": number, "kind": "a"}) for number in (1, 2, 3)]
    events: list[AnyEvent] = [CampaignStarted(1.0, "h", 1, 2), *(TrialStarted.of(trial, 2.0) for trial in trials)]
    outcome = Outcome(Status.COMPLETED, {THE_VALUE: 0.25}, seconds=1.0)
    events += [TrialFinished.of(trial, outcome, 9.0 - trial.trial.number) for trial in reversed(trials)]
    paths = experiment(here / "X000", [*events, CampaignStopped(9.0)], 3, Direction.MAXIMIZE)
    watched = Watched(Experiment(paths))
    watched.update()
    assert watched.history.best is not None
    assert watched.history.best.trial.number == 1
    assert len(watched.history.improvements) == 1, "the value has not become better"


@pytest.mark.parametrize("one", ALIKE, ids=repr)
@pytest.mark.parametrize("other", ALIKE, ids=repr)
def test_different_values_look_different_in_every_table(one: object, other: object, tmp_path: Path) -> None:
    is_same = (type(one), one) == (type(other), other) and repr(one) == repr(other)
    sets: list[Hyperparameters] = [{"x": one, "kind": "a"}, {"x": other, "kind": "a"}]
    events: list[AnyEvent] = []
    for number, values in enumerate(sets, start=1):
        trial = attempt_at(number, values)
        outcome = Outcome(Status.COMPLETED, {THE_VALUE: 0.12345678 + number / 1e8}, seconds=1.0)
        events += [TrialStarted.of(trial, 1.0), TrialFinished.of(trial, outcome, 2.0)]
    rows = result_rows(History(Objective(Direction.MINIMIZE), events))
    shown = [
        [row["x"] for row in csv.DictReader(io.StringIO(as_csv(rows, NAMES, None)))],
        [json.dumps(row["hyperparameters"]["x"]) for row in json.loads(as_json(rows, NAMES, None))],
        column_texts([one, other]),
        hyperparameter_lines(sets, NAMES),
    ]
    (column,) = columns_of(["x"], sets)
    shown.append([plain(value) if not column.choices else column.choices[int(value or 0)] for value in column.values])
    more: list[Hyperparameters] = [{"x": 0}, *sets, {"x": 7}, {"x": 8}]
    (of_all,), (of_few,) = columns_of(["x"], more), columns_of(["x"], representative_sets(["x"], more))
    assert bool(of_all.choices) is bool(of_few.choices)
    shown.append([repr(value) for value in data_frame(rows, NAMES)["x"]])
    write_parquet(tmp_path / "x.parquet", rows, NAMES)
    shown.append([repr(value) for value in pq.read_table(tmp_path / "x.parquet").column("x").to_pylist()])
    for first, second in shown:
        assert (first == second) is is_same, (shown, first, second)
    table = printed(as_table(rows, NAMES, None, Direction.MINIMIZE), 200)
    results = [line.split()[0] for line in table.splitlines()[1:3]]
    assert len(set(results)) == 2, results


def test_a_column_of_whole_numbers_stays_one_where_some_are_missing() -> None:
    events: list[AnyEvent] = []
    for number, values in enumerate([{"x": 2**60 + 1}, {}, {"x": 3}], start=1):
        trial = attempt_at(number, dict(values))
        events += [
            TrialStarted.of(trial, 1.0),
            TrialFinished.of(trial, Outcome(Status.COMPLETED, {THE_VALUE: 1.0}), 2.0),
        ]
    frame = data_frame(result_rows(History(Objective(Direction.MINIMIZE), events)), ["x"])
    assert str(frame["x"].dtype) == "Int64"
    assert frame["x"][0] == 2**60 + 1


def completed(sets: list[Hyperparameters], values: list[float]) -> History:
    events: list[AnyEvent] = []
    for number, (one, value) in enumerate(zip(sets, values, strict=True), start=1):
        trial = attempt_at(number, one)
        events += [
            TrialStarted.of(trial, 1.0),
            TrialFinished.of(trial, Outcome(Status.COMPLETED, {THE_VALUE: value}, seconds=1.0), 2.0),
        ]
    return History(Objective(Direction.MINIMIZE), events)


GRID: list[Hyperparameters] = [{"x": x, "y": y} for x in (1, 2, 3) for y in ("a", "b")]


def test_values_that_are_all_the_same_are_noted() -> None:
    note = note_on_one_value(completed(GRID, [0.5] * 6), ())
    assert note.startswith(
        "all 6 completed trials have exactly the same value 0.5: a hyperparameter may not arrive; look"
    )
    note = note_on_one_value(completed(GRID, [0.5] * 6), ("x", "y"))
    assert "a hyperparameter may not arrive (the script is not seen to read x, y); look at how" in note
    assert note_on_one_value(completed(GRID[:2], [0.5] * 2), ()) == "", "two may be a coincidence"
    assert note_on_one_value(completed([{"x": 1}] * 5, [0.5] * 5), ()) == "", "the same set five times"
    assert note_on_one_value(completed(GRID, [0.5] * 5 + [0.5000000000000001]), ()) == ""


def test_an_experiment_whose_hyperparameters_do_not_arrive_is_reported_everywhere(here: Path) -> None:
    trials = [attempt_at(number, {"x": number, "kind": "a"}) for number in (1, 2, 3)]
    events: list[AnyEvent] = [CampaignStarted(1.0, "h", 1, 1)]
    for trial in trials:
        events += [
            TrialStarted.of(trial, 2.0),
            TrialFinished.of(trial, Outcome(Status.COMPLETED, {THE_VALUE: 0.25}), 3.0),
        ]
    paths = experiment(here / "X000", [*events, CampaignStopped(9.0)], 3, Direction.MINIMIZE)
    stored = read_experiment_settings(paths)
    stored = replace(stored, provenance=replace(stored.provenance, unread=("x",)))
    write_experiment_settings(paths, stored)
    note = "same value 0.25: a hyperparameter may not arrive (the script is not seen to read x)"
    assert note in status_of(paths)
    assert note in report_page(paths, stored, replay_now(Experiment(paths)))
    watched = Watched(Experiment(paths))
    watched.update()
    page = live_page(watched.history, stored, Frame(80, 24, 10.0, "X000", ""))
    assert note in " ".join(printed(page, 80).split())
