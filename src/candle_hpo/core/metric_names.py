"""What the name of a metric says: whether less of it is better, or more."""

from __future__ import annotations

import itertools
import re

from candle_hpo.core.objective import Direction

_DOWN = {
    "loss", "losses", "error", "err", "rmse", "mse", "mae", "mape", "nll", "nlpd", "perplexity", "ppl", "cost",
    "crossentropy", "entropy", "deviance", "rss", "aic", "bic", "logloss", "mlogloss", "wer", "cer", "brier",
    "residual", "objective", "chi2", "rmsle", "regret", "misfit", "energy", "fid", "bpc", "bpd", "distance", "gap",
    "violation", "hinge", "smape", "bouldin", "inertia",
}  # fmt: skip
_UP = {
    "accuracy", "acc", "auc", "auroc", "auprc", "aucpr", "f1", "score", "r2", "precision", "recall", "dice", "iou",
    "miou", "map", "bleu", "reward", "return", "likelihood", "loglikelihood", "elbo", "correlation", "corr",
    "pearson", "spearman", "pcc", "scc", "ndcg", "kappa", "mcc", "sensitivity", "specificity", "fitness", "psnr",
    "ssim", "hits", "rouge", "top1", "top5", "purity", "silhouette", "profit", "sharpe", "ap", "r", "rsquared",
    "concordance", "bacc", "aupr", "rew", "rewards", "returns",
}  # fmt: skip
_NEVER_NEGATIVE = {"mse", "rmse", "mae", "mape", "rmsle", "smape", "squared", "absolute"}
_NEGATED = {"neg", "negative", "negated", "minus"}
_OF_CLASSES = {
    "precision",
    "recall",
    "f1",
    "accuracy",
    "acc",
    "class",
    "sensitivity",
    "specificity",
    "rate",
    "predictive",
}
_OPPOSITE = {Direction.MINIMIZE: Direction.MAXIMIZE, Direction.MAXIMIZE: Direction.MINIMIZE}
# Of those above, the names that leave no doubt: nobody means to maximize an error, or to minimize an accuracy.
_CLEAR = {
    "loss", "losses", "error", "err", "rmse", "mse", "mae", "mape", "rmsle", "smape", "logloss", "mlogloss",
    "perplexity", "wer", "cer", "accuracy", "acc", "auc", "auroc", "auprc", "f1", "r2", "precision", "recall", "dice",
    "iou", "bacc", "mcc",
}  # fmt: skip


def direction_of_name(name: str, value: float = 1.0) -> Direction | None:
    """Return the direction that a name shows, None for none.

    An error that cannot be below 0, and has such a `value`, was negated, as scikit-learn's scores are, so that more is
    better.
    """
    words = words_of(name)
    direction = None
    if words & _DOWN or re.search(r"log_loss|'s l[12]$", name.lower()):  # LightGBM: training's l2
        direction = Direction.MINIMIZE
    elif words & _UP:
        direction = Direction.MAXIMIZE
    is_below_0 = direction is Direction.MINIMIZE and words & _NEVER_NEGATIVE and value < 0
    if direction and (is_below_0 or _is_negated(name)):
        direction = _OPPOSITE[direction]  # neg_log_loss, negative log likelihood
    return direction


def _is_negated(name: str) -> bool:
    """Return whether a name says that the sign of what follows was turned around: `neg_log_loss`.

    What is called negative may also be a class: `negative.recall`, `recall (negative)`, `NEGATIVE.f1-score`.
    """
    for part in re.split(r"[./:]", name):
        words = ordered_words_of(part)
        for word, following in itertools.pairwise(words):
            if word in _NEGATED and following not in _OF_CLASSES and not {"false", "true"} & {*words}:
                return True
    return False


def is_clear(name: str) -> bool:
    """Return whether a name leaves no doubt of its direction: `val_loss` does, `docking_score` may be either."""
    return bool(words_of(name) & _CLEAR)


def words_of(text: str) -> set[str]:
    """Return the words of a name, in small letters: `valLoss` and `val_loss` have the same."""
    return set(ordered_words_of(text))


def ordered_words_of(text: str) -> list[str]:
    """Return the words of a name as `words_of`, in their order."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("IoU", "Iou"))  # mIoU
    return [each.lower() for each in re.split(r"[^A-Za-z0-9]+", apart) if each]
