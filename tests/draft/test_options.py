"""What a script can be given, by its text."""

from __future__ import annotations

from textwrap import dedent

import msgspec
import pytest

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Language
from candle_hpo.draft.given import options_as_given, with_given
from candle_hpo.draft.help_text import options_in_help
from candle_hpo.draft.options import Kind, Option, Options, Way
from candle_hpo.draft.script_options import options_of_script, reads_command_line
from candle_hpo.draft.text import said_of, script_args_of, style_of


def options(text: str, language: Language = Language.PYTHON) -> dict[str, Option]:
    return {each.name: each for each in options_of_script(dedent(text), language).found}


def argparse_option(arguments: str, before: str = "") -> Option | None:
    text = f"import argparse\n{before}\np = argparse.ArgumentParser()\np.add_argument({arguments})\n"
    return next(iter(options(text).values()), None)


@pytest.mark.parametrize(
    ("arguments", "name", "kind", "default"),
    [
        ("'--lr', type=float, default=1", "lr", Kind.NUMBER, 1.0),
        ("'-b', '--batch-size', type=int, default=2**6", "batch_size", Kind.INTEGER, 64),
        ("'-b', dest='batch', type=int, default=8", "batch", Kind.INTEGER, 8),
        ("'--name', default='x'", "name", Kind.TEXT, "x"),
        ("'--name'", "name", Kind.TEXT, None),
        ("'--lr', type=float, default=-1e-3", "lr", Kind.NUMBER, -1e-3),
        ("'--lr', type=float, default=BASE / 10", "lr", Kind.NUMBER, 0.05),
        ("'--lr', type=lambda text: float(text), default=0.1", "lr", Kind.NUMBER, 0.1),
        ("'--sizes', type=int, nargs='+', default=[3, 4]", "sizes", Kind.INTEGER, [3, 4]),
        ("'--sizes', type=int, nargs='+', default=3", "sizes", Kind.INTEGER, [3]),
        ("'--cuda', action='store_true'", "cuda", Kind.FLAG, False),
        ("'--no-cuda', dest='cuda', action='store_false'", "cuda", Kind.FLAG, True),
        ("'--bias', action=argparse.BooleanOptionalAction, default=True", "bias", Kind.FLAG, True),
        ("'--flag', type=str2bool, default=True", "flag", Kind.TEXT, "True"),
        ("'--id', type=int, default=3", "id_", Kind.INTEGER, 3),
        ("'--layers', type=positive_int, default=2", "layers", Kind.INTEGER, 2),
    ],
)
def test_an_option_of_argparse(arguments: str, name: str, kind: Kind, default: object) -> None:
    found = argparse_option(arguments, "BASE = 0.5")
    assert found is not None
    assert (found.name, found.kind, found.default) == (name, kind, default)
    assert type(found.default) is type(default)


@pytest.mark.parametrize(
    "arguments", ["'-v', action='count'", "'--flag', type=bool, default=False", "'--x', action='append'"]
)
def test_what_no_value_can_be_given_for_is_left_out(arguments: str) -> None:
    assert argparse_option(arguments) is None


@pytest.mark.parametrize(
    ("choices", "values"),
    [
        ("['a', 'b']", ("a", "b")),
        ("('a', 'b')", ("a", "b")),
        ("range(1, 4)", (1, 2, 3)),
        ("KINDS", ("x", "y")),
        ("{'a': 1, 'b': 2}.keys()", ("a", "b")),
    ],
)
def test_the_choices_of_an_option(choices: str, values: tuple[object, ...]) -> None:
    kind = "type=int, " if "range" in choices else ""
    found = argparse_option(f"'--kind', {kind}choices={choices}", "KINDS = ['x', 'y']")
    assert found is not None
    assert found.choices == values


def test_required_and_positional_arguments_are_known_as_such() -> None:
    found = options(
        """
        import argparse
        p = argparse.ArgumentParser()
        p.add_argument("data")
        p.add_argument("--out", required=True)
        p.add_argument("rate", nargs="?", type=float, default=0.1)
        """
    )
    assert [(each.name, each.is_required, each.is_positional) for each in found.values()] == [
        ("data", True, True),
        ("out", True, False),
        ("rate", False, True),
    ]


def test_sub_commands_are_known_as_such() -> None:
    text = "import argparse\ns = argparse.ArgumentParser().add_subparsers()\ns.add_parser('fit').add_argument('--lr')\n"
    assert options_of_script(text, Language.PYTHON).commands == ("fit",)


def test_typer_has_options_and_arguments() -> None:
    found = options(
        """
        import typer
        from typing import Annotated, Literal, Optional
        app = typer.Typer()
        @app.command()
        def main(
            data: str,
            lr: float = typer.Option(0.1, "--rate", max=1),
            depth: Annotated[int, typer.Option(min=2)] = 3,
            kind: Literal["a", "b"] = "a",
            seed: Optional[int] = None,
            fast: bool = True,
        ):
            ...
        """
    )
    assert found["data"].is_positional
    assert (found["lr"].option, found["lr"].default, found["lr"].high) == ("--rate", 0.1, 1.0)
    assert (found["depth"].low, found["kind"].choices, found["seed"].kind) == (2.0, ("a", "b"), Kind.INTEGER)
    assert (found["fast"].option, found["fast"].if_false) == ("--fast", "--no-fast")


def test_dataclasses_of_transformers_and_what_is_elsewhere() -> None:
    text = dedent(
        """
        from dataclasses import dataclass, field
        from transformers import HfArgumentParser, TrainingArguments
        @dataclass
        class Model:
            learning_rate: float = field(default=5e-5, metadata={"help": "the rate"})
            freeze: bool = field(default=True)
            tune: bool = False
            name: str = field(metadata={"help": "needed"}, default_factory=lambda: "x")
        HfArgumentParser((Model, TrainingArguments))
        """
    )
    found = options_of_script(text, Language.PYTHON)
    assert found.is_elsewhere
    by_name = {each.name: each for each in found.found}
    assert by_name["learning_rate"].option == "--learning_rate"
    assert by_name["name"].default == "x"
    assert (by_name["freeze"].if_false, by_name["tune"].if_false) == ("--no_freeze", "")


@pytest.mark.parametrize(
    ("text", "way", "names"),
    [
        ("import os\nlr = float(os.environ.get('LR', '0.1'))\nos.environ['HOME']", Way.ENVIRONMENT, ["LR"]),
        (
            "import sys\nrate = float(sys.argv[1])\nn = int(sys.argv[2]) if len(sys.argv) > 2 else 3",
            Way.ARGUMENTS,
            ["rate", "n"],
        ),
        ("x = hyperparams['a'] + hyperparams.get('b', 2)", Way.VARIABLES, ["a", "b"]),
        ("print('nothing')", Way.ARGUMENTS, []),
    ],
)
def test_other_ways_to_take_values(text: str, way: Way, names: list[str]) -> None:
    found = options_of_script(text, Language.PYTHON)
    assert (found.way, [each.name for each in found.found]) == (way, names)


def test_a_secret_in_the_environment_is_not_a_hyperparameter_and_one_on_the_command_line_is_noted() -> None:
    text = """
        import os
        run = start(os.environ["TRACKER_API_TOKEN"], os.getenv("DB_PASSWORD", "none"))
        rate, tokens = float(os.environ.get("RATE", "0.1")), int(os.getenv("MAX_TOKENS", "64"))
    """
    assert list(options(text)) == ["RATE", "MAX_TOKENS"]
    assert not options("password=${PASSWORD:-x}", Language.BASH)
    key = argparse_option("'--api-key', default='abc'")
    assert key is not None
    assert said_of(key) == "a secret? it would lie in each trial's folder"
    none = argparse_option("'--api-key', default=''")
    assert none is not None
    assert said_of(none) == ""


def test_a_text_that_is_not_python_here_is_asked() -> None:
    assert options_of_script("print 'of another age'", Language.PYTHON).is_elsewhere


def test_options_in_r() -> None:
    found = options(
        """
        library(optparse)
        option_list <- list(
          make_option(c("-l", "--learning_rate"), type = "double", default = 0.01, help = "rate (as it is)"),
          make_option("--rounds", type = "integer", default = 100L), # make_option("--gone", default = 1)
          make_option("--kernel", default = "rbf", help = "it's one"),
          make_option(c("-q", "--quiet"), action = "store_true", default = FALSE)
        )
        """,
        Language.R,
    )
    assert {name: each.default for name, each in found.items()} == {
        "learning_rate": 0.01, "rounds": 100, "kernel": "rbf", "quiet": False,
    }  # fmt: skip
    assert found["learning_rate"].kind is Kind.NUMBER


def test_places_of_a_command_line_in_r_and_bash() -> None:
    in_r = options(
        "args <- commandArgs(trailingOnly = TRUE)\nrate <- as.numeric(args[1])\nkind <- args[[2]]", Language.R
    )
    assert [(each.name, each.kind, each.is_positional) for each in in_r.values()] == [
        ("rate", Kind.NUMBER, True),
        ("kind", Kind.TEXT, True),
    ]
    in_bash = options('RATE=${1:-0.1}\nrounds="$2"\n', Language.BASH)
    assert [(each.name, each.default, each.is_required) for each in in_bash.values()] == [
        ("rate", 0.1, False),
        ("rounds", None, True),
    ]


def test_variables_that_a_bash_script_takes_from_outside() -> None:
    found = options_of_script('train --lr "${LR:-0.01}" --epochs ${EPOCHS:-5} --home ${HOME:-/}', Language.BASH)
    assert (found.way, [(each.name, each.default) for each in found.found]) == (
        Way.ENVIRONMENT,
        [("LR", 0.01), ("EPOCHS", 5)],
    )


@pytest.mark.parametrize(
    ("options", "style"),
    [
        (["--lr", "--batch-size"], ""),
        (["--lr"], ""),
        (["--batch_size", "--num_layers", "--lr"], "--my_name value"),
        (["--batch_size", "--num-layers", "--weight-decay"], "--my-name value batch_size:--batch_size"),
        (["-lr", "-batch_size", "--seed"], "-my_name value seed:--seed"),
        (["-l", "--seed"], "--my-name value l:-l"),
    ],
)
def test_the_style_is_that_of_most_options(options: list[str], style: str) -> None:
    assert style_of([Option(name=each.lstrip("-").replace("-", "_"), option=each) for each in options]) == style


@pytest.mark.parametrize(
    ("given", "names", "defaults", "style"),
    [
        (["--lr", "0.1", "--shift", "-2", "--fast"], ["lr", "shift", "fast"], [0.1, -2, True], ""),
        (["--my_rate=0.1", "--units=3"], ["my_rate", "units"], [0.1, 3], "--my_name=value"),
        (["optimizer.lr=1e-3", "+units=4"], ["optimizer.lr", "argument_1"], [1e-3, "+units=4"], "name=value"),
        (["optimizer.lr=1e-3", "units=4"], ["optimizer.lr", "units"], [1e-3, 4], "name=value"),
        (["-l", "0.1", "-n", "5"], ["l", "n"], [0.1, 5], "--my-name value l:-l n:-n"),
        (["/data/x.csv", "7"], ["argument_1", "argument_2"], ["/data/x.csv", 7], ""),
    ],
)
def test_options_of_a_script_that_shows_none_are_those_that_it_was_given(
    given: list[str], names: list[str], defaults: list[object], style: str
) -> None:
    found = options_as_given(given).found
    assert [each.name for each in found] == names
    assert [each.default for each in found] == defaults
    assert style_of(found) == style


@pytest.mark.parametrize(
    ("text", "language", "reads"),
    [
        ("import sys\nrun(sys.argv)", Language.PYTHON, True),
        ("import hydra", Language.PYTHON, True),
        ("rate = 0.1", Language.PYTHON, False),
        ("a <- commandArgs(TRUE)", Language.R, True),
        ("rate <- 0.1", Language.R, False),
        ('exec ./model "$@"', Language.BASH, True),
        ("rate=0.1; echo $rate", Language.BASH, False),
        ("", Language.PROGRAM, True),
    ],
)
def test_whether_a_script_looks_at_its_command_line(text: str, language: Language, reads: bool) -> None:
    assert reads_command_line(text, language) is reads


@pytest.mark.parametrize(
    ("assignment", "kind", "default"),
    [
        ("k <- as.integer(a[1])", Kind.INTEGER, None),
        ("k <- if (length(a) >= 1) as.integer(a[1]) else 5", Kind.INTEGER, 5),
        ("k = if (length(a) > 0) { as.numeric(a[[1]]) } else { 0.5 }", Kind.NUMBER, 0.5),
        ("k <- if (is.na(a[1])) 1e-3 else as.numeric(a[1])", Kind.NUMBER, 1e-3),
        ("k <- ifelse(length(a) >= 1, as.numeric(a[1]), 2)", Kind.NUMBER, 2.0),
        ("k <- ifelse(is.na(a[1]), 2L, as.integer(a[1]))", Kind.INTEGER, 2),
        ("k <- if (length(a) >= 1) a[1] else 'linear'", Kind.TEXT, "linear"),
        ("k <- -2\nif (length(a) >= 1) k <- as.numeric(a[1])", Kind.NUMBER, -2.0),
        ("k <- if (length(a) >= 1) as.numeric(a[1]) else\n  0.25", Kind.NUMBER, 0.25),
    ],
)
def test_a_place_in_r_may_have_a_default(assignment: str, kind: Kind, default: object) -> None:
    found = options(f"a <- commandArgs(trailingOnly = TRUE)\n{assignment}\nx <- 1\n", Language.R)["k"]
    assert (found.kind, found.default, found.is_required) == (kind, default, default is None)
    assert type(found.default) is type(default)


@pytest.mark.parametrize(
    ("given", "value"),
    [("--shuffle", True), ("--noshuffle", False), ("--shuffle=false", False), ("--shuffle=true", True)],
)
def test_a_flag_of_absl_may_have_its_value_behind_it(given: str, value: bool) -> None:
    shuffle = Option(name="shuffle", option="--shuffle", if_false="--noshuffle", kind=Kind.FLAG, default=not value)
    (found,) = with_given(Options(Way.ARGUMENTS, (shuffle,)), [given], "train.py").found
    assert found.default is value


def test_a_value_that_may_be_left_out_is_given_or_not() -> None:
    text = """
options:
  --use_cpu [USE_CPU], --use-cpu [USE_CPU]
                        Whether to use the CPU. (default: False)
  --optim {adamw,sgd}   The optimizer. (default: adamw)
"""
    options = Options(Way.ARGUMENTS, options_in_help(text))
    for given in (
        ["--use_cpu", "--optim", "sgd"],
        ["--use_cpu", "True", "--optim=sgd"],
        ["--optim", "sgd", "--use_cpu"],
        ["--use_cpu", "--optim=sgd"],
    ):
        found = with_given(options, given, "train.py").found
        assert [(each.name, each.default) for each in found] == [("use_cpu", "True"), ("optim", "sgd")], given


def test_words_beside_options_are_given_behind_them_where_the_text_may_not_show_all() -> None:
    options = Options(Way.ARGUMENTS, (Option(name="q", option="-q", kind=Kind.INTEGER, default=20),), "its own options")
    its = with_given(options, ["-q", "30", "a b.tsv", "{truth}.txt"], "x.sh")
    assert (its.found[0].default, its.last_words) == (30, ("a b.tsv", "{truth}.txt"))
    assert script_args_of(its) == "{arguments} 'a b.tsv' '{{truth}}.txt'"
    with pytest.raises(InputError, match=r"train\.py has no a\.tsv"):
        with_given(msgspec.structs.replace(options, by="argparse"), ["a.tsv"], "train.py")
