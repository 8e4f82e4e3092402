"""A search with fidelity: what another one proposes is run small first, and the best of it again with more."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Protocol

from msgspec.structs import replace

from candle_hpo.core.fidelity import Levels, Tally
from candle_hpo.core.objective import Objective
from candle_hpo.core.trial import Configuration, Continued, Outcome, Report, Status, Trial, default_trial_id
from candle_hpo.search.grid import GridSearch


class NewSets(Protocol):
    """The search that is wrapped."""

    def propose(self, number: int, running: int) -> Configuration | None:
        """Return the configuration of this number, as in `schedule.waiting.Search`."""

    def observe(self, trial: Trial, seen: Report | Outcome) -> None:
        """Observe what a trial has measured on its way, or how it ended."""


@dataclass
class _Line:
    """A configuration at all its levels: the first of it, and the number by which the other search knows it.

    `ends` has how it ended at each level at which it has begun, None where it has not; `shown` is what the other search
    knows of it.
    """

    first: Configuration
    number: int
    ends: dict[int, Outcome | None] = field(default_factory=dict)
    shown: Outcome | None = None

    @property
    def end(self) -> tuple[int, Outcome] | None:
        """The highest level at which it has ended, and how; one at which it was stopped counts where there is no other.

        What it had at a level before stands as long as nothing has come of the next.
        """
        ended = [(level, outcome) for level, outcome in self.ends.items() if outcome is not None]
        return max(ended, key=lambda each: (each[1].status is not Status.STOPPED, each[0]), default=None)


class FidelitySearch:
    """Proposes the best configuration of the highest level that can be promoted, else a new one at the lowest level.

    This is asynchronous successive halving of the promoting kind: Li and others, "A system for massively parallel
    hyperparameter tuning", MLSys 2020 (arXiv 1810.05934), algorithm 2. Nobody waits for a level to be complete: as soon
    as `factor` trials have completed at a level, the best of them is promoted, after as many more the best one that
    was not, and so on. There, all that are ever among the best 1/`factor` are promoted; here, no more than 1/`factor`,
    so that how many trials there will be is known. Once nothing more can come to a level, what is left of the
    division counts as a whole: the best of all reaches the last level however few there are, which the paper leaves
    to a large number of them. In place of a promoted one that fails, the best of those that were not is promoted.

    A promotion is a new configuration: the same hyperparameters with the next level's value, `@` and that value behind
    the id of the first one of its line. No id of a listed set has an `@`. The wrapped search, which proposes `new`
    configurations at most, learns how each line ended at the highest level at which it has ended: below the last one,
    that its value is one on the way, at which the line was stopped.

    What is proposed next follows from which trials there are and how they ended, in whatever order they did. So a
    search that has observed the record of another one continues as that would have.
    """

    def __init__(self, search: NewSets, levels: Levels, objective: Objective, new: int) -> None:
        self._search, self._levels, self._objective, self._new = search, levels, objective, new
        self._grid = search if isinstance(search, GridSearch) else None
        self._lines: dict[str, _Line] = {}  # by the id of the first one
        self._numbers: set[int] = set()  # of all lines
        self._next = 1  # number of a new line
        self._tally = Tally(objective.name)
        self._best: dict[int, list[tuple[float, int, Configuration]]] = defaultdict(list)  # heaps, by level
        self._best_promoted: dict[int, float] = defaultdict(lambda: math.inf)  # loss, by the level that it was at

    def propose(self, number: int, running: int) -> Configuration | None:
        """Return the configuration of this number; None where there is none, or not yet."""
        for level in range(len(self._levels.values) - 1, 0, -1):
            if promoted := self._promotion(number, level, self._tally.completed[level] // self._levels.factor):
                return promoted
        return self._new_one(number, running) or self._last_promotion(number, running)

    def observe(self, trial: Trial, seen: Report | Outcome) -> None:
        """Observe how a trial ended, perhaps one that an earlier campaign proposed; what it reports decides nothing."""
        if isinstance(seen, Outcome):
            self._observe(trial, seen)

    def _observe(self, trial: Trial, outcome: Outcome) -> None:
        one = trial.configuration
        line = self._begin(one)
        if before := line.ends[one.level]:
            self._tally.take_back(one.level, before)
        self._tally.end(one.level, outcome)
        line.ends[one.level] = None if outcome.status is Status.INTERRUPTED else outcome  # that runs again, or may
        found = line.end
        shown = outcome if found is None else self._of_line(*found)
        if shown != line.shown:
            line.shown = shown
            self._search.observe(Trial(self._as_new(one), trial.repeat), shown)
        value = outcome.value_of(self._objective.name)
        if value is not None:
            loss = self._objective.direction.sort_key(value)
            heapq.heappush(self._best[one.level], (loss, line.first.number, one))

    def as_listed(self, configuration: Configuration) -> Configuration:
        """Return a trial of an earlier campaign with what its set has now, at its level; see `GridSearch`."""
        if self._grid is None:
            return configuration
        listed = self._grid.as_listed(self._as_new(configuration))
        return replace(configuration, hyperparameters=self._levels.at(configuration.level, listed.hyperparameters))

    def _new_one(self, number: int, running: int) -> Configuration | None:
        """Return what the other search proposes next, at the lowest level."""
        found = self._search.propose(self._next_number(), running)
        if found is None:
            return None
        name = found.id if self._grid else default_trial_id(number)
        one = Configuration(number, name, self._levels.at(1, found.hyperparameters))
        self._begin(one)
        return one

    def _last_promotion(self, number: int, running: int) -> Configuration | None:
        """Return the promotion that the rest of a division is worth, from a level to which nothing more can come."""
        if running and self._next <= self._new:
            return None
        for level in range(1, len(self._levels.values)):
            if running and self._tally.left(level):
                return None
            due = self._levels.share(self._tally.completed[level])
            if promoted := self._promotion(number, level, due, is_last=True):
                return promoted
        return None

    def _promotion(self, number: int, level: int, due: int, *, is_last: bool = False) -> Configuration | None:
        """Return the best that has completed at a level and was not promoted, at the next level.

        None where none is left, or where as many as are due were promoted and have not failed. But the last one may
        be the best of all: another one has taken its place, where it failed at first, or came later than all others.
        """
        heap, following = self._best[level], level + 1
        while heap and max(self._line_of(heap[0][2]).ends) > level:
            self._best_promoted[level] = min(self._best_promoted[level], heapq.heappop(heap)[0])
        if not heap:
            return None
        is_due = self._tally.begun[following] - self._tally.failed[following] < due
        if not is_due and not (is_last and heap[0][0] < self._best_promoted[level]):
            return None
        best = heap[0][2]
        first, hyperparameters = self._line_of(best).first, self._levels.at(following, best.hyperparameters)
        name = f"{first.id}@{self._levels.values[level]}"
        one = Configuration(number, name, hyperparameters, Continued(first.number, first.id, following))
        self._begin(one)
        return one

    def _begin(self, one: Configuration) -> _Line:
        """Let a trial be there, if it is not known; return its line."""
        line = self._lines.get(_id_of_line(one)) or self._new_line(one)
        if one.level not in line.ends:
            line.ends[one.level] = None
            self._tally.begin(one.level)
        return line

    def _new_line(self, one: Configuration) -> _Line:
        """Return the line of a trial, which may have lost its first one: a damaged record has not all of them."""
        name = _id_of_line(one)
        number = self._grid.number_of(name) if self._grid else self._next_number()
        first = one
        if one.continues is not None:
            first = Configuration(one.continues.number, name, self._levels.at(1, one.hyperparameters))
        line = self._lines[name] = _Line(first, number)
        self._numbers.add(number)
        return line

    def _of_line(self, level: int, outcome: Outcome) -> Outcome:
        """Return how a trial of this level ended as what it is for a line that has its whole length at the last one."""
        if outcome.status is Status.STOPPED and outcome.last_report is not None:
            # The steps that its script counts are not the levels; that it became what is not a number, says something.
            is_number = outcome.last_report.value_of(self._objective.name) is not None
            return replace(outcome, last_report=None) if is_number else outcome
        if outcome.status is not Status.COMPLETED:
            return outcome
        report = Report(self._levels.values[level - 1], outcome.metrics)
        if level == len(self._levels.values):
            return replace(outcome, last_report=report)
        return Outcome(Status.STOPPED, seconds=outcome.seconds, place=outcome.place, last_report=report)

    def _line_of(self, one: Configuration) -> _Line:
        return self._lines[_id_of_line(one)]

    def _as_new(self, one: Configuration) -> Configuration:
        """Return a trial as the wrapped search knows it."""
        line = self._line_of(one)
        return Configuration(line.number, line.first.id, one.hyperparameters)

    def _next_number(self) -> int:
        while self._next in self._numbers:
            self._next += 1
        return self._next


def _id_of_line(one: Configuration) -> str:
    return one.id if one.continues is None else one.continues.id
