"""Models of IMPROVE, by their texts: which of its three scripts one is, its parameters, and where its score is.

The forms are those of improvelib 0.1: classes such as `DRPTrainConfig`, lists of parameters in `model_params_def.py`, a
file of parameters with the sections `[Preprocess]`, `[Train]` and `[Infer]`, and `val_scores.json`.
"""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from candle_hpo.core.objective import Direction
from candle_hpo.draft.objectives import SCORES_OF_IMPROVE, Candidate, judged
from candle_hpo.draft.options import Kind, Option, fitting, kind_of, number_or_text, without_doubles
from candle_hpo.draft.python_values import Module, called, keywords_of, tree_of
from candle_hpo.draft.ranges import is_rate

DEFINITIONS = "model_params_def.py"
TRAIN = "Train"
_IMPORTED = re.compile(r"(?m)^\s*(?:from|import)\s+improvelib\b")
_CONFIG = re.compile(r"\b\w*?(Preprocess|Train|Infer)Config\b")
_IN_NAME = re.compile(r"_(preprocess|train|infer)(?:_improve)?\.py$")
_KINDS = {"int": Kind.INTEGER, "float": Kind.NUMBER, "str": Kind.TEXT}
# What all training scripts have, of these kinds, whatever --help shows of their defaults.
_OF_TRAINING = {
    "input_dir": Kind.TEXT, "output_dir": Kind.TEXT, "epochs": Kind.INTEGER, "learning_rate": Kind.NUMBER,
    "batch_size": Kind.INTEGER, "val_batch": Kind.INTEGER, "patience": Kind.INTEGER, "loss": Kind.TEXT,
    "early_stop_metric": Kind.TEXT, "metric_type": Kind.TEXT, "y_col_name": Kind.TEXT,
}  # fmt: skip
_SCORES = {
    "regression": ("mse", "rmse", "pcc", "scc", "r2"),
    "classification": ("acc", "recall", "precision", "f1", "kappa", "bacc", "roc_auc", "aupr"),
}


def stage_of(text: str, name: str) -> str:
    """Return which of IMPROVE's scripts this is: `Preprocess`, `Train` or `Infer`; "" for none of improvelib's."""
    if not _IMPORTED.search(text):
        return ""
    stages = set(_CONFIG.findall(text))
    by_name = _IN_NAME.search(name)
    if len(stages) == 1:
        return str(stages.pop())
    return by_name[1].capitalize() if by_name else ""


def file_of_default_config(text: str) -> str:
    """Return the name of the file of parameters that a script reads, beside itself; "" where its text shows none."""
    tree = tree_of(text)
    if tree is None:
        return ""
    module = Module(tree)
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and called(call) == "initialize_parameters":
            name = module.value_or_none(keywords_of(call).get("default_config"))
            return name if isinstance(name, str) else ""
    return ""


def options_in_files(definitions: str, parameters: str) -> tuple[Option, ...]:
    """Return the options of a training script, from the texts of `model_params_def.py` and its file of parameters.

    That file decides, as it does when the script runs.
    """
    set_there = dict(_set_in(parameters))
    declared = [*_declared(definitions), *(Option(name=name, kind=kind) for name, kind in _OF_TRAINING.items())]
    found = [_with_value(each, set_there) for each in declared]
    names = {each.name for each in found}
    for name, text in set_there.items():
        if name not in names:
            value = number_or_text(text)
            found.append(Option(name=name, kind=kind_of(value), default=value))
    return without_doubles(msgspec.structs.replace(each, option=f"--{each.name}") for each in found)


def _with_value(option: Option, set_there: Mapping[str, str]) -> Option:
    text = set_there.get(option.name)
    return option if text is None else msgspec.structs.replace(option, default=fitting(text, option.kind))


def _set_in(parameters: str) -> Iterator[tuple[str, str]]:
    parser = configparser.ConfigParser()
    try:
        parser.read_string(parameters)
    except configparser.Error:
        return
    if parser.has_section(TRAIN):
        yield from parser.items(TRAIN, raw=True)


def _declared(definitions: str) -> Iterator[Option]:
    """Yield what the list `train_params` declares; a truth value is a text, `True`, since no flag is meant."""
    tree = tree_of(definitions)
    if tree is None:
        return
    module = Module(tree)
    for node in tree.body:
        if not (isinstance(node, ast.Assign) and called(node.targets[0]) == "train_params"):
            continue
        for each in node.value.elts if isinstance(node.value, ast.List) else ():
            its = _entries(each)
            name, kind = module.value_or_none(its.get("name")), called(its["type"]) if "type" in its else "str"
            if not isinstance(name, str) or "nargs" in its or "action" in its:
                continue
            default, choices = module.value_or_none(its.get("default")), module.value_or_none(its.get("choices"))
            if "bool" in kind:
                default, choices = None if default is None else str(default), ["True", "False"]
            its_kind = _KINDS.get(kind, Kind.TEXT)
            yield Option(
                name=name,
                kind=its_kind,
                default=fitting(default, its_kind),
                choices=tuple(choices) if isinstance(choices, list) else (),
                line=each.lineno,
            )


def _entries(node: ast.expr) -> dict[str, ast.expr]:
    if not isinstance(node, ast.Dict):
        return {}
    return {key.value: value for key, value in zip(node.keys, node.values, strict=True) if _is_text(key)}  # type: ignore[union-attr]


def _is_text(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def of_training(found: Iterable[Option]) -> tuple[Option, ...]:
    """Return the options of a training script with the kinds that improvelib gives them.

    Where nobody has set a learning rate, improvelib has 7, which nobody means: then none is given.
    """
    options = []
    for each in found:
        kind = _OF_TRAINING.get(each.name, each.kind)
        default = fitting(each.default, kind)
        if is_rate(each.name) and isinstance(default, int | float) and default >= 1:
            default = None
        options.append(msgspec.structs.replace(each, kind=kind, default=default))
    return tuple(options)


def score_of(found: Iterable[Option]) -> tuple[Candidate, Direction | None]:
    """Return the score that a training script leaves by which it stops early itself, and which end of it is better."""
    values = {each.name: each.default for each in found}
    scores = _SCORES.get(str(values.get("metric_type")), _SCORES["regression"])
    key = str(values.get("early_stop_metric"))
    key = key if key in scores else scores[0]
    direction = judged(key, "")[0]
    return Candidate(name=key, value=0.0, file=SCORES_OF_IMPROVE, key=key, direction=direction), direction
