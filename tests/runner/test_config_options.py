"""A script that reads a configuration file, and what of that can be varied."""

from __future__ import annotations

from pathlib import Path

import pytest

from candle_hpo.draft.options import Kind, Option, Options, Way
from candle_hpo.runner.config_options import with_configuration, with_own_text
from candle_hpo.script.reading import ScriptFile

YAML = """# settings
seed: 7
optimizer:
  lr: 1e-3   # the rate
  name: sgd
  nesterov: true
layers: [8, 4]
clip: nan
label: "3"
steps: 20
"""
NONE = Options(Way.ARGUMENTS)
OF_YAML = [("seed", 7), ("optimizer.lr", 1e-3), ("optimizer.nesterov", True), ("steps", 20)]


def found(options: Options) -> list[tuple[str, object]]:
    return sorted((each.name, each.default) for each in options.found)


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("conf/base.yaml", YAML, OF_YAML),
        (
            "config.json",
            '{"seed": 1, "model": {"rate": 0.5, "name": "x", "sizes": [1]}}',
            [("seed", 1), ("model.rate", 0.5)],
        ),
        ("run.toml", "[model]\nrate = 0.5\nwide = false\n", [("model.rate", 0.5), ("model.wide", False)]),
        ("run.ini", "[model]\nrate = 0.5\nname = x\n", [("model.rate", 0.5)]),
        ("run.nml", "&grid\n dx = 0.5\n n = 4\n/\n", [("grid.dx", 0.5), ("grid.n", 4)]),
    ],
)
def test_numbers_and_switches_of_a_file_that_the_text_names(
    name: str, text: str, values: list[tuple[str, object]], tmp_path: Path
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    options = with_configuration(NONE, f"settings = load(open('{name}'))", tmp_path)
    assert (options.way, options.config, options.config_words) == (Way.CONFIGURATION, name, "")
    assert found(options) == sorted(values)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (Option(name="config", option="--config"), "--config {config}"),
        (Option(name="config", option="--config="), "--config={config}"),
        (Option(name="config", is_positional=True), "{config}"),
    ],
)
def test_a_file_that_an_option_names(option: Option, words: str, tmp_path: Path) -> None:
    path = tmp_path / "base.yaml"
    path.write_text(YAML)
    named = Option(
        name=option.name, option=option.option, default=str(path), kind=Kind.TEXT, is_positional=option.is_positional
    )
    options = with_configuration(Options(Way.ARGUMENTS, (named,)), "", tmp_path)
    assert (options.config, options.config_words) == ("base.yaml", words)
    assert found(options) == sorted(OF_YAML)


@pytest.mark.parametrize(
    "text",
    [
        "open('none.yaml')",
        "open('base.yaml'); open('other.yaml')",
        "open(Path(__file__).parent / 'base.yaml')",
        "json.dump(scores, open('metrics.json', 'w'))",
        "open('broken.yaml')",
    ],
)
def test_where_no_file_is_certain(text: str, tmp_path: Path) -> None:
    for name in ("base.yaml", "other.yaml"):
        (tmp_path / name).write_text(YAML)
    (tmp_path / "metrics.json").write_text('{"loss": 0.5}')
    (tmp_path / "broken.yaml").write_text("a: [")
    assert with_configuration(NONE, text, tmp_path) is NONE


OWN = """
N, SEED, RATE = 500, 0, 0.1
loader = DataLoader(data, batch_size=64, num_workers=2)
forest = RandomForestRegressor(n_estimators=100, max_depth=4, verbose=True)
svm = SVC(C=1.0)
first, second = Dropout(p=0.1), Dropout(p=0.2)
split = ShuffleSplit(test_size=0.3)
params = {"eta": 0.1, "booster": "gbtree"}
params["eta"] = 0.2
total = 0
for step in range(3):
    total += step
draw(width=3)
result = {"train": {"rmse": 0.1, "runtime_sec": 1.2}}
"""


def of_own_text(here: Path, text: str, options: Options = NONE, name: str = "train.py") -> Options:
    (here / name).write_text(text)
    return with_own_text(options, ScriptFile.at(here / name), here, ["--plot", "a b"])


def test_numbers_that_a_script_has_in_its_text(here: Path) -> None:
    options = of_own_text(here, OWN)
    assert found(options) == [
        ("DataLoader.batch_size", 64), ("DataLoader.num_workers", 2), ("N", 500), ("RATE", 0.1),
        ("RandomForestRegressor.max_depth", 4), ("RandomForestRegressor.n_estimators", 100), ("SEED", 0),
        ("SVC.C", 1.0),
    ]  # fmt: skip
    assert (options.way, options.config, options.config_words) == (Way.CONFIGURATION, "train.py", "--plot 'a b'")


def test_a_script_that_can_be_given_something_keeps_its_text(here: Path) -> None:
    its = Options(Way.ARGUMENTS, (Option(name="lr", kind=Kind.NUMBER, default=0.1),))
    assert of_own_text(here, OWN, its) is its
    assert of_own_text(here, "SEED = 1\nrate = f()\n") is NONE, "nothing in it has a range"
    assert of_own_text(here, "RATE = 0.1", name="train.sh") is NONE
    assert of_own_text(here, "RATE = (0.1") is NONE
    for number in range(2001):
        (here / f"{number}.txt").touch()
    assert of_own_text(here, OWN) is NONE, "too many files for a copy each"
