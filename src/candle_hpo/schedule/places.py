"""Which nodes and workers are handed trials: what outcomes say of where they came about, and what is done about it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from candle_hpo.core.attempts import Attempts
from candle_hpo.core.failures import FailureWatch
from candle_hpo.core.news import Engine
from candle_hpo.core.nodes import Excused, NodeWatch, OutOfUse, Released, Suspected
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Attempt, Outcome

NO_PLACES_SECONDS = 300.0  # for another worker to come, where those that are there are out of use

_logger = logging.getLogger("candle_hpo.campaign")


class PlaceKeeper:
    """Holds, releases and excludes nodes and workers of an engine as a `NodeWatch` judges them.

    What failed on a suspected one is attempted elsewhere, before all else. `is_over` returns whether an attempt was the
    last one at its trial, and that does not run. Times are in seconds by any clock that only goes forward.
    """

    def __init__(
        self, engine: Engine, again: Attempts, failures: FailureWatch, is_over: Callable[[Attempt], bool]
    ) -> None:
        self._engine, self._again, self._failures, self._is_over = engine, again, failures, is_over
        self._watch = NodeWatch(engine.workers_on)
        self._without_places: float | None = None  # since when

    def add(self, attempt: Attempt, outcome: Outcome) -> None:
        """Add how an attempt ended."""
        self._watch.add(attempt, outcome)

    def judge(self, now: float, *, is_idle: bool) -> tuple[bool, list[OutOfUse]]:
        """Act on what is known; return whether anything has changed, and what is out of use from now on."""
        verdicts = self._watch.judge(now, is_idle=is_idle)
        for verdict in verdicts:
            match verdict:
                case Suspected(where, failed):
                    self._suspect(where, failed)
                case Released(where):
                    _logger.info("%s gets trials again", where)
                    self._engine.release(where)
                case OutOfUse(where, _):
                    self._engine.exclude(where)
                case Excused(failed):
                    for attempt in filter(self._can_be_repeated, failed):
                        self._failures.forget(attempt.trial)
                        self._again.add_waiting(attempt.again())
        return bool(verdicts), [verdict for verdict in verdicts if isinstance(verdict, OutOfUse)]

    def reason_to_give_up(self, now: float, *, is_in_use: bool) -> Stop | None:
        """Return why to stop where no worker is left but those that are out of use, and no other came for a while."""
        if is_in_use or not self._watch.out_of_use:
            self._without_places = None
            return None
        if self._without_places is None:
            self._without_places = now
        if now - self._without_places <= NO_PLACES_SECONDS:
            return None
        out = ", ".join(sorted(self._watch.out_of_use))
        return Stop(StopReason.NO_WORKERS, last=f"out of use: {out}; no other was there for some minutes")

    def _suspect(self, where: str, failed: Sequence[Attempt]) -> None:
        if not self._engine.hold(where, is_last=self._failures.is_about_one_node):
            self._watch.dismiss(where)
            return
        _logger.info("%s gets nothing for now: of %d failures, one is tried elsewhere", where, len(failed))
        for attempt in failed:
            if self._again.bring_forward(attempt.trial.number):  # it waits for that already
                return
            if self._can_be_repeated(attempt):
                self._again.add_next(attempt.again())
                return

    def _can_be_repeated(self, attempt: Attempt) -> bool:
        return self._is_over(attempt) and not self._again.waits(attempt.trial.number)
