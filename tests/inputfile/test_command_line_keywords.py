"""What is wrong with a command line is said at submission, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from candle_hpo.core.errors import InputError
from candle_hpo.inputfile.read import read_input_file
from conftest import input_text

CONTROL = 'model_script="pkg/train.py"\nworkflow="grid"'
SETS = '{"lr": 1, "depth": null}\n{"lr": 2, "depth": 3}'


def read(here: Path, lines: str, sets: str = SETS, workflow: str = "grid") -> tuple[str, ...]:
    """Return the notes on an input file with these lines in `&control`."""
    (here / "pkg").mkdir(exist_ok=True)
    (here / "pkg" / "train.py").touch()
    (here / "x.in").write_text(input_text(f"{CONTROL}\n{lines}".replace("grid", workflow), "mu = 0.5\nnu = None", sets))
    return read_input_file(Path("x.in")).notes


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("script_args='train {lrr}'", 'x.in:4: script_args: there is no hyperparameter "lrr"; did you mean "lr"?'),
        (
            "script_args='--lr={learning} {scripts}'",
            'x.in:4: script_args: there is no hyperparameter "learning"; valid are mu, nu, lr, depth, arguments, '
            'script, python\nx.in:4: script_args: there is no hyperparameter "scripts"; did you mean "script"?',
        ),
        (
            "script_args='{lr} {CANDLE_SEEDS}'",
            'x.in:4: script_args: there is no variable CANDLE_SEEDS of a trial; valid are CANDLE_TRIAL_ID, '
            "CANDLE_TRIAL_NUMBER, CANDLE_SEED, CANDLE_PARAMS_FILE, CANDLE_RESULT_FILE, CANDLE_REPORTS_FILE, "
            "CANDLE_CHECKPOINT_DIR, CANDLE_CONFIG",
        ),
        (
            "script_args='--x={arguments}'",
            "x.in:4: script_args: {arguments} stands for several words, and is one by itself; put blanks around it",
        ),
        ("script_args='{arguments} {arguments}'", "x.in:4: script_args: {arguments} appears twice; keep one"),
        (
            "script_args='{lr} --depth {depth}'",
            "x.in:4: script_args: {depth} has no value in some trials, and would leave another command behind; hand it "
            "over by {arguments}, which omits it then",
        ),
        (
            "model_command='torchrun {script} {nu}'",
            "x.in:4: model_command: {nu} has no value in some trials, and would leave another command behind; hand it "
            "over by {arguments}, which omits it then",
        ),
        ("script_args='\"a'", 'x.in:4: script_args: a quote within "a is not closed; add it'),
        (
            "model_command=torchrun",
            "x.in:4: model_command: {script}, which stands for model_script, is not in torchrun; write for instance "
            "torchrun {script}. (A program that needs no script is a model_script itself: "
            'model_script="$(command -v torchrun)")',
        ),
        (
            "model_command='python -m pkg.test'",
            "x.in:4: model_command: the module pkg.test is pkg/test.py, and model_script is {here}/pkg/train.py",
        ),
        (
            "argument_style='--my-name value --flag/--off'",
            'x.in:4: argument_style: "--flag/--off" is not an example for booleans; valid are --flag, '
            "--flag/--no-flag, --flag/--noflag, --flag value",
        ),
        (
            "argument_style='name=value --flag'",
            'x.in:4: argument_style: "--flag" is not an example for booleans; valid are none, since they are written '
            "name=true",
        ),
        (
            "argument_style=--flag/--no-flag",
            'x.in:4: argument_style: "--flag/--no-flag" is an example for booleans; write one for other values '
            "before it",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong(here: Path, lines: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        read(here, lines)
    assert str(caught.value) == expected.replace("{here}", str(here))


def test_a_parameter_with_a_condition_is_not_in_every_trial(here: Path) -> None:
    parameters = (
        '{"name": "optimizer", "type": "categorical", "choices": ["sgd", "adam"]}\n'
        '{"name": "momentum", "type": "float", "low": 0, "high": 1, "requires": {"optimizer": "sgd"}}'
    )
    with pytest.raises(InputError, match=r"script_args: {momentum} has no value in some trials"):
        read(here, "script_args='{optimizer} {momentum}'", parameters, "random")
    assert not read(here, "script_args='{optimizer} {arguments}'", parameters, "random")
    with pytest.raises(InputError, match=r"script_args: {optimizer} has no value in some trials"):
        read(here, "script_args='{optimizer}'", parameters.replace('"adam"', "null"), "random")


@pytest.mark.parametrize(
    ("lines", "note"),
    [
        ("script_args='{lr}'\nargument_style='name value'", "argument_style: no effect without {arguments}"),
        ("script_args='{lr}'\nhyperparams_as=arguments", "hyperparams_as: no effect beside script_args"),
        ("model_command='torchrun {script}'\nextra_script_args='-u'", "extra_script_args: no effect, since "),
    ],
)  # fmt: skip
def test_what_has_no_effect(here: Path, lines: str, note: str) -> None:
    assert any(each.startswith(note) for each in read(here, lines))


def test_two_pairs_of_braces_are_those_of_a_configuration_file(here: Path) -> None:
    note = "script_args: in two pairs of braces, as in config_file, lr is not replaced; write {lr} for its value"
    for words in ("--lr {{lr}} {arguments}", "--lr={{ lr }} {arguments}"):
        assert note in read(here, f"script_args='{words}'")
    assert not read(here, "script_args='{{other}} {lr} {arguments}'")
