"""What the charts and the table of a report's page are made from: one JSON object, by columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from candle_hpo.core.objective import Direction
from candle_hpo.core.trial import Status
from candle_hpo.record.history import History
from candle_hpo.record.history_entries import TrialHistory
from candle_hpo.report.columns import Column, columns_of
from candle_hpo.report.curves import NO_CURVES, Curves
from candle_hpo.report.importance import importance
from candle_hpo.report.results import metric_names

STATUSES = (*(status.value for status in Status), "running")
_FEWEST_TO_CUT = 20  # completed trials, from which on values far off are kept out of the charts' range
_FAR_OFF = 3.0  # beyond the best 95 %, in widths of their range
_MOST_DRAWN, _BEST_DRAWN = 3000, 100  # trials in a chart: the best, and every so-manieth of the others


class ValueRange(msgspec.Struct, frozen=True):
    """The objective from `low` to `high`; the `outside` values beyond `shown_low` to `shown_high` are far off."""

    low: float
    high: float
    shown_low: float
    shown_high: float
    outside: int


class HyperparameterColumn(msgspec.Struct, frozen=True):
    """A column of hyperparameters, as `Column` has it; `importance` is its share, None where none is known."""

    name: str
    values: tuple[float | int | None, ...]
    choices: tuple[str, ...]
    is_log: bool
    importance: float | None
    rare: dict[int, str]
    floats: tuple[float, ...]


class MetricColumn(msgspec.Struct, frozen=True):
    """Another metric that models returned, for each trial; what does not vary is left to the table."""

    name: str
    values: tuple[object, ...]


class AttemptColumns(msgspec.Struct, frozen=True):
    """All attempts that ended: places of the trial, the worker and the status; `began` in seconds of running time."""

    trial: tuple[int, ...]
    worker: tuple[int, ...]
    status: tuple[int, ...]
    began: tuple[float, ...]
    seconds: tuple[float, ...]


class CurveColumns(msgspec.Struct, frozen=True):
    """What trials reported on their way: the place of each trial, its steps, and the objective at these.

    A value of None was not a finite number. `range` is that of all values; `left_out` says how many trials that
    reported are not among them.
    """

    trial: tuple[int, ...]
    steps: tuple[tuple[float, ...], ...]
    values: tuple[tuple[float | None, ...], ...]
    range: ValueRange
    left_out: int


class PageData(msgspec.Struct, frozen=True):
    """Trials by their number, in columns.

    `order` is the places of those that ended, in the order of their ends; `best` is the place of the best, and
    `drawn` the places of those that charts show, from the worst to the best.
    Running time counts from the first campaign's start, without the times between campaigns; `campaigns` are their
    beginnings in it, and `places` how many workers there were, with the time since when. `curves` are there where any
    trial reported.
    """

    name: str
    direction: Direction
    ids: tuple[str, ...]
    status: tuple[int, ...]
    value: tuple[float | None, ...]
    seconds: tuple[float | None, ...]
    attempts: tuple[int, ...]
    order: tuple[int, ...]
    drawn: tuple[int, ...]
    best: int | None
    range: ValueRange | None
    hyperparameters: tuple[HyperparameterColumn, ...]
    metrics: tuple[MetricColumn, ...]
    workers: tuple[str, ...]
    runs: AttemptColumns
    campaigns: tuple[float, ...]
    places: tuple[tuple[float, int], ...]
    running_time: float
    levels: tuple[int, ...] = ()
    curves: CurveColumns | None = None
    statuses: tuple[str, ...] = STATUSES


def page_data(
    name: str,
    history: History,
    names: Sequence[str],
    log_scales: Mapping[str, bool] | None = None,
    curves: Curves = NO_CURVES,
) -> PageData:
    """Return what a page about these trials shows; `names` are the hyperparameters that the search space names."""
    rows = [row for _, row in sorted(history.trials.items())]
    columns = columns_of(names, [row.trial.hyperparameters for row in rows], log_scales)
    values = tuple(row.value for row in rows)
    clock = _RunningTime(history)
    order = _order(history, rows)
    return PageData(
        name=name,
        direction=history.direction,
        ids=tuple(row.trial.id for row in rows),
        status=tuple(_status(row) for row in rows),
        value=values,
        seconds=tuple(None if row.outcome is None else round(row.outcome.seconds, 3) for row in rows),
        attempts=tuple(row.attempt.number for row in rows),
        order=order,
        drawn=_drawn(order, values, history.direction),
        best=None if history.best is None else rows.index(history.best),
        range=value_range([value for value in values if value is not None], history.direction),
        hyperparameters=_with_importance(columns, rows, history.direction),
        metrics=_metrics(rows),
        workers=clock.workers,
        runs=clock.runs({row.trial.number: place for place, row in enumerate(rows)}),
        campaigns=clock.campaigns,
        places=clock.places,
        running_time=clock.end,
        levels=_levels(rows),
        curves=_curves(curves, {row.trial.number: place for place, row in enumerate(rows)}, history.direction),
    )


def _curves(curves: Curves, places: Mapping[int, int], direction: Direction) -> CurveColumns | None:
    finite = [point.value for points in curves.points.values() for point in points if point.value is not None]
    shown = value_range(finite, direction)
    if shown is None:
        return None
    return CurveColumns(
        trial=tuple(places[number] for number in curves.points),
        steps=tuple(tuple(_short(point.step) for point in points) for points in curves.points.values()),
        values=tuple(
            tuple(None if point.value is None else _short(point.value) for point in points)
            for points in curves.points.values()
        ),
        range=shown,
        left_out=curves.left_out,
    )


def _short(number: float) -> float:
    """Return a number in as many digits as a chart can show; a whole one as such."""
    return int(number) if number.is_integer() and abs(number) < 1e15 else float(f"{number:.6g}")


def _levels(rows: Sequence[TrialHistory]) -> tuple[int, ...]:
    """Return the level of each trial's fidelity; nothing where all have the first."""
    levels = tuple(row.trial.configuration.level for row in rows)
    return levels if max(levels, default=1) > 1 else ()


def _status(row: TrialHistory) -> int:
    return STATUSES.index("running" if row.outcome is None else row.outcome.status.value)


def _order(history: History, rows: Sequence[TrialHistory]) -> tuple[int, ...]:
    places = {row.trial.number: place for place, row in enumerate(rows) if row.outcome is not None}
    last_ends = {attempt.attempt.trial.number: None for attempt in reversed(history.attempts)}
    return tuple(places[number] for number in reversed(last_ends) if number in places)


def _drawn(order: Sequence[int], values: Sequence[float | None], direction: Direction) -> tuple[int, ...]:
    def best_first(place: int) -> float:
        value = values[place]
        return math.inf if value is None else direction.sort_key(value)

    every = max(1, -(-(len(order) - _BEST_DRAWN) // (_MOST_DRAWN - _BEST_DRAWN)))
    places = sorted(order, key=best_first)
    return tuple(place for k, place in enumerate(places) if k < _BEST_DRAWN or k % every == 0)[::-1]


def value_range(values: Sequence[float], direction: Direction) -> ValueRange | None:
    """Return the range of the values, and the one to show: without those that are far worse than nearly all."""
    if not values:
        return None
    low, high = min(values), max(values)
    best_first = sorted(values, key=direction.sort_key)
    best, nearly_worst, worst = best_first[0], best_first[int(0.95 * (len(values) - 1))], best_first[-1]
    width = nearly_worst - best  # negative where the highest value is the best
    if len(values) < _FEWEST_TO_CUT or not width or (worst - nearly_worst) / width <= _FAR_OFF:
        return ValueRange(low, high, low, high, 0)
    limit = nearly_worst + 0.25 * width
    outside = sum(direction.is_better(limit, value) for value in values)
    shown = (low, limit) if direction is Direction.MINIMIZE else (limit, high)
    return ValueRange(low, high, *shown, outside)


def _with_importance(
    columns: Sequence[Column], rows: Sequence[TrialHistory], direction: Direction
) -> tuple[HyperparameterColumn, ...]:
    shares = importance(rows, columns, direction) or {}
    return tuple(
        HyperparameterColumn(
            column.name,
            column.values,
            column.choices,
            column.is_log,
            shares.get(column.name),
            column.rare,
            column.floats,
        )
        for column in columns
    )


def _metrics(rows: Sequence[TrialHistory]) -> tuple[MetricColumn, ...]:
    return tuple(MetricColumn(name, tuple(row.other_metrics.get(name) for row in rows)) for name in metric_names(rows))


class _RunningTime:
    """Times of an experiment, in seconds since it began, without the times in which no campaign ran it."""

    def __init__(self, history: History) -> None:
        self._attempts = history.attempts
        self._shifts: list[tuple[float, float]] = []  # (a campaign's beginning, what is subtracted from then on)
        campaigns: list[float] = []
        places: list[tuple[float, int]] = []
        end = 0.0
        for campaign in history.campaigns:
            began = campaign.started.time
            self._shifts.append((began, began - end))
            campaigns.append(round(end, 2))
            places += [(round(end + time - began, 2), number) for time, number in campaign.places]
            end += campaign.ended - began
        self.campaigns, self.places, self.end = tuple(campaigns), tuple(places), round(end, 2)
        ran_at = {attempt.outcome.place for attempt in history.attempts}
        known = sorted((place for place in ran_at if place), key=lambda place: (place.node, place.slot))
        self.workers = (*map(str, known), *(["not known"] if None in ran_at else []))

    def __call__(self, time: float) -> float:
        shift = next((shift for began, shift in reversed(self._shifts) if began <= time), time)
        return round(max(0.0, time - shift), 2)

    def runs(self, places: Mapping[int, int]) -> AttemptColumns:
        workers = {name: place for place, name in enumerate(self.workers)}
        began = [self(attempt.began) for attempt in self._attempts]
        return AttemptColumns(
            trial=tuple(places[attempt.attempt.trial.number] for attempt in self._attempts),
            worker=tuple(workers[attempt.outcome.worker or "not known"] for attempt in self._attempts),
            status=tuple(STATUSES.index(attempt.outcome.status.value) for attempt in self._attempts),
            began=tuple(began),
            seconds=tuple(round(attempt.ended - attempt.began, 2) for attempt in self._attempts),
        )
