"""What a trial, an attempt and an outcome are."""

from __future__ import annotations

import pytest

from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.trial import Attempt, Configuration, Failure, FailureKind, Metrics, Outcome, Place, Status, Trial

ONE = Configuration(7, "hpset_00007", {"x": 1})


def test_each_trial_of_a_configuration_has_its_own_name() -> None:
    assert [Trial(ONE, repeat).id for repeat in (1, 2, 3)] == ["hpset_00007", "hpset_00007.2", "hpset_00007.3"]
    assert {Trial(ONE, repeat).number for repeat in (1, 2)} == {7}


def test_the_next_attempt_is_one_at_the_same_trial() -> None:
    again = Attempt(Trial(ONE)).again()
    assert (again.number, again.trial) == (2, Trial(ONE))


@pytest.mark.parametrize(
    ("status", "metrics", "failure"),
    [
        (Status.COMPLETED, {}, None),
        (Status.COMPLETED, {THE_VALUE: 1.0}, Failure(FailureKind.NO_VALUE, "none")),
        (Status.FAILED, {THE_VALUE: 1.0}, Failure(FailureKind.NO_VALUE, "none")),
        (Status.FAILED, {}, None),
    ],
)
def test_what_completed_has_metrics_and_all_else_a_failure(
    status: Status, metrics: Metrics, failure: Failure | None
) -> None:
    with pytest.raises(ValueError, match="if and only if"):
        Outcome(status, metrics, failure)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, True, "0.5"])
def test_a_value_is_a_finite_number_or_nothing_has_it(value: float | str | None) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        Outcome(Status.COMPLETED, {THE_VALUE: value}).value_of(THE_VALUE)
    with pytest.raises(ValueError, match="its val_loss is None"):
        Outcome(Status.COMPLETED, {THE_VALUE: 1.0}).value_of("val_loss")


def test_what_did_not_complete_has_no_value() -> None:
    assert Outcome.interrupted("lost", place=Place("n1", 0)).value_of(THE_VALUE) is None


@pytest.mark.parametrize(
    ("pattern", "key", "name"),
    [
        (None, None, THE_VALUE),
        (None, "test.loss", "test.loss"),
        (r"loss: (\S+)", None, THE_VALUE),
        (r"epoch (?P<epoch>\d+) loss (?P<loss>\S+) accuracy (?P<accuracy>\S+)", None, "loss"),
        (r"step (?P<step>\d+) (\S+)", None, THE_VALUE),
    ],
)
def test_the_objective_is_called_as_the_user_calls_it(pattern: str | None, key: str | None, name: str) -> None:
    settings = Settings(model_script="m.py", workflow="grid", result_pattern=pattern, result_key=key)
    assert settings.objective.name == name


def test_a_worker_is_named_by_its_place() -> None:
    assert Outcome(Status.COMPLETED, {THE_VALUE: 1.0}, place=Place("cn0605", 1)).worker == "cn0605:1"
    assert Outcome.interrupted("no worker").worker == ""
