"""The options in what programs print for `--help`, as it is printed."""

from __future__ import annotations

import pytest

from candle_hpo.draft.help_text import commands_in_help, options_in_help
from candle_hpo.draft.options import Kind, Option
from candle_hpo.draft.text import style_of

ARGPARSE = """usage: train.py [-h] [--lr LR] [--opt {sgd,adam}]
                [--fast | --no-fast]

trains it

options:
  -h, --help            show this help message and exit
  --lr LR               the rate (default: 0.01)
  --batch-size N, -b N  input batch size for training (default: 64)
  --opt {sgd,adam}      (default: adam)
  --fast, --no-fast     be fast (default: True)
  --no-cuda             disables CUDA
  --out-dir OUT_DIR
                        where to (default: ./out)
"""
CLICK = """Usage: train.py [OPTIONS]

Options:
  --lr FLOAT               Rate.  [default: 0.01]
  --epochs INTEGER RANGE   [default: 5; 1<=x<=10]
  --kind [linear|rbf]      [default: rbf]
  --data PATH              [required]
  --shuffle / --no-shuffle
  --help                   Show this message and exit.
"""
RICH = """
 Usage: train.py [OPTIONS]

╭─ Options ──────────────────────────────────────────────╮
│ --lr            FLOAT    [default: 0.005]              │
│ --hidden-size   INTEGER  Units [default: 16]           │
│ --help                   Show this message and exit.   │
╰────────────────────────────────────────────────────────╯
"""
ABSL = """
train.py:
  --[no]bias: With a bias.
    (default: 'true')
  --learning_rate: the rate
    (default: '0.02')
    (a number)
  --num_hidden: units
    (default: '32')
    (an integer)
"""
OPTPARSE_OF_R = """Usage: fit.R [options]

Options:
\t-l NUMBER, --lambda=NUMBER
\t\tpenalty [default 0.5]

\t-h, --help
\t\tShow this help message and exit
"""
JSONARGPARSE = """usage: main.py [options] fit [--trainer CONFIG]
                             [--trainer.devices DEVICES]

options:
  -h, --help            Show this help message and exit.
  --print_config [=flags]
                        Print the configuration after applying all other
                        arguments and exit.
  --trainer CONFIG      Path to a configuration file.
  --trainer.logger.help CLASS_PATH_OR_NAME
                        Show the help for the given subclass and exit.
  --trainer.devices DEVICES, --trainer.devices+ DEVICES
                        The devices to use. Default: ``"auto"``. (type:
                        Union[List[int], str, int], default: auto)
  --trainer.max_epochs MAX_EPOCHS
                        If it is not specified, defaults to 1000. (type:
                        Optional[int], default: 3)
  --trainer.overfit_batches OVERFIT_BATCHES
                        Default: ``0.0``. (type: Union[int, float], default:
                        0.5)
  --trainer.logger LOGGER
                        (type: Union[Logger, bool, null], default: True, known
                        subclasses: a.Logger, b.Logger)
  --trainer.sync {true,false,null}
                        (type: Optional[bool], default: null)
  --model.lr LR         (required, type: float)
  --model.betas [ITEM,...], --model.betas+ [ITEM,...]
                        (type: List[float], default: (0.9, 0.999))
  --model.bias {true,false}
                        (type: bool, default: True)
"""
WORDS = """options:
  --root DIR            By default the working folder (or its own)
  --sizes N [N ...]     widths (default: 8)
  --metric NAME         (default: the one of the model)
  --rule RULE           (default: mean)
  --rate RATE           shrinkage, default 0.05
  --clip CLIP           default: None
  --warm-up N           by default 5 times the epochs
"""
PROSE = """options:
  -o DIR, --output_dir DIR
                        Where output goes. Defaults to OUTPUT_DIR or this folder if
                        not specified. (default: ./)
  --rate RATE           by default the same for all (default: 0.5)
"""
GNU = """Usage: solve [OPTION]...
  -t, --tolerance=TOL   stop below this (default: 1e-6)
  -n, --steps=N         how many [default=100]
  -v, --verbose         say more
"""


def found(text: str) -> dict[str, Option]:
    return {each.name: each for each in options_in_help(text)}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (
            ARGPARSE,
            {"lr": 0.01, "batch_size": 64, "opt": "adam", "fast": True, "no_cuda": False, "out_dir": "./out"},
        ),
        (CLICK, {"lr": 0.01, "epochs": 5, "kind": "rbf", "data": None, "shuffle": False}),
        (RICH, {"lr": 0.005, "hidden_size": 16}),
        (ABSL, {"learning_rate": 0.02, "num_hidden": 32}),
        (OPTPARSE_OF_R, {"lambda": 0.5}),
        (PROSE, {"output_dir": "./", "rate": 0.5}),
        (GNU, {"tolerance": 1e-6, "steps": 100, "verbose": False}),
        (
            JSONARGPARSE,
            {
                "trainer.devices": "auto",
                "trainer.max_epochs": 3,
                "trainer.overfit_batches": 0.5,
                "trainer.logger": None,
                "trainer.sync": None,
                "model.lr": None,
                "model.betas": None,
                "model.bias": "true",
            },
        ),
        (
            WORDS,
            {"root": None, "sizes": None, "metric": None, "rule": "mean", "rate": 0.05, "clip": None, "warm_up": None},
        ),
        ("nothing of that kind\n  - a list\n  -- a dash\n", {}),
    ],
    ids=["argparse", "click", "rich", "absl", "optparse", "prose", "gnu", "jsonargparse", "words", "none"],
)
def test_options_and_their_defaults(text: str, values: dict[str, object]) -> None:
    its = {name: each.default for name, each in found(text).items() if name in values or name != "bias"}
    assert its == values


def test_kinds_choices_and_flags() -> None:
    of_argparse, of_click = found(ARGPARSE), found(CLICK)
    assert (of_argparse["lr"].kind, of_argparse["batch_size"].kind) == (Kind.NUMBER, Kind.INTEGER)
    assert of_argparse["opt"].choices == ("sgd", "adam")
    assert (of_argparse["fast"].kind, of_argparse["fast"].if_false) == (Kind.FLAG, "--no-fast")
    assert of_argparse["batch_size"].option == "--batch-size"
    assert of_click["kind"].choices == ("linear", "rbf")
    assert of_click["data"].is_required
    assert of_click["shuffle"].if_false == "--no-shuffle"
    assert found(ABSL)["bias"].if_false == "--nobias"


def test_types_that_jsonargparse_shows() -> None:
    its = found(JSONARGPARSE)
    assert (its["trainer.max_epochs"].kind, its["trainer.overfit_batches"].kind) == (Kind.INTEGER, Kind.NUMBER)
    assert (its["trainer.devices"].kind, its["model.lr"].kind) == (Kind.TEXT, Kind.NUMBER)
    assert its["model.lr"].is_required
    assert its["model.bias"].choices == its["trainer.sync"].choices == ("true", "false")


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        (
            "usage: main.py [-c CONFIG]\n       {fit,validate,test} ...\n\nsubcommands:\n  fit   fits\n",
            ("fit", "validate", "test"),
        ),
        (
            "usage: x.py [-h] ACTION ...\n\noptions:\n  -h  help\n\nactions:\n  ACTION\n    fit     fits\n"
            "    long-name\n            and its text\n",
            ("fit", "long-name"),
        ),
        (
            "Usage: x.py [OPTIONS] COMMAND [ARGS]...\n\nOptions:\n  --debug\n\nCommands:\n  fit       Fits it\n"
            "  score-it\n  help      Shows this\n",
            ("fit", "score-it"),
        ),
        ("╭─ Commands ──╮\n│ fit    Fits. │\n│ score        │\n╰──╯\n", ("fit", "score")),
        ("╭─ subcommands ─╮\n│ (required)  │\n│   • fit     │\n╰─╯\n", ("fit",)),
        (ARGPARSE, ()),
        (CLICK, ()),
        ("usage: x.py [-h] [--sizes N [N ...]] files [files ...]\n\npositional arguments:\n  files\n", ()),
        ("nothing of that kind", ()),
    ],
)
def test_commands(text: str, commands: tuple[str, ...]) -> None:
    assert commands_in_help(text) == commands


HYDRA = """script is powered by Hydra.

== Configuration groups ==
Compose your configuration from those groups (group=option)

model: rf


== Config ==
Override anything in the config (foo.bar=value)

optimizer:
  name: sgd
  lr: 1e-3
layers:
- 8
- 4
nesterov: true
data:
  path: ???
  title: "a, b"
clip: .inf
seed: 42


Powered by Hydra (https://hydra.cc)
Use --hydra-help to view Hydra specific help
"""


def test_hydra_shows_its_configuration() -> None:
    found = options_in_help(HYDRA)
    assert [(each.option, each.default) for each in found] == [
        ("optimizer.name=", "sgd"),
        ("optimizer.lr=", 1e-3),
        ("nesterov=", True),
        ("data.path=", None),
        ("seed=", 42),
    ]
    assert style_of(found) == "name=value"


def test_options_that_a_help_shows_joined_are_given_joined() -> None:
    found = options_in_help(
        "Options:\n\t-r RATE, --rate=RATE\n\t\tshrinkage [default 0.05]\n\n\t-q, --quiet\n\t\tless\n"
    )
    assert [each.option for each in found] == ["--rate=", "--quiet"]
    assert style_of(found).startswith("--my-name=value")
