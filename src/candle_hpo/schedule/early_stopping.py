"""Rules that stop a running trial which is not worth its time, by what others had measured by the same step.

Every rule looks at a few steps only, the rungs: at the first report of a trial that has reached one, its value is
compared with those that other trials had there. A trial that others are compared with may have been stopped since.
Nothing waits for anything: whoever comes first to a rung continues.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from candle_hpo.core.objective import Objective
from candle_hpo.core.trial import Attempt, Outcome, Report, Status
from candle_hpo.schedule.scheduler import UNHEEDED, Moment, Scheduler, Verdict, VerdictKind

FEWEST_OTHERS = 5  # trials, before the median of their values stops one
BEST_FEW = 3  # trials that run their whole length
SOONEST = 0.1  # of a whole trial, before which nothing is decided where nobody says otherwise
NEAR_A_RUNG = 1.2  # times its step; what is further says nothing of it
MEDIAN_RUNG = 1.2  # times the step of a rung is that of the next one, for the median


class Rule(Protocol):
    """Decides at a rung. Losses are sorted, the least, which is the best, first; infinite: not a number.

    `takes_best` says whether what counts at a rung is the best that the trial had at any so far, or what it has there;
    `looks_once`, whether it decides at one rung alone.
    """

    takes_best: bool
    looks_once: bool

    def next_rung(self, step: float) -> float:
        """Return the step of the rung after the one at this step."""

    def continues(self, loss: float, others: list[float]) -> bool:
        """Return whether a trial with this loss continues, beside those that were at the same rung before."""


class Asha:
    """Continues where it is among the best 1/`reduction_factor` of all that have reached the rung.

    The stopping kind of asynchronous successive halving: Li and others, "A system for massively parallel hyperparameter
    tuning", MLSys 2020 (arXiv 1810.05934), as a rung is used there, and rungs `reduction_factor` times as far each.
    """

    takes_best, looks_once = False, False

    def __init__(self, reduction_factor: int) -> None:
        self._factor = reduction_factor

    def next_rung(self, step: float) -> float:
        """Return a step that is `reduction_factor` times as far."""
        return step * self._factor

    def continues(self, loss: float, others: list[float]) -> bool:
        """Return whether it is among the best; the first ones, fewer than `reduction_factor`, all continue."""
        reached = len(others) + 1
        return reached < self._factor or bisect_left(others, loss) < max(1, reached // self._factor)


class Median:
    """Stops a trial whose best value so far is worse than the median of what others had measured by then.

    The median stopping rule of Golovin and others, "Google Vizier: a service for black-box optimization", KDD 2017,
    with the best value so far in place of the running average, which one bad first step spoils.
    """

    takes_best, looks_once = True, False

    def next_rung(self, step: float) -> float:
        """Return the next whole step, or one that is a fifth further."""
        return max(math.floor(step) + 1, math.ceil(step * MEDIAN_RUNG))

    def continues(self, loss: float, others: list[float]) -> bool:
        """Return whether it is at least as good as the median, if there are enough others."""
        return len(others) < FEWEST_OTHERS or loss <= others[len(others) // 2]


class BestFew:
    """Lets all run a few steps, and those that are then the best few of all so far their whole length.

    The strong simple baseline of "Is one epoch all you need for multi-fidelity hyperparameter optimization?" (Egele and
    others, 2023, arXiv 2307.15422), which trains the best three again to the end; here they continue, as they come.
    Where that is strong is in "The unreasonable effectiveness of early discarding after one epoch" (Egele and others,
    2024, arXiv 2404.04111).
    """

    takes_best, looks_once = False, True

    def next_rung(self, step: float) -> float:
        """Return a step that is twice as far."""
        return step * 2

    def continues(self, loss: float, others: list[float]) -> bool:
        """Return whether fewer than a few are better."""
        return bisect_left(others, loss) < BEST_FEW


def first_rung(rule: Rule, length: float) -> float:
    """Return the first rung that decides where a whole trial has so many steps."""
    rung = 1.0
    while rung < SOONEST * length:
        rung = rule.next_rung(rung)
    return rung


def deciding_rungs(rule: Rule, length: float, min_steps: float | None = None) -> Iterator[float]:
    """Yield the rungs that decide where a whole trial has so many steps."""
    rung = min_steps or first_rung(rule, length)
    while rung < length:
        yield rung
        rung = math.inf if rule.looks_once else rule.next_rung(rung)


class _Own(NamedTuple):
    """What a trial had at its rungs, as far as its last attempt; `first_step` is where one began that continues."""

    attempt: Attempt
    first_step: float
    losses: dict[float, float]


class EarlyStopping:
    """A scheduler that chooses as another does, and stops trials by a rule, and by values that are not numbers.

    Rungs begin at `min_steps`. None stands where trials end: at `max_steps`, or, where that is not given, at the last
    step of any that has completed. As long as that is not known, a trial is judged only once some have gone beyond the
    rung, if need be by its own next report; and so it is at a step at which another has completed. Without `min_steps`,
    rungs begin at 1, and none before a tenth of the whole length decides anything, nor any before that is known: then,
    trials that are beyond one are judged by their next reports. With a factor of 3 from rung to rung, the first to
    decide is at a sixth, more or less. Without a rule, only values that are not numbers stop a trial.

    What it will decide follows from what trials had at the rungs and from where they ended, whichever came first. Of
    reports that were weighed by another rule, at other rungs, those count that are near to one.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        rule: Rule | None,
        objective: Objective,
        *,
        min_steps: float | None = None,
        max_steps: float | None = None,
        stops_nan: bool = False,
    ) -> None:
        self._scheduler, self._rule, self._objective, self._stops_nan = scheduler, rule, objective, stops_nan
        self._min_steps, self._first_rung = min_steps or 1, min_steps or math.inf  # the one that decides: the first
        self._end, self._finds_first_rung = math.inf, min_steps is None
        if max_steps is not None:
            self._end_at(max_steps)
        self._learns_end = max_steps is None
        self._ends: set[float] = set()  # steps at which trials have completed
        self._furthest = -math.inf  # step of all that was seen
        self._undecided: dict[int, float] = {}  # by the trial's number: a rung, beyond which none was known to go
        self._losses: defaultdict[float, list[float]] = defaultdict(list)  # of each rung, sorted
        self._own: dict[int, _Own] = {}  # of each trial by its number

    def look_ahead(self, workers: int) -> int:
        """Return what the other one says."""
        return self._scheduler.look_ahead(workers)

    def choose(self, waiting: Sequence[Attempt], now: Moment) -> Attempt | None:
        """Return what the other one chooses."""
        return self._scheduler.choose(waiting, now)

    def ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """Note how a trial ended, and at which step."""
        self._scheduler.ended(attempt, outcome)
        if outcome.status is Status.COMPLETED and outcome.last_report is not None:
            last = outcome.last_report.step
            self._ends.add(last)
            if self._learns_end:
                self._end_at(last if self._end == math.inf else max(self._end, last))

    def _end_at(self, step: float) -> None:
        """Let whole trials have so many steps."""
        self._end = step
        if self._finds_first_rung and self._rule is not None:
            self._first_rung = first_rung(self._rule, step)

    def judge(self, attempt: Attempt, report: Report, rung: float | None = None) -> Verdict:
        """Return whether an attempt continues; at a rung, beside all that have been there."""
        if not report.has(self._objective.name):
            return UNHEEDED
        value = report.value_of(self._objective.name)
        if value is None and self._stops_nan:
            return Verdict(VerdictKind.STOP)
        if self._rule is None or not self._min_steps <= report.step < self._end:
            return UNHEEDED
        self._furthest = max(self._furthest, report.step)
        weighed_at, rung, number = rung, self._rung(self._rule, report.step), attempt.trial.number
        if self._rule.looks_once and rung > self._first_rung:
            return UNHEEDED
        known, losses = self._begin(attempt, report.step), self._losses[rung]
        own = known.losses
        if rung in own and (self._undecided.get(number) != rung or rung < self._first_rung):
            return UNHEEDED
        is_first = rung >= known.first_step and (weighed_at is None or weighed_at == rung)
        if rung not in own and not is_first and report.step > rung * NEAR_A_RUNG:
            return UNHEEDED  # what it had at the rung, before a checkpoint, or under another rule, is not known
        if rung in own:
            losses.pop(bisect_left(losses, own[rung]))
        else:
            loss = math.inf if value is None else self._objective.direction.sort_key(value)
            own[rung] = min([loss, *own.values()]) if self._rule.takes_best else loss
        continues, rank = self._rule.continues(own[rung], losses), bisect_left(losses, own[rung]) + 1
        losses.insert(rank - 1, own[rung])
        is_known = self._furthest > rung or self._end < math.inf  # that trials continue beyond it
        if self._first_rung < math.inf and is_known and report.step not in self._ends:
            self._undecided.pop(number, None)
            continues = continues or rung < self._first_rung
        else:  # it may well be at its end, or too near to its beginning
            self._undecided[number], continues = rung, True
        return Verdict(VerdictKind.CONTINUE if continues else VerdictKind.STOP, rank, len(losses), rung)

    def _rung(self, rule: Rule, step: float) -> float:
        """Return the last rung that a step has reached."""
        rung = float(self._min_steps)
        while (following := rule.next_rung(rung)) <= step:
            rung = following
        return rung

    def _begin(self, attempt: Attempt, step: float) -> _Own:
        """Return what is known of an attempt, with what its trial had at rungs before, where it continues from there.

        That is so of rungs before its first step; what an earlier attempt had at later ones counts no more.
        """
        known = self._own.get(attempt.trial.number)
        if known is None:
            known = self._own[attempt.trial.number] = _Own(attempt, -math.inf, {})
        elif known.attempt != attempt:
            self._undecided.pop(attempt.trial.number, None)
            for rung in [rung for rung in known.losses if rung >= step]:
                self._losses[rung].pop(bisect_left(self._losses[rung], known.losses.pop(rung)))
            known = self._own[attempt.trial.number] = _Own(attempt, step, known.losses)
        return known


class AtEachLevel:
    """A scheduler that judges a trial beside those of the same level of fidelity alone: others have another end.

    `at_level` makes the one of a level; all of them choose as `scheduler` does.
    """

    def __init__(self, scheduler: Scheduler, at_level: Callable[[int], Scheduler]) -> None:
        self._scheduler, self._at_level = scheduler, at_level
        self._levels: dict[int, Scheduler] = {}

    def look_ahead(self, workers: int) -> int:
        """Return what the scheduler of all levels says."""
        return self._scheduler.look_ahead(workers)

    def choose(self, waiting: Sequence[Attempt], now: Moment) -> Attempt | None:
        """Return what the scheduler of all levels chooses."""
        return self._scheduler.choose(waiting, now)

    def judge(self, attempt: Attempt, report: Report, rung: float | None = None) -> Verdict:
        """Return what follows from a report at the level of its trial."""
        return self._of(attempt).judge(attempt, report, rung)

    def ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """Note how a trial ended, at its level."""
        self._of(attempt).ended(attempt, outcome)

    def _of(self, attempt: Attempt) -> Scheduler:
        level = attempt.trial.configuration.level
        if level not in self._levels:
            self._levels[level] = self._at_level(level)
        return self._levels[level]
