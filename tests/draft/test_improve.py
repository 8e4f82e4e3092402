"""Models of IMPROVE, by their texts."""

from __future__ import annotations

from textwrap import dedent

import pytest

from candle_hpo.core.objective import Direction
from candle_hpo.draft.improve import file_of_default_config, of_training, options_in_files, score_of, stage_of
from candle_hpo.draft.options import Kind, Option

IMPROVE = "from improvelib.applications.drug_response_prediction.config import DRP{}Config\n"


@pytest.mark.parametrize(
    ("text", "name", "stage"),
    [
        (IMPROVE.format("Train"), "x.py", "Train"),
        (IMPROVE.format("Preprocess"), "x_train_improve.py", "Preprocess"),
        ("import improvelib.utils as frm", "lgbm_infer_improve.py", "Infer"),
        ("import improvelib.utils as frm", "tools.py", ""),
        ("import torch\nclass TrainConfig: ...", "x_train_improve.py", ""),
    ],
)
def test_the_stage_of_a_script_of_improve(text: str, name: str, stage: str) -> None:
    assert stage_of(text, name) == stage


def test_the_options_of_a_model_of_improve_without_its_library() -> None:
    definitions = """
        train_params = [
            {"name": "layers", "type": int, "default": 3},
            {"name": "kind", "type": str, "choices": ["a", "b"], "default": "a"},
            {"name": "bias", "type": str2bool, "default": True},
            {"name": "sizes", "type": int, "nargs": "+", "default": [1]},
        ]
        """
    parameters = "[Preprocess]\nepochs = 1\n[Train]\nepochs = 20\nlayers = 4\nloss = mse\nown = x\n"
    found = {each.name: each for each in options_in_files(dedent(definitions), parameters)}
    assert (found["epochs"].default, found["layers"].default, found["own"].default) == (20, 4, "x")
    assert (found["kind"].choices, found["bias"].choices) == (("a", "b"), ("True", "False"))
    assert "sizes" not in found
    assert found["learning_rate"].default is None
    assert found["learning_rate"].option == "--learning_rate"
    assert file_of_default_config("cfg.initialize_parameters(x, default_config='m.ini')") == "m.ini"


def test_nobody_means_a_learning_rate_of_7() -> None:
    rate, epochs = of_training(Option(name=name, kind=Kind.INTEGER, default=7) for name in ("learning_rate", "epochs"))
    assert (rate.kind, rate.default, epochs.default) == (Kind.NUMBER, None, 7)


@pytest.mark.parametrize(
    ("metric", "kind", "key", "direction"),
    [
        ("mse", "regression", "mse", Direction.MINIMIZE),
        ("r2", "regression", "r2", Direction.MAXIMIZE),
        ("mse", "classification", "acc", Direction.MAXIMIZE),
        (None, None, "mse", Direction.MINIMIZE),
    ],
)
def test_the_score_of_a_model_of_improve(metric: str | None, kind: str | None, key: str, direction: Direction) -> None:
    found = [Option(name="early_stop_metric", default=metric), Option(name="metric_type", default=kind)]
    score, its_direction = score_of(found)
    assert (score.file, score.key, its_direction) == ("val_scores.json", key, direction)
