"""What nobody but the user may reach, and what hyperparameters, ids and links cannot do."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Failure, FailureKind, Outcome, Place, Status
from candle_hpo.files import replace_file
from candle_hpo.launch.command import model_command
from candle_hpo.launch.handover.texts import as_bash
from candle_hpo.launch.measuring.outcome_file import read_outcome, write_outcome
from candle_hpo.launch.run import run_attempt
from candle_hpo.process.group import StopSwitch
from conftest import Candle, WriteInput
from support.attempts import attempt_at

ATTEMPT = attempt_at(0, {"x": 1}, id="hpset_00001")


@pytest.fixture
def paths(here: Path) -> ExperimentPaths:
    paths = ExperimentPaths(here / "X000")
    paths.runs.mkdir(parents=True)
    return paths


def run(paths: ExperimentPaths, script: str) -> Outcome:
    model_script = paths.root.parent / "model.py"
    model_script.write_text(script)
    control = Settings(model_script=str(model_script), workflow="grid")
    model = model_command(control, sys.executable, seed=5, experiment=paths.root)
    return run_attempt(model, ATTEMPT, paths.trial(ATTEMPT.trial.id), {}, StopSwitch())


@pytest.fixture(params=[0o077, 0o022])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_everything_is_as_open_as_the_users_umask_and_no_more(
    umask: int, write_input: WriteInput, here: Path, candle: Candle
) -> None:
    assert candle("submit-job", write_input()).returncode == 0
    assert candle("aggregate-results").returncode == 0
    made = [path for path in (here / "candle_generated_files").rglob("*") if not path.is_symlink()]
    assert len(made) > 20
    for path in made:
        assert not stat.S_IMODE(path.stat().st_mode) & (umask | 0o002), path


def test_a_trials_folder_that_is_a_link_is_refused(paths: ExperimentPaths, here: Path) -> None:
    (here / "elsewhere").mkdir()
    paths.trial(ATTEMPT.trial.id).run.symlink_to(here / "elsewhere")
    with pytest.raises(OSError, match="this is a link, which may lead anywhere"):
        run(paths, "val_to_return = 1")
    assert list((here / "elsewhere").iterdir()) == []


NAMES = ["params.json", "subprocess_out_and_err.txt", "reported_result.json", "outcome.json", "result.txt"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dangling", [True, False])
def test_links_with_the_names_of_our_files_are_not_followed(
    paths: ExperimentPaths, here: Path, name: str, dangling: bool
) -> None:
    """Neither those that are there before a trial, nor those that a model makes."""
    precious = here / "precious"
    if not dangling:
        precious.write_text("precious")
    folder = paths.trial(ATTEMPT.trial.id).run
    folder.mkdir()
    (folder / name).symlink_to(precious)
    assert run(paths, "val_to_return = 1").value_of(THE_VALUE) == 1
    link = f"import os; os.path.lexists({name!r}) and os.unlink({name!r}); os.symlink({str(precious)!r}, {name!r})\n"
    run(paths, link)
    assert precious.exists() is not dangling
    if not dangling:
        assert precious.read_text() == "precious"


def test_a_file_of_the_users_is_replaced_behind_its_link(here: Path) -> None:
    (here / "link").symlink_to("real")
    replace_file(here / "link", b"1", behind_link=True)
    assert (here / "link").is_symlink()
    assert (here / "real").read_bytes() == b"1"
    replace_file(here / "link", b"2")
    assert not (here / "link").is_symlink()
    assert (here / "real").read_bytes() == b"1"


@pytest.mark.parametrize("change", [{"attempt": 2}, {"id": "hpset_00002"}, {"number": 1}])
def test_an_outcome_of_anything_else_is_not_collected(paths: ExperimentPaths, change: dict[str, object]) -> None:
    trial = paths.trial(ATTEMPT.trial.id)
    trial.run.mkdir()
    outcome = Outcome(Status.FAILED, failure=Failure(FailureKind.NO_VALUE, "why"), seconds=2.5, place=Place("here", 1))
    write_outcome(trial, ATTEMPT, outcome)
    assert read_outcome(trial, ATTEMPT, THE_VALUE) == outcome
    written = json.loads(trial.outcome.read_text())
    trial.outcome.write_text(json.dumps({**written, **change}))
    assert read_outcome(trial, ATTEMPT, THE_VALUE) is None


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome.interrupted("stopped while it ran"),
        Outcome(Status.FAILED, failure=Failure(FailureKind.SIGNAL, "ended by signal SIGKILL")),
    ],
)
def test_an_attempt_that_was_ended_is_not_collected(paths: ExperimentPaths, outcome: Outcome) -> None:
    trial = paths.trial(ATTEMPT.trial.id)
    trial.run.mkdir()
    write_outcome(trial, ATTEMPT, outcome)
    assert read_outcome(trial, ATTEMPT, THE_VALUE) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"id":', "\0" * 100, '{"status": "completed"}', "9" * 2_000_000])
def test_what_is_not_an_outcome_is_not_collected(paths: ExperimentPaths, text: str) -> None:
    trial = paths.trial(ATTEMPT.trial.id)
    trial.run.mkdir()
    trial.outcome.write_text(text)
    assert read_outcome(trial, ATTEMPT, THE_VALUE) is None


def test_a_completed_outcome_without_a_value_is_not_collected(paths: ExperimentPaths) -> None:
    trial = paths.trial(ATTEMPT.trial.id)
    trial.run.mkdir()
    write_outcome(trial, ATTEMPT, Outcome(Status.COMPLETED, {THE_VALUE: 1.0}))
    trial.outcome.write_text(trial.outcome.read_text().replace("1.0", "null"))
    assert read_outcome(trial, ATTEMPT, THE_VALUE) is None


@pytest.mark.parametrize(
    "name", ["..", ".", "../x", "a/b", "/etc", "-rf", "a\\u0000b", "a\\nb", "~", "$HOME", "", "a" * 101]
)
def test_ids_that_could_leave_the_folder_of_trials(name: str, write_input: WriteInput, candle: Candle) -> None:
    done = candle("submit-job", write_input(param_space=f'{{"id": "{name}", "x": 1}}'))
    assert done.returncode == 2
    assert "cannot name a folder" in done.stderr or "the character NUL" in done.stderr


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hyperparameters=st.dictionaries(TEXTS.filter(bool), TEXTS, min_size=1, max_size=3))
def test_no_hyperparameter_is_read_as_shell(hyperparameters: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "params.sh").write_bytes(as_bash(hyperparameters))
    names = list(hyperparameters)
    script = '. ./params.sh; for name; do candle_get_param "$name"; printf "\\0"; done'
    done = subprocess.run(["bash", "-c", script, "test", *names], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.decode().split("\n\0")[:-1] == [hyperparameters[name] for name in names]
    assert done.stderr == b""
