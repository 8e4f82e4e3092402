"""An experiment as a study of Optuna in memory that follows the record: for Optuna's dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from candle_hpo.core.objective import Objective
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.record.events import TrialFinished, TrialStarted
from candle_hpo.record.history import History
from candle_hpo.record.history_entries import TrialHistory
from candle_hpo.record.tail import FollowedRecord
from candle_hpo.report.columns import Column, columns_of, representative_sets
from candle_hpo.report.optuna_study import DIRECTIONS, OptunaTrials, attributes_of


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
        self, record: Path, name: str, objective: Objective, names: Sequence[str], known: Sequence[Hyperparameters]
    ) -> None:
        self.storage = _Storage()
        self._record, self._name, self._objective = FollowedRecord(record, objective), name, objective
        self._names, self._known = names, representative_sets(names, known)
        self._study: int | None = None
        self._make_study()

    @property
    def history(self) -> History:
        """What the record adds up to so far."""
        return self._record.history

    def _make_study(self) -> None:
        if self._study is not None:
            self.storage.delete_study(self._study)
        self._study = self.storage.create_new_study([DIRECTIONS[self._objective.direction]], self._name)
        self._choices: dict[str, tuple[str, ...]] = {}
        self._trials: dict[int, int] = {}  # number -> Optuna's id of the trial that runs
        self._ended: dict[int, int] = {}  # the same of those that have ended
        self.storage.best = None

    def update(self) -> None:
        """Add what the record has gained. Raises `RecordError`."""
        before, events = self.history, self._record.update()
        if self.history is not before:
            self._make_study()
        changed = dict.fromkeys(event.number for event in events if isinstance(event, TrialStarted | TrialFinished))
        rows = [self.history.trials[number] for number in changed]
        if rows:
            self._add(rows)

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
        trials = OptunaTrials(columns)
        for place, row in enumerate(rows, start=len(self._known)):
            self._put(row, trials.make(row, place))
        best = self.history.best
        self.storage.best = None if best is None else self._ended[best.trial.number]

    def _are_new(self, sets: Sequence[Hyperparameters]) -> bool:
        """Return whether sets have a choice that was not known; from now on, it is."""
        self._known = representative_sets(self._names, [*self._known, *sets])
        return {column.name: column.choices for column in self._columns([])} != self._choices

    def _columns(self, sets: Sequence[Hyperparameters]) -> list[Column]:
        return columns_of(self._names, [*self._known, *sets], most_choices=10**9)

    def _put(self, row: TrialHistory, trial: FrozenTrial) -> None:
        number, storage = row.trial.number, self.storage
        running = self._trials.pop(number, None)
        if running is not None and row.outcome is not None:
            for name, value in attributes_of(row).items():
                storage.set_trial_user_attr(running, name, value)
            storage.set_trial_state_values(running, trial.state, trial.values)
            self._ended[number] = running
            return
        if running is not None:  # an earlier attempt, which ended since the last update
            storage.set_trial_state_values(running, TrialState.FAIL)
        made = storage.create_new_trial(self._study or 0, trial)
        (self._trials if row.outcome is None else self._ended)[number] = made
