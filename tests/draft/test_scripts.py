"""Scripts that nobody edited, each with its own way to take values and to give a result: a file that runs at once.

The objective of each is a function of the rate, so that the value of a trial shows both that the rate arrived, and that
the right number was found.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

HERE = Path(__file__).parent


class Case(NamedTuple):
    """A script, the hyperparameter that is its rate, the objective, and the keywords that its file must have."""

    script: str
    rate: str
    objective: str
    value: Callable[[float], float]
    lines: tuple[str, ...] = ()
    direction: str = "minimize"
    given: tuple[str, ...] = ()


def loss(rate: float) -> float:
    return (math.log10(rate) + 2) ** 2 + 0.25


def share(rate: float) -> float:
    return 1 / (1 + loss(rate))


def percent(rate: float) -> float:
    return 100 * share(rate)


STOPPING = '# stopping="asha"'
CASES = [
    Case("argparse_accuracy.py", "learning_rate", "test_accuracy", percent, ("--my_name value",), "maximize"),
    Case("argparse_elsewhere.py", "lr", "final_score", percent, ("--help shows",), "maximize"),
    Case("argparse_epochs.py", "lr", "val_loss", loss, ("(?P<epoch>", STOPPING, '# {"name": "epochs"')),
    Case("argparse_flags.py", "lr", "mean_squared_error", loss, ("ratio:-r", "bias:/--no-bias", "layers = [8, 4]")),
    Case("argparse_mnist.py", "lr", "average_loss", loss, (STOPPING, "# Or Accuracy, 9003")),
    Case("click_commands.py", "lr", "error_rate", loss, ('script_args="train {steps} {arguments}"',), given=("train",)),
    Case("environment.py", "LEARNING_RATE", "mean_absolute_error", loss, ("env LEARNING_RATE=",), given=("EPOCHS=3",)),
    Case("environment.sh", "LR", "auc", share, ('model_command="env LR={LR} bash {script}"',), "maximize"),
    Case("makes_no_folder.py", "lr", "mae", loss, ('prepare="mkdir -p results"', 'result_file="results/out.json"')),
    Case("of_candle.R", "learning_rate", "val_to_return", loss, ("a guess",)),
    Case("of_candle.py", "learning_rate", "val_to_return", loss, (STOPPING, "activation = 'relu'")),
    Case("of_candle.sh", "learning_rate", "val_to_return", loss),
    Case("of_candle_bare.py", "learning_rate", "val_to_return", loss, ("dropout = 0.3",)),
    Case("own_usage.py", "lr", "r2", share, (), "maximize"),
    Case("positions.R", "learning_rate", "residual_deviance", loss, ('script_args="{learning_rate}"',)),
    Case("positions.py", "rate", "deviance", loss, ('script_args="{rate} {rounds}"',)),
    Case("positions.sh", "learning_rate", "brier", loss, ("kind = 'linear'",), given=("0.02", "linear")),
    Case("prints_colours.py", "lr", "test_loss", loss, ('direction="maximize"', "their_options.py'")),
    Case("prints_like_boosting.py", "eta", "test_logloss", loss, (r"\[(?P<step>\d+)\]", STOPPING)),
    Case("prints_like_keras.py", "lr", "val_loss", loss, (r"\bval_loss: ", STOPPING)),
    Case("prints_log.py", "lr", "dev_ppl", loss, ("(?P<epoch>", STOPPING)),
    Case("prints_number.py", "alpha", "val_to_return", loss, ("QUESTION",)),
    Case("prints_progress.py", "lr", "best_fitness", lambda rate: -loss(rate), (), "maximize"),
    Case("prints_table.py", "eta", "valid_loss", loss, ("(?P<epoch>", STOPPING)),
    Case("program_with_help", "eta", "rmse_on_the_test_set", loss, ("neighbors = 5",)),
    Case("reads_config.py", "optimizer.lr", "val_loss", loss, ('config_file="config.json"', "--config {config}")),
    Case("reads_data.py", "lr", "logloss", loss, ('link="numbers"',)),
    Case("result_csv.py", "lr", "val_loss", loss, ('result_file="history.csv"', STOPPING)),
    Case("result_json.py", "lr", "test.loss", loss, ('result_key="test.loss"', 'result_key="test.f1_score"')),
    Case("result_json_lines.py", "lr", "eval_accuracy", share, (STOPPING,), "maximize"),
    Case("single_dash.py", "learning_rate", "loss", loss, ('argument_style="-my_name value"',)),
    Case(
        "sub_commands.py",
        "lr",
        "val_mse",
        loss,
        ('script_args="fit {data} {arguments}"',),
        given=("fit", "their_options.py"),
    ),
    Case("with_absl.py", "learning_rate", "eval_loss", loss, ("--use_bias/--nouse_bias", "(?P<step>")),
    Case("with_cases.sh", "rate", "energy", loss, ("rounds = 5",)),
    Case("with_click.py", "learning_rate", "val_loss", loss, ("shuffle:--shuffle/--no-shuffle", '"low": 1, "high": 4')),
    Case("with_fire.py", "lr", "test_rmse", loss, ("augment:--augment/--noaugment",)),
    Case("with_getopts.sh", "learning_rate", "cost", loss, ("learning_rate:-l",)),
    Case("with_typer.py", "lr", "validation_error", loss, ('# {"name": "kernel"', '"low": 4, "high": 64')),
    Case("with_tyro.py", "optim.lr", "val_loss", loss, ("optim.weight_decay = 0.0",)),
]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What came of all scripts, in one process."""
    folder = tmp_path_factory.mktemp("scripts")
    shutil.copytree(HERE / "scripts", folder, dirs_exist_ok=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "support.script_bed", *("|".join([case.script, *case.given]) for case in CASES)],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip([case.script for case in CASES], map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.script)
def test_a_script_has_a_file_that_runs_at_once(case: Case, tried: dict[str, dict[str, Any]]) -> None:
    found = tried[case.script]
    assert "error" not in found
    assert found["status"] == 0
    assert [note for note in found["notes"] if "is a guess; if more is better" not in note] == []
    assert bool(found["notes"]) == ("QUESTION" in found["text"])
    assert case.rate in found["searched"]
    assert (found["objective"], found["direction"]) == (case.objective, case.direction)
    assert found["value"] == pytest.approx(case.value(found["hyperparameters"][case.rate]), rel=2e-3)
    for line in case.lines:
        assert line in found["text"]


def test_each_script_is_tried() -> None:
    scripts = {path.name for path in (HERE / "scripts").iterdir()} - {"their_options.py", "numbers", "config.json"}
    assert scripts == {case.script for case in CASES}
