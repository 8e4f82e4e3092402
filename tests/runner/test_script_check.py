"""What is said of a script before it runs, from its text alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from candle_hpo.core.experiment import Settings
from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.runner.script_check import ScriptCheck, names_given


def notes_on(here: Path, script: str, defaults: dict[str, object], varied: list[str], **settings: object) -> list[str]:
    (here / "model.py").write_text(script)
    check = ScriptCheck(Settings(model_script=str(here / "model.py"), workflow="grid", **settings))  # type: ignore[arg-type]
    space = GridSpace(tuple(varied), [ParameterSet("a", dict.fromkeys(varied, 1))])
    return [*check.notes_on_names(defaults, space), *check.compare(names_given(defaults, space), "x.in").notes]


@pytest.mark.parametrize(
    ("script", "default", "varied", "note"),
    [
        ("train(hyperparams)", "epoch", "epochs", '"epochs", and &default_model has "epoch"; is one of them misspelt?'),
        ("train(hyperparams)", "learning_steps", "learning_rate", ""),
        ("f(hyperparams['epochs'], hyperparams['epoch'])", "epoch", "epochs", ""),
        (
            "f(hyperparams['epoch'], hyperparams['z'])",
            "z",
            "epochs",
            'which x.in does not have; did you mean "epochs"?',
        ),
        ("f(hyperparams['lr_min'], hyperparams['lr_max'])", "", "lr_max", '"lr_min", which x.in does not have; add it'),
        ("f(hyperparams['layer'], hyperparams['layers'])", "", "layers", '"layer", which x.in does not have; add it'),
        ("f(hyperparams.get('layer'), hyperparams['layers'])", "", "layers", ""),
        (
            "f(hyperparams.get('epoch'))",
            "",
            "epochs",
            'is read if it is there, and x.in has none; did you mean "epochs"?',
        ),
    ],
)
def test_names_that_look_misspelt(here: Path, script: str, default: str, varied: str, note: str) -> None:
    defaults: dict[str, object] = {default: 1} if default else {}
    found = notes_on(here, f"val_to_return = {script}", defaults, [varied])
    assert [note in each for each in found if "does not seem to read" not in each] == ([True] if note else [])


def test_an_option_that_looks_misspelt(here: Path) -> None:
    options = "parser.add_argument('--epoch')\nparser.add_argument('--rate')\nparser.add_argument('--learning-steps')\n"
    arguments = {"hyperparams_as": "arguments", "result_pattern": "loss (.*)"}
    misspelt, other = notes_on(here, options, {"rate": 1, "rates": 1}, ["epochs"], **arguments)
    assert 'the option --rates, which "rates" becomes; it has --epoch, --rate, --learning-steps (argument' in misspelt
    assert 'the option --epochs, which "epochs" becomes; did you mean "--epoch"? (argument_style)' in other
    (steps,) = notes_on(here, options, {}, ["learning_rate"], **arguments)
    assert "did you mean" not in steps
