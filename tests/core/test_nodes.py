"""Whose fault a failure is, the node's or the script's: whole campaigns on clusters that are pretended."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from candle_hpo.campaign import Campaign
from candle_hpo.core.failures import FailurePolicy
from candle_hpo.core.nodes import NodeWatch, OutOfUse, Suspected
from candle_hpo.core.objective import Direction, Objective
from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Attempt, Outcome, Place, Status, default_trial_id
from candle_hpo.record.record import Record
from candle_hpo.report.summary import stop_text
from candle_hpo.search.grid import GridSearch
from support.attempts import attempt_at
from support.pretend_cluster import PretendCluster, fails, works

FOUR = {"n1": 2, "n2": 2, "n3": 2, "n4": 2}
NAN = fails("exit status 1; last output: ValueError: loss is nan")
MANY = FailurePolicy(max_failures=0)


@pytest.fixture
def record(here: Path) -> Record:
    return Record(here / "events.jsonl", Objective(Direction.MINIMIZE))


@pytest.fixture(params=range(2))
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def run(record: Record, cluster: PretendCluster, count: int, policy: FailurePolicy = FailurePolicy()) -> Stop | None:  # noqa: B008  # it is frozen
    sets = [ParameterSet(default_trial_id(number), {"x": number}) for number in range(1, count + 1)]
    return Campaign(GridSearch(GridSpace(("x",), sets)), cluster, record, policy).run()


def broken(node: str, seconds: float = 0.1) -> Callable[[Attempt, Place, float], Outcome]:
    def run_on(attempt: Attempt, place: Place, _now: float) -> Outcome:
        return fails("exit status 1; last output: no such data", seconds) if place.node == node else works(attempt)

    return run_on


@pytest.mark.parametrize("count", [16, 200])
@pytest.mark.parametrize("seconds", [0.1, 25.0])
def test_a_node_that_fails_everything_is_taken_out_of_use_and_costs_no_trial(
    monkeypatch: pytest.MonkeyPatch, record: Record, count: int, seconds: float, seed: int
) -> None:
    cluster = PretendCluster(monkeypatch, FOUR, broken("n1", seconds), seed=seed)
    assert run(record, cluster, count) is None
    assert record.history.counts == {Status.COMPLETED: count}
    assert not cluster.held
    if count == 200:
        assert cluster.out == ["n1"]
        (excluded,) = record.history.excluded
        assert (excluded.kind, excluded.node) == ("node", "n1")
        assert sum(row.attempt.number > 1 for row in record.history.trials.values()) < 40


@pytest.mark.parametrize("seconds", [0.1, 3.0])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_sets_that_fail_wherever_they_run_cost_no_node(
    monkeypatch: pytest.MonkeyPatch, record: Record, share: float, seconds: float, seed: int
) -> None:
    generator = random.Random(seed)
    bad = {number for number in range(1, 401) if generator.random() < share}
    bad |= set(range(200, 280))  # and those beside each other

    def run_on(attempt: Attempt, _place: Place, _now: float) -> Outcome:
        return fails(NAN.reason, seconds) if attempt.trial.number in bad else works(attempt)

    cluster = PretendCluster(monkeypatch, FOUR, run_on, seed=seed)
    assert run(record, cluster, 400, MANY) is None
    assert (cluster.out, cluster.held) == ([], set())
    assert record.history.counts == {Status.COMPLETED: 400 - len(bad), Status.FAILED: len(bad)}
    assert record.history.places == 8
    attempts = sum(row.attempt.number - 1 for row in record.history.trials.values())
    assert attempts <= 0.1 * 400, "many are attempted again"


def test_a_broken_node_is_found_where_many_sets_fail_too(
    monkeypatch: pytest.MonkeyPatch, record: Record, seed: int
) -> None:
    def run_on(attempt: Attempt, place: Place, _now: float) -> Outcome:
        return fails("no such data") if place.node == "n1" else works(attempt) if attempt.trial.number % 2 else NAN

    cluster = PretendCluster(monkeypatch, FOUR, run_on, seed=seed)
    assert run(record, cluster, 300, MANY) is None
    assert cluster.out == ["n1"]
    assert record.history.counts == {Status.COMPLETED: 150, Status.FAILED: 150}
    reasons = {row.outcome.reason for row in record.history.trials.values() if row.outcome and row.outcome.failure}
    assert reasons == {NAN.reason}


@pytest.mark.parametrize("lead", [0.0, 1.0, 60.0])
def test_a_broken_node_that_is_there_first_does_not_end_the_campaign(
    monkeypatch: pytest.MonkeyPatch, record: Record, lead: float, seed: int
) -> None:
    """Its workers begin before all others, and those take an hour for each trial."""

    def run_on(attempt: Attempt, place: Place, _now: float) -> Outcome:
        return fails("no such data") if place.node == "n1" else works(attempt, 3600.0)

    cluster = PretendCluster(monkeypatch, FOUR, run_on, {"n2": lead, "n3": lead, "n4": lead}, seed=seed)
    assert run(record, cluster, 100) is None
    assert record.history.counts == {Status.COMPLETED: 100}
    assert cluster.out == ["n1"]


def test_a_broken_script_on_one_node_that_comes_ends_in_bounded_time(
    monkeypatch: pytest.MonkeyPatch, record: Record
) -> None:
    never = dict.fromkeys(("n2", "n3", "n4"), float("inf"))
    cluster = PretendCluster(monkeypatch, FOUR, lambda *_: fails("NameError"), never)
    stopped = run(record, cluster, 10_000)
    assert stopped is not None
    assert stopped.reason is StopReason.ALL_FAILED_ALIKE
    assert cluster.now < 300


@pytest.mark.parametrize("nodes", [FOUR, {"n1": 2}])
def test_a_broken_script_ends_the_campaign_early(
    monkeypatch: pytest.MonkeyPatch, record: Record, nodes: dict[str, int]
) -> None:
    cluster = PretendCluster(monkeypatch, nodes, lambda *_: fails("NameError"))
    stopped = run(record, cluster, 10_000)
    assert stopped is not None
    assert stopped.reason is StopReason.ALL_FAILED_ALIKE
    assert len(record.history.trials) < 30
    assert cluster.out == []


def test_a_campaign_without_a_worker_that_can_be_used_ends_and_says_so(
    monkeypatch: pytest.MonkeyPatch, record: Record
) -> None:
    cluster = PretendCluster(monkeypatch, {"n1": 2, "n2": 2}, broken("n1"), ends={"n2": 1000.0})
    stopped = run(record, cluster, 10_000)
    assert cluster.out == ["n1"]
    assert stopped is not None
    assert stop_text(stopped) == "there are no workers: out of use: n1; no other was there for some minutes"
    assert 1300 < cluster.now < 1500
    assert set(record.history.counts) == {Status.COMPLETED}


def test_of_a_node_with_one_broken_gpu_the_other_workers_are_used(
    monkeypatch: pytest.MonkeyPatch, record: Record, seed: int
) -> None:
    def run_on(attempt: Attempt, place: Place, _now: float) -> Outcome:
        is_bad = (place.node, place.slot) == ("n2", 1)
        return fails("RuntimeError: CUDA error: uncorrectable ECC error encountered", 5.0) if is_bad else works(attempt)

    cluster = PretendCluster(monkeypatch, {"n1": 4, "n2": 4}, run_on, seed=seed)
    assert run(record, cluster, 200) is None
    assert cluster.out == ["n2:1"]
    assert record.history.excluded[0].kind == "worker"
    assert record.history.counts == {Status.COMPLETED: 200}
    assert record.history.places == 7


def test_a_node_where_nothing_can_begin_is_out_of_use_soon_and_its_trials_are_not_lost(
    monkeypatch: pytest.MonkeyPatch, record: Record, seed: int
) -> None:
    """Each of its trials may be attempted twice, and might be so there."""

    def run_on(attempt: Attempt, place: Place, _now: float) -> Outcome:
        return Outcome.interrupted("Stale file handle") if place.node == "n1" else works(attempt, 600.0)

    cluster = PretendCluster(monkeypatch, FOUR, run_on, seed=seed)
    assert run(record, cluster, 200) is None
    assert cluster.out == ["n1"]
    assert record.history.counts == {Status.COMPLETED: 200}


def test_what_fails_everywhere_for_a_while_costs_no_node(
    monkeypatch: pytest.MonkeyPatch, record: Record, seed: int
) -> None:
    def run_on(attempt: Attempt, _place: Place, now: float) -> Outcome:
        return fails("the licence server does not answer") if 200 < now < 210 else works(attempt, 3.0)

    cluster = PretendCluster(monkeypatch, FOUR, run_on, seed=seed)
    assert run(record, cluster, 1000, MANY) is None
    assert (cluster.out, cluster.held) == ([], set())


def test_a_script_that_fails_by_chance_costs_no_node(
    monkeypatch: pytest.MonkeyPatch, record: Record, seed: int
) -> None:
    generator = random.Random(seed)

    def run_on(attempt: Attempt, _place: Place, _now: float) -> Outcome:
        return fails("it failed by chance") if generator.random() < 0.3 else works(attempt)

    cluster = PretendCluster(monkeypatch, FOUR, run_on, seed=seed)
    assert run(record, cluster, 600, FailurePolicy(max_failures=0, retry_failed=1)) is None
    assert cluster.out == []


def test_the_message_counts_what_the_rule_counted() -> None:
    watch = NodeWatch(lambda _: 2)

    def end(number: int, node: str, slot: int, outcome: Outcome) -> None:
        one = Outcome(outcome.status, outcome.metrics, outcome.failure, outcome.seconds, Place(node, slot))
        watch.add(attempt_at(number), one)

    for number in range(1, 10):
        end(number, "n2", number % 2, works(attempt_at(number)))
    for number in range(10, 20):
        end(number, "n1", number % 2, NAN)
        end(number + 20, "n2", 0, NAN if number == 12 else works(attempt_at(number)))
    (suspected,) = watch.judge(0.0)
    assert isinstance(suspected, Suspected)
    assert (suspected.where, suspected.failed[0].trial.number, len(suspected.failed)) == ("n1", 19, 10)
    end(19, "n2", 1, works(attempt_at(19)))
    end(40, "n1", 1, NAN)
    (out,) = [each for each in watch.judge(1.0) if isinstance(each, OutOfUse)]
    assert out.reason == (
        "11 trials failed there one after the other, while 10 of 11 elsewhere did not; hpset_00019, one of them, did "
        "not fail on n2:1. The last failure: exit status 1; last output: ValueError: loss is nan"
    )
