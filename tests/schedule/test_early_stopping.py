"""Rules that stop trials early: what they decide, what they wait for, and that the same reports decide the same."""

from __future__ import annotations

import math
import random
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.trial import Attempt, Configuration, Outcome, Report, Status, Trial
from candle_hpo.schedule.early_stopping import Asha, BestFew, EarlyStopping, Median, Rule, deciding_rungs
from candle_hpo.schedule.scheduler import UNHEEDED, FirstCome, Verdict, VerdictKind

CONTINUE, STOP = VerdictKind.CONTINUE, VerdictKind.STOP
MINIMIZE, MAXIMIZE = Objective(Direction.MINIMIZE), Objective(Direction.MAXIMIZE)


def attempt(number: int, of: int = 1) -> Attempt:
    return Attempt(Trial(Configuration(number, f"hpset_{number:05d}", {})), of)


def report(step: float, value: float | None) -> Report:
    return Report(step, {THE_VALUE: value})


def early(
    rule: Rule | None, objective: Objective = MINIMIZE, *, min_steps: float | None = 1, **how: float | None
) -> EarlyStopping:
    return EarlyStopping(FirstCome(), rule, objective, min_steps=min_steps, **how)  # type: ignore[arg-type]


def complete(scheduler: EarlyStopping, number: int, last: float) -> None:
    scheduler.ended(attempt(number), Outcome(Status.COMPLETED, {THE_VALUE: 1.0}, last_report=report(last, 1.0)))


class TestAsha:
    def test_one_in_so_many_continues_from_each_rung(self) -> None:
        scheduler = early(Asha(3), max_steps=9)
        verdicts = [scheduler.judge(attempt(n), report(1, value)) for n, value in enumerate([5, 6, 7, 4, 8, 3], 1)]
        assert [each.kind for each in verdicts] == [CONTINUE, CONTINUE, STOP, CONTINUE, STOP, CONTINUE]
        assert [(each.rank, each.among) for each in verdicts] == [(1, 1), (2, 2), (3, 3), (1, 4), (5, 5), (1, 6)]

    def test_between_rungs_and_at_the_end_nothing_is_decided(self) -> None:
        scheduler = early(Asha(3), max_steps=9)
        heeded = [step for step in range(1, 12) if scheduler.judge(attempt(1), report(step, 1)) != UNHEEDED]
        assert heeded == [1, 3]

    def test_rungs_begin_at_min_steps(self) -> None:
        scheduler = early(Asha(2), min_steps=4, max_steps=100)
        heeded = [step for step in range(1, 100) if scheduler.judge(attempt(1), report(step, 1)) != UNHEEDED]
        assert heeded == [4, 8, 16, 32, 64]

    def test_of_rungs_that_a_report_skips_the_last_one_counts(self) -> None:
        scheduler = early(Asha(3), max_steps=81)
        for number in (1, 2):
            scheduler.judge(attempt(number), report(10, number))
        assert scheduler.judge(attempt(3), report(1, 9)) == Verdict(CONTINUE, 1, 1, 1)
        assert scheduler.judge(attempt(3), report(12, 9)) == Verdict(STOP, 3, 3, 9)

    def test_maximizing_the_highest_continue(self) -> None:
        scheduler = early(Asha(3), MAXIMIZE, max_steps=9)
        verdicts = [scheduler.judge(attempt(n), report(1, value)).kind for n, value in enumerate([5, 6, 4, 7], 1)]
        assert verdicts == [CONTINUE, CONTINUE, STOP, CONTINUE]

    def test_equal_values_continue_together(self) -> None:
        scheduler = early(Asha(3), max_steps=9)
        assert {scheduler.judge(attempt(number), report(1, 0.5)).kind for number in range(1, 20)} == {CONTINUE}


class TestWhereTrialsEnd:
    """Nobody said how many steps a trial has: one that is at its last is not to be stopped."""

    def test_a_trial_is_judged_once_some_have_gone_beyond_the_rung(self) -> None:
        scheduler = early(Asha(3))
        assert [scheduler.judge(attempt(n), report(1, n)).kind for n in range(1, 7)] == [CONTINUE] * 6
        assert scheduler.judge(attempt(6), report(2, 0)) == Verdict(STOP, 6, 6, 1), "by its value at the rung"
        assert scheduler.judge(attempt(1), report(2, 9)) == Verdict(CONTINUE, 1, 6, 1)
        assert scheduler.judge(attempt(1), report(2.5, 9)) == UNHEEDED
        assert scheduler.judge(attempt(7), report(1, 7)) == Verdict(STOP, 7, 7, 1), (
            "now it is known that trials continue"
        )

    def test_it_is_learned_from_those_that_complete(self) -> None:
        scheduler = early(Asha(3))
        for number in range(1, 4):
            scheduler.judge(attempt(number), report(9, number))
        complete(scheduler, 1, 9)
        assert scheduler.judge(attempt(4), report(9, 9)) == UNHEEDED
        assert scheduler.judge(attempt(5), report(3, 9)).kind is CONTINUE

    def test_where_another_has_completed_a_trial_is_judged_by_its_next_report(self) -> None:
        scheduler = early(Asha(2), max_steps=81)
        for number in range(1, 4):
            scheduler.judge(attempt(number), report(8, number))
        complete(scheduler, 1, 8)
        assert scheduler.judge(attempt(4), report(8, 9)) == Verdict(CONTINUE, 4, 4, 8), "it may be at its end, too"
        assert scheduler.judge(attempt(4), report(9, 0)) == Verdict(STOP, 4, 4, 8)


class TestTheFirstRungThatDecides:
    """Nobody said how many steps a trial has at least: it is a tenth of a whole one, which is learned."""

    @pytest.mark.parametrize(
        ("rule", "length", "expected"),
        [
            (Asha(3), 9, [1, 3]),
            (Asha(3), 50, [9, 27]),
            (Asha(2), 50, [8, 16, 32]),
            (Asha(3), 10_000, [2187, 6561]),
            (Median(), 50, [5, 6, 8, 10, 12, 15, 18, 22, 27, 33, 40, 48]),
            (BestFew(), 50, [8]),
            (Asha(3), 1, []),
        ],
    )
    def test_which_they_are(self, rule: Rule, length: int, expected: list[int]) -> None:
        assert list(deciding_rungs(rule, length)) == expected
        scheduler = early(rule, min_steps=None, max_steps=length)
        for number in range(1, 9):
            stopped = [
                step
                for step in range(1, length + 1)
                if scheduler.judge(attempt(number), report(step, number)).kind is STOP
            ]
            assert set(stopped) <= set(expected)
        assert expected[:1] == stopped[:1]

    def test_nothing_is_stopped_before_the_length_is_known_and_then_by_what_it_had_at_its_rung(self) -> None:
        scheduler = early(Asha(3), min_steps=None)
        for number in range(1, 5):
            heeded = [
                step for step in range(1, 21) if scheduler.judge(attempt(number), report(step, number)) != UNHEEDED
            ]
            assert heeded == [1, 3, 9], "a long trial does not fill the record while nothing is known"
        complete(scheduler, 1, 50)
        assert scheduler.judge(attempt(4), report(21, 0)) == Verdict(STOP, 4, 4, 9)
        assert scheduler.judge(attempt(5), report(1, 9)) == Verdict(CONTINUE, 5, 5, 1)
        assert scheduler.judge(attempt(5), report(2, 9)) == UNHEEDED
        assert scheduler.judge(attempt(5), report(3, 9)) == Verdict(CONTINUE, 5, 5, 3)
        assert scheduler.judge(attempt(5), report(9, 9)) == Verdict(STOP, 5, 5, 9)

    def test_a_rule_that_looks_once_does_so_at_the_first_of_them(self) -> None:
        scheduler = early(BestFew(), min_steps=None, max_steps=50)
        for number in range(1, 4):
            heeded = [
                step for step in range(1, 51) if scheduler.judge(attempt(number), report(step, number)) != UNHEEDED
            ]
            assert heeded == [1, 2, 4, 8]
        assert scheduler.judge(attempt(4), report(8, 9)).kind is STOP
        assert scheduler.judge(attempt(5), report(16, 9)) == UNHEEDED

    @given(
        rule=st.sampled_from([Asha(2), Asha(3), Median(), BestFew()]),
        min_steps=st.sampled_from([None, 2]),
        max_steps=st.sampled_from([None, 40]),
        seed=st.integers(0, 10**6),
    )
    def test_it_decides_after_a_resume_as_before(
        self, rule: Rule, min_steps: float | None, max_steps: float | None, seed: int
    ) -> None:
        """Campaigns hand a new scheduler the recorded reports first, and then how trials ended."""
        choice = random.Random(seed)
        first, again = (early(rule, min_steps=min_steps, max_steps=max_steps) for _ in range(2))
        recorded: list[tuple[Attempt, Report]] = []
        ended: list[tuple[Attempt, Outcome]] = []
        running, number, least = {1: 0, 2: 0, 3: 0}, 3, choice.choice([20, 40])
        lengths: defaultdict[int, int] = defaultdict(lambda: choice.choice([least, 40]))
        for _ in range(choice.randrange(300)):
            which = choice.choice(list(running))
            running[which] += 1
            seen = report(running[which], choice.random())
            verdict = first.judge(attempt(which), seen)
            if verdict != UNHEEDED:
                recorded.append((attempt(which), seen))
            if verdict.kind is STOP or running[which] == lengths[which]:
                outcome = Outcome(Status.COMPLETED, {THE_VALUE: 1.0}, last_report=seen)
                if verdict.kind is STOP:
                    outcome = Outcome(Status.STOPPED, last_report=seen)
                ended.append((attempt(which), outcome))
                first.ended(*ended[-1])
                del running[which]
                number += 1
                running[number] = 0
        for each in recorded:
            again.judge(*each)
        for one, outcome in sorted(ended, key=lambda each: each[0].trial.number):
            again.ended(one, outcome)
        later = [attempt(which, of=2) for which in running] + [attempt(number + 1), attempt(number + 2)]
        for one in later:
            for step in range(choice.randint(1, running.get(one.trial.number, 0) + 1), 41):  # from a checkpoint
                seen = report(step, choice.random())
                verdicts = [scheduler.judge(one, seen) for scheduler in (first, again)]
                assert verdicts[0] == verdicts[1]
                if verdicts[0].kind is STOP:
                    break


class TestMedian:
    def test_it_stops_what_is_worse_than_the_median_of_enough_others(self) -> None:
        scheduler = early(Median(), max_steps=10)
        first = [scheduler.judge(attempt(number), report(1, number)).kind for number in (5, 4, 3, 2, 1)]
        assert first == [CONTINUE] * 5
        assert scheduler.judge(attempt(6), report(1, 3.1)).kind is STOP
        assert scheduler.judge(attempt(7), report(1, 3.0)).kind is CONTINUE

    def test_the_best_value_so_far_counts(self) -> None:
        scheduler = early(Median(), max_steps=10)
        for number in range(1, 7):
            scheduler.judge(attempt(number), report(1, number / 10))
            scheduler.judge(attempt(number), report(2, number))
        scheduler.judge(attempt(7), report(1, 0.2))
        assert scheduler.judge(attempt(7), report(2, 5)).kind is CONTINUE

    def test_a_million_steps_have_few_rungs(self) -> None:
        step, rungs = 1.0, 0
        while step < 1e6:
            following = Median().next_rung(step)
            assert following >= step + 1
            step, rungs = following, rungs + 1
        assert rungs < 80


def test_of_the_best_few_all_run_their_whole_length() -> None:
    scheduler = early(BestFew(), min_steps=2, max_steps=100)
    verdicts = [scheduler.judge(attempt(n), report(2, value)).kind for n, value in enumerate([5, 4, 3, 6, 2, 7], 1)]
    assert verdicts == [CONTINUE, CONTINUE, CONTINUE, STOP, CONTINUE, STOP]
    assert scheduler.judge(attempt(1), report(50, 99)) == UNHEEDED


class TestValuesThatAreNotNumbers:
    def test_they_end_a_trial_at_once_where_that_is_wished(self) -> None:
        scheduler = early(None, stops_nan=True)
        assert scheduler.judge(attempt(1), report(1, 0.5)) == UNHEEDED
        assert scheduler.judge(attempt(1), report(2, None)) == Verdict(STOP)

    def test_else_they_are_the_worst_at_a_rung(self) -> None:
        scheduler = early(Asha(2), max_steps=9)
        assert scheduler.judge(attempt(1), report(1, None)).kind is CONTINUE, "the first ones all continue"
        assert scheduler.judge(attempt(2), report(1, 1e300)).kind is CONTINUE
        assert scheduler.judge(attempt(3), report(1, None)) == Verdict(STOP, 2, 3, 1)

    def test_a_report_without_the_objective_says_nothing(self) -> None:
        scheduler = early(Asha(2), max_steps=9, stops_nan=True)
        assert scheduler.judge(attempt(1), Report(1, {"accuracy": 0.5})) == UNHEEDED


def test_an_attempt_that_continues_is_not_compared_at_rungs_that_it_has_passed() -> None:
    """It begins far beyond the rung, with a value that others had much later."""
    scheduler = early(Asha(3), max_steps=81)
    for number in range(1, 9):
        for step in (1, 3, 9, 20):
            scheduler.judge(attempt(number), report(step, 10 - step / 10))
        assert scheduler.judge(attempt(number, of=2), report(21, 1)) == UNHEEDED
        assert scheduler.judge(attempt(number, of=2), report(22, 1)) == UNHEEDED
    for step in (1, 3, 9):
        assert scheduler.judge(attempt(9), report(step, 5)) == Verdict(CONTINUE, 1, 9, step)
    assert scheduler.judge(attempt(1, of=2), report(27, 1)) == Verdict(CONTINUE, 1, 1, 27)


def test_what_an_earlier_attempt_reported_counts_no_more() -> None:
    scheduler = early(Asha(2), max_steps=9)
    scheduler.judge(attempt(1), report(1, 1.0))
    scheduler.judge(attempt(1, of=2), report(1, 5.0))
    assert scheduler.judge(attempt(2), report(1, 3.0)) == Verdict(CONTINUE, 1, 2, 1)


@pytest.mark.parametrize(("old", "new"), [(2, 1), (1, 2), (4, 3)])
def test_what_was_weighed_at_other_rungs_is_not_compared_at_those_of_a_changed_rule(old: int, new: int) -> None:
    """All curves fall: what others had later looks better than what any has now, and says nothing of it."""
    before, after = (early(Asha(3), min_steps=least, max_steps=81) for least in (old, new))
    recorded = [
        (attempt(number), seen, verdict.rung)
        for number in range(1, 9)
        for seen in (report(step, number / 10 + 20 / step) for step in range(1, 40))
        if (verdict := before.judge(attempt(number), seen)) != UNHEEDED
    ]
    for each in recorded:
        after.judge(*each)
    stopped = [
        number
        for number in range(9, 40)
        if any(after.judge(attempt(number), report(step, 20 / step)).kind is STOP for step in range(1, 40))
    ]
    assert stopped == [], "each is better than all before were at the same step"


reports = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 30), st.one_of(st.none(), st.floats(-5, 5))), min_size=1, max_size=60
)


@given(reports, st.sampled_from([Asha(2), Asha(3), Median(), BestFew()]), st.sampled_from([None, 27]))
def test_replayed_reports_that_were_heeded_decide_the_rest_alike(
    seen: list[tuple[int, int, float | None]], rule: Rule, max_steps: int | None
) -> None:
    first, half = early(rule, max_steps=max_steps), len(seen) // 2
    heeded = [each for each in seen[:half] if first.judge(attempt(each[0]), report(*each[1:])) != UNHEEDED]
    again = early(rule, max_steps=max_steps)
    for number, step, value in heeded:
        again.judge(attempt(number), report(step, value))
    if max_steps is not None:
        for number, step, value in seen[half:]:
            verdicts = [each.judge(attempt(number), report(step, value)) for each in (first, again)]
            assert verdicts[0] == verdicts[1]


@pytest.mark.parametrize(("rule", "most"), [(Asha(3), 0.45), (Median(), 0.75), (BestFew(), 0.25)])
def test_much_is_saved_and_the_best_is_found(rule: Rule, most: float) -> None:
    """Curves that fall towards a value each, in a random order, one after the other."""
    chance = random.Random(7)
    scheduler, steps, completed = early(rule, max_steps=27), 0, []
    ends = [chance.random() for _ in range(200)]
    for number, end in enumerate(ends, start=1):
        for step in range(1, 28):
            steps += 1
            value = end + 2 * math.exp(-step / 5) + chance.gauss(0, 0.02)
            if scheduler.judge(attempt(number), report(step, value)).kind is STOP:
                break
        else:
            completed.append(end)
    assert steps < most * 27 * len(ends)
    assert min(completed) <= sorted(ends)[4]
