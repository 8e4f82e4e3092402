"""Where a value is found: in the output, in a file that the script writes, on scripts that nobody edited."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from candle_hpo.core.experiment import ArgumentStyle, Settings
from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Outcome
from candle_hpo.inputfile.argument_style import argument_style
from candle_hpo.launch.command import model_command
from candle_hpo.launch.handover.arguments import as_arguments
from candle_hpo.launch.run import run_attempt
from candle_hpo.process.group import StopSwitch
from conftest import Candle, input_text
from support.attempts import attempt_at

LOSS = r"Test set loss: ([0-9.eE+-]+)"


@pytest.mark.parametrize(
    ("style", "arguments"),
    [
        ("", "--batch-size 8 --fast --layers 1 2 --note=-x --rate -0.5"),
        ("--my_name=value", "--batch_size=8 --fast --layers=1,2 --note=-x --rate=-0.5"),
        ("my_name=value", "batch_size=8 fast=true slow=false layers=[1,2] note=-x rate=-0.5"),
        ("+name=value", "+batch_size=8 +fast=true +slow=false +layers=[1,2] +note=-x +rate=-0.5"),
        ("name value", "batch_size 8 fast true slow false layers [1,2] note -x rate -0.5"),
        (
            "-p name value slow:/--quick",
            "-p batch_size 8 -p fast true --quick -p layers [1,2] -p note -x -p rate -0.5",
        ),
        (
            "--opt name=value",
            "--opt batch_size=8 --opt fast=true --opt slow=false --opt layers=[1,2] --opt note=-x --opt rate=-0.5",
        ),
        ("-Dmy_name=value", "-Dbatch_size=8 -Dfast -Dlayers=1,2 -Dnote=-x -Drate=-0.5"),
        ("--my-name value --flag/--no-flag", "--batch-size 8 --fast --no-slow --layers 1 2 --note=-x --rate -0.5"),
        ("--my_name=value --flag/--noflag", "--batch_size=8 --fast --noslow --layers=1,2 --note=-x --rate=-0.5"),
        ("--my_name value --flag value", "--batch_size 8 --fast true --slow false --layers 1 2 --note=-x --rate -0.5"),
        ("batch_size:-b slow:--slow/--quick fast:/--no-fast", "-b 8 --quick --layers 1 2 --note=-x --rate -0.5"),
        ("-my_name value", "-batch_size 8 -fast -layers 1 2 -note -x -rate -0.5"),
    ],
)
def test_styles_of_arguments(style: str, arguments: str) -> None:
    values = {"batch_size": 8, "fast": True, "slow": False, "layers": [1, 2], "none": None, "note": "-x", "rate": -0.5}
    assert as_arguments(values, argument_style(style)) == arguments.split()


def test_a_negative_number_is_not_an_option_to_argparse() -> None:
    assert as_arguments({"rate": -1e-5, "shift": -2}, ArgumentStyle()) == ["--rate=-1.0e-05", "--shift", "-2"]


def test_an_argument_is_never_split() -> None:
    assert as_arguments({"text": "a b'\"$(id)\n"}, ArgumentStyle()) == ["--text", "a b'\"$(id)\n"]


UNEDITED = """
    import argparse
    import json

    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=128, metavar="N")
    parser.add_argument("--no-accel", action="store_true")
    args = parser.parse_args()

    if __name__ == "__main__":
        for epoch in range(3):
            print("====> Test set loss: {:.4f}".format(args.batch_size / (epoch + 1) + args.no_accel))
        json.dump({"loss": args.batch_size, "accuracy": 0.5}, open("results/metrics.json", "w"))
"""


def test_a_script_that_nobody_edited(candle: Candle, here: Path) -> None:
    script = here / "main.py"
    script.write_text(textwrap.dedent(UNEDITED))
    before = script.read_bytes()
    control = f"""
        model_script="main.py"
        workflow="grid"
        engine="local"
        hyperparams_as="arguments"
        prepare="mkdir -p results"
        result_pattern="{LOSS}"
    """
    (here / "x.in").write_text(input_text(control, "no_accel = True", '{"batch_size": 30}\n{"batch_size": 60}'))
    done = candle("submit-job", "x.in")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "best (minimize): 11 by hpset_00001: batch_size=30" in done.stdout
    assert script.read_bytes() == before


def run(here: Path, script: str, **settings: object) -> Outcome:
    (here / "model.py").write_text(textwrap.dedent(script))
    control = Settings(model_script=str(here / "model.py"), workflow="grid", **settings)  # type: ignore[arg-type]
    paths = ExperimentPaths(here / "X000")
    paths.runs.mkdir(parents=True, exist_ok=True)
    model = model_command(control, sys.executable, seed=5, experiment=paths.root)
    return run_attempt(model, attempt_at(0, {"batch_size": 4}, id="a"), paths.trial("a"), {}, StopSwitch())


def test_the_value_from_a_file_with_other_metrics(here: Path) -> None:
    settings = {"result_file": "results/metrics.json", "result_key": "loss", "hyperparams_as": "arguments"}
    outcome = run(here, UNEDITED, prepare="mkdir -p results", **settings)
    assert (outcome.value_of("loss"), outcome.metrics) == (4.0, {"loss": 4.0, "accuracy": 0.5})


def test_a_file_from_before_holds_no_value(here: Path) -> None:
    assert run(here, "open('r.json', 'w').write('1')", result_file="r.json").value_of(THE_VALUE) == 1
    assert run(here, "pass", result_file="r.json").reason.startswith("it did not write the result_file r.json")


def test_hyperparameters_too_long_for_a_command_line(here: Path) -> None:
    (here / "model.py").write_text("val_to_return = 1")
    control = Settings(model_script=str(here / "model.py"), workflow="grid", hyperparams_as="arguments")
    paths = ExperimentPaths(here / "X000")
    paths.runs.mkdir(parents=True, exist_ok=True)
    model = model_command(control, sys.executable, seed=5, experiment=paths.root)
    outcome = run_attempt(model, attempt_at(0, {"x": "y" * 10_000_000}, id="a"), paths.trial("a"), {}, StopSwitch())
    assert outcome.reason == "it cannot be started: its hyperparameters are too long for a command line"


COMPLIANT = """
    def initialize_parameters(default_model="x.txt"):
        return {"epochs": 3, "batch_size": 1}

    class History:
        def __init__(self, losses):
            self.history = {"val_loss": losses, "val_accuracy": [0.1, 0.75]}

    def run(params):
        return History([9.0, params["batch_size"] * params["epochs"]])

    def main():
        raise SystemExit("run by hand, with the defaults")

    if __name__ == "__main__":
        main()
"""


def test_the_main_block_of_a_compliant_script_is_not_run_however_it_asks(here: Path) -> None:
    asked = COMPLIANT.replace('if __name__ == "__main__":', 'if __name__ == "__main__" and run is not None:')
    assert run(here, asked).value_of(THE_VALUE) == 12.0


def test_a_candle_compliant_script_runs_with_the_sets_values_over_its_own(here: Path) -> None:
    outcome = run(here, COMPLIANT)
    assert (outcome.value_of(THE_VALUE), outcome.metrics) == (
        12.0,
        {THE_VALUE: 12.0, "val_loss": 12.0, "val_accuracy": 0.75},
    )


def test_a_compliant_script_that_fails_names_its_own_line(here: Path) -> None:
    outcome = run(here, COMPLIANT.replace('params["epochs"]', 'params["epoch"]'))
    assert outcome.reason == "exit status 1; last output: KeyError: 'epoch' (model.py, line 10)"
    output = (here / "X000" / "run" / "a" / "subprocess_out_and_err.txt").read_text()
    assert 'model.py", line 10, in run' in output
    assert "python_host" not in output


def test_a_script_with_such_functions_that_leaves_a_value_is_an_ordinary_one(here: Path) -> None:
    assert run(here, COMPLIANT + "\n    val_to_return = 5").reason.startswith("exit status 1; last output: run by hand")


def test_metrics_of_a_keras_history_beside_a_value(here: Path) -> None:
    script = """
        class History: history = {"loss": [3, 2.5], "val_loss": [4, 3.5]}
        history = History()
        val_to_return = 1
    """
    assert run(here, script).metrics == {THE_VALUE: 1.0, "loss": 2.5, "val_loss": 3.5}


@pytest.mark.parametrize("last_loss", ["3.5", "float('nan')"])
@pytest.mark.parametrize("left", ["history = History()", "val_to_return = History()"])
def test_objectives_names_another_metric_of_a_keras_history_than_its_loss(
    here: Path, left: str, last_loss: str
) -> None:
    script = f"""
        class History: history = {{"val_loss": [4, {last_loss}], "val_accuracy": [0.5, 0.75]}}
        {left}
    """
    outcome = run(here, script, objectives="val_accuracy")
    assert (outcome.reason, outcome.value_of("val_accuracy")) == ("", 0.75)


def test_a_value_without_a_name_beside_a_keras_history_is_a_second_one(here: Path) -> None:
    script = """
        class History: history = {"val_loss": [4, 3.5], "val_accuracy": [0.5, 0.75]}
        history = History()
        val_to_return = 0.5
    """
    assert "there are two values, 0.5 without a name" in run(here, script, objectives="val_accuracy").reason


def test_metrics_are_columns_of_the_results(candle: Candle, here: Path) -> None:
    (here / "model.py").write_text("val_to_return = {'val_to_return': hyperparams['x'], 'acc': 0.5, 'x': 7}")
    control = 'model_script="model.py"\nworkflow="grid"\nengine="local"'
    (here / "x.in").write_text(input_text(control, "", '{"x": 1}'))
    assert candle("submit-job", "x.in").returncode == 0
    assert candle("aggregate-results").returncode == 0
    header, row = (here / "candle_generated_files" / "candle_results.csv").read_text().splitlines()
    assert header == "result,dirname,id,x,acc,metric_x,status,seconds,attempts"
    assert row.startswith("1.0,hpset_00001,hpset_00001,1,0.5,7.0,completed,")
