"""What starts a script, what it opens beside itself, and models with their files of parameters."""

from __future__ import annotations

import json
from textwrap import dedent

import pytest

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Language
from candle_hpo.core.objective import Direction
from candle_hpo.draft.bare_prints import named_by_text
from candle_hpo.draft.candle_models import is_model_of_candle, options_of_parameter_file, parameter_file_of
from candle_hpo.draft.help_text import options_in_help
from candle_hpo.draft.improve import of_training, options_in_files, score_of, stage_of
from candle_hpo.draft.improve import parameter_file_of as parameter_file_of_improve
from candle_hpo.draft.objectives import printed_candidates
from candle_hpo.draft.options import Kind, Option
from candle_hpo.draft.python_reads import numbers_of_script
from candle_hpo.draft.python_values import tree_of
from candle_hpo.draft.starts import files_beside, options_of_notebook, start_of_text, words_of
from candle_hpo.draft.text import style_of
from candle_hpo.script.reading import read_script
from candle_hpo.script.words import ScriptReading


@pytest.mark.parametrize(
    ("text", "module", "command"),
    [
        ("print(1)", "", ""),
        ("print(1)", "pkg.train", "{python} -m pkg.train"),
        ("dist.init_process_group('gloo')", "", "torchrun --standalone --nproc-per-node=1 {script}"),
        ("rank = int(os.environ['LOCAL_RANK'])", "", "torchrun --standalone --nproc-per-node=1 {script}"),
        ("os.environ['RANK'] = '0'", "", ""),
        ("dist.init_process_group('nccl', init_method=url, rank=0)", "", ""),
        ("os.environ['MASTER_ADDR'] = 'localhost'\nmp.spawn(run)\ndist.init_process_group('gloo')", "", ""),
    ],
)
def test_what_starts_a_script(text: str, module: str, command: str) -> None:
    start = start_of_text(text, Language.PYTHON, module)
    assert start.command == command
    assert bool(start.reason) == bool(command) == (words_of(start) is not None)


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("open('data.csv')\npd.read_csv('in/x.csv', sep=';')", Language.PYTHON, ["data.csv", "in/x.csv"]),
        ("FILE = 'weights.npz'\nload(path='a.txt')", Language.PYTHON, ["weights.npz", "a.txt"]),
        ("open('a.csv', 'w')\nopen('b.csv', mode='ab')\nio.open('c.csv', 'x')", Language.PYTHON, []),
        ("open('a.csv', 'r+')\nopen('b.csv', encoding='utf-8')", Language.PYTHON, ["a.csv", "b.csv"]),
        ("open(HERE / 'x.csv')\nos.path.join(here, 'y.csv')", Language.PYTHON, []),
        ("p.add_argument('data.csv')\nd.get('x.csv')\nprint('a.txt')", Language.PYTHON, []),
        ("open('/data/x.csv')\nopen('~/x')\nopen('https://x')\nopen('*.csv')\nopen('./')", Language.PYTHON, []),
        ("x <- read.csv('x.csv')\nsource(\"tools.R\")\ncat('y.csv')", Language.R, ["x.csv", "tools.R"]),
        ('python3 fit.py < in/x.csv # y.csv\n"$here/z.py"', Language.BASH, ["fit.py", "in/x.csv"]),
        ("def broken(:", Language.PYTHON, []),
    ],
)
def test_what_a_text_opens_beside_itself(text: str, language: Language, found: list[str]) -> None:
    assert files_beside(text, language) == found


def notebook(source: str | list[str], tags: list[str]) -> str:
    cells = [
        {"cell_type": "markdown", "source": "x"},
        {"cell_type": "code", "metadata": {"tags": tags}, "source": source},
    ]
    return json.dumps({"cells": cells})


def test_a_notebook_has_what_its_tagged_cell_sets() -> None:
    source = [
        "rate = 0.1  # of learning\n",
        "n: int = 3\n",
        "kind = 'a'\n",
        "fast = True\n",
        "x = rate * 2\n",
        "path = f()",
    ]
    found = options_of_notebook(notebook(source, ["parameters"]), "x.ipynb").found
    assert [(each.name, each.default) for each in found] == [("rate", 0.1), ("n", 3), ("kind", "a"), ("fast", True)]
    of_r = options_of_notebook(notebook("rate <- 0.1\nn <- 3L\nfast <- TRUE", ["parameters"]), "x.ipynb").found
    assert [(each.name, each.default) for each in of_r] == [("rate", 0.1), ("n", 3), ("fast", True)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (notebook("x = 1", []), "no cell with the tag parameters"),
        (notebook("x = 1", ["parameters"]).replace('"x = 1"', "5"), "not a notebook"),
        ("{}", "not a notebook"),
        ("x", "not a"),
    ],
)
def test_a_notebook_that_papermill_could_not_vary(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        options_of_notebook(text, "x.ipynb")


IMPROVE = "from improvelib.applications.drug_response_prediction.config import DRP{}Config\n"


@pytest.mark.parametrize(
    ("text", "name", "stage"),
    [
        (IMPROVE.format("Train"), "x.py", "Train"),
        (IMPROVE.format("Preprocess"), "x_train_improve.py", "Preprocess"),
        ("import improvelib.utils as frm", "lgbm_infer_improve.py", "Infer"),
        ("import improvelib.utils as frm", "tools.py", ""),
        ("import torch\nclass TrainConfig: ...", "x_train_improve.py", ""),
    ],
)
def test_the_stage_of_a_script_of_improve(text: str, name: str, stage: str) -> None:
    assert stage_of(text, name) == stage


def test_the_options_of_a_model_of_improve_without_its_library() -> None:
    definitions = """
        train_params = [
            {"name": "layers", "type": int, "default": 3},
            {"name": "kind", "type": str, "choices": ["a", "b"], "default": "a"},
            {"name": "bias", "type": str2bool, "default": True},
            {"name": "sizes", "type": int, "nargs": "+", "default": [1]},
        ]
        """
    parameters = "[Preprocess]\nepochs = 1\n[Train]\nepochs = 20\nlayers = 4\nloss = mse\nown = x\n"
    found = {each.name: each for each in options_in_files(dedent(definitions), parameters)}
    assert (found["epochs"].default, found["layers"].default, found["own"].default) == (20, 4, "x")
    assert (found["kind"].choices, found["bias"].choices) == (("a", "b"), ("True", "False"))
    assert "sizes" not in found
    assert found["learning_rate"].default is None
    assert found["learning_rate"].option == "--learning_rate"
    assert parameter_file_of_improve("cfg.initialize_parameters(x, default_config='m.ini')") == "m.ini"


def test_nobody_means_a_learning_rate_of_7() -> None:
    rate, epochs = of_training(Option(name=name, kind=Kind.INTEGER, default=7) for name in ("learning_rate", "epochs"))
    assert (rate.kind, rate.default, epochs.default) == (Kind.NUMBER, None, 7)


@pytest.mark.parametrize(
    ("metric", "kind", "key", "direction"),
    [
        ("mse", "regression", "mse", Direction.MINIMIZE),
        ("r2", "regression", "r2", Direction.MAXIMIZE),
        ("mse", "classification", "acc", Direction.MAXIMIZE),
        (None, None, "mse", Direction.MINIMIZE),
    ],
)
def test_the_score_of_a_model_of_improve(metric: str | None, kind: str | None, key: str, direction: Direction) -> None:
    found = [Option(name="early_stop_metric", default=metric), Option(name="metric_type", default=kind)]
    score, its_direction = score_of(found)
    assert (score.file, score.key, its_direction) == ("val_scores.json", key, direction)


def test_a_model_of_candle_has_the_values_of_its_file() -> None:
    text = "def initialize_parameters(default_model='p1b1.txt'): ...\ndef run(params): ...\n"
    assert is_model_of_candle(text)
    assert parameter_file_of(text) == "p1b1.txt"
    assert not is_model_of_candle("def run(params): ...")
    assert not is_model_of_candle(f"{text}val_to_return = run(initialize_parameters())"), "run as it stands"
    assert not is_model_of_candle("def initialize_parameters(): ...\nclass Trainer:\n    def run(self): ...")
    values = ["dense=[20, 6]", "learning_rate=None", "base_lr=None", "Drop=0.1", "name='x'", "url = %(x)s"]
    parameters = "\n".join(["[Global_Params]", *values, "[Monitor_Params]", "timeout=1"])
    found = {each.name: each for each in options_of_parameter_file(parameters, "p1b1.txt").found}
    assert list(found) == ["dense", "learning_rate", "base_lr", "Drop", "name", "url"]
    assert (found["dense"].default, found["Drop"].default, found["url"].default) == ([20, 6], 0.1, "%(x)s")
    assert (found["learning_rate"].left_alone, bool(found["base_lr"].left_alone)) == ("", True)


def test_options_that_a_help_shows_joined_are_given_joined() -> None:
    found = options_in_help(
        "Options:\n\t-r RATE, --rate=RATE\n\t\tshrinkage [default 0.05]\n\n\t-q, --quiet\n\t\tless\n"
    )
    assert [each.option for each in found] == ["--rate=", "--quiet"]
    assert style_of(found).startswith("--my-name=value")


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("  fold train_error cv_error\n1    1   0.1   0.5\n2    2   0.1   0.4\n", "cv_error", 0.4),
        (" rmse \n0.25 \n", "rmse", 0.25),
        ("   rmse    mae \n0.25000 0.05000 \n", "rmse", 0.25),
    ],
)
def test_numbers_as_r_prints_them(text: str, name: str, value: float) -> None:
    found = {each.name: each.value for each in printed_candidates(text)}
    assert found[name] == value


@pytest.mark.parametrize("text", ["def broken(:", f"x = {'-' * 100_000}1", "x = '\0'"], ids=["broken", "deep", "zero"])
def test_a_text_that_this_python_cannot_parse_shows_nothing(text: str) -> None:
    assert tree_of(text) is None
    assert not is_model_of_candle(text)
    assert options_in_files(text, "") == options_in_files("", "")
    assert parameter_file_of_improve(text) == ""
    assert (named_by_text(text, Language.PYTHON), numbers_of_script(text)) == (None, [])
    assert read_script(text, Language.PYTHON) == ScriptReading()
