"""What is seen in a model script's text, without running it."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path

import pytest

from candle_hpo.core.experiment import Language
from candle_hpo.model.script_questions import missing_modules, syntax_error
from candle_hpo.model.script_reading import Mention, ScriptReading, read_script

PYTHON = """
import os, json as j
import numpy.linalg
from torch import nn
from . import sibling
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import only_for_types
try:
    import fast_json
except ImportError:
    fast_json = None

def build():
    import matplotlib.pyplot
    return hp["width"] + hyperparams.pop("depth")

hp = hyperparams
rate = candle_params["rate"]
rate = hyperparams["rate"]
decay = hyperparams.get("decay", 0.1)
if "momentum" in hyperparams:
    momentum = hyperparams["momentum"]
clip = hyperparams["clip"] if "clip" in hyperparams else None
try:
    seed = hyperparams["seed"]
except KeyError:
    seed = 1
hyperparams["batch"] = 3
batch = hyperparams["batch"]
val_to_return = build()
"""


SINCE_311 = pytest.mark.skipif(sys.version_info < (3, 11), reason="except* is of Python 3.11")


def read(text: str, language: Language = Language.PYTHON) -> ScriptReading:
    return read_script(textwrap.dedent(text), language)


def test_a_python_script() -> None:
    found = read(PYTHON)
    assert {each.name: each.optional for each in found.reads} == {
        "width": False,
        "depth": False,
        "rate": False,
        "decay": True,
        "momentum": True,
        "clip": True,
        "seed": True,
    }
    assert Mention("rate", 19) in found.reads
    assert not found.hands_on
    assert {each.name: each.optional for each in found.modules} == {
        "os": False, "json": False, "numpy": False, "torch": False, "typing": False, "fast_json": True,
        "matplotlib": True,
    }  # fmt: skip
    assert found.leaves_value is True


@pytest.mark.parametrize(
    "text",
    [
        "x = hyperparams['x']",
        "print(hyperparams, len(hyperparams)); f(a=[hyperparams['x']])",
        "hp = hyperparams\nprint(f'{hp}'); y = hp.get('y', 1) if hp['x'] else 0",
        "if hyperparams['x'] > 1:\n    pass",
        "if __name__ == '__main__':\n    x = hyperparams['x'] or 1",
        "for i in range(hyperparams['x']):\n    pass",
        "x = [i for i in range(3)]; model = build(**hyperparams); hyperparams['x']",
        "x = hyperparams['x']\nimport sys\nif x:\n    sys.exit()",
        "x: float = hyperparams['x']",
        "import numpy as np\nnp.random.seed(hyperparams['x'])",
        "config = {'depth': 3, **hyperparams}; hyperparams['x']",
    ],
)
def test_what_is_certainly_read(text: str) -> None:
    assert next(each for each in read(text).reads if each.name == "x").certain


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    return hyperparams['x']\nf()",
        "f = lambda: hyperparams['x']",
        "class A:\n    x = hyperparams['x']",
        "if a:\n    hyperparams['x']",
        "if a:\n    pass\nelse:\n    hyperparams['x']",
        "while a:\n    hyperparams['x']",
        "for a in b:\n    hyperparams['x']",
        "a and hyperparams['x']",
        "a if b else hyperparams['x']",
        "0 < a < hyperparams['x']",
        "[hyperparams['x'] for _ in a]",
        "match a:\n    case 1:\n        hyperparams['x']",
        "try:\n    hyperparams['x']\nexcept ValueError:\n    pass",
        "with suppress(KeyError):\n    hyperparams['x']",
        "if a:\n    sys.exit(0)\nhyperparams['x']",
        "def f():\n    raise SystemExit\nf()\nhyperparams['x']",
        "hyperparams.update(defaults); hyperparams['x']",
        "hyperparams |= defaults\nhyperparams['x']",
        "hyperparams = {**defaults, **hyperparams}\nhyperparams['x']",
        "complete(hyperparams); hyperparams['x']",
        "hp = hyperparams\nhp.setdefault(name, 1)\nhyperparams['x']",
        "hyperparams[name] = 1\nhyperparams['x']",
        "globals()['hyperparams'] = {}\nhyperparams['x']",
        "exec(text)\nhyperparams['x']",
        "from config import hyperparams\nhyperparams['x']",
        "from config import *\nhyperparams['x']",
        "import config as hyperparams\nhyperparams['x']",
        "import __main__\n__main__.hyperparams = {}\nhyperparams['x']",
        "import inspect\nf(inspect.currentframe())\nhyperparams['x']",
        "from settings import config\ndef f():\n    config = hyperparams\nconfig['x']",
        "config.hp = hyperparams; config.hp.setdefault('x', 1); hyperparams['x']",
        "import train; train.hyperparams = hyperparams; train.fill_in(); hyperparams['x']",
        "config = {'model': hyperparams}; complete(config); hyperparams['x']",
        "state['hp'] = hyperparams; hyperparams['x']",
        "try:\n    pass\nexcept E as hyperparams:\n    pass\nhyperparams['x']",
        "class hyperparams:\n    pass\nhyperparams['x']",
        "match a:\n    case hyperparams:\n        pass\nhyperparams['x']",
        "sys.exit(0) if hyperparams['y'] else None; hyperparams['x']",
        "from sys import exit as finish\nif hyperparams['y']:\n    finish()\nhyperparams['x']",
        "def initialize_parameters():\n    pass\ndef run(p):\n    pass\n"
        "if __name__ == '__main__':\n    hyperparams['x']",
        pytest.param("try:\n    hyperparams['x']\nexcept* ValueError:\n    pass", marks=SINCE_311),
    ],
)
def test_what_may_not_be_read_or_be_there(text: str) -> None:
    found = next(each for each in read(text).reads if each.name == "x")
    assert not found.certain
    assert not found.optional


def test_a_name_in_another_encoding_is_not_certain() -> None:
    assert not read("hyperparams['gr\ufffd\ufffde']").reads[0].certain


@pytest.mark.parametrize(
    "line",
    ["run(hyperparams)", "run(**hyperparams)", "hyperparams[name]", "for k in hyperparams: pass", "x = [hyperparams]",
     "hyperparams.items()", "globals().update(hyperparams)", "a, b = hyperparams, 1"],
)  # fmt: skip
def test_hyperparameters_that_are_handed_on(line: str) -> None:
    assert read(line).hands_on


@pytest.mark.parametrize(
    ("text", "leaves", "local"),
    [
        ("val_to_return = 1", True, 0),
        ("for val_to_return in range(3): pass", True, 0),
        ("def f():\n    global val_to_return\n    val_to_return = 1", True, 0),
        ("def f():\n    val_to_return = 1\nf()", False, 2),
        ("print(1)", False, 0),
        ("globals()['val_to_return'] = 1", None, 0),
        ("history = model.fit()", None, 0),
        ("from mine import *", None, 0),
        ("def initialize_parameters(): pass\ndef run(p): pass", None, 0),
    ],
)
def test_whether_a_value_is_left(text: str, leaves: bool | None, local: int) -> None:
    found = read(text)
    assert (found.leaves_value, found.local_value) == (leaves, local)


def test_options_of_a_parser() -> None:
    found = read("p.add_argument('-b', '--batch-size', type=int)\np.add_argument('file')\np.add_argument('--lr')")
    assert found.options == ("-b", "--batch-size", "--lr")


def test_what_cannot_be_parsed_tells_nothing() -> None:
    assert read("print 'as in Python 2'") == ScriptReading()
    assert read("(" * 500 + ")" * 500) == ScriptReading()
    assert read("anything", Language.PROGRAM) == ScriptReading()


def test_an_r_script() -> None:
    found = read(
        """
        library(ranger)  # not library(gone)
        if (require("xgboost", quietly = TRUE)) cat("fast")
        rate <- hyperparams$rate + candle_params[["the rate"]] + hyperparams$`odd name`
        val_to_return <- rate
        """,
        Language.R,
    )
    assert [each.name for each in found.reads] == ["rate", "the rate", "odd name"]
    assert not any(each.optional for each in found.reads)
    asks = read('if ("x" %in% names(hyperparams)) y <- hyperparams$x', Language.R)
    assert asks.reads == (Mention("x", 1, optional=True),)
    assert [(each.name, each.optional) for each in found.modules] == [("ranger", False), ("xgboost", True)]
    assert not found.hands_on
    assert found.leaves_value
    assert read("str(hyperparams)", Language.R).hands_on


def test_a_bash_script() -> None:
    found = read(
        """
        epochs=$(candle_get_param epochs)
        rate=`candle_get_param "rate"` # candle_get_param comment
        val_to_return=$(grep loss log)
        """,
        Language.BASH,
    )
    assert found.reads == (Mention("epochs", 2), Mention("rate", 3))
    assert not found.hands_on
    for line in ["candle_get_param $name", "python3 train.py", 'jq . "$CANDLE_PARAMS_FILE"']:
        assert read(line, Language.BASH).hands_on


def test_missing_modules_are_looked_for_without_running_anything(here: Path) -> None:
    (here / "beside.py").write_text("raise SystemExit('this ran')")
    script = here / "model.py"
    script.write_text("import beside")
    names = ["sys", "json", "beside", "numpy", "not_there_at_all", "xml"]
    missing = missing_modules(names, str(script), Language.PYTHON, sys.executable, {})
    assert missing == ["not_there_at_all"]


def test_syntax_by_the_interpreter_that_runs_it(here: Path) -> None:
    script = here / "model.py"
    script.write_text("x = 1\nif x\n    pass\n")
    found = syntax_error(str(script), Language.PYTHON, sys.executable, {})
    assert found is not None
    assert (found.file, found.line) == ("model.py", 2)
    script.write_bytes(b"# -*- coding: latin-1 -*-\nx = '\xfc'\n")
    assert syntax_error(str(script), Language.PYTHON, sys.executable, {}) is None
    script.write_bytes(b"x = '\xfc'\n")
    assert syntax_error(str(script), Language.PYTHON, sys.executable, {}) is not None
    bash = here / "model.sh"
    bash.write_text("echo 1\nif true; then\n")
    found = syntax_error(str(bash), Language.BASH, "/bin/bash", {})
    assert found is not None
    assert found.line == 3
    bash.write_text("echo 1\n")
    assert syntax_error(str(bash), Language.BASH, "/bin/bash", {}) is None


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R (Debian: apt-get install r-base-core)")
def test_r_is_asked_too(here: Path) -> None:
    rscript = shutil.which("Rscript")
    assert rscript is not None
    script = here / "a model.R"
    script.write_text("x <- 1\ny <- (\n}\n")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(here)}
    found = syntax_error(str(script), Language.R, rscript, environment)
    assert found is not None
    assert found.line == 3
    script.write_text("cat('this ran')\n")
    assert syntax_error(str(script), Language.R, rscript, environment) is None
    assert missing_modules(["stats", "notThere"], str(script), Language.R, rscript, environment) == ["notThere"]
