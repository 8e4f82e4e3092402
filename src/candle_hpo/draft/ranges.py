"""An option → the range in which it is worth searching, by its name and around its default."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import msgspec

from candle_hpo.draft.options import Kind, Option


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """What may be searched of a hyperparameter: numbers from `low` to `high`, or `choices`.

    `worth` says how likely it is to matter, 0 for what only costs time or is best left as it is. `usual` is the value
    where nothing is varied. `is_known` is whether its name says what it is.
    """

    name: str
    usual: object
    low: float | None = None
    high: float | None = None
    is_whole: bool = False
    is_log: bool = False
    choices: tuple[object, ...] = ()
    worth: int = 0
    is_known: bool = True

    @property
    def fields(self) -> dict[str, object]:
        """The parameter in the form of JSON, as `&param_space` has it."""
        if self.choices:
            return {"name": self.name, "type": "categorical", "choices": list(self.choices)}
        kind = {"type": "int" if self.is_whole else "float", "low": self.low, "high": self.high}
        return {"name": self.name, **kind, **({"log": True} if self.is_log else {})}

    def __str__(self) -> str:
        if self.choices:
            return f"{self.name}: {', '.join(map(str, self.choices))}"
        return f"{self.name}: {self.low:g} to {self.high:g}" + (", on a log scale" if self.is_log else "")


def _words(*words: str) -> re.Pattern[str]:
    return re.compile(rf"(?:^|[_.])(?:{'|'.join(words)})(?:$|[_.\d])")


# What is never a hyperparameter: where things are, how much is said, what the machine has.
_FIXED = _words(
    "seed", "random_state", "gpu", "gpus", "device", "devices", "cuda", "mps", "cpu", "threads", "jobs", "n_jobs",
    "num_workers", "workers", "nproc", "rank", "world_size", "port", "nodes", "log_interval", "interval", "every",
    "freq", "frequency", "render", "show", "display", "inference", "verbose", "verbosity", "debug", "quiet", "save",
    "load", "resume", "checkpoint", "ckpt", "out", "output", "outdir", "dir", "directory", "path", "file", "filename",
    "folder", "data", "dataset", "root", "url", "name", "dry_run", "test", "val", "valid", "validation", "eval",
    "evaluate", "download", "plot", "log", "wandb", "fp16", "bf16", "amp", "accel", "backend", "n_classes",
    "num_classes", "classes", "in_dim", "out_dim", "input_dim", "output_dim", "in_features", "folds", "splits", "cv",
    "year", "date", "profile", "sentences", "tag", "id_", "weights_only",
    "split_ratio", "split_size", "holdout", r"train_(?:size|ratio|split|frac\w*)",
)  # fmt: skip
# What Lightning's Trainer has of the machine, and of how much of the data is used.
_OF_TRAINER = re.compile(
    r"^trainer\.(?!max_epochs$|max_steps$|gradient_clip_\w+$)(?:\w*(?:batches|interval|steps|epochs?|nodes)$|n?\w*able_|"
    r"deterministic|benchmark|inference_mode|use_distributed_sampler|detect_anomaly|barebones|sync_batchnorm|precision|"
    r"every_n|reload_|fast_dev_run)"
)
_RATE = re.compile(r"(?:^|[_.])(?:\w*lr|eta|learn(?:ing)?_?rate|step_?size)(?:$|[_.\d])|^rate$", re.IGNORECASE)
_NOT_A_RATE = re.compile(r"decay|gamma|step|schedul|warm|min|factor|patience|drop|end|final")
_PENALTY = _words(
    "weight_decay", "wd", "l1", "l2", "alpha", "lambda", "lamb", "lam", "lmbda", "reg", "regularization", "penalty",
    "c", "ridge", "reg_alpha", "reg_lambda", "eps", "epsilon", "tol", "shrinkage", "gamma", "sigma", "bandwidth",
    "noise", "temperature", "beta", "cp", "penalizer",
)  # fmt: skip
_TOLERANCE = _words("tol", "eps", "epsilon")  # how exact it is, which mostly costs time
_DROPOUT = _words(r"\w*dropout\w*", "drop", "drop_rate", "p_drop")
_MOMENTUM = _words("momentum", "beta1", "beta2", "beta_1", "beta_2", "rho", "ema")
_BATCH = re.compile(r"batch|(?:^|[_.])bs(?:$|[_.])")
_SIZE = re.compile(
    r"hidden|units|width|channels|filters|dim\b|_dim|latent|embed|neurons|leaves|nodes|capacity|d_model|rank|bins"
)
_DEPTH = re.compile(r"layers|depth|blocks|heads|neighbo|kernel|degree|(?:^|_)k$|patience|polynom")
_LEAST = re.compile(r"min_child|min_samples|min_data|min_?split|min_?bucket|min_?node")
_AMOUNT = re.compile(
    r"epoch|iter|(?:^|_)(?:n_?)?steps?$|max_steps|estimators|rounds|trees|n_boost|generations|burn|samples|sweeps|cycles"
)

_NOT_AN_AMOUNT = re.compile(r"(?:^|[_.])min_|early_stop")

_USUAL: tuple[tuple[re.Pattern[str], Kind, object], ...] = (
    (_DROPOUT, Kind.NUMBER, 0.2),
    (_MOMENTUM, Kind.NUMBER, 0.9),
    (_BATCH, Kind.INTEGER, 32),
    (_LEAST, Kind.INTEGER, 2),
    (_AMOUNT, Kind.INTEGER, 10),
    (_SIZE, Kind.INTEGER, 64),
    (re.compile(r"max_depth"), Kind.INTEGER, 8),  # where none is given, trees grow without any limit
    (_DEPTH, Kind.INTEGER, 2),
)


def is_rate(name: str) -> bool:
    """Return whether this is the name of a learning rate."""
    return _RATE.search(name) is not None and _NOT_A_RATE.search(re.sub(r"step_?size", "", name.lower())) is None


def is_amount(name: str) -> bool:
    """Return whether this name says how long a script runs: epochs, iterations, trees."""
    words = _in_words(name)
    return _AMOUNT.search(words) is not None and not _FIXED.search(words) and not _NOT_AN_AMOUNT.search(words)


def _in_words(name: str) -> str:
    """Return a name in lower case, with its words apart: `batch_size` for `batchSize`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", name).lower()


def with_usual_value(option: Option) -> Option:
    """Return an option whose default is not known with the value that is usual for its name, if there is one."""
    if option.default is not None or option.choices or option.left_alone:
        return option
    name = option.name.lower()
    if is_rate(name) and option.kind in (Kind.NUMBER, Kind.TEXT):
        return msgspec.structs.replace(option, kind=Kind.NUMBER, default=1e-3, is_guessed=True)
    for pattern, kind, value in _USUAL:
        if pattern.search(name) and not _FIXED.search(name) and option.kind in (kind, Kind.TEXT):
            return msgspec.structs.replace(option, kind=kind, default=value, is_guessed=True)
    return option


def range_of(option: Option) -> Range | None:
    """Return the range of an option; None where there is nothing to vary: a path, a seed, a text."""
    name, usual = _in_words(option.name), option.default
    if _FIXED.search(name) or _OF_TRAINER.search(name) or isinstance(usual, list) or option.left_alone:
        return None
    if option.kind is Kind.FLAG:
        is_left = name.startswith(("no_", "use_cuda"))
        return None if is_left else Range(name=option.name, usual=usual, choices=(False, True), worth=2)
    if option.choices:
        known = tuple(each for each in option.choices if each is not None)
        return Range(name=option.name, usual=usual, choices=known, worth=4) if len(known) > 1 else None
    if isinstance(usual, bool) or not isinstance(usual, int | float) or not math.isfinite(usual):
        return None
    found = _of_number(option.name, float(usual), is_whole=option.kind is Kind.INTEGER)
    return None if found is None else _within(found, option.low, option.high)


def _of_number(name: str, usual: float, *, is_whole: bool) -> Range | None:
    lower = _in_words(name)
    if is_rate(lower):
        if usual <= 0:
            return None
        return _log(name, usual, usual / 100, min(usual * 10, max(1.0, usual)), worth=10)
    if re.search(r"(?:^|[_.])l1_?ratio$", lower) and 0 <= usual <= 1:  # the share of one penalty of two
        return _even(name, usual, 0.0, 1.0, worth=6)
    if _DROPOUT.search(lower) and 0 <= usual < 1:
        return _even(name, usual, 0.0, max(0.5, usual), worth=7)
    if _MOMENTUM.search(lower) and 0 < usual < 1:
        return _even(name, usual, min(0.5, usual), max(0.99, usual), worth=5)
    if is_whole:
        return _of_whole(name, int(usual))
    if _PENALTY.search(lower) and not 0.1 < usual < 1:
        if usual == 0:
            return Range(name=name, usual=usual, low=1e-6, high=1e-2, is_log=True, worth=6)
        worth = 3 if _TOLERANCE.search(lower) else 8
        return _log(name, usual, usual / 100, usual * 100, worth=worth) if usual > 0 else None
    if 0.1 < usual < 1:
        is_known = lower.rpartition(".")[2] == "gamma" or "fraction" in lower or "sample" in lower
        found = _even(name, usual, usual / 2, (1 + usual) / 2, worth=5)
        return msgspec.structs.replace(found, is_known=is_known)
    if usual == 0:
        return _even(name, usual, 0.0, 1.0, worth=3)
    if usual < 0:
        return _even(name, usual, 2 * usual, 0.0, worth=3)
    return _log(name, usual, usual / 10, usual * 10 if usual > 1 else min(1.0, usual * 10), worth=4)


def _of_whole(name: str, usual: int) -> Range | None:
    lower = _in_words(name)
    if usual <= 0:
        return None
    if is_amount(name):
        return _whole(name, usual, max(1, usual // 4), usual * 2, worth=0)
    if _LEAST.search(lower):
        return _whole(name, usual, max(2 if "split" in lower else 1, usual // 4), max(usual * 4, 10), worth=6)
    if _BATCH.search(lower):
        return _whole(name, usual, max(1, usual // 4), usual * 4, worth=6)
    if _SIZE.search(lower):
        return _whole(name, usual, max(1, usual // 4), usual * 4, worth=7)
    if _DEPTH.search(lower):
        most = max(usual, 30) if lower.endswith("maxdepth") else math.inf  # R's rpart takes no more than 30
        return _whole(name, usual, max(1, usual // 2), int(min(most, max(usual * 2, usual + 2))), worth=6)
    return _whole(name, usual, max(1, usual // 2), usual * 2, worth=3) if usual > 1 else None


def _log(name: str, usual: float, low: float, high: float, worth: int) -> Range:
    return Range(name=name, usual=usual, low=_round(low), high=_round(high), is_log=True, worth=worth)


def _even(name: str, usual: float, low: float, high: float, worth: int) -> Range:
    return Range(name=name, usual=usual, low=_round(low), high=_round(high), worth=worth)


def _whole(name: str, usual: int, low: int, high: int, worth: int) -> Range:
    return Range(name=name, usual=usual, low=low, high=high, is_whole=True, is_log=high >= 8 * low, worth=worth)


def _round(number: float) -> float:
    """Return a bound with two digits."""
    return float(f"{number:.2g}")


def _within(found: Range, low: float | None, high: float | None) -> Range | None:
    """Return a range within the bounds that the script itself sets."""
    if found.low is None or found.high is None:
        return found
    lowest = found.low if low is None else max(found.low, low)
    highest = found.high if high is None else min(found.high, high)
    if found.is_whole:
        lowest, highest = math.ceil(lowest), math.floor(highest)
    if lowest >= highest:
        return None
    return msgspec.structs.replace(found, low=lowest, high=highest, is_log=found.is_log and lowest > 0)


def to_search(ranges: Sequence[Range], most: int = 3) -> list[str]:
    """Return the names of those that a first search is likely to gain most from; at least one, where there is any."""
    ordered = sorted(ranges, key=lambda each: -each.worth)
    likely = [each.name for each in ordered if each.worth >= 5][:most]
    return likely or [each.name for each in ordered[:1]]
