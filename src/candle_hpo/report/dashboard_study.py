"""An experiment as a study of Optuna in memory that follows the record: for Optuna's dashboard."""

from __future__ import annotations

from collections.abc import Sequence

from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from candle_hpo.core.fidelity import Levels
from candle_hpo.core.objective import Objective
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.record.events import TrialFinished, TrialStarted
from candle_hpo.record.history import History
from candle_hpo.record.history_entries import TrialHistory
from candle_hpo.record.tail import FollowedRecord
from candle_hpo.report.columns import Column, columns_of, representative_sets
from candle_hpo.report.curves import (
    END_BYTES,
    MOST_CURVES,
    MOST_OF_ONE,
    MOST_RUNNING,
    WHOLE_BYTES,
    Point,
    curves_of,
    last_points,
    thinned,
)
from candle_hpo.report.optuna_study import DIRECTIONS, OptunaTrials, intermediate_values


class _Storage(InMemoryStorage):
    """A storage whose best trial is that of the record; Optuna's own takes, of equal ones, that which ended first."""

    def __init__(self) -> None:
        super().__init__()
        self.best: int | None = None

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the best trial. Raises `ValueError` where none has completed, as Optuna wants it."""
        if self.best is None:
            return super().get_best_trial(study_id)
        return self.get_trial(self.best)


class DashboardStudy:
    """Keeps a study in `storage` in step with a record; `update` adds what is new.

    `known` are sets of hyperparameters that will be run, from which the ranges and choices are known before they are.
    A further attempt at a trial that had ended is a separate trial, for Optuna ends each one once.
    """

    def __init__(
        self,
        paths: ExperimentPaths,
        objective: Objective,
        names: Sequence[str],
        known: Sequence[Hyperparameters],
        levels: Levels | None = None,
    ) -> None:
        self.storage = _Storage()
        self._paths, self._record, self._objective = paths, FollowedRecord(paths.record, objective), objective
        self._names, self._known, self._levels = names, representative_sets(names, known), levels
        self._study: int | None = None
        self._make_study()

    @property
    def history(self) -> History:
        """What the record adds up to so far."""
        return self._record.history

    def _make_study(self) -> None:
        if self._study is not None:
            self.storage.delete_study(self._study)
        self._study = self.storage.create_new_study([DIRECTIONS[self._objective.direction]], self._paths.root.name)
        self._choices: dict[str, tuple[str, ...]] = {}
        self._trials: dict[int, int] = {}  # number -> Optuna's id of the trial that runs
        self._ended: dict[int, int] = {}  # the same of those that have ended
        self.storage.best = None

    def update(self) -> None:
        """Add what the record has gained, and what trials that run have reported. Raises `RecordError`."""
        before, events = self.history, self._record.update()
        if self.history is not before:
            self._make_study()
        changed = dict.fromkeys(event.number for event in events if isinstance(event, TrialStarted | TrialFinished))
        rows = [self.history.trials[number] for number in changed]
        if rows:
            self._add(rows)
        for row in list(self.history.running.values())[:MOST_RUNNING]:
            self._add_steps(row, self._trials[row.trial.number], END_BYTES)

    def _add_steps(self, row: TrialHistory, trial: int, most_bytes: int) -> None:
        """Give a trial of Optuna, which runs, what ours has reported since."""
        known = self.storage.get_trial(trial).intermediate_values
        for step, value in intermediate_values(row, self._points(row, most_bytes), self._levels).items():
            if step not in known:
                self.storage.set_trial_intermediate_value(trial, step, value)

    def _points(self, row: TrialHistory, most_bytes: int) -> list[Point]:
        file = self._paths.trial(row.trial.id).reports
        return thinned(last_points(file, self._objective, most_bytes), MOST_OF_ONE)

    def _curves(self, rows: Sequence[TrialHistory]) -> dict[int, list[Point]]:
        """Return the curves of trials that have ended, within bounds."""
        if len(rows) > MOST_CURVES:
            return curves_of(self._paths, self.history).points
        return {row.trial.number: self._points(row, WHOLE_BYTES) for row in rows if row.outcome is not None}

    def end_running(self, reason: str) -> None:
        """Count what runs as interrupted: nothing runs the experiment any more."""
        rows = list(self.history.running.values())
        self.history.end_running(reason)
        if rows:
            self._add(rows)

    def _add(self, rows: Sequence[TrialHistory]) -> None:
        """Put trials into the study; rebuild it where they have a choice that was not known: Optuna fixes those."""
        if self._are_new([row.trial.hyperparameters for row in rows]) and self._choices:
            self._make_study()
            rows = [row for _, row in sorted(self.history.trials.items())]
        columns = self._columns([row.trial.hyperparameters for row in rows])
        self._choices = {column.name: column.choices for column in columns}
        curves = self._curves([row for row in rows if row.trial.number not in self._trials])
        trials = OptunaTrials(columns, curves, self._levels)
        for place, row in enumerate(rows, start=len(self._known)):
            self._put(row, trials, place)
        best = self.history.best
        self.storage.best = None if best is None else self._ended[best.trial.number]

    def _are_new(self, sets: Sequence[Hyperparameters]) -> bool:
        """Return whether sets have a choice that was not known; from now on, it is."""
        self._known = representative_sets(self._names, [*self._known, *sets])
        return {column.name: column.choices for column in self._columns([])} != self._choices

    def _columns(self, sets: Sequence[Hyperparameters]) -> list[Column]:
        return columns_of(self._names, [*self._known, *sets], most_choices=10**9)

    def _put(self, row: TrialHistory, trials: OptunaTrials, place: int) -> None:
        number, storage, trial = row.trial.number, self.storage, trials.make(row, place)
        running = self._trials.pop(number, None)
        if running is not None and row.outcome is not None:
            self._add_steps(row, running, WHOLE_BYTES)
            for name, value in trials.attributes_of(row).items():
                storage.set_trial_user_attr(running, name, value)
            storage.set_trial_state_values(running, trial.state, trial.values)
            self._ended[number] = running
            return
        if running is not None:  # an earlier attempt, which ended since the last update
            storage.set_trial_state_values(running, TrialState.FAIL)
        made = storage.create_new_trial(self._study or 0, trial)
        (self._trials if row.outcome is None else self._ended)[number] = made
