"""What is seen in a model script's text, without running it."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path

import pytest

from candle_hpo.core.experiment import Language
from candle_hpo.script.questions import find_modules, syntax_error
from candle_hpo.script.reading import read_script
from candle_hpo.script.words import Mention, ScriptReading

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
        "batch": True,
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
        "def f():\n    return hyperparams['x']",
        "hp = hyperparams\nif hp['y']:\n    hp['x']",
        "config = Namespace(**hyperparams)\nconfig.x",
        "def f():\n    return getattr(config, 'x')\nconfig = types.SimpleNamespace(**hyperparams)",
        "config = hyperparams.copy(); config['x']",
        "hyperparams = globals().get('hyperparams', {'x': 1}); hyperparams['x']",
    ],
)
def test_what_is_read_and_needed(text: str) -> None:
    found = read(text)
    assert next(each for each in found.reads if each.name == "x").optional is False
    assert not found.fills_in


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    hyperparams['x']\nexcept KeyError:\n    pass",
        "config = {'x': 3, **hyperparams}\nconfig['x']",
        "config = dict(defaults, **hyperparams)\nconfig['x']",
        "config = defaults | hyperparams\nconfig['x']",
        "def train(hyperparams):\n    return hyperparams['x']\ntrain({**defaults, **hyperparams})",
        "train = lambda hyperparams: hyperparams['x']",
        "config = Namespace(**hyperparams)\ngetattr(config, 'x', 1)",
        "hyperparams.setdefault('x', 1); hyperparams['x']",
        "def f():\n    return hyperparams['x']\nhyperparams['x'] = 1\nf()",
        "hyperparams.update({'x': 1}); hyperparams['x']",
        "hyperparams.update(x=1); hyperparams['x']",
        "hyperparams = {'x': 3, **hyperparams}\nhyperparams['x']",
        "hyperparams['x'] = 3\nhyperparams['x']",
        "if 'hyperparams' not in globals():\n    hyperparams = {'x': 1}\nhyperparams['x']",
        "try:\n    hyperparams\nexcept NameError:\n    hyperparams = {'x': 1}\nhyperparams['x']",
        pytest.param("try:\n    hyperparams['x']\nexcept* KeyError:\n    pass", marks=SINCE_311),
    ],
)
def test_what_is_read_if_it_is_there(text: str) -> None:
    found = read(text)
    assert next(each for each in found.reads if each.name == "x").optional
    assert not found.fills_in or "setdefault" in text


@pytest.mark.parametrize(
    "text",
    [
        "hyperparams.update(defaults); hyperparams['x']",
        "hyperparams |= defaults\nhyperparams['x']",
        "hyperparams = {**defaults, **hyperparams}\nhyperparams['x']",
        "hyperparams = complete(hyperparams)\nhyperparams['x']",
        "for name in defaults:\n    hyperparams.setdefault(name, 1)\nhyperparams['x']",
        "hyperparams[name] = 1\nhyperparams['x']",
        "from config import hyperparams\nhyperparams['x']",
        "import train; train.hyperparams = {}; hyperparams['x']",
    ],
)
def test_what_may_be_filled_in(text: str) -> None:
    assert read(text).fills_in


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("import x", True),
        ("if __name__ == '__main__':\n    import x", True),
        ("class A:\n    import x", True),
        ("try:\n    import x\nexcept OSError:\n    pass", True),
        ("with open('f'):\n    import x", True),
        ("try:\n    import x\nexcept ImportError:\n    pass\nimport x", True),
        ("if fast:\n    import x", False),
        ("if fast:\n    pass\nelse:\n    import x", False),
        ("match kind:\n    case 1:\n        import x", False),
        ("try:\n    import y\nexcept ImportError:\n    import x", False),
        ("try:\n    import x\nexcept:\n    pass", False),
        ("with contextlib.suppress(ImportError):\n    import x", False),
        ("def f():\n    import x", False),
    ],
)
def test_whether_a_script_can_do_without_a_module(text: str, needed: bool) -> None:
    assert {each.name: each.optional for each in read(text).modules}["x"] is not needed


@pytest.mark.parametrize(
    ("text", "alternatives"),
    [
        ("try:\n    import x\nexcept ImportError:\n    import y as x", [{"x", "y"}]),
        ("if sys.version_info >= (3, 11):\n    import x\nelse:\n    import y", [{"x", "y"}]),
        ("if a:\n    import x\nelif b:\n    import y\nelse:\n    import z", [{"y", "z"}, {"x", "y", "z"}]),
        ("try:\n    import x\nexcept ImportError:\n    x = None", []),
        ("try:\n    import x\nexcept OSError:\n    import y", []),
        ("if __name__ == '__main__':\n    import x\nelse:\n    import y", []),
    ],
)
def test_of_which_modules_one_is_enough(text: str, alternatives: list[set[str]]) -> None:
    assert [set(each) for each in read(text).alternatives] == alternatives


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from .layers import Dense", Mention(".layers", 1)),
        ("from . import layers", Mention(".", 1)),
        ("from ..models.layers import Dense", Mention("..models.layers", 1)),
        ("try:\n    from .a import b\nexcept ImportError:\n    from a import b", Mention(".a", 2, optional=True)),
        ("from layers import Dense", None),
    ],
)
def test_a_relative_import(text: str, expected: Mention | None) -> None:
    assert read(text).relative_import == expected


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("sys.path.append('/data/lib')", "/data/lib"),
        ("sys.path.insert(0, '../src')", "../src"),
        ("sys.path.insert(0, os.path.dirname(__file__))", "/a/b"),
        ("sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'src'))", "/a/b/src"),
        ("sys.path.append(os.path.join(os.path.dirname(__file__), os.pardir, 'src'))", "/a/b/../src"),
        ("from os.path import dirname, join\nsys.path.append(join(dirname(dirname(__file__)), 'src'))", "/a/src"),
        ("sys.path.append(os.path.dirname(__file__) + '/src')", "/a/b/src"),
        ("sys.path.append(f'{os.path.dirname(__file__)}/src')", "/a/b/src"),
        ("sys.path.append(str(Path(__file__).parent / 'src'))", "/a/b/src"),
        ("sys.path.append(str(Path(__file__).resolve().parents[1]))", "/a"),
        ("sys.path.append(Path(__file__).resolve().parent.joinpath('src').as_posix())", "/a/b/src"),
        ("root = Path(__file__).parent.parent\nlib = root / 'lib'\nsys.path.extend([str(lib)])", "/a/lib"),
        ("site.addsitedir('/data/lib')", "/data/lib"),
        ("sys.path += ['/data/lib']", "/data/lib"),
        ("sys.path[:0] = ['/data/lib']", "/data/lib"),
        ("sys.path = ['/data/lib'] + sys.path", "/data/lib"),
        ("sys.path.append(os.getcwd())", ""),
        ("sys.path.append(os.environ['LIB'])", ""),
        ("sys.path = find_path()", ""),
        ("root = '/a'\nroot = find(root)\nsys.path.append(root)", ""),
        ("root = root + 'a'\nsys.path.append(root)", ""),
        ("folders.append('/data/lib')", None),
    ],
)
def test_folders_that_are_added(text: str, folder: str | None) -> None:
    found = read_script(text, Language.PYTHON, "/a/b/model.py").folders
    assert [each.path for each in found] == ([] if folder is None else [folder])


def test_an_assignment_is_read_before_it_is_written() -> None:
    assert read("hyperparams['x'] = hyperparams['x'] * 2\nhyperparams['x']").reads == (Mention("x", 1),)


@pytest.mark.parametrize(
    "line",
    ["run(hyperparams)", "run(**hyperparams)", "hyperparams[name]", "for k in hyperparams: pass", "x = [hyperparams]",
     "hyperparams.items()", "globals().update(hyperparams)", "a, b = hyperparams, 1"],
)  # fmt: skip
def test_hyperparameters_that_are_handed_on(line: str) -> None:
    assert read(line).hands_on


@pytest.mark.parametrize(
    ("text", "leaves", "placeholder", "lost"),
    [
        ("val_to_return = loss", True, 0, 0),
        ("for val_to_return in range(3): pass", True, 0, 0),
        ("def f():\n    global val_to_return\n    val_to_return = 1 + 1", True, 0, 0),
        ("val_to_return = 0\ndef f():\n    val_to_return = x\nf()", True, 1, 3),
        ("val_to_return = float('inf')\nclass A:\n    val_to_return = x", True, 1, 3),
        ("val_to_return: float = -1.0\nprint(loss)", True, 1, 0),
        ("val_to_return = None\nhistory = model.fit()", True, 1, 0),
        ("val_to_return = 0\nval_to_return += loss", True, 0, 0),
        ("val_to_return = 0\ntry:\n    val_to_return = f()\nexcept ValueError:\n    val_to_return = 9", True, 0, 0),
        (
            "val_to_return = 0\ndef f():\n    val_to_return = x\n    return val_to_return\nval_to_return = f()",
            True,
            0,
            0,
        ),
        ("def f():\n    val_to_return = 1\nf()", False, 0, 2),
        ("print(1)", False, 0, 0),
        ("globals()['val_to_return'] = 1", None, 0, 0),
        ("val_to_return = 0\nimport __main__\n__main__.val_to_return = loss", None, 0, 0),
        ("open(os.environ['CANDLE_RESULT_FILE'], 'w').write('1')", None, 0, 0),
        ("history = model.fit()", None, 0, 0),
        ("from mine import *", None, 0, 0),
        ("def initialize_parameters(): pass\ndef run(p): pass", None, 0, 0),
    ],
)
def test_whether_a_value_is_left(text: str, leaves: bool | None, placeholder: int, lost: int) -> None:
    found = read(text)
    assert (found.leaves_value, found.placeholder, found.lost_value) == (leaves, placeholder, lost)


@pytest.mark.parametrize(
    ("text", "leaves", "placeholder", "lost"),
    [
        ("val_to_return <- 0\nf <- function(x) {\n  val_to_return <- x\n}\nf(3)", True, 1, 3),
        ("val_to_return <- 0\nf <- function(x) val_to_return <- x", True, 1, 2),
        ("val_to_return = -1\nsapply(x, \\(i) { val_to_return <- i })", True, 1, 2),
        ("val_to_return <- NA\nlocal({\n  val_to_return <- x\n})", True, 1, 3),
        ("val_to_return <- 0\nf <- function(x) { val_to_return <<- x }", True, 0, 0),
        (
            "val_to_return <- 0\ntryCatch({ val_to_return <- g() }, error = function(e) { val_to_return <- 9 })",
            True,
            0,
            0,
        ),
        ('val_to_return <- 0\nassign("val_to_return", x, envir = globalenv())', None, 0, 0),
        ("val_to_return <- list(val_to_return = loss, acc = 1)", True, 0, 0),
        ("x <- list(val_to_return = 3)", False, 0, 0),
        ("loss -> val_to_return", True, 0, 0),
        ("# val_to_return <- 3\ncat('val_to_return <- 3')", False, 0, 0),
        ("f <- function() 3\nval_to_return <- f()", True, 0, 0),
        ("source('rest.R')", None, 0, 0),
    ],
)
def test_whether_an_r_script_leaves_a_value(text: str, leaves: bool | None, placeholder: int, lost: int) -> None:
    found = read(text, Language.R)
    assert (found.leaves_value, found.placeholder, found.lost_value) == (leaves, placeholder, lost)


@pytest.mark.parametrize(
    ("text", "leaves"),
    [
        ("val_to_return=$(awk '/a (/ {print $2}' log)", None),
        ("read -r candle_value_to_return < log", None),
        ("source rest.sh", None),
        ('echo 3 > "$CANDLE_RESULT_FILE"', None),
        ("echo 3", False),
    ],
)
def test_whether_a_bash_script_leaves_a_value(text: str, leaves: bool | None) -> None:
    assert read(text, Language.BASH).leaves_value is leaves


def test_options_of_a_parser() -> None:
    found = read("p.add_argument('-b', '--batch-size', type=int)\np.add_argument('file')\np.add_argument('--lr')")
    assert found.options == ("-b", "--batch-size", "--lr")


def test_what_cannot_be_parsed_says_nothing() -> None:
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
    assert find_modules(names, str(script), Language.PYTHON, sys.executable, {}) == (["not_there_at_all"], {})


@pytest.mark.parametrize("name", ["types.py", "random.py", "json.py", "numpy.py", "re/__init__.py"])
def test_files_that_are_called_like_modules(here: Path, name: str) -> None:
    """Whether they lie beside the script, are the script, or lie in PYTHONPATH; none of them runs."""
    file = here / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("raise SystemExit('this ran')")
    script = here / "model.py"
    script.write_text("import numpy")
    module = name.removesuffix(".py").removesuffix("/__init__")
    (here / "elsewhere").mkdir()
    other = here / "elsewhere" / "model.py"
    other.touch()
    for asked, environment in ((script, {}), (other, {"PYTHONPATH": str(here)}), (file, {})):
        if asked is not file or "/" not in name:
            found = find_modules(["numpy"], str(asked), Language.PYTHON, sys.executable, environment)
            assert found == ([], {module: str(file)})
            assert syntax_error(str(asked), Language.PYTHON, sys.executable, environment) is None


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
    assert find_modules(["stats", "notThere"], str(script), Language.R, rscript, environment) == (["notThere"], {})
