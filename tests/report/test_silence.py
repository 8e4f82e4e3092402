"""The hint on a pattern that does not match, or a file without a value, while trials run and print."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from candle_hpo.core.trial import Metrics, Outcome, Report, Status
from candle_hpo.record.events import AnyEvent, TrialFinished, TrialStarted
from candle_hpo.record.folder import StoredExperiment, read_experiment_settings
from candle_hpo.record.history import History
from candle_hpo.report.live_page import Frame, live_page
from candle_hpo.report.silence import PATIENCE_SECONDS, hint_on_silence
from support.attempts import attempt_at
from support.made_experiments import make_experiment


class Experiment:
    """An experiment of two trials that run, as files and a history."""

    def __init__(self, root: Path, **settings: object) -> None:
        self.paths = make_experiment(root, 1)
        stored = read_experiment_settings(self.paths)
        self.stored: StoredExperiment = msgspec.structs.replace(
            stored, settings=msgspec.structs.replace(stored.settings, **settings)
        )
        self.history = History(self.stored.settings.objective)
        for number in (1, 2):
            self.add(TrialStarted.of(attempt_at(number, {"x": number}), 100.0))
            self.write(number, "subprocess_out_and_err.txt", f"Loading\nEpoch 1 - val_loss={number}\n")

    def add(self, event: AnyEvent) -> None:
        self.history.apply(event)

    def end(self, outcome: Outcome) -> None:
        self.add(TrialFinished.of(attempt_at(2, {"x": 2}), outcome, 110.0))

    def write(self, number: int, name: str, text: str) -> None:
        run = self.paths.trial(f"hpset_0000{number}").run
        run.mkdir(exist_ok=True)
        (run / name).write_text(text)

    def hint(self, seconds: float = PATIENCE_SECONDS + 1) -> str:
        return hint_on_silence(self.history, self.stored, self.paths, 100.0 + seconds)


PATTERN = "val_loss: ([0-9.]+)"
HINT = (
    "result_pattern has not matched yet in the 2 lines that hpset_00001 has printed; its last line: "
    '"Epoch 1 - val_loss=1"'
)


def test_a_pattern_that_does_not_match_is_said_once_there_was_time(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path / "X000", result_pattern=PATTERN)
    assert experiment.hint(PATIENCE_SECONDS - 1) == ""
    assert experiment.hint() == HINT
    page = live_page(experiment.history, experiment.stored, Frame(200, 40, 130.0, "X000", "it runs", hint=HINT))
    shown = io.StringIO()
    Console(width=200, file=shown).print(page)
    assert HINT in shown.getvalue()


def test_a_file_without_a_value_is_said(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path / "X000", result_file="log.csv", result_key="loss")
    assert experiment.hint().startswith("result_file log.csv has shown no value yet in hpset_00001, which has printed")


def test_nothing_is_said_where_something_was_found_or_nothing_is_looked_for(tmp_path: Path) -> None:
    assert Experiment(tmp_path / "X000").hint() == ""
    experiment = Experiment(tmp_path / "X001", result_pattern=PATTERN)
    experiment.write(2, "reports.jsonl", '{"step": 1, "val_to_return": 1}\n')
    assert experiment.hint() == ""
    experiment = Experiment(tmp_path / "X002", result_pattern=PATTERN)
    experiment.write(1, "subprocess_out_and_err.txt", "")
    assert experiment.hint() == ""


@pytest.mark.parametrize(("rule", "is_said"), [((), False), (("asha",), True)])
def test_after_a_trial_with_a_value_a_rule_alone_misses_reports(
    tmp_path: Path, rule: tuple[str, ...], is_said: bool
) -> None:
    experiment = Experiment(tmp_path / "X000", result_pattern=PATTERN, stopping=rule)
    experiment.end(Outcome(Status.COMPLETED, {"val_to_return": 1.0}))
    assert bool(experiment.hint()) == is_said
    reported = Experiment(tmp_path / "X001", result_pattern=PATTERN, stopping=rule)
    report = Report(1.0, {"val_to_return": 1.0})
    reported.end(Outcome(Status.COMPLETED, {"val_to_return": 1.0}, last_report=report))
    assert reported.hint() == ""


def test_what_was_found_and_left_out_is_quoted(tmp_path: Path) -> None:
    experiment = Experiment(tmp_path / "X000", result_pattern=PATTERN)
    experiment.write(1, "reports.left_out.txt", 'a report was left out: result_pattern found 1, a part of "1e-5"\n')
    assert experiment.hint() == 'hpset_00001: a report was left out: result_pattern found 1, a part of "1e-5"'


NAMES = '{"step": 1, "loss": 1, "acc": 2}\n'


@pytest.mark.parametrize(
    ("settings", "reports", "says"),
    [
        ({}, NAMES, "hpset_00001 reports loss, acc, and not the value without a name, so no trial is stopped early"),
        ({"objectives": "f1"}, NAMES, "hpset_00001 reports loss, acc, and not f1, so no trial is stopped early"),
        ({}, 'no report\n{"step": 1, "loss"', ""),
        ({}, f'{NAMES}{{"step": 2, "val_to_return": 1}}\n', ""),  # a script may have its value at some steps only
        ({"objectives": "acc"}, NAMES, ""),
        ({"stopping": ()}, NAMES, ""),
    ],
)
def test_reports_without_what_is_optimized_are_said(
    tmp_path: Path, settings: dict[str, object], reports: str, says: str
) -> None:
    experiment = Experiment(tmp_path / "X000", **{"stopping": ("asha",)} | settings)
    experiment.write(1, "reports.jsonl", reports)
    assert experiment.hint(PATIENCE_SECONDS - 1) == ""
    assert experiment.hint().startswith(says)
    assert bool(experiment.hint()) == bool(says)
    measured: Metrics = {str(settings.get("objectives", "val_to_return")): 1.0}
    experiment.end(Outcome(Status.COMPLETED, measured, last_report=Report(9, measured)))
    assert experiment.hint() == ""
