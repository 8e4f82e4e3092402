"""Command lines as scripts want them: `script_args`, `model_command`, and the file that shows what ran."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from candle_hpo.core.command_words import OF_A_TRIAL, Start, start_of
from candle_hpo.core.experiment import ArgumentStyle, Settings
from candle_hpo.core.file_template import Placed
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Outcome, Status
from candle_hpo.launch.command import model_command
from candle_hpo.launch.command_file import command_shown
from candle_hpo.launch.handover.arguments import CommandLine
from candle_hpo.launch.interpreter import find_interpreter
from candle_hpo.launch.preload import Preload, preload_of
from candle_hpo.launch.run import run_attempt
from candle_hpo.launch.warm_host import WarmHost
from candle_hpo.process.group import StopSwitch
from conftest import Candle, input_text
from support.attempts import attempt_at

VALUES = {"lr": 1e-5, "layers": [1, 2], "fast": True, "slow": False, "note": "a b", "shift": -1e-7}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "{note}", "--lr={lr}"], ["train", "a b", "--lr=1.0e-05"]),
        (["--shift", "{shift}", "--layers", "{layers}", "-"], ["--shift", "-0.0000001", "--layers", "1", "2", "-"]),
        (["x=[{layers}]", "y={fast},{slow}"], ["x=[1,2]", "y=True,False"]),
        (["--seed", "{CANDLE_SEED}", "{{lr}}", '{"a":{lr}}', "{}", "{1,2}"],
         ["--seed", "7", "{lr}", '{"a":1.0e-05}', "{}", "{1,2}"]),
        (["{note}", "{arguments}", "{lr}", "{layers}", "end"],
         ["a b", "--fast", "--shift=-1.0e-07", "1.0e-05", "1", "2", "end"]),
    ],
)  # fmt: skip
def test_names_in_braces(words: list[str], expected: list[str]) -> None:
    line = CommandLine(tuple(words), ArgumentStyle(), to_python=True)
    assert line.of(VALUES, {"CANDLE_SEED": "7"}) == expected


def test_booleans_are_written_as_the_reader_does() -> None:
    for to_python, expected in ((True, ["True", "x=False"]), (False, ["true", "x=false"])):
        assert CommandLine(("{fast}", "x={slow}"), ArgumentStyle(), to_python=to_python).of(VALUES, {}) == expected


@pytest.mark.parametrize("word", ["{gone}", "--x={gone}", "{null}", "--x={null}"])
def test_a_name_without_a_value_makes_no_command(word: str) -> None:
    with pytest.raises(KeyError):
        CommandLine((word,), ArgumentStyle(), to_python=True).of({"null": None}, {})


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python {script}", Start("python", (), True)),
        ("{python} -u -W ignore {script} train", Start("{python}", ("train",), True, ("-u", "-W", "ignore"))),
        ("/opt/bin/python3.11 -m pkg.train -v", Start("/opt/bin/python3.11", ("-v",), True, (), "pkg.train")),
        ("python -m torch.distributed.run {script}", Start("python", ("-m", "torch.distributed.run", "{script}"))),
        ("torchrun --nproc-per-node=2 {script}", Start("torchrun", ("--nproc-per-node=2", "{script}"))),
        ("python -W {warning} {script}", Start("python", ("-W", "{warning}", "{script}"))),
        ("mpirun -n 2 python {script}", Start("mpirun", ("-n", "2", "python", "{script}"))),
    ],
)
def test_what_starts_the_script(command: str, expected: Start) -> None:
    assert start_of(command.split()) == expected


@pytest.mark.parametrize(
    ("command", "because"),
    [
        ("python -u {script}", None),
        ("{python} -m pkg.model --first", None),
        ("python -i {script}", "model_command has -i, which is more than an option of the interpreter"),
        ("torchrun {script}", "model_command starts it"),
    ],
)
def test_trials_start_warm_where_python_runs_the_script_itself(command: str, because: str | None) -> None:
    settings = Settings(model_script="/pkg/model.py", workflow="grid", model_command=tuple(command.split()))
    assert preload_of(settings) == (because or Preload(()))


class Trial:
    """One trial of a script, whose settings are given."""

    def __init__(self, here: Path, files: dict[str, str], **settings: object) -> None:
        for name, text in files.items():
            (here / name).parent.mkdir(parents=True, exist_ok=True)
            (here / name).write_text(textwrap.dedent(text))
        script = str(here / next(iter(files)))
        given = {"python_bin_path": str(Path(sys.executable).parent), **settings}
        self.settings = Settings(model_script=script, workflow="grid", **given)  # type: ignore[arg-type]
        experiment = ExperimentPaths(here / "X000")
        experiment.runs.mkdir(parents=True, exist_ok=True)
        python = find_interpreter(self.settings, ()).path
        self.model = model_command(self.settings, python, seed=5, experiment=experiment.root)
        self.paths = experiment.trial("a")

    def run(self, *, warm: WarmHost | None = None, **hyperparameters: object) -> Outcome:
        attempt = attempt_at(0, hyperparameters, id="a")
        return run_attempt(self.model, attempt, self.paths, {}, StopSwitch(), warm=warm)


PACKAGE = {
    "pkg/train.py": """
        import sys
        from multiprocessing import get_context
        from . import near
        def child(queue):
            queue.put([__name__, __package__, hyperparams["x"]])
        if __name__ == "__main__":
            queue = get_context("spawn").Queue()
            process = get_context("spawn").Process(target=child, args=(queue,))
            process.start()
            print(queue.get(timeout=60), near.order, __spec__.name, __package__, sys.argv[1:])
            process.join()
            val_to_return = hyperparams["x"]
    """,
    "pkg/__init__.py": "order = ['package']\n",
    "pkg/near.py": "from pkg import order\norder.append('near')\n",
}


@pytest.mark.parametrize("how", ["warm", "cold"])
def test_a_module_is_run_as_python_does(here: Path, how: str) -> None:
    trial = Trial(here, PACKAGE, model_command=("python3", "-m", "pkg.train"), script_args=("{x}",))
    if how == "warm":
        assert trial.model.preload is not None
    warm = WarmHost(trial.model) if how == "warm" else None
    outcome = trial.run(warm=warm, x=3)
    if warm:
        warm.close()
    printed = trial.paths.output.read_text()
    assert outcome.value_of("val_to_return") == 3, printed
    assert printed == "['__mp_main__', 'pkg', 3] ['package', 'near'] pkg.train pkg ['3']\n"


def test_what_a_package_does_first_comes_before_the_imports_of_its_module(here: Path) -> None:
    """A warm host must not import beforehand what the package around the script has a say in."""
    files = {
        "pkg/train.py": "import numpy\nimport sys\nval_to_return = int(sys.modules['pkg'].had_numpy)",
        "pkg/__init__.py": "import sys\nhad_numpy = 'numpy' in sys.modules\n",
    }
    trial = Trial(here, files, model_command=("python3", "-m", "pkg.train"))
    warm = WarmHost(trial.model)
    assert trial.run(warm=warm).value_of("val_to_return") == 0
    warm.close()


def test_another_program_starts_the_script_and_none_of_candles_files_does(here: Path) -> None:
    script = "import json, sys\nprint(json.dumps(sys.argv[1:]), 'hyperparams' in globals())\nprint('loss: 2')\n"
    command = ("env", "A=1", "{python}", "{script}", "--first")
    trial = Trial(
        here, {"model.py": script}, model_command=command, hyperparams_as="arguments", result_pattern="loss: (.*)"
    )
    outcome = trial.run(lr=1e-5, fast=True)
    assert outcome.status is Status.COMPLETED, outcome.reason
    printed, loss = trial.paths.output.read_text().splitlines()
    assert printed == '["--first", "--lr", "1.0e-05", "--fast"] False'
    assert loss == "loss: 2"
    shown = shlex.split(command_shown(trial.paths))
    assert shown == ["env", "A=1", trial.model.interpreter, f"{here}/model.py", "--first", "--lr", "1.0e-05", "--fast"]


def test_the_command_line_can_be_pasted_into_a_shell(here: Path) -> None:
    script = """
        import json, os, sys
        assert sys.argv[3] == os.environ["CANDLE_RESULT_FILE"]
        print(sys.argv[1:3], hyperparams, os.getcwd(), os.environ["FROM_PREPARE"], os.environ["CANDLE_SEED"])
        candle_report(1, step=1)
        val_to_return = 4
    """
    text = 'it\'s $HOME\n* "quoted"'
    words = ("a b", "{note}", "{CANDLE_RESULT_FILE}")
    trial = Trial(here, {"my model.py": script}, prepare="export FROM_PREPARE=yes", script_args=words)
    assert trial.run(note=text).value_of("val_to_return") == 4
    printed, reported = trial.paths.output.read_text(), trial.paths.reported.read_text()
    reports = trial.paths.reports.read_text()
    by_hand = ["bash", "-c", trial.paths.command.read_text() + "echo still here"]
    done = subprocess.run(by_hand, cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout == printed + "still here\n", done.stderr
    assert trial.paths.reports.read_text() == reports, "what is done by hand leaves the trial's results alone"
    assert trial.paths.reported.read_text() == reported
    assert json.loads(trial.paths.result_by_hand.read_text()) == {"val_to_return": 4.0}


def test_the_variables_of_a_trial_are_those_that_may_be_in_braces(here: Path) -> None:
    names = [f"{{{name}}}" for name in OF_A_TRIAL]
    script = "import os, sys, json\nval_to_return = int(sys.argv[1:] == [os.environ[n] for n in json.loads(%r)])"
    config = Placed("/c.json", "c.json")
    trial = Trial(here, {"model.py": script % json.dumps(OF_A_TRIAL)}, script_args=tuple(names), config_file=config)
    assert trial.run().value_of("val_to_return") == 1


def test_a_name_that_a_trial_does_not_have_fails_it(here: Path) -> None:
    trial = Trial(here, {"model.py": "val_to_return = 1"}, script_args=("{x}",))
    assert trial.run(y=1).reason == "the command line has {x}, and this trial has no such hyperparameter"


def test_a_search_with_a_sub_command_and_a_position(candle: Candle, here: Path) -> None:
    script = """
        import argparse
        parser = argparse.ArgumentParser()
        subparsers = parser.add_subparsers(dest="what", required=True)
        train = subparsers.add_parser("train")
        train.add_argument("data")
        train.add_argument("--lr", type=float)
        train.add_argument("--depth", type=int, default=5)
        asked = parser.parse_args()
        print("loss:", asked.lr * asked.depth, asked.data)
    """
    (here / "model.py").write_text(textwrap.dedent(script))
    control = """
        model_script="model.py"
        workflow="grid"
        engine="local"
        script_args="train '{data}' {arguments}"
        result_pattern="loss: (\\S+)"
    """
    sets = '{"lr": 1e-5, "depth": null, "data": "a b"}\n{"lr": 2, "depth": 3, "data": "c"}'
    (here / "x.in").write_text(input_text(control, "", sets))
    done = candle("submit-job", "x.in")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "best (minimize): 5e-05 by hpset_00001" in done.stdout
    shown = candle("logs", "2", "--follow")
    command = shown.stderr.splitlines()[0]
    assert shlex.split(command)[-7:] == [f"{here}/model.py", "train", "c", "--lr", "2", "--depth", "3"]
    assert shown.stdout == "loss: 6.0 c\n"
