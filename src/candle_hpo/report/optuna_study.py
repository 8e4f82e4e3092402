"""An experiment's trials as those of Optuna: for its importance of hyperparameters, its storages, its dashboard."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages.journal import BaseJournalBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from candle_hpo.core.fidelity import Levels
from candle_hpo.core.objective import Direction
from candle_hpo.core.trial import Status
from candle_hpo.record.history_entries import TrialHistory
from candle_hpo.report.columns import Column, columns_of
from candle_hpo.report.curves import Point

DIRECTIONS = {Direction.MINIMIZE: StudyDirection.MINIMIZE, Direction.MAXIMIZE: StudyDirection.MAXIMIZE}
_MOST_ATTRIBUTE = 2000  # characters; a database's column holds no more


def _distribution(column: Column) -> BaseDistribution:
    if column.choices:
        return CategoricalDistribution(typed_choices(column))
    low, high = min(column.present), max(column.present)
    if all(isinstance(value, int) for value in column.present):
        return IntDistribution(int(low), int(high), log=column.is_log)
    return FloatDistribution(float(low), float(high), log=column.is_log)


def typed_choices(column: Column) -> tuple[bool | int | float | str | None, ...]:
    """Return the choices as Optuna takes them: null, booleans, numbers and texts as such, everything else as text."""
    typed = [_typed_choice(text) for text in column.choices]
    # To Optuna, 1 and True are one and the same.
    return tuple(typed) if len(set(typed)) == len(typed) else column.choices


def _typed_choice(text: str) -> bool | int | float | str | None:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, bool | int | float | str) else text


def new_study(
    direction: Direction, name: str | None = None, storage: optuna.storages.BaseStorage | None = None
) -> optuna.Study:
    """Return an empty study, in memory where no storage is given. From now on, Optuna reports warnings alone."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(study_name=name, storage=storage, direction=DIRECTIONS[direction])


_STATES = {Status.COMPLETED: TrialState.COMPLETE, Status.STOPPED: TrialState.PRUNED}


class OptunaTrials:
    """Makes trials of Optuna from ours, each with the values that `columns` have at its place.

    Completed ones have their value, stopped ones are pruned, others failed, those that have not ended are running. What
    Optuna has no place for is in a trial's attributes. `curves` are what trials reported, by their numbers; Optuna's
    steps are whole numbers, and so reports at others are left out.

    With the `levels` of a fidelity, one that completed below the last is pruned, too, with its value as that of a step:
    the level's budget, or, where not all are whole, its number. So no value of a small budget is the best, and Optuna's
    samplers learn from it what they learn from a trial that was stopped there. The budget is an attribute.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        curves: Mapping[int, Sequence[Point]] | None = None,
        levels: Levels | None = None,
    ) -> None:
        self._curves, self._levels = curves or {}, levels
        budget = None if levels is None else levels.name
        self._columns = [column for column in columns if column.present and column.name != budget]
        self._choices = {column.name: typed_choices(column) for column in self._columns if column.choices}
        self._distributions = {column.name: _distribution(column) for column in self._columns}

    def make(self, row: TrialHistory, place: int) -> FrozenTrial:
        """Return the trial of Optuna for this one, whose values are at this place of the columns."""
        values = {
            column.name: self._value(column, place) for column in self._columns if column.values[place] is not None
        }
        outcome = row.outcome
        trial = create_trial(
            state=self.state_of(row),
            value=row.value,
            params=values,
            distributions={name: self._distributions[name] for name in values},
            user_attrs=self.attributes_of(row),
            intermediate_values=intermediate_values(row, self._curves.get(row.trial.number, ()), self._levels),
        )
        trial.number = row.trial.number
        trial.datetime_start = datetime.datetime.fromtimestamp(row.started)
        if outcome is not None:
            trial.datetime_complete = datetime.datetime.fromtimestamp(row.started + outcome.seconds)
        return trial

    def state_of(self, row: TrialHistory) -> TrialState:
        """Return what Optuna calls the status of a trial."""
        if row.outcome is None:
            return TrialState.RUNNING
        is_below = self._levels is not None and row.trial.configuration.level < len(self._levels.values)
        if row.outcome.status is Status.COMPLETED and is_below:
            return TrialState.PRUNED
        return _STATES.get(row.outcome.status, TrialState.FAIL)

    def attributes_of(self, row: TrialHistory) -> dict[str, object]:
        """Return what Optuna has no place for, with the budget of a fidelity."""
        found = attributes_of(row)
        if self._levels is not None:
            found |= {"level": row.trial.configuration.level}
            found |= {self._levels.name: row.trial.hyperparameters.get(self._levels.name)}
        return found

    def _value(self, column: Column, place: int) -> bool | int | float | str | None:
        value = column.values[place]
        if column.choices:
            return self._choices[column.name][int(value or 0)]
        is_float = isinstance(self._distributions[column.name], FloatDistribution)
        return float(value) if is_float and value is not None else value


def optuna_trials(
    rows: Sequence[TrialHistory],
    columns: Sequence[Column],
    curves: Mapping[int, Sequence[Point]] | None = None,
    levels: Levels | None = None,
) -> Iterator[FrozenTrial]:
    """Yield a trial of Optuna for each row; `columns` have an entry for each, `curves` are by the trials' numbers."""
    trials = OptunaTrials(columns, curves, levels)
    for place, row in enumerate(rows):
        yield trials.make(row, place)


def intermediate_values(row: TrialHistory, points: Iterable[Point], levels: Levels | None) -> dict[int, float]:
    """Return what a trial had at steps: its points, or, where it has none, its value at its level of a fidelity."""
    found = {
        int(point.step): math.nan if point.value is None else point.value for point in points if point.step.is_integer()
    }
    if found or levels is None or row.value is None:
        return found
    level, are_whole = row.trial.configuration.level, all(float(each).is_integer() for each in levels.values)
    return {int(levels.values[level - 1]) if are_whole else level: row.value}


def attributes_of(row: TrialHistory) -> dict[str, object]:
    """Return what Optuna has no place for: number (its own counts from 0) and id, how it ended, its other metrics."""
    attributes: dict[str, object] = {"number": row.trial.number, "id": row.trial.id, "attempt": row.attempt.number}
    if row.outcome is not None:
        attributes |= {**row.other_metrics, "status": row.outcome.status.value, "worker": row.outcome.worker}
        if row.outcome.reason:
            attributes["reason"] = row.outcome.reason[:_MOST_ATTRIBUTE]
    return attributes


class _Journal(BaseJournalBackend):
    """A journal in memory: Optuna's own file locks, syncs and reads again for every trial, a hundred times as slow."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def read_logs(self, log_number_from: int) -> Iterable[dict[str, Any]]:
        """Return the logs from this number on."""
        return self.logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Keep more logs."""
        self.logs += logs


def write_journal(
    path: Path,
    name: str,
    direction: Direction,
    rows: Sequence[TrialHistory],
    names: Sequence[str],
    curves: Mapping[int, Sequence[Point]],
    levels: Levels | None = None,
) -> None:
    """Write the trials as a study of this name into a new journal of Optuna at `path`. Raises `OSError`."""
    columns = columns_of(names, [row.trial.hyperparameters for row in rows], most_choices=len(rows) + 1)
    journal = _Journal()
    study = new_study(direction, name, optuna.storages.JournalStorage(journal))
    study.add_trials(optuna_trials(rows, columns, curves, levels))
    lines = (json.dumps(log, separators=(",", ":")) for log in journal.logs)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
