"""Where the values stand in the text of a Python script, and what is written there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import InputFile
from candle_hpo.inputfile.python_places import python_places
from candle_hpo.inputfile.read import read_input_file

SCRIPT = """# -*- coding: utf-8 -*-
\"\"\"Über \x0c\"\"\"
import lightgbm as lgb
RATE, EPOCHS = 1e-2, 3  # é
N: int = 3
params = {"eta": 0.1, "max_depth": -6, "inner": {"x": 2.5}, "objective": "reg", 5: 1, "list": [1, 2]}
other = dict(alpha=0.3, beta=dict(c=1))
params["subsample"] = 0.5
class Config:
    width = 16
    lr: float = 0.1
    def __init__(self, depth=4):
        self.size = 8
def train(rate=0.1, *, n=3):
    gamma = f"{{ RATE }}"
s = "é"; forest = Forest(n_estimators=100, max_depth=None); opt = optim.Adam(parameters(), lr=1e-3)
"""
VALUES = {
    "RATE": 0.01, "EPOCHS": 3, "N": 3, "params.eta": 0.1, "params.max_depth": -6, "params.inner.x": 2.5,
    "params.objective": "reg", "other.alpha": 0.3, "other.beta.c": 1, "params.subsample": 0.5, "Config.width": 16,
    "Config.lr": 0.1, "Config.depth": 4, "self.size": 8, "train.rate": 0.1, "train.n": 3, "s": "é",
    "Forest.n_estimators": 100, "Forest.max_depth": None, "Adam.lr": 0.001, "params.list": [1, 2],
}  # fmt: skip
WHOLE = ("params", "params.inner", "other", "other.beta")  # dictionaries


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_names_and_values(end: str) -> None:
    text = SCRIPT.replace("\n", end)
    found = python_places(text)
    assert {each.name: each.value for each in found if each.name not in WHOLE} == VALUES
    assert {each.name: ast.literal_eval(text[each.start : each.end]) for each in found} == {
        each.name: each.value for each in found
    }
    assert {each.name for each in found if each.is_given} == {
        "Config.depth", "train.rate", "train.n", "Forest.n_estimators", "Forest.max_depth", "Adam.lr",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\nx = f()",
        "x = 1\nx += 1",
        "x = 1\nfor x in range(3): ...",
        "x, y = 1, 2\nx, y = f()",
        "x = 1\ndef f():\n    x = 2",
    ],
)
def test_what_is_set_twice_has_two_places(text: str) -> None:
    assert [each.name for each in python_places(text)].count("x") == 2


@pytest.mark.parametrize(
    "text",
    [
        "p = {'x': 1}\np['x'] = 2",
        "p = {'x': 1}\np.update(x=f())",
        "p = {'x': 1, **{'y': 1}, 'x': 2}",
        "p = dict(x=1)\nif a:\n    p = dict(x=2)",
    ],
)
def test_an_entry_that_is_set_twice_has_two_places(text: str) -> None:
    assert [each.name for each in python_places(text)].count("p.x") == 2


def submitted(here: Path, text: str, defaults: str, more: str = 'run_in="script"') -> InputFile:
    (here / "m.py").write_text(text)
    x = here / "x.in"
    control = f'model_script="m.py"\nconfig_file="m.py"\nworkflow="grid"\n{more}'
    x.write_text(f"&control\n{control}\n/\n&default_model\n{defaults}\n/\n&param_space\n{{}}\n/\n")
    return read_input_file(x)


def test_each_value_is_written_as_python_has_it(here: Path) -> None:
    values = {"RATE": 1, "params.eta": 2.5e-7, "params.objective": 'it\'s "é"\n', "Forest.n_estimators": True}
    values |= {"params.max_depth": None, "other.beta.c": [1, "x"], "Config.lr": {"a": False}}
    request = submitted(here, SCRIPT, "\n".join(f"{name} = {value!r}" for name, value in values.items()))
    (template,) = request.templates
    assert template.place == "m.py"
    written = template.data(values).decode()
    its = {each.name: written[each.start : each.end] for each in python_places(written)}
    assert (its["RATE"], its["EPOCHS"], its["params.eta"]) == ("1.0", "3", "2.5e-07"), "a float stays one"
    assert {name: ast.literal_eval(its[name]) for name in values} == values
    assert 'f"{{ RATE }}"' in written, "what Python has in two braces is its own"


@pytest.mark.parametrize(
    ("text", "defaults", "more", "said"),
    [
        ("p = {'x': 1}\np['x'] = 2\n", "p.x = 3", 'run_in="script"', '"p.x" appears twice'),
        ("p = {'x': 1}\np = f(p)\n", "p.x = 3", 'run_in="script"', '"p" appears twice'),
        ("rate = 1\n", "rates = 3", 'run_in="script"', 'it has no "rates", which is a hyperparameter; did you mean'),
        ("rate = (\n", "rate = 3", 'run_in="script"', "this is not Python"),
        ("rate = 1\n", "rate = 3", "", 'all trials would be the same; add run_in="script"'),
    ],
)
def test_what_is_wrong_is_said_at_submission(here: Path, text: str, defaults: str, more: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        submitted(here, text, defaults, more)
    assert said in str(raised.value)
