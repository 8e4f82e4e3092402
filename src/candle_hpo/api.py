"""candle in Python: an experiment's trials, for a notebook. `candle_hpo.load` is the way in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Hyperparameters, Metrics
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.history import History
from candle_hpo.record.history_entries import TrialHistory
from candle_hpo.report.frame import data_frame
from candle_hpo.report.results import last_step
from candle_hpo.runner.liveness import replay_now


class LoadedTrial(msgspec.Struct, frozen=True):
    """One trial, by its last attempt.

    `value` is the objective, and not None if and only if `status` is "completed"; `reason` says why another failed.
    `status` may be "running", too. `seconds` is the duration of the attempt, `started` its begin in seconds since 1970.
    `folder` has what the model wrote. `script` is the version of the model script that ran, as in `experiment.json`.
    `last_step` and `last_value` are the step that it reported last and the objective there, None where it did not. Of a
    running trial they are those by which it was last compared with others.
    """

    number: int
    id: str
    hyperparameters: Hyperparameters
    status: str
    value: float | None
    reason: str
    metrics: Metrics
    seconds: float
    worker: str
    attempt: int
    started: float
    folder: Path
    script: str = ""
    last_step: float | None = None
    last_value: float | None = None


class LoadedExperiment:
    """An experiment as it was when it was loaded.

    `name`, `folder`; `direction` ("minimize" or "maximize"); `names`, the hyperparameters that vary; `total`, how many
    trials it makes; `settings`, its keywords as a dict; `seed`; `trials`, those that have begun, by their numbers.
    """

    def __init__(self, paths: ExperimentPaths, stored: StoredExperiment, history: History) -> None:
        self._paths, self.name, self.folder = paths, paths.root.name, paths.root
        self.direction = stored.settings.direction.value
        self.names, self.total, self.seed = tuple(stored.names), stored.trials(history), stored.seed
        self.settings: dict[str, Any] = msgspec.to_builtins(stored.settings)
        self._rows = [row for _, row in sorted(history.trials.items())]
        self._history = history
        self.trials = tuple(map(self._trial, self._rows))

    @property
    def best(self) -> LoadedTrial | None:
        """The trial with the best value; None where none has completed."""
        return None if self._history.best is None else self._trial(self._history.best)

    def to_dataframe(self) -> Any:
        """Return the trials as a pandas `DataFrame`, a row each, by their numbers.

        Columns: `number`, `id`, `value`, the hyperparameters that vary, other metrics, `status`, `reason`, `seconds`,
        `attempt`, `worker`, `started`, `script`; where any trial reported on its way, `last_step`, `last_value`. Raises
        `InputError` where pandas is not installed.
        """
        return data_frame(self._rows, self.names)

    def _trial(self, row: TrialHistory) -> LoadedTrial:
        trial, outcome = row.trial, row.outcome
        return LoadedTrial(
            number=trial.number,
            id=trial.id,
            hyperparameters=trial.hyperparameters,
            status=outcome.status.value if outcome else "running",
            value=row.value,
            reason=outcome.reason if outcome else "",
            metrics=row.other_metrics,
            seconds=outcome.seconds if outcome else 0.0,
            worker=outcome.worker if outcome else "",
            attempt=row.attempt.number,
            started=row.started,
            folder=self._paths.trial(trial.id).run,
            script=outcome.script if outcome else "",
            last_step=last_step(row),
            last_value=row.last_value,
        )

    def __repr__(self) -> str:
        best = self.best
        value = "none completed" if best is None else f"best {best.value!r} by {best.id}"
        return f"<experiment {self.name}: {len(self.trials)} of {self.total} trials, {self.direction}, {value}>"


def load_experiment(experiment: str | os.PathLike[str]) -> LoadedExperiment:
    """Read an experiment: its folder, a link to it, or its name such as `X003` below the current folder.

    Raises `candle_hpo.core.errors.InputError` where there is none, and `RecordError` where it cannot be read.
    """
    opened = Experiment.open(os.fspath(experiment))
    return LoadedExperiment(opened.paths, opened.stored, replay_now(opened))
