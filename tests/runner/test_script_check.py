"""What is said of a script before it runs, from its text alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from candle_hpo.core.experiment import Settings
from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.inputfile.argument_style import argument_style
from candle_hpo.launch.interpreter import Interpreter
from candle_hpo.runner.import_check import notes_on_imports
from candle_hpo.runner.option_check import Comparison
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


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("model.sh", 'RATE=1\nwhile getopts "w:" opt; do\n  case $opt in\n    w) RATE=$OPTARG ;;\n  esac\ndone\n'),
        ("model.R", 'library(optparse)\nparser <- add_option(OptionParser(), c("-w", "--width"), default = 1)\n'),
    ],
)
def test_options_in_bash_and_r_are_seen(here: Path, name: str, text: str) -> None:
    (here / name).write_text(text)
    style = argument_style("--my-name value rate:-w" if name == "model.sh" else "--my-name value")
    settings = Settings(
        model_script=str(here / name), workflow="grid", hyperparams_as="arguments", argument_style=style
    )
    names = ["rate" if name == "model.sh" else "width", "other"]
    found = ScriptCheck(settings).compare(names, "x.in")
    assert (found.seen, found.unclear) == ((names[0],), ("other",))


def test_an_option_that_looks_misspelt(here: Path) -> None:
    options = "parser.add_argument('--epoch')\nparser.add_argument('--rate')\nparser.add_argument('--learning-steps')\n"
    arguments = {"hyperparams_as": "arguments", "result_pattern": "loss (.*)"}
    misspelt, other = notes_on(here, options, {"rate": 1, "rates": 1}, ["epochs"], **arguments)
    assert 'the option --rates, which "rates" becomes; it has --epoch, --rate, --learning-steps (argument' in misspelt
    assert 'the option --epochs, which "epochs" becomes; did you mean "--epoch"? (argument_style)' in other
    (steps,) = notes_on(here, options, {}, ["learning_rate"], **arguments)
    assert "did you mean" not in steps


@pytest.mark.parametrize(
    ("script", "note"),
    [
        ("import lib_of_mine", "model.py:1: the module lib_of_mine is not installed for {python}; install it there"),
        (
            "if fast:\n    import nothing_such",
            "model.py:2: the module nothing_such is not installed for {python}; the scri",
        ),
        ("try:\n    import nothing_such\nexcept ImportError:\n    import json", ""),
        ("try:\n    import json\nexcept ImportError:\n    import nothing_such as json", ""),
        ("import sys\nsys.path.append({lib!r})\nimport lib_of_mine", ""),
        (
            "import sys\nimport lib_of_mine\nsys.path.append({lib!r})",
            "model.py:2: the module lib_of_mine is not installed",
        ),
        (
            "import sys, pathlib\nsys.path.append(str(pathlib.Path(__file__).parent / 'lib'))\nimport lib_of_mine",
            "",
        ),
        (
            "import sys\nsys.path.append('lib')\nimport lib_of_mine",
            'adds "lib" to sys.path, which is looked for where a',
        ),
        (
            "import sys\nsys.path.append(find())\nimport lib_of_mine",
            "the script changes sys.path, and may find it then",
        ),
        (
            "from .lib import x",
            "model.py:1: a relative import (from .lib import …) fails in a script that is not run as",
        ),
        ("try:\n    from .lib import x\nexcept ImportError:\n    pass", ""),
        ("def f():\n    from . import x", ""),
    ],
)
def test_whether_what_is_imported_would_be_found(here: Path, script: str, note: str) -> None:
    (here / "lib").mkdir()
    (here / "lib" / "lib_of_mine.py").touch()
    (here / "model.py").write_text(script.replace("{lib!r}", repr(str(here / "lib"))))
    settings = Settings(model_script=str(here / "model.py"), workflow="grid")
    found = notes_on_imports(ScriptCheck(settings).reading, settings, Interpreter(sys.executable, "Python"), ())
    assert [note.format(python=sys.executable) in each for each in found] == ([True] if note else [])


@pytest.mark.parametrize("settings", [{}, {"hyperparams_as": "arguments", "result_pattern": "loss (.*)"}])
@pytest.mark.parametrize(("name", "content"), [("model", b"\x7fELF\x02\0\0"), ("model.ipynb", b'{"cells": []}')])
def test_nothing_is_said_of_a_compiled_program_or_a_notebook(
    here: Path, name: str, content: bytes, settings: dict[str, object]
) -> None:
    (here / name).write_bytes(content)
    check = ScriptCheck(Settings(model_script=str(here / name), workflow="grid", **settings))  # type: ignore[arg-type]
    assert check.compare(["x", "y"], "x.in") == Comparison()


def test_what_a_program_is_that_begins_with_its_interpreter_is_read(here: Path) -> None:
    (here / "model").write_text("#!/bin/sh\necho 1 > $CANDLE_RESULT_FILE\n")
    found = ScriptCheck(Settings(model_script=str(here / "model"), workflow="grid")).compare(["x"], "x.in")
    assert found.unclear == ("x",)
    (note,) = found.notes
    assert note.startswith("model does not mention CANDLE_PARAMS_FILE")


@pytest.mark.parametrize(
    ("name", "script", "settings", "unread"),
    [
        ("model.py", "f(hyperparams['lr'], hyperparams['epochs'])", {}, ("depth",)),
        ("model.py", "f(hyperparams['epochs'])", {}, ("lr", "depth")),
        ("model.py", "print(3)", {}, ("lr", "depth")),
        ("model.py", "f(hyperparams)", {}, ()),
        ("model.py", "f(hyperparams); hyperparams['lr']", {}, ("depth",)),
        ("model.py", "p.add_argument('--lr')", {"hyperparams_as": "arguments"}, ("depth",)),
        ("model.py", "main()", {"hyperparams_as": "arguments"}, ()),
        ("model.R", "hyperparams$depth", {}, ("lr",)),
        ("model.sh", "candle_get_param lr; python3 train.py", {}, ("depth",)),
        ("model.sh", "python3 train.py", {}, ()),
        ("model", "#!/bin/sh\necho 3", {}, ()),
    ],
)
def test_what_a_script_is_not_seen_to_read(
    here: Path, name: str, script: str, settings: dict[str, object], unread: tuple[str, ...]
) -> None:
    (here / name).write_text(script)
    check = ScriptCheck(Settings(model_script=str(here / name), workflow="grid", **settings))  # type: ignore[arg-type]
    assert check.unread({"epochs": 3}, ["lr", "depth"]) == unread
