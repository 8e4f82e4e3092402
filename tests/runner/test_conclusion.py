"""The last lines of a run and its exit status."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from candle_hpo.core.errors import ExitStatus
from candle_hpo.core.objective import Direction
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.history import History
from candle_hpo.record.history_entries import TrialHistory
from candle_hpo.runner.conclusion import conclude
from candle_hpo.runner.listener import Progress
from support.made_experiments import make_experiment


class Listening:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, *lines: str) -> None:
        self.lines += lines

    def best(self, rows: Sequence[TrialHistory], names: Sequence[str], direction: Direction) -> None: ...

    def progress(self, history: History, stored: StoredExperiment) -> AbstractContextManager[Progress]:
        raise NotImplementedError


def test_without_workers_the_status_is_that_of_a_system_error_with_slurms_own_words(tmp_path: Path) -> None:
    opened, listener = Experiment(make_experiment(tmp_path / "X000", 3)), Listening()
    words = "n1, n2: srun: error: Unable to create step for job 7: Invalid feature specification"
    stop = Stop(StopReason.NO_WORKERS, last=words)
    assert conclude(opened.history, opened.stored, opened.paths, stop, listener) is ExitStatus.SYSTEM_ERROR
    assert f"Stopped: there are no workers: {words}" in listener.lines
