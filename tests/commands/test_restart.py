"""`restart_from_exp` with a file that has changed, and experiments of which something was moved or removed."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

import candle_hpo
from candle_hpo.commands import resume
from candle_hpo.commands.screen import Screen
from candle_hpo.core.errors import ExitStatus, MachineError
from candle_hpo.core.space import ParameterSet
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.inputfile.read import read_input_file
from candle_hpo.launch.interpreter import Interpreter
from candle_hpo.record.events import CampaignStarted, TrialStarted
from candle_hpo.record.experiment import Claim, Experiment
from candle_hpo.search.added_sets import compare_sets
from conftest import Candle, WriteInput
from support.attempts import attempt_at

pytestmark = pytest.mark.slow

SUM = "val_to_return = sum(hyperparams.values())\n"


def results() -> dict[str, float | None]:
    return {trial.id: trial.value for trial in candle_hpo.load("last-candle-job").trials}


def runs(here: Path) -> dict[str, int]:
    """Return when each trial's output was last written: unlike before, if it ran again."""
    return {path.parent.name: path.stat().st_mtime_ns for path in here.glob("last-candle-job/run/*/outcome.json")}


# Which sets are new.


def sets_of(*values: Hyperparameters) -> list[ParameterSet]:
    return [ParameterSet(f"hpset_{number:05d}", each) for number, each in enumerate(values, start=1)]


def listed(*values: Hyperparameters) -> list[tuple[str, Hyperparameters]]:
    return [(one.id, one.hyperparameters) for one in sets_of(*values)]


def test_lines_may_be_added_anywhere() -> None:
    there = sets_of({"x": 1}, {"x": 2}, {"x": 3})
    found = compare_sets(there, listed({"x": 9}, {"x": 1}, {"x": 2}, {"x": 8}, {"x": 3}), [{}])
    assert found.added == [ParameterSet("hpset_00004", {"x": 9}), ParameterSet("hpset_00005", {"x": 8})]
    assert (found.changed, found.removed) == ([], [])


def test_a_list_in_another_order_is_the_same() -> None:
    there = sets_of({"x": 1}, {"x": 2}, {"x": 3})
    assert compare_sets(there, listed({"x": 3}, {"x": 1}, {"x": 2}), [{}]).added == []


def test_equal_sets_count_one_by_one() -> None:
    there = sets_of({"x": 1}, {"x": 1})
    found = compare_sets(there, listed({"x": 1}, {"x": 1}, {"x": 1}), [{}])
    assert [one.id for one in found.added] == ["hpset_00003"]
    assert compare_sets(there, listed({"x": 1}), [{}]).removed == ["hpset_00002"]


def test_1_and_1_point_0_are_two_sets() -> None:
    assert len(compare_sets(sets_of({"x": 1}), listed({"x": 1}, {"x": 1.0}), [{}]).added) == 1


def test_ids_that_people_give() -> None:
    there = [ParameterSet("short", {"x": 1}), ParameterSet("hpset_00004", {"x": 2}), ParameterSet("gone", {"x": 3})]
    now: list[tuple[str, Hyperparameters]] = [
        ("Short", {"x": 5}), ("long", {"x": 6}), ("hpset_00003", {"x": 7}), ("new_name", {"x": 2})
    ]  # fmt: skip
    found = compare_sets(there, now, [{}])
    assert [(one.id, one.hyperparameters["x"]) for one in found.added] == [("long", 6), ("hpset_00005", 7)]
    assert (found.changed, found.removed) == (["Short"], ["gone"])


def test_defaults_of_every_submission_count() -> None:
    there = [
        ParameterSet("a", {"x": 1, "y": 1}),
        ParameterSet("b", {"x": 2, "y": 2}),
        ParameterSet("c", {"x": 1, "y": 5}),
    ]
    now: list[tuple[str, Hyperparameters]] = [
        ("a", {"x": 1}),
        ("b", {"x": 2}),
        ("c", {"x": 1, "y": 5}),
        ("d", {"x": 3}),
    ]
    found = compare_sets(there, now, [{"y": 3}, {"y": 1}, {"y": 2}])
    assert found.added == [ParameterSet("d", {"x": 3, "y": 3})]
    assert (found.changed, found.removed) == ([], [])


# From the input file to the results.


def test_a_set_is_added_to_a_completed_grid(candle: Candle, write_input: WriteInput, here: Path) -> None:
    assert candle("submit-job", write_input(SUM, param_space='{"x": 1}\n{"x": 2}')).returncode == 0
    before = runs(here)
    path = write_input(SUM, "restart_from_exp=X000", param_space='{"x": 1}\n{"x": 7}\n{"x": 2}')
    done = candle("check", path, "--run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok    X000: 1 trial of 3 left to run" in done.stdout
    assert "New in this file, and added to X000: 1 set (hpset_00003)" in done.stdout
    assert "Running one trial here: y=2, x=7" in done.stdout
    assert "1 trial on 1 worker" in done.stdout
    assert results() == {"hpset_00001": 3, "hpset_00002": 4}
    done = candle("submit-job", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert results() == {"hpset_00001": 3, "hpset_00002": 4, "hpset_00003": 9}
    assert {name: time for name, time in runs(here).items() if name in before} == before
    assert "3 trials: 3 completed" in candle("status").stdout
    done = candle("check", path)
    assert "X000: 0 trials of 3 left to run: submitting this file runs nothing" in done.stdout
    assert "nothing is left to do, all 3 trials are completed" in candle("submit-job", path).stdout


def test_sets_are_added_again_and_again_while_defaults_change(candle: Candle, write_input: WriteInput) -> None:
    assert candle("submit-job", write_input(SUM, param_space='{"x": 1}')).returncode == 0
    for default, sets, says in [
        ("y = 3", '{"x": 1}\n{"x": 2}', "y was 2, and is 3; the sets of X000 keep what they were made with"),
        (
            "y = 4\nz = 100",
            '{"x": 1}\n{"x": 2}\n{"x": 3}',
            "z = 100 is new; all sets of X000 that are yet to run get it",
        ),
        ("y = 5", '{"x": 1}\n{"x": 2}\n{"x": 3}', "&default_model has no z any more; X000 keeps it, for all sets"),
    ]:
        done = candle("submit-job", write_input(SUM, "restart_from_exp=X000", default, sets))
        assert done.returncode == 0, done.stdout + done.stderr
        assert says in done.stdout
    assert results() == {"hpset_00001": 3, "hpset_00002": 5, "hpset_00003": 107}
    table = candle("aggregate-results", "--format", "table").stdout
    assert all(name in table for name in ("x", "y", "z"))


def test_a_default_that_is_added_reaches_what_has_not_completed(candle: Candle, write_input: WriteInput) -> None:
    """Also a trial that failed for lack of memory."""
    script = "val_to_return = hyperparams['x'] + hyperparams['y'] if hyperparams['x'] == 1 else hyperparams['z']"
    sets = '{"x": 1}\n{"x": 3}'
    assert candle("submit-job", write_input(script, param_space=sets)).returncode == 1
    assert results() == {"hpset_00001": 3, "hpset_00002": None}
    done = candle("submit-job", write_input(script, "restart_from_exp=X000", "y = 2\nz = 50", sets))
    assert done.returncode == 0, done.stdout + done.stderr
    assert results() == {"hpset_00001": 3, "hpset_00002": 50}
    trials = candle_hpo.load("last-candle-job").trials
    assert ["z" in trial.hyperparameters for trial in trials] == [False, True]


def test_sets_that_were_removed_or_changed_are_named(candle: Candle, write_input: WriteInput) -> None:
    sets = '{"id": "a", "x": 1}\n{"id": "b", "x": 2}\n{"id": "c", "x": 3}'
    assert candle("submit-job", write_input(SUM, param_space=sets)).returncode == 0
    path = write_input(SUM, "restart_from_exp=X000", param_space='{"id": "a", "x": 1}\n{"id": "b", "x": 9}')
    for command in ("check", "submit-job"):
        done = candle(command, path)
        assert done.returncode == 0, done.stderr
        assert "No longer in this file, and kept in X000: 1 set (c)" in done.stdout
        assert (
            "Other values in this file than in X000, which keeps its own: 1 set (b); to run the values" in done.stdout
        )
    assert results() == {"a": 3, "b": 4, "c": 5}


@pytest.mark.parametrize(("has_begun", "total"), [(False, 2), (True, 3)])
def test_sets_that_were_added_stay_once_they_have_begun_to_run(
    has_begun: bool, total: int, candle: Candle, write_input: WriteInput, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert candle("submit-job", write_input(SUM, param_space='{"x": 1}\n{"x": 2}')).returncode == 0

    def breaks(claim: Claim, *_: object, **__: object) -> ExitStatus:
        if has_begun:
            claim.record.append([CampaignStarted(1.0, "h", 1, 1), TrialStarted.of(attempt_at(3, {"x": 7}), 2.0)])
        raise MachineError("the disk is full")

    monkeypatch.setattr(resume, "_resume_rest", breaks)
    monkeypatch.chdir(here)
    request = read_input_file(write_input(SUM, "restart_from_exp=X000", param_space='{"x": 1}\n{"x": 7}\n{"x": 2}'))
    screen = Screen(Console(file=io.StringIO()))
    with pytest.raises(MachineError, match="the disk is full"):
        resume.resume_with(request, Interpreter(sys.executable, "Python"), screen)
    assert Experiment.open("X000").stored.total == total


def test_a_value_of_another_name_is_not_mixed_with_those_that_are_there(
    here: Path, candle: Candle, write_input: WriteInput
) -> None:
    script = "import json\njson.dump({'loss': 1, 'accuracy': 0.5}, open('m.json', 'w'))\n"
    assert candle("submit-job", write_input(script, "result_file=m.json\nresult_key=loss")).returncode == 0
    before = runs(here)
    done = candle("submit-job", write_input(script, "result_file=m.json\nresult_key=accuracy\nrestart_from_exp=X000"))
    assert done.returncode == 2
    assert "the value of X000 is called loss, and that of this file accuracy" in " ".join(done.stderr.split())
    other = "result_file=m.json\nresult_key=loss\nresult_from=best\nrestart_from_exp=X000"
    done = candle("submit-job", write_input(script, other))
    assert done.returncode == 2
    assert "X000 has no result_from, and this file result_from=best" in " ".join(done.stderr.split())
    other = "result_file=n.json\nresult_key=loss\nrestart_from_exp=X000"
    assert "result_file is not as in X000: values from here on" in candle("check", write_input(script, other)).stdout
    assert runs(here) == before


def test_the_best_of_each_trial_is_not_mixed_with_the_worst(
    candle: Candle, write_input: WriteInput, here: Path
) -> None:
    script = "print('loss 2\\nloss 1')\n"
    control = "result_pattern='loss ([0-9]+)'\nresult_from=best"
    assert candle("submit-job", write_input(script, control)).returncode == 0
    done = candle("submit-job", write_input(script, f"{control}\ndirection=maximize\nrestart_from_exp=X000"))
    assert done.returncode == 2
    expected = "X000 has result_from=best and direction=minimize, and this file result_from=best and direction=maximize"
    assert expected in " ".join(done.stderr.split())


def test_what_later_trials_have_otherwise_is_noted(here: Path, candle: Candle, write_input: WriteInput) -> None:
    script = "import json\nval_to_return = sum(json.load(open('c.json')).values())\n"
    control = "config_file=c.json"
    (here / "c.json").write_text('{"x": 1, "y": 1, "z": 1}')
    assert candle("submit-job", write_input(script, control)).returncode == 0
    more = '{"x": 1}\n{"x": 3}\n{"x": 2}\n{"x": 4, "y": 0}\n{"x": 5}'
    again = f"{control}\nrestart_from_exp=X000"
    done = candle("submit-job", write_input(script, again, param_space=more))
    assert "not as in X000" not in done.stdout
    (here / "c.json").write_text('{"x": 1, "y": 1, "z": 100}')
    done = candle("submit-job", write_input(script, f"{again}\nprepare=true", param_space=f'{more}\n{{"x": 6}}'))
    assert "c.json, prepare are not as in X000: values from here on may not be comparable" in " ".join(
        done.stdout.split()
    )
    assert results()["hpset_00006"] == 108


def test_a_file_without_sets_keeps_those_that_are_there(candle: Candle, write_input: WriteInput) -> None:
    assert candle("submit-job", write_input(SUM)).returncode == 0
    done = candle("submit-job", write_input(SUM, "restart_from_exp=X000", param_space=""))
    assert done.returncode == 0, done.stderr
    assert "X000 keeps its own sets and seed; this file lists none" in done.stdout


@pytest.mark.parametrize("command", ["check", "submit-job"])
def test_no_such_experiment(candle: Candle, write_input: WriteInput, command: str) -> None:
    done = candle(command, write_input(SUM, "restart_from_exp=X007"))
    assert done.returncode == 2
    assert "X007 is not an experiment; there is none here" in done.stderr


@pytest.mark.parametrize("command", ["check", "submit-job"])
def test_sets_that_are_wrong_are_refused(candle: Candle, write_input: WriteInput, command: str) -> None:
    assert candle("submit-job", write_input(SUM)).returncode == 0
    done = candle(command, write_input(SUM, "restart_from_exp=X000", param_space='{"x": 1}\n{"x": }'))
    assert done.returncode == 2
    assert "x.in:11: this is not JSON" in done.stderr


def test_a_submission_that_comes_to_nothing_leaves_the_sets_as_they_were(
    candle: Candle, write_input: WriteInput, here: Path
) -> None:
    assert candle("submit-job", write_input(SUM, param_space='{"x": 1}')).returncode == 0
    path = write_input(SUM, "restart_from_exp=X000\nengine=slurm", param_space='{"x": 1}\n{"x": 2}')
    (here / "bin").mkdir()
    (here / "bin" / "python3").symlink_to(shutil.which("python3") or "")
    done = candle("submit-job", path, PATH=f"{here / 'bin'}{os.pathsep}/nowhere")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "1 trial: 1 completed" in candle("status").stdout
    path = write_input(SUM, "restart_from_exp=X000\nengine=local", param_space='{"x": 1}\n{"x": 5}')
    assert candle("submit-job", path).returncode == 0
    assert results() == {"hpset_00001": 3, "hpset_00002": 7}


# What is gone.


@pytest.fixture
def half_done(candle: Candle, write_input: WriteInput, here: Path) -> Path:
    """Make an experiment of four trials, of which two have failed, and would succeed now."""
    ready = here.parent / "ready"
    script = f"import os\nassert hyperparams['x'] < 3 or os.path.exists({str(ready)!r})\nval_to_return = 1"
    (here / "lib").mkdir()
    assert candle("submit-job", write_input(script, "supp_pythonpath=lib")).returncode == 1
    ready.touch()
    return ready


def refused(candle: Candle, what: str) -> str:
    done = candle("resume", "--retry-failed")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "X000 cannot continue, and nothing was started: " in done.stderr
    assert what in done.stderr
    assert "restart_from_exp=X000" in done.stderr
    assert "4 trials: 2 completed, 2 failed" in candle("status").stdout
    return done.stderr


@pytest.mark.parametrize("way_out", ["back", "again"])
def test_a_folder_that_was_moved(half_done: Path, here: Path, way_out: str) -> None:
    def run(*arguments: str, where: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "candle_hpo", *arguments]
        return subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)

    moved = here.with_name("moved")
    here.rename(moved)
    done = run("resume", "--retry-failed", where=moved)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"the model script {here / 'model.py'} no longer exists; supp_pythonpath: the folder" in done.stderr
    assert f"Either move {moved} back to {here}, and candle resume X000 continues" in done.stderr
    assert f'model_script="{moved / "model.py"}" and restart_from_exp=X000 into the input file' in done.stderr
    assert "4 trials: 2 completed, 2 failed" in run("status", where=moved).stdout
    if way_out == "back":
        moved.rename(here)
        done = run("resume", "--retry-failed", where=here)
    else:
        text = (moved / "x.in").read_text()
        (moved / "x.in").write_text(text.replace("workflow=", "restart_from_exp=X000\nworkflow="))
        done = run("submit-job", "x.in", where=moved)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 trials: 4 completed" in done.stdout


def test_a_script_that_was_renamed(candle: Candle, half_done: Path, here: Path) -> None:
    (here / "model.py").rename(here / "train.py")
    said = refused(candle, f"the model script {here / 'model.py'} no longer exists")
    assert "Either put back what is gone, and candle resume X000 continues" in said
    (here / "train.py").rename(here / "model.py")
    assert candle("resume", "--retry-failed").returncode == 0


def test_a_link_that_leads_nowhere(candle: Candle, half_done: Path, here: Path) -> None:
    (here / "model.py").unlink()
    (here / "model.py").symlink_to("gone.py")
    refused(candle, "no longer exists (it is a link to gone.py)")


def test_a_folder_of_libraries_that_is_gone(candle: Candle, half_done: Path, here: Path) -> None:
    (here / "lib").rmdir()
    refused(candle, f"supp_pythonpath: the folder {here / 'lib'} no longer exists")


@pytest.mark.parametrize("preload", ["", "preload=none"])
def test_a_script_that_vanishes_while_it_runs_is_not_the_models_fault(
    candle: Candle, write_input: WriteInput, here: Path, preload: str
) -> None:
    script = "import os\nif hyperparams['x'] == 3:\n    os.unlink('../../../../../model.py')\nval_to_return = 1"
    sets = "\n".join(f'{{"x": {number}}}' for number in range(1, 20))
    done = candle("submit-job", write_input(script, preload, param_space=sets))
    assert done.returncode == 3, done.stdout + done.stderr
    assert "system errors ended one trial after the other" in done.stdout
    assert "model.py no longer exists; put it back" in done.stdout
    assert "failed" not in candle("status").stdout
    write_input("val_to_return = 1", param_space=sets)
    done = candle("resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "19 trials: 19 completed" in done.stdout


def test_a_configuration_file_is_that_of_the_file_that_continues(
    write_input: WriteInput, here: Path, candle: Candle
) -> None:
    script = 'import json\nread = json.load(open("c.json"))\nval_to_return = read["x"] * read["y"]\n'
    (here / "c.json").write_text('{"x": 0, "y": 2}')
    assert candle("submit-job", write_input(script, 'config_file="c.json"', "", '{"x": 1}')).returncode == 0
    assert "changed since" not in candle("resume").stdout
    (here / "c.json").write_text('{"x": 0, "y": 3}')
    assert "c.json has changed since; this continues X000 with it as submitted" in candle("resume").stdout
    sets = '{"x": 1}\n{"x": 5}'
    path = write_input(script, 'config_file="c.json"\nrestart_from_exp="X000"', "", sets)
    checked = candle("check", path, "--run").stdout
    assert checked.count("one trial: 15 after") == 1
    done = candle("submit-job", path)
    assert done.returncode == 0
    for said in (checked, done.stdout):
        assert "c.json is not as in X000: values from here on may not be comparable" in " ".join(said.split())
    assert "not as in X000" not in candle("check", path).stdout
    done = candle("submit-job", path, "--set", "direction=maximize", "--set", "dry_run=1")
    assert "direction was minimize, and is maximize: from here on that says which trials" in done.stdout
    values = [(here / "last-candle-job" / "run" / f"hpset_0000{n}" / "result.txt").read_text() for n in (1, 2)]
    assert list(map(float, values)) == [2, 15]
    assert (
        'it has no "z", which is a hyperparameter'
        in candle(
            "submit-job", write_input(script, 'config_file="c.json"\nrestart_from_exp="X000"', "z = 1", sets)
        ).stderr
    )
