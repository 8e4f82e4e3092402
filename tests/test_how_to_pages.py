"""The examples of the how-to pages do what the pages say."""

from __future__ import annotations

import re
from pathlib import Path

import candle_hpo
from conftest import Candle

DOCS = Path(__file__).parent.parent / "docs"


def block(page: str, beginning: str) -> str:
    """Return the code block of a page that begins so."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found: list[str] = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
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
