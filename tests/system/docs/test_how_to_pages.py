"""The examples of the how-to pages do what the pages say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec

import candle_hpo
from candle_hpo.core.command_words import OF_A_TRIAL
from candle_hpo.inputfile.read import read_input_file
from candle_hpo.launch.command import model_command
from conftest import Candle, input_text

DOCS = Path(__file__).parents[3] / "docs"


def block(page: str, beginning: str) -> str:
    """Return the code block of a page that begins so; it may stand in a list."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = [textwrap.dedent(code) for code in re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)]
    return next(code for code in found if code.startswith(beginning))


def test_moving_from_optuna(candle: Candle, here: Path) -> None:
    train = "def train(rate, optimizer, momentum):\n    return rate + momentum + (optimizer == 'sgd')\n"
    (here / "model.py").write_text(train + block("from-optuna-or-ray-tune.md", "rate, optimizer"))
    text = block("from-optuna-or-ray-tune.md", "&control").replace("max_budget=100", "max_budget=12")
    (here / "x.in").write_text(text)
    done = candle("check", "x.in")
    assert done.returncode == 0, done.stderr
    assert "ok    the hyperparameters that model.py reads: learning_rate, optimizer, momentum" in done.stdout
    done = candle("submit-job", "x.in")
    assert done.returncode == 0, done.stderr
    trials = candle_hpo.load(here / "last-candle-job").trials
    assert len(trials) == 12
    for trial in trials:
        assert ("momentum" in trial.hyperparameters) == (trial.hyperparameters["optimizer"] == "sgd")


def test_the_tutorials_script_from_elsewhere(tmp_path: Path) -> None:
    """A script with what the public one has: options, a loss, a folder `results`, and data in `../data`."""
    (tmp_path / "data").mkdir()
    folder = tmp_path / "vae of others"
    folder.mkdir()
    (folder / "main.py").write_text(
        "import argparse, os\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.add_argument('--batch-size', type=int)\n"
        "parser.add_argument('--epochs', type=int)\n"
        "args = parser.parse_args()\n"
        "open('../data/was_here', 'a').close()\n"
        "open('results/sample.png', 'w').close()\n"
        "print('====> Test set loss: {:.4f}'.format(args.batch_size / args.epochs))\n"
    )
    (folder / "main.in").write_text(block("tutorial.md", "&control"))
    done = subprocess.run(
        [sys.executable, "-m", "candle_hpo", "submit-job", "main.in"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [trial.value for trial in candle_hpo.load(folder / "last-candle-job").trials] == [32, 64]
    assert (tmp_path / "data" / "was_here").exists()


def test_in_python(candle: Candle, here: Path) -> None:
    (here / "model.py").write_text("val_to_return = hyperparams['x']")
    (here / "x.in").write_text('&control\nmodel_script="model.py"\nworkflow="grid"\n/\n&param_space\n{"x": 1}\n/\n')
    assert candle("submit-job", "x.in").returncode == 0
    exec(compile(block("commands.md", "import candle_hpo"), "commands.md", "exec"), {})  # noqa: S102
    assert candle_hpo.load().best is not None


def test_gpus(candle: Candle, here: Path) -> None:
    text = block("gpus.md", "&control")
    (here / "model.py").write_text("val_to_return = hyperparams['x']")
    sets = "\n".join(f'{{"x": {x}}}' for x in range(4))
    (here / "x.in").write_text(f"{text}&param_space\n{sets}\n/\n")
    done = candle("check", "x.in", CUDA_VISIBLE_DEVICES="0,1")
    assert done.returncode == 0, done.stderr
    assert "4 trials on 2 workers" in done.stdout


def test_the_readmes_own_script_and_its_three_mistakes(candle: Candle, here: Path) -> None:
    """What README shows of `candle check` is what it says of README's input file with three mistakes."""
    input_file = block("../README.md", "&control")
    shown = block("../README.md", "my.in:").splitlines()
    script = (
        "# my model\nimport math\nimport tensorboard\n\n"
        'def build(layers, rate):\n    return layers + rate + hyperparams["dropout"]\n\n'
        'model = build(layers=hyperparams["layers"], rate=hyperparams["learning_rate"])\n'
        "val_to_return = math.exp(model)\n"
    )
    (here / "my_model.py").write_text(script)
    (here / "my.in").write_text(input_file.replace("nworkers=2", "nworker=2"))
    without = str(here / "bin")
    (here / "bin").mkdir()
    (here / "bin" / "python3").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S "$@"\n')
    (here / "bin" / "python3").chmod(0o755)
    done = candle("check", "my.in", PATH=f"{without}:{os.environ['PATH']}")
    assert done.returncode == 2
    lines = done.stderr.splitlines() + [line for line in done.stdout.splitlines() if "note  my_model.py:" in line]
    said = [line.replace(f"{without}/python3", "/usr/bin/python3") for line in lines]
    assert len(said) == len(shown) == 3
    for line, example in zip(said, shown, strict=True):
        assert line.startswith(example.split(" -m pip install")[0].removesuffix("…")), line
    (here / "my.in").write_text(input_file)
    fixed = script.replace("import tensorboard\n", "").replace(' + hyperparams["dropout"]', "")
    (here / "my_model.py").write_text(fixed)
    done = candle("check", "my.in", "--run")
    assert done.returncode == 0, done.stderr
    assert "Nothing is wrong; candle submit-job my.in runs it" in done.stdout


def command_lines() -> list[tuple[str, str]]:
    """Return the keywords and the command line of each row of the page on command lines."""
    text = (DOCS / "command-lines.md").read_text(encoding="utf-8")
    rows = [
        line.strip("|` ").split(" | ") for line in text.splitlines() if line.startswith("| ") and line.endswith("` |")
    ]
    return [("\n".join(re.findall("`(.*?)`", keywords)), shown.strip("`")) for _, keywords, shown in rows]


def test_every_recipe_makes_the_command_line_that_it_shows(here: Path) -> None:
    (here / "pkg").mkdir()
    (here / "pkg" / "train.py").touch()
    variables = dict.fromkeys(OF_A_TRIAL, "") | {"CANDLE_PARAMS_FILE": "/t/params.json", "CANDLE_SEED": "7"}
    recipes = command_lines()
    assert len(recipes) > 20
    for keywords, shown in recipes:
        asks = "" if "script_args" in keywords or "hyperparams_as" in keywords else 'hyperparams_as="arguments"'
        control = f'model_script="pkg/train.py"\nworkflow="grid"\nrun_workflow=0\n{asks}\n{keywords}'
        (here / "x.in").write_text(input_text(control, block("command-lines.md", "batch_size = 64")))
        request = read_input_file(here / "x.in")
        settings = msgspec.structs.replace(request.settings, model_script="/s/train.py")
        start = settings.start
        is_named = start is None or start.is_python or "{python}" in keywords
        model = model_command(settings, "/p/python3" if is_named or start is None else start.program, 1, here)
        made = model.command_of(request.default_model, variables, here)
        if start is None or start.is_python:
            made = [*shlex.split("python -m pkg.train" if start else ""), *made[len(model.command) :]]
        expected = shlex.split(shown.removesuffix(" …"))
        assert made[: len(expected)] == expected, keywords
        assert shown.endswith(" …") or made == expected, keywords
