"""How much each hyperparameter matters: Optuna's evaluator, on an experiment's completed trials."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import msgspec

from candle_hpo.core.objective import Direction
from candle_hpo.record.history_entries import TrialHistory
from candle_hpo.report.columns import Column

FEWEST_TRIALS = 10
_BEST_SHARE = 0.1  # of the trials, whose hyperparameters are compared with those of all
_FEWEST_BEST = 5  # of them, for an estimate to be steady
_MOST_TRIALS = 10_000  # of which the evaluator is given; of more, every second, third, …


def importance(
    rows: Sequence[TrialHistory], columns: Sequence[Column], direction: Direction
) -> dict[str, float] | None:
    """Return the share of each column in what makes the best tenth of the trials the best; the shares add up to 1.

    By PED-ANOVA (Watanabe et al., IJCAI 2023, https://arxiv.org/abs/2304.10255), which takes hyperparameters that some
    trials do not have, too. None where too few trials have completed, or no column distinguishes them.
    """
    completed = [place for place, row in enumerate(rows) if row.value is not None]
    completed = completed[:: len(completed) // _MOST_TRIALS + 1]
    varying = [column for column in columns if column.varies]
    if len(completed) < FEWEST_TRIALS or not varying:
        return None
    import optuna  # it takes half a second to import

    from candle_hpo.report.optuna_study import new_study, optuna_trials

    kept = [
        msgspec.structs.replace(column, values=tuple(column.values[place] for place in completed)) for column in varying
    ]
    share = min(0.5, max(_BEST_SHARE, _FEWEST_BEST / len(completed)))
    study = new_study(direction)
    study.add_trials(optuna_trials([rows[place] for place in completed], kept))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of regimes with a single trial, which the page says in its own words
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return found if any(found.values()) else None
