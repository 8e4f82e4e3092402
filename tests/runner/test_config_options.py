"""A script that reads a configuration file, and what of that can be varied."""

from __future__ import annotations

from pathlib import Path

import pytest

from candle_hpo.draft.options import Kind, Option, Options, Way
from candle_hpo.runner.config_options import with_configuration

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
