"""Fidelity from the input file to the results: what is recorded, which trials share what, and which one is best."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

import candle_hpo
from candle_hpo.campaign import Campaign
from candle_hpo.core.failures import FailurePolicy
from candle_hpo.core.fidelity import Fidelity
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.core.trial import (
    Attempt,
    Configuration,
    Continued,
    Failure,
    FailureKind,
    Outcome,
    Report,
    Status,
    Trial,
)
from candle_hpo.engine.pooled import PooledEngine
from candle_hpo.record.earlier_results import find_earlier_results
from candle_hpo.record.events import CampaignStarted, TrialFinished, TrialStarted
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events
from candle_hpo.record.record import Record
from candle_hpo.report.charts.trials import history_chart
from candle_hpo.report.page.data import page_data
from candle_hpo.report.results import as_table, result_rows
from candle_hpo.schedule.early_stopping import Asha, AtEachLevel, EarlyStopping
from candle_hpo.schedule.scheduler import FirstCome, VerdictKind
from candle_hpo.search.fidelity import FidelitySearch
from candle_hpo.search.grid import GridSearch
from conftest import Candle, WriteInput

LEVELS = Fidelity("epochs", 3, 27).levels(3)
OBJECTIVE = Objective(Direction.MINIMIZE)
FAILED = Outcome(Status.FAILED, failure=Failure(FailureKind.NO_VALUE, "broken"))


def completed(value: float) -> Outcome:
    return Outcome(Status.COMPLETED, {THE_VALUE: value}, seconds=1.0)


def run(
    record: Record,
    outcome_of: dict[str, Outcome],
    count: int = 9,
    *,
    retry_failed: bool = False,
    policy: FailurePolicy = FailurePolicy(),  # noqa: B008  # it is frozen
) -> None:
    """Run a grid of so many sets: each has its number as its value, unless its id or attempt has another outcome."""
    sets = [ParameterSet(f"s{x}", {"epochs": 10, "x": x}) for x in range(1, count + 1)]
    search = FidelitySearch(GridSearch(GridSpace(("x",), sets)), LEVELS, OBJECTIVE, count)

    def attempt(one: Attempt) -> Outcome:
        return (
            outcome_of.get(one.trial.id)
            or outcome_of.get(one.name)
            or completed(float(str(one.trial.hyperparameters["x"])))
        )

    with ThreadPoolExecutor(1) as pool:
        engine = PooledEngine(pool, attempt, 1, lambda *_: None)
        Campaign(search, engine, record, policy, retry_failed=retry_failed, as_listed=search.as_listed).run()


def test_a_campaign_records_what_each_trial_continues_and_a_resumed_one_completes_it(here: Path) -> None:
    run(Record(here / "whole.jsonl", OBJECTIVE), {})
    lines = (here / "whole.jsonl").read_bytes().splitlines(keepends=True)
    started = [event for event in read_events(here / "whole.jsonl") if isinstance(event, TrialStarted)]
    assert {event.id: event.continues for event in started if event.continues} == {
        "s1@9": Continued(1, "s1", 2), "s2@9": Continued(2, "s2", 2), "s3@9": Continued(3, "s3", 2),
        "s1@27": Continued(1, "s1", 3),
    }  # fmt: skip
    assert b'"continues"' not in next(line for line in lines if b'"s1"' in line)
    for cut in range(2, len(lines), 3):
        part = here / f"{cut}.jsonl"
        part.write_bytes(b"".join(lines[:cut]))
        record = Record(part, OBJECTIVE)
        run(record, {})
        ids = [row.trial.id for row in record.history.trials.values()]
        assert Counter(ids) == Counter(event.id for event in started), cut
        assert record.history.counts == {Status.COMPLETED: len(ids)}


def test_a_failed_set_that_is_attempted_again_has_the_values_of_its_list_and_is_promoted(here: Path) -> None:
    record = Record(here / "events.jsonl", OBJECTIVE)
    run(record, {"s1": FAILED, "s2@9": FAILED}, 10)
    ids = [row.trial.id for row in record.history.trials.values()]
    assert sum(LEVELS.trials(10, record.history.levels)) == len(ids)
    assert {"s2@9", "s3@9", "s4@9", "s5@9", "s3@27"} == {each for each in ids if "@" in each}
    record.close()
    record = Record(here / "events.jsonl", OBJECTIVE)
    run(record, {}, 10, retry_failed=True)
    assert {row.trial.id: row.attempt.number for row in record.history.trials.values()}["s2@9"] == 2
    assert sum(LEVELS.trials(10, record.history.levels)) == len(record.history.trials)
    assert record.history.best is not None
    assert record.history.best.trial.id == "s1@27"
    assert record.history.best.trial.hyperparameters == {"epochs": 27, "x": 1}
    assert +record.history.levels.without_value == Counter()


def test_the_level_above_waits_for_what_is_attempted_again_in_the_same_campaign(here: Path) -> None:
    record = Record(here / "events.jsonl", OBJECTIVE)
    run(record, {"s1/1": FAILED, "s2@9/1": FAILED}, 2, policy=FailurePolicy(retry_failed=1))
    assert [row.attempt.name for row in record.history.trials.values()] == ["s1/2", "s2/1", "s1@9/1", "s1@27/1"]
    record.close()
    record = Record(here / "others.jsonl", OBJECTIVE)
    run(record, {"s1@9/1": FAILED}, 3, policy=FailurePolicy(retry_failed=1))
    names = [row.attempt.name for row in record.history.trials.values()]
    assert names == ["s1/1", "s2/1", "s3/1", "s1@9/2", "s1@27/1"], "the next best takes no place that is not free"
    assert sum(LEVELS.trials(3)) == 5 == sum(LEVELS.trials(3, record.history.levels))


def begun(number: int, level: int, first: int) -> Attempt:
    continues = Continued(first, f"hpset_{first:05d}", level) if level > 1 else None
    return Attempt(Trial(Configuration(number, f"t{number}", {"epochs": LEVELS.values[level - 1]}, continues)))


@pytest.mark.parametrize("direction", list(Direction))
def test_the_best_is_that_of_the_highest_level_and_what_has_no_value_is_counted(direction: Direction) -> None:
    history = History(Objective(direction), [CampaignStarted(0.0, "h", 1, 1)])
    ended = [
        (begun(1, 1, 1), completed(5.0)),
        (begun(2, 1, 2), completed(-9.0 if direction is Direction.MINIMIZE else 9.0)),
        (begun(3, 2, 1), completed(7.0)),
        (begun(4, 1, 4), FAILED),
        (begun(5, 2, 2), Outcome.interrupted("lost")),
        (begun(6, 3, 1), Outcome(Status.STOPPED)),
        (begun(7, 2, 2), completed(7.0)),
    ]
    best: list[int] = []
    for attempt, outcome in ended:
        history.apply(TrialStarted.of(attempt, 1.0))
        history.apply(TrialFinished.of(attempt, outcome, 2.0))
        assert history.best is not None
        best.append(history.best.trial.number)
    assert best == [1, 2, 3, 3, 3, 3, 3]
    assert [row.trial.number for row in result_rows(history)] == [3, 7, 2, 1, 6, 5, 4]
    assert history.levels.without_value == {1: 1, 3: 1}
    table = as_table(result_rows(history), ["epochs"], None, direction)
    lowest = "lowest" if direction is Direction.MINIMIZE else "highest"
    assert table.caption == f"best first: the {lowest} result at the highest level of fidelity"
    data = page_data("X000", history, ["epochs"])
    assert data.levels == (1, 1, 2, 1, 2, 3, 2)
    so_far = history_chart(data, {"field": "v", "scale": {"domain": [-10, 10]}})["layer"][-1]["data"]["values"]
    assert [point["v"] for point in so_far] == [5.0, -9.0 if direction is Direction.MINIMIZE else 9.0, 7.0, 7.0]
    history.apply(TrialStarted.of(begun(4, 1, 4).again(), 3.0))
    assert +history.levels.without_value == {3: 1}


def test_a_line_shares_its_seed_and_its_checkpoints_and_repeats_have_their_own() -> None:
    one = begun(9, 2, 4).trial.configuration
    assert (Trial(one).number_of_line, Trial(one).id_of_line) == (4, "hpset_00004")
    assert Trial(one, repeat=2).id_of_line == "hpset_00004.2"
    assert Trial(begun(9, 1, 9).trial.configuration).id_of_line == "t9"


def test_a_trial_is_stopped_for_what_others_of_its_level_had_and_not_where_its_level_ends() -> None:
    scheduler = AtEachLevel(FirstCome(), lambda level: EarlyStopping(FirstCome(), Asha(3), OBJECTIVE))

    def report(attempt: Attempt, steps: int, loss: float) -> list[VerdictKind]:
        return [scheduler.judge(attempt, Report(step, {THE_VALUE: loss})).kind for step in range(1, steps + 1)]

    def end(attempt: Attempt, step: int) -> None:
        scheduler.ended(attempt, replace(completed(1.0), last_report=Report(step, {THE_VALUE: 1.0})))

    for number in (1, 2, 3):
        report(begun(number, 1, number), 3, 1.0 * number)
        end(begun(number, 1, number), 3)
    report(begun(4, 2, 1), 9, 1.0)
    end(begun(4, 2, 1), 9)
    # The worst of its level so far is stopped; at step 3, where its level ends, none is judged.
    assert report(begun(5, 1, 5), 1, 9.0) == [VerdictKind.STOP]
    assert report(begun(6, 1, 6), 3, 1.5)[-1] is VerdictKind.UNHEEDED
    # There is one other of its level, too few to compare with.
    assert VerdictKind.STOP not in report(begun(7, 2, 5), 9, 99.0)


KEEPS = """
    mkdir -p "$CANDLE_CHECKPOINT_DIR"
    saved="$CANDLE_CHECKPOINT_DIR/epoch"
    epoch=$(cat "$saved" 2>/dev/null || echo 0)
    began=$epoch
    while (( epoch < $(candle_get_param epochs) )); do
      epoch=$((epoch + 1))
      echo $epoch > "$saved"
      echo "$CANDLE_SEED" >> "$CANDLE_CHECKPOINT_DIR/seeds"
    done
    [ "$(candle_get_param x)" = 2 ] && exit 1
    echo "$began $epoch" > epochs.txt
    val_to_return=$(candle_get_param x)
"""
KEEPS_NONE = """
    writeLines(paste(0, hyperparams$epochs), "epochs.txt")
    if (hyperparams$x == 2) stop("it cannot be fitted")
    val_to_return <- hyperparams$x
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "script", "expected"),
    [
        ("model.sh", KEEPS, [(0, 3), (3, 9), (9, 27)]),
        ("model.R", KEEPS_NONE, [(0, 3), (0, 9), (0, 27)]),
    ],
)
def test_an_experiment(
    name: str, script: str, expected: list[tuple[int, int]], write_input: WriteInput, candle: Candle, here: Path
) -> None:
    if name.endswith(".R") and shutil.which("Rscript") is None:
        pytest.skip("needs R")
    sets = "\n".join(json.dumps({"x": x}) for x in (4, 1, 2, 3))
    source = write_input(script, 'fidelity="epochs 3 27"\nnworkers=2\nengine=local', "epochs = 10", sets)
    (here / "model.py").rename(here / name)
    source.write_text(source.read_text().replace("model.py", name))
    done = candle("submit-job", source)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "6 trials: 5 completed, 1 failed" in done.stdout
    assert "best (minimize): 1 by hpset_00002@27: x=1, epochs=27" in done.stdout
    root = Path("last-candle-job")
    for trial, epochs in zip(("hpset_00002", "hpset_00002@9", "hpset_00002@27"), expected, strict=True):
        began, ended = (root / "run" / trial / "epochs.txt").read_text().split()
        assert (int(began), int(ended)) == epochs
    if script is KEEPS_NONE:
        return
    assert sorted(each.name for each in (root / "checkpoints").iterdir()) == [
        f"hpset_0000{number}" for number in range(1, 5)
    ]
    assert len(set((root / "checkpoints/hpset_00002/seeds").read_text().split())) == 1
    assert "nothing is left to do, 1 of 6 trials have failed" in candle("resume").stdout
    assert "6 trials: 5 completed, 1 failed" in candle("status").stdout
    loaded = candle_hpo.load("last-candle-job")
    assert (loaded.total, len(loaded.trials)) == (6, 6)
    assert loaded.best is not None
    assert loaded.best.id == "hpset_00002@27"
    candle("aggregate-results")
    with (here / "candle_generated_files/candle_results.csv").open() as file:
        assert [(row["id"], row["epochs"]) for row in csv.DictReader(file)][:2] == [
            ("hpset_00002@27", "27"), ("hpset_00002@9", "9"),
        ]  # fmt: skip
    for source_of_results in ("X000", "candle_generated_files/candle_results.csv"):
        (best,) = find_earlier_results(source_of_results, here).results
        assert (best.value, best.hyperparameters["epochs"]) == (1.0, 27)
    checked = candle("check", source, "--run")
    assert "grid, 7 trials if none fails, epochs = 3: 4 trials, 9: 2 trials, 27: 1 trial" in checked.stdout
    assert "Running one trial here: epochs=3, x=4" in checked.stdout
    # More sets continue it; other levels do not.
    source.write_text(source.read_text().replace('{"x": 3}', '{"x": 3}\n{"x": 0}\n{"x": 5}\n{"x": 6}'))
    text = source.read_text()
    source.write_text(text.replace("&control\n", "&control\nrestart_from_exp=X000\nreduction_factor=2\n"))
    refused = candle("submit-job", source)
    assert refused.returncode == 2
    assert 'X000 has fidelity="epochs 3 27" (reduction_factor=3), and this file' in " ".join(refused.stderr.split())
    source.write_text(text.replace("&control\n", "&control\nrestart_from_exp=X000\n"))
    continued = candle("submit-job", source)
    assert "11 trials: 10 completed, 1 failed" in continued.stdout, continued.stdout + continued.stderr
    opened = Experiment.open("X000")
    assert {row.trial.id for row in opened.history.trials.values() if row.value == 0} == {
        "hpset_00005",
        "hpset_00005@9",
        "hpset_00005@27",
    }, "the best of all reaches the last level, though as many as are due were there before"
    assert opened.stored.trials(opened.history) == len(opened.history.trials) == opened.history.ended
