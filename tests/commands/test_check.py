"""`candle check`: three mistakes at once, each enough to fix it; and what is right is not called wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from candle_hpo.commands.check import check
from candle_hpo.core.errors import MachineError
from candle_hpo.engine.devices import usable_cpus
from candle_hpo.report.words import count
from candle_hpo.runner.machine_check import FILES_OF_A_TRIAL
from conftest import Candle, WriteInput, input_text
from support.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.slow

THREE_MISTAKES = """
import math
import not_there_at_all
from helper import scale
rate = hyperparams["x"]
dropout = hyperparams["dropout"]
val_to_return = math.cos(rate) * scale
"""


def test_three_mistakes_are_found_at_once(candle: Candle, write_input: WriteInput, here: Path) -> None:
    (here / "helper.py").write_text("scale = 1\n")
    path = write_input(THREE_MISTAKES, control="nworker=2")
    before = sorted(here.iterdir())
    done = candle("check", path)
    assert done.returncode == 2
    assert sorted(here.iterdir()) == before
    (keyword,) = done.stderr.splitlines()
    assert keyword.endswith('x.in:4: unknown keyword "nworker"; did you mean "nworkers"?')
    hyperparameter, module = (line for line in done.stdout.splitlines() if "model.py:" in line)
    assert hyperparameter.startswith('  note  model.py:6: it reads the hyperparameter "dropout", which ')
    assert "add it to &default_model, or to &param_space" in hyperparameter
    assert module.startswith("  note  model.py:3: the module not_there_at_all is not installed for /")
    assert "-m pip install" in module
    assert "Nothing is wrong" not in done.stdout


def test_nothing_is_wrong_and_one_trial(candle: Candle, write_input: WriteInput, here: Path) -> None:
    path = write_input(
        control="nworkers=2",
        script="import time\ntime.sleep(0.2)\nval_to_return = hyperparams['x'] * hyperparams['y']\n",
    )
    done = candle("check", path, "--run")
    assert done.returncode == 0, done.stderr
    for line in [
        "ok    the input file: grid, 4 trials",
        "ok    the hyperparameters that model.py reads: y, x",
        "ok    model.py: its syntax, and what it imports",
        "can be written",
        "ok    one trial: 2 after 0.",
        "4 trials on 2 workers; if all take as long as this first one, about 0.00 worker-hours",
        "Nothing is wrong; candle submit-job",
    ]:
        assert line in done.stdout
    assert not (here / "last-candle-job").exists()
    assert [each.name for each in (here / "candle_generated_files").iterdir()] == ["check_run"]


def test_the_one_trial_fails(candle: Candle, write_input: WriteInput) -> None:
    done = candle("check", write_input("val_to_return = 1 / (hyperparams['x'] - 1) + hyperparams['y']"), "--run")
    assert done.returncode == 2
    assert "  | ZeroDivisionError: division by zero" in done.stdout
    assert "the trial failed after 0:00:0" in done.stderr
    assert "all that it printed is in candle_generated_files/check_run/" in done.stderr


def test_notes_are_not_mistakes(candle: Candle, write_input: WriteInput) -> None:
    script = """
        x = hyperparams["x"]
        rate = hyperparams.get("yy", 0.1)
        def main():
            val_to_return = x
        main()
    """
    done = candle("check", write_input(script))
    assert done.returncode == 0, done.stderr
    assert 'note  model.py does not seem to read "y"' in done.stdout
    assert "note  model.py:5: val_to_return is set within a function" in done.stdout


def test_a_pipe_that_hides_a_failure_is_noted(candle: Candle, here: Path) -> None:
    (here / "model.sh").write_text("x=$(candle_get_param x)\npython3 train.py 2>&1 | tee log.txt\nval_to_return=1\n")
    control = 'model_script="model.sh"\nworkflow="grid"\nengine="local"'
    (here / "x.in").write_text(input_text(control, "", '{"x": 1}\n{"x": 2}'))
    assert "model.sh:2: bash ignores that what is before `| tee` failed" in " ".join(
        candle("check", "x.in").stdout.split()
    )
    (here / "model.sh").write_text("set -o pipefail\n" + (here / "model.sh").read_text())
    assert "tee" not in candle("check", "x.in").stdout


def test_options_that_do_with_a_boolean_what_nobody_expects_are_noted(candle: Candle, write_input: WriteInput) -> None:
    script = """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--x", type=bool, default=True)
        parser.add_argument("--y", action=argparse.BooleanOptionalAction, default=True)
        parser.add_argument("--z", action="store_false")
        print("loss:", parser.parse_args().x)
    """
    control = "hyperparams_as=arguments\nresult_pattern='loss: (.*)'"
    notes = (
        "--x: with type=bool, every text is true",
        "--y: false omits the option, so that its default holds; add y:--y/--no-y to argument_style",
    )
    done = candle("check", write_input(script, control=control))
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())
    for note in notes:
        assert " ".join(note.split()) in shown
    assert "--z" not in shown, "no hyperparameter becomes it"
    more = "\nargument_style='--my-name value y:--y/--no-y'"
    done = candle("check", write_input(script, control=control + more))
    assert "--no-y to argument_style" not in " ".join(done.stdout.split())


def test_options_that_a_script_does_not_have(candle: Candle, write_input: WriteInput) -> None:
    script = """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--x", type=float)
        parser.add_argument("--why", type=float)
        print("loss:", parser.parse_args().x)
    """
    path = write_input(script, control="hyperparams_as=arguments\nresult_pattern='loss: (.*)'")
    done = candle("check", path)
    assert done.returncode == 0, done.stderr
    assert 'does not seem to have the option --y, which "y" becomes' in done.stdout


@pytest.mark.parametrize("name", ["grid", "vae", "r", "bash"])
def test_the_templates_are_right(candle: Candle, here: Path, name: str) -> None:
    assert candle("import-template", name).returncode == 0
    (path,) = here.glob("*.in")
    done = candle("check", path, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert "note" not in re.sub("note  .*--run measures.*", "", done.stdout)


DEFAULTS = "defaults = {'z': 1, 'w': 2}\n"


@pytest.mark.parametrize(
    "script",
    [
        f"{DEFAULTS}hyperparams = {{**defaults, **hyperparams}}\nval_to_return = hyperparams['z']",
        f"{DEFAULTS}params = {{**defaults, **hyperparams}}\nval_to_return = params['z']",
        f"{DEFAULTS}hyperparams.update(defaults)\nval_to_return = hyperparams['z']",
        f"{DEFAULTS}for each in defaults:\n    hyperparams.setdefault(each, 1)\nval_to_return = hyperparams['z']",
        f"{DEFAULTS}def run(hyperparams): return hyperparams['z']\nval_to_return = run({{**defaults, **hyperparams}})",
    ],
)
def test_defaults_of_the_script_itself_are_not_mistakes(candle: Candle, write_input: WriteInput, script: str) -> None:
    done = candle("check", write_input(script), "--run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok    one trial: 1 after" in done.stdout
    assert '"z"' not in done.stdout + done.stderr
    assert '"w"' not in done.stdout + done.stderr


def test_what_is_likely_is_a_note_and_the_trial_decides(candle: Candle, write_input: WriteInput, here: Path) -> None:
    (here / "src").mkdir()
    (here / "src" / "found_later.py").write_text("x = 5\n")
    script = f"import sys\nsys.path.insert(0, {str(here / 'src')!r})\nfrom found_later import x\nval_to_return = x"
    path = write_input(script)
    for command in (["check", path, "--run"], ["submit-job", path]):
        done = candle(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "found_later" not in done.stdout
    done = candle("check", write_input("val_to_return = hyperparams['lr']"), "--run")
    assert done.returncode == 2
    assert 'note  model.py:1: it reads the hyperparameter "lr", which' in done.stdout
    assert "the trial failed after" in done.stderr


@pytest.mark.parametrize(
    ("script", "seen", "unclear", "lacking"),
    [
        (
            "from types import SimpleNamespace\na = SimpleNamespace(**hyperparams)\nval_to_return = a.x + a.mu",
            "x",
            "y",
            "mu",
        ),
        ("from argparse import Namespace\nval_to_return = vars(Namespace(**hyperparams))['x']", "", "y, x", ""),
        ("def run(params): return params['x']\nval_to_return = run(hyperparams)", "", "y, x", ""),
        ("val_to_return = hyperparams['x'] + sum(hyperparams.values())", "x", "y", ""),
    ],
)
def test_what_a_script_is_merely_given_is_not_said_to_be_read(
    candle: Candle, write_input: WriteInput, script: str, seen: str, unclear: str, lacking: str
) -> None:
    done = candle("check", write_input(script))
    assert done.returncode == 0, done.stderr
    assert ("ok    the hyperparameters that model.py reads" in done.stdout) is bool(seen)
    assert f"ok    the hyperparameters that model.py reads: {seen}\n" in done.stdout or not seen
    assert f"note  whether model.py reads {unclear} is not clear from its text\n" in done.stdout
    assert (f'it reads the hyperparameter "{lacking}"' in done.stdout) is bool(lacking)
    assert "Nothing is certainly wrong (see the notes)" in done.stdout


@pytest.mark.parametrize("command", ["check", "submit-job"])
def test_a_placeholder_is_all_that_counts(candle: Candle, write_input: WriteInput, command: str) -> None:
    script = "val_to_return = 0\ndef train():\n    val_to_return = hyperparams['x'] + hyperparams['y']\ntrain()\n"
    done = candle(command, write_input(script))
    assert done.returncode == 0, done.stderr
    assert (
        "model.py:1: val_to_return is a constant here, and set again in line 3 only, within a function" in done.stdout
    )
    assert 'write "global val_to_return" in the function' in done.stdout


@pytest.mark.parametrize(
    ("name", "script", "control", "says"),
    [
        ("a.py", "print('loss:', 3)", "hyperparams_as=arguments", "a.py does not seem to leave a value: nothing sets"),
        ("a.R", "cat(3)", "hyperparams_as=arguments", "a.R does not seem to leave a value"),
        ("a.sh", "echo 3", "hyperparams_as=arguments", "a.sh does not seem to leave a value"),
        ("a", "#!/bin/sh\ncat $CANDLE_PARAMS_FILE", "", "a does not mention CANDLE_RESULT_FILE: unless a program"),
        ("a", "#!/bin/sh\necho 3 > $CANDLE_RESULT_FILE", "", "a does not mention CANDLE_PARAMS_FILE"),
        ("a", "#!/bin/sh\necho $1", "result_pattern='(.*)'\nhyperparams_as=arguments", ""),
    ],
)
def test_it_says_where_no_value_can_be_found(
    candle: Candle, write_input: WriteInput, here: Path, name: str, script: str, control: str, says: str
) -> None:
    if name == "a.R" and shutil.which("Rscript") is None:
        pytest.skip("needs R (Debian: apt-get install r-base-core)")
    (here / name).write_text(script)
    (here / name).chmod(0o755)
    path = write_input(control=control)
    path.write_text(path.read_text().replace("model.py", name))
    done = candle("check", path)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    assert says or "CANDLE_" not in done.stdout


@pytest.mark.parametrize("name", ["types.py", "random.py", "json.py"])
def test_a_file_that_is_called_like_a_module_of_python(write_input: WriteInput, here: Path, name: str) -> None:
    """By the installed command: `python -m` imports from the folder where the user stands before it comes to us."""
    (here / name).write_text("x = 3\n")
    path = write_input("val_to_return = hyperparams['x'] + hyperparams['y']")
    candle = Path(sys.executable).with_name("candle")
    done = subprocess.run([candle, "check", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f'{name} has the name of the module {name.removesuffix(".py")}: whatever imports "' in done.stdout
    assert "call it something else" in done.stdout


@pytest.mark.parametrize("command", [["check", "--run"], ["submit-job"]])
def test_data_that_lies_where_the_user_stands(
    candle: Candle, write_input: WriteInput, here: Path, command: list[str]
) -> None:
    (here / "data").mkdir()
    (here / "data" / "d.csv").write_text("1\n")
    done = candle(*command, write_input("val_to_return = float(open('data/d.csv').read())"))
    assert done.returncode != 0
    hint = f"data/d.csv is in {here}: a trial runs in its own folder, so use the whole path in the script, or run_in="
    assert hint in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nb.ipynb", "jupyter nbconvert --to script nb.ipynb makes nb.py of it"),
        ("doc.Rmd", "Rscript -e 'knitr::purl(\"doc.Rmd\")' makes doc.R of its code"),
        ("doc.qmd", "quarto convert doc.qmd"),
        ("run.m", "needs MATLAB or Octave"),
        ("run.jl", 'begin it with the line "#!/usr/bin/env julia"'),
        ("notes.txt", "a .txt file is not a script"),
        ("config.yaml", "a .yaml file is not a script"),
        ("model", 'begin it with the line "#!/usr/bin/env PROGRAM"'),
    ],
)
@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_files_that_are_not_scripts(
    candle: Candle, write_input: WriteInput, here: Path, name: str, says: str, mode: int
) -> None:
    path = write_input()
    path.write_text(path.read_text().replace("model.py", name))
    (here / name).write_text('{"cells": []}\n')
    (here / name).chmod(mode)
    for command in ("check", "submit-job"):
        done = candle(command, path)
        assert done.returncode == 2
        assert says in done.stderr
        assert "CANDLE_RESULT_FILE" not in done.stdout
    assert not (here / "candle_generated_files").exists()


def test_a_bash_script_that_changes_its_own_syntax_is_not_refused(
    candle: Candle, write_input: WriteInput, here: Path
) -> None:
    (here / "a.sh").write_text("shopt -s extglob\necho !(x|y) $(candle_get_param x)\nval_to_return=$(echo 3)\n")
    path = write_input()
    path.write_text(path.read_text().replace("model.py", "a.sh"))
    done = candle("check", path, "--run")
    assert done.returncode == 0, done.stderr
    assert "a.sh:2: this is not valid bash" in done.stdout
    assert "ok    one trial: 3 after" in done.stdout


def test_submit_job_refuses_nothing_that_others_may_see_to(candle: Candle, write_input: WriteInput, here: Path) -> None:
    """What a script needs may come from elsewhere: then it runs, with a note."""
    (here / "fills_in.py").write_text("import __main__\n__main__.hyperparams['z'] = 1\n")
    (here / "elsewhere").mkdir()
    (here / "elsewhere" / "found_later.py").write_text("x = 1\n")
    prepare = "prepare='export PYTHONPATH=\"$CANDLE_EXPERIMENT_DIR/../../../elsewhere\"'"
    finds = f"import sys; sys.path.append({str(here)!r} + '/elsewhere'[:])\nimport found_later\nval_to_return = 1"
    for script, control, note in [
        ("import fills_in\nval_to_return = hyperparams['z']", "", 'it reads the hyperparameter "z", which x.in'),
        (finds, "", "model.py:2: the module found_later is not installed for /"),
        ("import found_later\nval_to_return = 1", prepare, "model.py:1: the module found_later is not installed"),
    ]:
        done = candle("submit-job", write_input(script, control))
        assert done.returncode == 0, done.stdout + done.stderr
        assert note in done.stdout
        assert "4 trials: 4 completed" in done.stdout


def test_an_interpreter_that_talks_is_understood_all_the_same(
    candle: Candle, write_input: WriteInput, here: Path
) -> None:
    talks = "import atexit; print('Welcome'); atexit.register(print, 'to the cluster')"
    (here / "lib").mkdir()
    (here / "lib" / "sitecustomize.py").write_text(talks)
    path = write_input("import not_there_at_all\nval_to_return = hyperparams['x']")
    done = candle("check", path, PYTHONPATH=str(here / "lib"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "note  model.py:1: the module not_there_at_all is not installed" in done.stdout
    assert "valid Python" not in done.stdout + done.stderr
    path = write_input("val_to_return = ")
    assert "model.py:1: this is not valid Python" in candle("check", path, PYTHONPATH=str(here / "lib")).stderr


def test_submit_job_refuses_what_cannot_be_parsed_and_warns_of_the_rest(
    candle: Candle, write_input: WriteInput, here: Path
) -> None:
    path = write_input("x = hyperparams['x']\nif x\n")
    before = sorted(here.iterdir())
    done = candle("submit-job", path)
    assert done.returncode == 2
    assert "model.py:2: this is not valid Python for /" in done.stderr
    assert sorted(here.iterdir()) == before
    done = candle("submit-job", write_input("val_to_return = hyperparams.get('x') or hyperparams['z']"))
    assert done.returncode == 0, done.stderr
    assert 'model.py:1: it reads the hyperparameter "z", which x.in does not have' in done.stdout
    assert 'model.py does not seem to read "y"' in done.stdout
    assert "(candle check x.in looks closer)" in done.stdout


def test_a_folder_where_nothing_can_be_written(write_input: WriteInput, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_input()
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)  # root may everywhere
    with pytest.raises(MachineError, match=r"you may not write in .*; submit from a folder where you may"):
        check(path, (), False, Console(quiet=True))


def test_a_file_that_cannot_be_read(candle: Candle, here: Path) -> None:
    done = candle("check", "none.in")
    assert done.returncode == 2
    assert "none.in: there is no such file" in done.stderr


def test_slurm_is_asked_and_nothing_submitted(slurm: SlurmCluster, candle: Candle, write_input: WriteInput) -> None:
    done = candle("check", write_input(control='nworkers=2\nqueue="norm"\nmem_per_cpu=1'), **slurm.environment)
    assert done.returncode == 0, done.stderr
    assert re.search(r"ok    SLURM would take the job: Job \d+ to start at ", done.stdout)
    assert "at most 0.2 worker-hours in a walltime of 0:05:00" in done.stdout
    done = candle("check", write_input(control='queue="gone"\nmem_per_cpu=1'), **slurm.environment)
    assert done.returncode == 3
    assert "sbatch refused" in done.stderr
    assert "partition" in done.stderr


def test_a_module_of_preload_that_is_not_installed(candle: Candle, write_input: WriteInput) -> None:
    done = candle("check", write_input(control="preload=nunpy.linalg,json"))
    assert done.returncode == 0, done.stderr
    assert "note  preload: the module nunpy is not installed for /" in done.stdout
    assert "json" not in done.stdout


def test_a_misspelt_name_that_the_script_can_do_without(candle: Candle, write_input: WriteInput) -> None:
    script = "val_to_return = hyperparams['x'] + hyperparams.get('momentun', 0) + hyperparams.get('unheard', 0)"
    done = candle("check", write_input(script, default_model="momentum = 0.9", param_space='{"x": 1}'))
    assert done.returncode == 0, done.stderr
    assert '"momentun" is read if it is there, and ' in done.stdout
    assert 'did you mean "momentum"?' in done.stdout
    assert "unheard" not in done.stdout


def test_a_bayesian_search_is_checked_too(candle: Candle, write_input: WriteInput) -> None:
    path = write_input(
        "val_to_return = hyperparams['x']",
        control="warm_start=gone.csv\nmax_budget=5",
        default_model="",
        param_space='{"name": "x", "type": "float", "low": 0, "high": 1}',
    )
    path.write_text(path.read_text().replace('"grid"', '"bayesian"'))
    done = candle("check", path)
    assert done.returncode == 2
    assert "gone.csv" in done.stderr
    path.write_text(path.read_text().replace("warm_start=gone.csv\n", ""))
    done = candle("check", path, "--run")
    assert done.returncode == 0, done.stderr
    assert "ok    the input file: bayesian, 5 trials" in done.stdout
    assert "note  all 5 trials are points spread over the space" in done.stdout
    assert "ok    one trial: 0." in done.stdout


REPORTS = """
    for step in range(1, 10):
        candle_report(10 - step, step=step)
    val_to_return = 1
"""


BAR = """
    for epoch in range(1, 10):
        print(f"epoch {epoch}/9 loss {1 / epoch:.3f}", end="\\r", flush=True)
    print()
"""


@pytest.mark.parametrize(
    ("script", "control", "said"),
    [
        (REPORTS, "", "note  stopping=asha would stop bad trials early, by what they have at steps 1, 3"),
        (REPORTS, "stopping=asha", "ok    stopping=asha compares trials at steps 1, 3"),
        (REPORTS, "stopping=asha\nmax_steps=90", "ok    stopping=asha compares trials at steps 9, 27, 81"),
        (REPORTS, "stopping=best_few\nmin_steps=4", "ok    stopping=best_few compares trials at step 4"),
        (
            REPORTS,
            "stopping=median\nmin_steps=9",
            "note  stopping=median: with min_steps=9, none of 9 steps is looked at",
        ),
        (
            "val_to_return = 1",
            "stopping=asha",
            "note  stopping=asha: the trial reported nothing on its way, so none can",
        ),
        (
            BAR,
            "stopping=asha\nresult_pattern='epoch (?P<epoch>.)/9 loss (?P<loss>.+)'",
            "note  stopping=asha: the trial reported once alone, and one that does so is not stopped early",
        ),
    ],
)
def test_a_trial_shows_whether_others_can_be_stopped_early(
    write_input: WriteInput, candle: Candle, script: str, control: str, said: str
) -> None:
    done = candle("check", write_input(script, control or "nworkers=1"), "--run")
    assert done.returncode == 0, done.stderr
    assert said in " ".join(done.stdout.split()).replace(" note ", " note  ").replace(" ok ", " ok    ")
    assert ("until step 9: 9 reports, from 9 to 1" in " ".join(done.stdout.split())) == (script is REPORTS)


def test_more_workers_than_cpus_are_noted(write_input: WriteInput, candle: Candle) -> None:
    sets, cpus = "\n".join(f'{{"x": {x}}}' for x in range(usable_cpus() + 1)), count(usable_cpus(), "CPU")
    for extra in (0, 1):
        done = candle("check", write_input(control=f"nworkers={usable_cpus() + extra}", param_space=sets))
        assert (f"trials at a time share {cpus}: where each keeps one busy" in done.stdout) == bool(extra)


def test_a_value_that_is_printed_once_is_not_shown_as_a_report(write_input: WriteInput, candle: Candle) -> None:
    done = candle("check", write_input("print('score: 3')", "result_pattern='score: (.*)'"), "--run")
    assert "ok    one trial: 3 after" in done.stdout
    assert "on its way" not in done.stdout


def test_a_trial_has_as_many_files_as_there_is_to_be_room_for(
    candle: Candle, write_input: WriteInput, here: Path
) -> None:
    assert candle("submit-job", write_input('val_to_return = hyperparams["x"]\n')).returncode == 0
    trial = next((here / "last-candle-job" / "run").iterdir())
    assert len([trial, *trial.iterdir()]) == FILES_OF_A_TRIAL
