"""An experiment's trials as those of Optuna: for its importance of hyperparameters, its storages, its dashboard."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from candle_hpo.core.experiment import Direction
from candle_hpo.core.trial import Status
from candle_hpo.record.history import TrialHistory
from candle_hpo.report.columns import Column

DIRECTIONS = {Direction.MINIMIZE: StudyDirection.MINIMIZE, Direction.MAXIMIZE: StudyDirection.MAXIMIZE}
_MOST_ATTRIBUTE = 2000  # characters; a database's column holds no more


def distributions_of(columns: Sequence[Column]) -> dict[str, BaseDistribution]:
    """Return Optuna's distribution of each column: from its least number to its largest, or over its choices."""
    return {column.name: _distribution(column) for column in columns if column.present}


def _distribution(column: Column) -> BaseDistribution:
    if column.choices:
        return CategoricalDistribution(column.choices)
    low, high = min(column.present), max(column.present)
    if all(isinstance(value, int) for value in column.present):
        return IntDistribution(int(low), int(high), log=column.is_log)
    return FloatDistribution(float(low), float(high), log=column.is_log)


def optuna_trials(rows: Sequence[TrialHistory], columns: Sequence[Column]) -> Iterator[FrozenTrial]:
    """Yield a trial of Optuna for each of ours: completed ones with their value, others as failed, the rest running.

    `columns` have an entry for each row. What Optuna has no place for is in the trial's attributes.
    """
    distributions = distributions_of(columns)
    for place, row in enumerate(rows):
        values = {column.name: column.values[place] for column in columns if column.values[place] is not None}
        yield _trial(row, values, columns, distributions)


def _trial(
    row: TrialHistory,
    values: dict[str, float | int | None],
    columns: Sequence[Column],
    distributions: dict[str, BaseDistribution],
) -> FrozenTrial:
    choices = {column.name: column.choices for column in columns if column.choices}
    own = {name: distributions[name] for name in values}
    outcome = row.outcome
    state = TrialState.RUNNING
    attributes: dict[str, object] = {"id": row.trial.id, "attempt": row.trial.attempt}
    if outcome is not None:
        state = TrialState.COMPLETE if outcome.status is Status.COMPLETED else TrialState.FAIL
        attributes |= {"status": outcome.status.value, "worker": outcome.worker, **outcome.metrics}
        if outcome.reason:
            attributes["reason"] = outcome.reason[:_MOST_ATTRIBUTE]
    trial = create_trial(
        state=state,
        value=outcome.value if outcome else None,
        params={
            name: choices[name][int(value or 0)] if name in choices else _typed(value, own[name])
            for name, value in values.items()
        },
        distributions=own,
        user_attrs=attributes,
    )
    trial.number = row.trial.number
    trial.datetime_start = datetime.datetime.fromtimestamp(row.started)
    if outcome is not None:
        trial.datetime_complete = datetime.datetime.fromtimestamp(row.started + outcome.seconds)
    return trial


def _typed(value: float | int | None, distribution: BaseDistribution) -> float | int | None:
    return float(value) if isinstance(distribution, FloatDistribution) and value is not None else value
