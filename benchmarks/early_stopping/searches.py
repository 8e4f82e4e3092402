"""The searches that are compared, each used as its own documentation shows.

A table has some configurations only. So what a search proposes becomes the nearest one that has not been tried, by the
distance of `early_stopping.space.positions`, and each search is given what was really run in place of what it proposed.
What a search needs is imported when it is made.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np

from candle_hpo.core.axes import Axis, categorical
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.parameters import Parameter, ParametricSpace
from candle_hpo.core.trial import (
    Attempt,
    Configuration,
    Failure,
    FailureKind,
    Outcome,
    Report,
    Status,
    Trial,
    default_trial_id,
)
from candle_hpo.schedule.early_stopping import Asha, BestFew, EarlyStopping, Median, Rule
from candle_hpo.schedule.scheduler import FirstCome, VerdictKind
from early_stopping.simulation import Free, Search
from early_stopping.space import Choice, Number, positions
from early_stopping.tables import Table

Make = Callable[[Table, int], Search]  # from a table and a seed
MINIMIZE = Objective(Direction.MINIMIZE)
DIVERGED = 1e6  # in place of a loss that is not a number, for a search that takes numbers only


class Rows:
    """Chooses the rows of a table in a random order: the same one for the same seed, whatever is stopped."""

    def __init__(self, table: Table, seed: int) -> None:
        self._table = table
        self._order = np.random.default_rng([1, seed]).permutation(len(table.losses)).tolist()

    def choose(self, number: int, free: Free) -> tuple[int, Trial]:  # noqa: ARG002
        """Return the next row, and its trial."""
        row = int(self._order[number - 1])
        return row, _trial(self._table, number, row)

    def observe(self, trial: Trial, seen: Report | Outcome) -> None:
        """Learn nothing."""


class Learned:
    """Chooses rows as candle's own Bayesian search does, which also learns from curves and from stopped trials."""

    def __init__(self, table: Table, seed: int) -> None:
        from candle_hpo.search.budget import Budget
        from candle_hpo.search.learning import LearningSearch, Sampler
        from candle_hpo.search.space import SearchSpace

        self._table, self._space = table, ParametricSpace(tuple(_parameter(*each) for each in table.space.items()))
        space = SearchSpace(self._space)
        self._sampler = Sampler(space, Direction.MINIMIZE, seed, design_size=10)
        self._search = LearningSearch(space, self._sampler, Budget(len(table.losses)), seed)
        self.observe = self._search.observe

    def choose(self, number: int, free: Free) -> tuple[int, Trial]:
        """Return the row that is nearest to what the sampler proposes, and its trial."""
        point = self._sampler.suggest()
        assert point is not None, "a space of floats is never used up"
        row = free.nearest(positions(self._table.space, [self._space.hyperparameters(point)])[0])
        trial = _trial(self._table, number, row)
        self.observe(trial, Outcome.interrupted("it begins: nothing is known of it yet"))
        return row, trial


def _trial(table: Table, number: int, row: int) -> Trial:
    return Trial(Configuration(number, default_trial_id(number), table.configurations[row]))


def _parameter(name: str, axis: Number | Choice) -> Parameter:
    if isinstance(axis, Choice):
        return Parameter(name=name, axes=(categorical(name, axis.words),))
    kind, low, high = ("integer", int(axis.low), int(axis.high)) if axis.whole else ("float", axis.low, axis.high)
    return Parameter(name=name, axes=(Axis(name, kind, low, high, axis.log),))  # type: ignore[arg-type]


class CandleSearch:
    """Candle's scheduler with one of its rules; what its campaign does, which is to hand reports on, is done here."""

    def __init__(self, rows: Rows | Learned, rule: Rule | None, min_steps: int | None, max_steps: int | None) -> None:
        self._rows = rows
        self._scheduler = EarlyStopping(FirstCome(), rule, MINIMIZE, min_steps=min_steps, max_steps=max_steps)
        self._attempts: dict[int, Attempt] = {}

    def start(self, number: int, free: Free) -> int:
        """Return the row that is next."""
        row, trial = self._rows.choose(number, free)
        self._attempts[number] = Attempt(trial)
        return row

    def continues(self, number: int, step: int, loss: float) -> bool:
        """Return what the scheduler says; the search observes what was weighed."""
        attempt, report = self._attempts[number], _report(step, loss)
        verdict = self._scheduler.judge(attempt, report)
        if verdict.kind is not VerdictKind.UNHEEDED:
            self._rows.observe(attempt.trial, report)
        return verdict.kind is not VerdictKind.STOP

    def end(self, number: int, step: int, loss: float, *, whole: bool) -> None:
        """Let the scheduler know an outcome, and the search."""
        attempt, last = self._attempts.pop(number), _report(step, loss)
        if not whole:
            outcome = Outcome(Status.STOPPED, last_report=last)
        elif math.isfinite(loss):
            outcome = Outcome(Status.COMPLETED, {THE_VALUE: loss}, last_report=last)
        else:
            failure = Failure(FailureKind.NO_VALUE, "its loss is not a number")
            outcome = Outcome(Status.FAILED, failure=failure, last_report=last)
        self._scheduler.ended(attempt, outcome)
        self._rows.observe(attempt.trial, outcome)


def _report(step: int, loss: float) -> Report:
    return Report(step, {THE_VALUE: loss if math.isfinite(loss) else None})


class OptunaSearch:
    """A sampler and a pruner of Optuna's, by `ask` and `tell`; steps count from 0, as in its documentation."""

    def __init__(self, table: Table, sampler: Any, pruner: Any, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._table, self._states = table, optuna.trial.TrialState
        self._study = optuna.create_study(sampler=sampler, pruner=pruner, study_name=f"{table.name} {seed}")
        self._trials: dict[int, Any] = {}

    def start(self, number: int, free: Free) -> int:
        """Return the row nearest to a trial, which fails, and so says nothing; another one has what that row has."""
        asked = self._study.ask()
        row = free.nearest(positions(self._table.space, [self._suggested(asked)])[0])
        self._study.tell(asked, state=self._states.FAIL)
        self._study.enqueue_trial(self._table.configurations[row])
        self._trials[number] = self._study.ask()
        assert self._suggested(self._trials[number]) == self._table.configurations[row]
        return row

    def continues(self, number: int, step: int, loss: float) -> bool:
        """Return what the pruner says."""
        self._trials[number].report(loss, step - 1)
        return not self._trials[number].should_prune()

    def end(self, number: int, step: int, loss: float, *, whole: bool) -> None:
        """Let the study know how a trial ended."""
        trial = self._trials.pop(number)
        if not whole:
            self._study.tell(trial, state=self._states.PRUNED)
        elif math.isfinite(loss):
            trial.report(loss, step - 1)
            self._study.tell(trial, loss)
        else:
            self._study.tell(trial, state=self._states.FAIL)

    def _suggested(self, trial: Any) -> dict[str, Any]:
        given = {}
        for name, axis in self._table.space.items():
            if isinstance(axis, Choice):
                given[name] = trial.suggest_categorical(name, axis.words)
            elif axis.whole:
                given[name] = trial.suggest_int(name, int(axis.low), int(axis.high), log=axis.log)
            else:
                given[name] = trial.suggest_float(name, axis.low, axis.high, log=axis.log)
        return given


class SyneTuneSearch:
    """A scheduler of Syne Tune's, driven as its own tuner does it."""

    def __init__(self, table: Table, name: str, seed: int) -> None:
        import syne_tune.config_space as spaces
        from syne_tune.backend.trial_status import Trial as Job
        from syne_tune.optimizer import baselines
        from syne_tune.optimizer.scheduler import SchedulerDecision

        np.random.seed(seed)  # it draws brackets by it
        space = {each: _domain(spaces, axis) for each, axis in table.space.items()}
        self._stop, self._job, self._table = SchedulerDecision.STOP, Job, table
        last = table.losses.shape[1]
        make = getattr(baselines, name)
        self._scheduler = make(space, metric="loss", time_attr="step", max_t=last, random_seed=seed)
        self._jobs: dict[int, Any] = {}

    def start(self, number: int, free: Free) -> int:
        """Return the row nearest to what is suggested."""
        suggested = self._scheduler.suggest()
        row = free.nearest(positions(self._table.space, [suggested.config])[0])
        self._jobs[number] = self._job(number, dict(self._table.configurations[row]), datetime.now())
        self._scheduler.on_trial_add(self._jobs[number])
        return row

    def continues(self, number: int, step: int, loss: float) -> bool:
        """Return what the scheduler decides."""
        return bool(self._scheduler.on_trial_result(self._jobs[number], _result(step, loss)) != self._stop)

    def end(self, number: int, step: int, loss: float, *, whole: bool) -> None:
        """Let the scheduler know how a trial ended."""
        job = self._jobs.pop(number)
        if whole:
            self._scheduler.on_trial_complete(job, _result(step, loss))
        else:
            self._scheduler.on_trial_remove(job)


def _result(step: int, loss: float) -> dict[str, float]:
    return {"loss": loss if math.isfinite(loss) else DIVERGED, "step": step}


def _domain(spaces: Any, axis: Number | Choice) -> Any:
    if isinstance(axis, Choice):
        return spaces.choice(list(axis.words))
    if axis.whole:
        return (spaces.lograndint if axis.log else spaces.randint)(int(axis.low), int(axis.high))
    return (spaces.loguniform if axis.log else spaces.uniform)(axis.low, axis.high)


def candle(
    rule: Callable[[], Rule] | None,
    min_steps: int | None = None,
    max_steps: int | None = None,
    *,
    learns: bool = False,
) -> Make:
    """Return how candle's search is made, with a rule."""
    rows = Learned if learns else Rows
    return lambda table, seed: CandleSearch(rows(table, seed), rule() if rule else None, min_steps, max_steps)


def _optuna(pruner: str, **options: Any) -> Make:
    def make(table: Table, seed: int) -> Search:
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return OptunaSearch(
                table, optuna.samplers.TPESampler(seed=seed), getattr(optuna.pruners, pruner)(**options), seed
            )

    return make


def _syne_tune(name: str) -> Make:
    return lambda table, seed: SyneTuneSearch(table, name, seed)


# What is tried on the tasks for choosing: candle's defaults, and of each rule, the least step that is best for it, and
# with `asha` the factor.
CANDIDATES: Mapping[str, Mapping[str, Make]] = {
    "asha": {
        "asha": candle(partial(Asha, 3)),
        "asha, max_steps=50": candle(partial(Asha, 3), max_steps=50),
        **{
            f"asha, reduction_factor={factor}, min_steps={least}": candle(partial(Asha, factor), least)
            for factor in (2, 3, 4, 5)
            for least in (1, 2, 3, 5, 8)
        },
    },
    "median": {
        "median": candle(Median),
        **{f"median, min_steps={least}": candle(Median, least) for least in (1, 2, 3, 5, 8)},
    },
    "best_few": {
        "best_few": candle(BestFew),
        **{f"best_few, min_steps={least}": candle(BestFew, least) for least in (1, 2, 3, 5, 8, 12)},
    },
}
LEARNING: Mapping[str, Make] = {  # their proposals take time
    "bayesian": candle(None, learns=True),
    "bayesian, asha": candle(partial(Asha, 3), learns=True),
    "Optuna: TPE, median": _optuna("MedianPruner"),
    "Optuna: TPE, successive halving": _optuna("SuccessiveHalvingPruner"),
    "Optuna: TPE, Hyperband": _optuna("HyperbandPruner", min_resource=1, max_resource=50, reduction_factor=3),
    "Syne Tune: ASHA": _syne_tune("ASHA"),
    "Syne Tune: BOHB": _syne_tune("BOHB"),
}
SEARCHES: Mapping[str, Make] = {
    "random search": candle(None),
    **{name: make for candidates in CANDIDATES.values() for name, make in candidates.items()},
    **LEARNING,
}
