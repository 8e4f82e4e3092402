"""Keywords that are set on the command line, in place of lines of `&control`."""

from __future__ import annotations

from pathlib import Path

import pytest

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import InputFile
from candle_hpo.inputfile.read import read_input_file
from conftest import Candle, input_text

CONTROL = 'model_script="$(pwd)/model.py"\nworkflow="grid"\nNGPUS=2  # of four\ntrial_timeout="00:10:00"'


def read(here: Path, *overrides: str) -> InputFile:
    (here / "model.py").touch()
    (here / "x.in").write_text(input_text(CONTROL, "", '{"x": 1}'))
    return read_input_file(Path("x.in"), overrides=overrides)


def test_they_take_the_place_of_lines_and_are_kept(here: Path) -> None:
    text = ' it\'s "quoted"; $HOME (\\d+) # not a comment'
    overrides = ("nworkers=8", "trial_timeout=", f"result_pattern={text}", "seed = 5")
    request = read(here, *overrides)
    settings = request.settings
    assert (settings.nworkers, settings.trial_timeout, settings.seed) == (8, None, 5)
    assert settings.result_pattern == text
    (here / "kept.in").write_text(request.text)
    assert read_input_file(Path("kept.in")).settings == settings
    assert read(here).text == (here / "x.in").read_text()


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["nworkers"], ["--set nworkers: it is not of the form keyword=value, such as nworkers=8"]),
        (["seed=1\n/"], ["--set seed=1\n/: it is not of the form keyword=value, such as nworkers=8"]),
        (
            ["nworker=8"],
            [
                '--set nworker=8: unknown keyword "nworker"; --set is for the keywords of &control; '
                'did you mean "nworkers"?'
            ],
        ),
        (["seed=-1"], ['--set seed=-1: seed: "-1" is not a whole number from 0 up (at most 9 digits)']),
        (["nworkers=1", "ngpus=2"], ['--set ngpus=2: keyword "nworkers" is set twice; keep one']),
        (
            ["trials_per_gpu=2", "gpus_per_trial=2"],
            [
                "--set gpus_per_trial=2: trials_per_gpu shares a GPU, gpus_per_trial gives several to each trial; "
                "keep one"
            ],
        ),
        (["workflow="], ['--set workflow=: "workflow" has no value; add for instance workflow="grid"']),
    ],
)  # fmt: skip
def test_what_is_wrong_with_them(here: Path, overrides: list[str], expected: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read(here, *overrides)
    assert [str(problem) for problem in caught.value.problems][: len(expected)] == expected


def test_on_the_command_line(candle: Candle, here: Path) -> None:
    (here / "model.py").write_text("val_to_return = hyperparams['x']")
    (here / "x.in").write_text(input_text(CONTROL, "", '{"x": 1}'))
    given = ("--set", "dry_run=1", "--set", "nworkers=3", "--set", "engine=local", "--set", "direction=maximize")
    assert "1 trial, 3 at a time, maximize" in candle("submit-job", "x.in", *given).stdout
    done = candle("check", "x.in", *given[-2:])
    assert "candle submit-job x.in --set direction=maximize runs it" in " ".join(done.stdout.split())
