"""Scripts that nobody edited, each with its own way to take values and to give a result: a file that runs at once.

The objective of each is a function of the rate, so that the value of a trial shows both that the rate arrived, and that
the right number was found.
"""

from __future__ import annotations

import ast
import importlib.util
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
    """A script, the hyperparameter that is its rate, the objective, and the keywords that its file must have.

    `changes` are what a user changes in that file, text for text.
    """

    script: str
    rate: str
    objective: str
    value: Callable[[float], float]
    lines: tuple[str, ...] = ()
    direction: str = "minimize"
    given: tuple[str, ...] = ()
    changes: tuple[tuple[str, str], ...] = ()


def loss(rate: float) -> float:
    return (math.log10(rate) + 2) ** 2 + 0.25


def share(rate: float) -> float:
    return 1 / (1 + loss(rate))


def percent(rate: float) -> float:
    return 100 * share(rate)


def of_two_processes(rate: float) -> float:
    return loss(rate) + 1


def steps_of_descent(count: int) -> Callable[[float], float]:
    """Return the loss after so many steps of gradient descent on (w - 1)², from w = 0."""
    return lambda rate: (1 - 2 * rate) ** (2 * count)


def steps_of_boosting(count: int, power: int) -> Callable[[float], float]:
    """Return the error after so many trees, each of which takes a share of what is left of it."""
    return lambda rate: (1 - rate) ** (power * count)


STOPPING = '# stopping="asha"'
SUPERVISOR = '[{"name": "learning_rate", "type": "float", "lower": 0.001, "upper": 0.1, "use_log_scale": true}]'
TORCHRUN = 'model_command="torchrun --standalone --nproc-per-node=1 {script}"'
MPIRUN = 'model_command="mpirun -n 2 {python} {script}"'
CASES = [
    Case("anneal", "rate", "energy", loss, ("sweeps = 3", STOPPING)),
    Case(
        "kriging",
        "argument_1",
        "cross_validation_rmse",
        loss,
        ('script_args="{argument_1} {argument_2}"',),
        given=("0.02", "12"),
    ),
    Case("heat", "solver.rate", "l2_error", loss, ('config_file="heat.nml"', "grid.cells = 50")),
    Case("relax", "control.omega", "residual_norm", loss, ('stdin_file="relax.nml"',), given=("<", "relax.nml")),
    Case("own_options.R", "rate", "cv_error", loss, ('"--my-name=value"', "trees = 20")),
    Case("named_number.R", "SPAN", "rmse", loss, ('model_command="env SPAN={SPAN} ROUNDS={ROUNDS} Rscript {script}"',)),
    Case("pipeline.sh", "quality", "f1_score", share, ("quality:-q", "reads = 200"), "maximize"),
    Case(
        "study.ipynb", "rate", "validation_loss", loss, ("papermill {script}", "kind = 'linear'", '{"name": "layers"')
    ),
    Case("joins_ranks.py", "lr", "validation_loss", loss, (TORCHRUN,)),
    Case("joins_ranks.py", "lr", "validation_loss", of_two_processes, changes=(("node=1", "node=2"),)),
    Case("mpi_ranks.py", "step_size", "mean_residual", loss),
    Case(
        "mpi_ranks.py",
        "step_size",
        "mean_residual",
        of_two_processes,
        changes=(("hyperparams_as", f"{MPIRUN}\n  hyperparams_as"),),
    ),
    Case("survey/train.py", "lr", "val_loss", loss, ('model_command="{python} -m survey.train"',)),
    Case("reads_neighbours.py", "lr", "test_loss", loss, ('run_in="script"',)),
    Case("like_hydra.py", "optimizer.lr", "val_loss", loss, ('argument_style="name=value"', "optimizer.momentum")),
    Case(
        "like_hydra.py",
        "optimizer.lr",
        "val_loss",
        loss,
        changes=(("epochs = 3", "epochs = 3\n  layers = [16, 8]"),),
    ),
    Case("p1b1_like.py", "learning_rate", "val_to_return", loss, ("dense = [20, 6]", "# base_lr =")),
    Case(
        "of_candle.py",
        "learning_rate",
        "val_to_return",
        loss,
        changes=(("&param_space", f"&param_space\n  {SUPERVISOR}"), ('  {"name"', '  # {"name"')),
    ),
    Case(
        "graphs_train_improve.py",
        "learning_rate",
        "mse",
        loss,
        ('result_file="val_scores.json"', "ml_data'", "graph_layers = 4"),
    ),
    Case("argparse_accuracy.py", "learning_rate", "test_accuracy", percent, ("--my_name value",), "maximize"),
    Case("argparse_elsewhere.py", "lr", "final_score", percent, ("--help shows",), "maximize"),
    Case("argparse_epochs.py", "lr", "val_loss", loss, ("(?P<epoch>", STOPPING, '# {"name": "epochs"')),
    Case("argparse_flags.py", "lr", "mean_squared_error", loss, ("ratio:-r", "bias:/--no-bias", "layers = [8, 4]")),
    Case("argparse_mnist.py", "lr", "average_loss", loss, (STOPPING, "# Or Accuracy, 9003")),
    Case("click_commands.py", "lr", "error_rate", loss, ('script_args="train {steps} {arguments}"',), given=("train",)),
    Case("environment.py", "LEARNING_RATE", "mean_absolute_error", loss, ("env LEARNING_RATE=",), given=("EPOCHS=3",)),
    Case("environment.sh", "LR", "auc", share, ('model_command="env LR={LR} bash {script}"',), "maximize"),
    Case(
        "getopts_and_files.sh",
        "rate",
        "f1",
        share,
        ("rate:-r", "/heat.nml"),
        "maximize",
        given=("their_options.py", "heat.nml"),
    ),
    Case("jax_steps.py", "learning_rate", "validation_loss", steps_of_descent(30), ("# Or ",)),
    Case("keras_fit.py", "lr", "val_loss", steps_of_descent(3), ('result_file="training.csv"', STOPPING)),
    Case("lightgbm_evals.py", "learning_rate", "valid_1_l2", steps_of_boosting(4, 2), (STOPPING,)),
    Case("makes_no_folder.py", "lr", "mae", loss, ('prepare="mkdir -p results"', 'result_file="results/out.json"')),
    Case("of_candle.R", "learning_rate", "val_to_return", loss, ("a guess",)),
    Case("of_candle.py", "learning_rate", "val_to_return", loss, (STOPPING, "activation = 'relu'")),
    Case("of_candle.sh", "learning_rate", "val_to_return", loss),
    Case("of_candle_bare.py", "learning_rate", "val_to_return", loss, ("dropout = 0.3",)),
    Case("own_usage.py", "lr", "r2", share, (), "maximize"),
    Case(
        "numbers_in_text.py",
        "params.eta",
        "validation_rmse",
        loss,
        ('config_file="numbers_in_text.py"', 'run_in="script"', "SEED = 7", '"name": "Ridge.alpha"', STOPPING),
    ),
    Case("plots_too.py", "params.eta", "rmsle", loss, ('script_args="--plot 0"',), given=("--plot", "0")),
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
    Case("reads_data.py", "lr", "logloss", loss, ('run_in="script"',)),
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
    Case(
        "standard_input.py",
        "optimizer.lr",
        "validation_loss",
        loss,
        ('stdin_file="standard_input.json"', STOPPING),
        given=("<", "standard_input.json"),
    ),
    Case(
        "tensorboard_events.py", "lr", "Loss/validation", loss, ('result_file="runs/*/events.out.tfevents.*"', STOPPING)
    ),
    Case(
        "transformers_arguments.py",
        "learning_rate",
        "eval_loss",
        steps_of_descent(3),
        ('result_file="out/checkpoint-*/trainer_state.json"', STOPPING),
        given=("--output_dir", "out"),
    ),
    Case("with_absl.py", "learning_rate", "eval_loss", loss, ("--use_bias/--nouse_bias", "(?P<step>")),
    Case("with_cases.sh", "rate", "energy", loss, ("rounds = 5",)),
    Case("with_click.py", "learning_rate", "val_loss", loss, ("shuffle:--shuffle/--no-shuffle", '"low": 1, "high": 4')),
    Case("with_fire.py", "lr", "test_rmse", loss, ("augment:--augment/--noaugment",)),
    Case("with_getopts.sh", "learning_rate", "cost", loss, ("learning_rate:-l",)),
    Case("xgboost_evals.py", "eta", "eval_rmse", steps_of_boosting(5, 1), (r"\[(?P<step>\d+)\]", STOPPING)),
    Case("with_typer.py", "lr", "validation_error", loss, ('# {"name": "kernel"', '"low": 4, "high": 64')),
    Case(
        "with_jsonargparse.py",
        "optimizer.lr",
        "val_loss",
        loss,
        ('script_args="fit {arguments}"', "# optimizer.betas =", "bias = 'true'", '# {"name": "bias"'),
        given=("fit",),
    ),
    Case("with_tyro.py", "optim.lr", "val_loss", loss, ("optim.weight_decay = 0.0",)),
]


COMPILERS = {".c": "gcc", ".cpp": "g++", ".f90": "gfortran"}


def lacking(script: str) -> str:
    """Return what this machine lacks of what a script needs; "" for nothing."""
    program = COMPILERS.get(next(iter((HERE / "scripts").glob(f"{script}.*")), Path()).suffix, "")
    if script.endswith(".R"):
        program = "Rscript"
    if program and shutil.which(program) is None:
        return f"there is no {program}"
    if not script.endswith(".py"):
        return ""
    tree = ast.parse((HERE / "scripts" / script).read_text())
    names = [
        name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in (each.name for each in node.names)
    ]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 0]
    beside = {each.stem for each in (HERE / "scripts").iterdir()}
    needed = [*sorted({each.partition(".")[0] for each in names} - beside), *({"torch"} if "keras" in names else ())]
    missing = [each for each in needed if importlib.util.find_spec(each) is None]
    return f"there is no {', '.join(missing)} for {sys.executable}" if missing else ""


OF_LIBRARIES = (
    "jax_steps.py", "keras_fit.py", "lightgbm_evals.py", "standard_input.py", "tensorboard_events.py",
    "transformers_arguments.py", "xgboost_evals.py",
)  # fmt: skip


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What came of all scripts, in one process."""
    folder = tmp_path_factory.mktemp("scripts")
    shutil.copytree(HERE / "scripts", folder, dirs_exist_ok=True)
    for source, compiler in compiled(folder):
        libraries = ["-lm"] if source.suffix == ".c" else []
        subprocess.run([compiler, "-o", source.with_suffix(""), source, *libraries], check=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), str(folder / "bin"), os.environ["PATH"]])
    asked = [json.dumps([case.script, case.given, case.changes]) for case in CASES if not lacking(case.script)]
    done = subprocess.run(
        [sys.executable, "-m", "support.script_bed", *asked],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
        timeout=3000,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(asked, map(json.loads, done.stdout.splitlines()), strict=True))


def compiled(folder: Path) -> list[tuple[Path, str]]:
    """The sources of programs, each with its compiler, as far as this machine has them."""
    sources = [path for path in sorted(folder.iterdir()) if path.suffix in COMPILERS]
    return [(path, compiler) for path in sources if (compiler := shutil.which(COMPILERS[path.suffix]))]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.script + "_changed" * bool(case.changes))
def test_a_script_has_a_file_that_runs_at_once(case: Case, tried: dict[str, dict[str, Any]]) -> None:
    if lacks := lacking(case.script):
        pytest.skip(lacks)
    found = tried[json.dumps([case.script, case.given, case.changes])]
    assert "error" not in found
    assert found["status"] == 0
    assert [note for note in found["notes"] if "is a guess; if more is better" not in note] == []
    assert bool(found["notes"]) == ("QUESTION" in found["text"])
    if case.script in OF_LIBRARIES:
        assert found["problems"] == found["doubts"] == []
    assert case.rate in found["searched"]
    assert (found["objective"], found["direction"]) == (case.objective, case.direction)
    assert found["value"] == pytest.approx(case.value(found["hyperparameters"][case.rate]), rel=2e-3)
    for line in case.lines:
        assert line in found["text"]
    if "_improve" in case.script:  # improvelib itself finds what lies beside the script
        assert "run_in" not in found["text"]


def test_each_script_is_tried() -> None:
    scripts = {
        path.stem if path.suffix in COMPILERS else path.relative_to(HERE / "scripts").as_posix()
        for path in [*(HERE / "scripts").iterdir(), HERE / "scripts" / "survey" / "train.py"]
    }
    assert {case.script for case in CASES} <= scripts
    assert scripts - {case.script for case in CASES} == FOR_OTHERS


# Data, modules and parameters of scripts; a stand-in for a library, and for programs that start scripts.
FOR_OTHERS = {
    "their_options.py", "numbers", "config.json", "standard_input.json",
    "heat.nml", "relax.nml", "p1b1_like_default_model.txt",
    "model_params_def.py", "graphs_params.ini", "ml_data", "survey", "improvelib", "bin",
}  # fmt: skip
