"""What a trial finds of the script's own files: written with its values, on standard input, in its environment."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Outcome, Status
from candle_hpo.inputfile.read import read_input_file
from candle_hpo.launch.command import model_command
from candle_hpo.launch.run import run_attempt
from candle_hpo.launch.warm_host import WarmHost
from candle_hpo.process.group import StopSwitch
from candle_hpo.script.files_around_script import files_around_script
from support.attempts import attempt_at

Run = Callable[..., Outcome]
PRINTED = 'result_pattern="loss +([0-9.eE+-]+)"'


@pytest.fixture
def run(here: Path) -> Iterator[Run]:
    """Run a script, with these lines in `&control` and these values, and return what came of it."""
    hosts: list[WarmHost] = []

    def run(script: str, control: str, number: int = 1, *, warm: bool = True, **values: object) -> Outcome:
        defaults = "\n".join(f"{name.replace('__', '.')} = {value!r}" for name, value in values.items())
        control = f'model_script="{script}"\nworkflow="grid"\n{control}'
        (here / "x.in").write_text(f"&control\n{control}\n/\n&default_model\n{defaults}\n/\n&param_space\n{{}}\n/\n")
        request = read_input_file(Path("x.in"))
        paths = ExperimentPaths(here / "X000")
        paths.runs.mkdir(parents=True, exist_ok=True)
        interpreter = sys.executable if script.endswith(".py") else request.settings.model_script
        copied, _ = files_around_script(request.settings)
        model = model_command(request.settings, interpreter, 5, paths.root, templates=request.templates, copied=copied)
        if not hosts and warm:
            hosts.append(WarmHost(model))
        attempt = attempt_at(number, request.default_model)
        host = hosts[0] if warm else None
        return run_attempt(model, attempt, paths.trial(attempt.trial.id), {}, StopSwitch(), warm=host)

    yield run
    for host in hosts:
        host.close()


@pytest.mark.parametrize("warm", [False, True])
def test_a_script_reads_its_own_file_in_its_place(run: Run, here: Path, warm: bool) -> None:
    (here / "conf").mkdir()
    (here / "conf" / "c.json").write_text('{"optimizer": {"lr": 0.1, "name": "adam"}}')
    (here / "m.py").write_text(
        textwrap.dedent(
            """
            import json, os
            assert os.environ["CANDLE_CONFIG"] == os.path.abspath("conf/c.json")
            read = json.load(open("conf/c.json"))["optimizer"]
            assert read["name"] == "adam"
            val_to_return = read["lr"]
            """
        )
    )
    control = 'config_file="conf/c.json"'
    for number, rate in enumerate((1e-05, 0.5), start=1):
        outcome = run("m.py", control, number, warm=warm, optimizer__lr=rate)
        assert (outcome.value_of(THE_VALUE), outcome.reason, outcome.notes) == (rate, "", ())
    assert json.loads((here / "conf" / "c.json").read_text())["optimizer"]["lr"] == 0.1


@pytest.mark.parametrize("warm", [False, True])
def test_standard_input(run: Run, here: Path, warm: bool) -> None:
    (here / "in.txt").write_text("{{ a }}\nsecond é\n")
    (here / "m.py").write_text(
        "import sys\nfirst = input()\nassert sys.stdin.readline() == 'second é\\n' and not sys.stdin.read()\n"
        "sys.stdin.seek(0)\nassert sys.stdin.read().startswith(first)\nval_to_return = float(first)\n"
    )
    for number, value in enumerate((0.25, 1e-30), start=1):
        outcome = run("m.py", 'stdin_file="in.txt"', number, warm=warm, a=value)
        assert (outcome.value_of(THE_VALUE), outcome.reason) == (value, "")


def test_standard_input_that_is_data_is_read_where_it_is(run: Run, here: Path) -> None:
    (here / "in.bin").write_bytes(b"\0" * 1_500_000)
    (here / "m.py").write_text("import sys\nval_to_return = len(sys.stdin.buffer.read())\n")
    assert run("m.py", 'stdin_file="in.bin"').value_of(THE_VALUE) == 1_500_000
    assert not (here / "X000" / "run" / "hpset_00001" / "in.bin").exists()


def test_arguments_are_what_no_file_has(run: Run, here: Path) -> None:
    (here / "c.toml").write_text("[a]\nlr = 0.1\n")
    (here / "m.py").write_text("import sys\nassert sys.argv[1:] == ['--epochs', '3'], sys.argv\nval_to_return = 1\n")
    control = 'config_file="c.toml"\nhyperparams_as="arguments"'
    assert run("m.py", control, a__lr=0.5, epochs=3).reason == ""


def test_a_value_that_cannot_be_written_fails_the_trial(run: Run, here: Path) -> None:
    (here / "run.dat").write_text("{{ a }} {{ b }}")
    (here / "m.py").write_text("val_to_return = 1\n")
    control = 'model_script="m.py"\nworkflow="grid"\nconfig_file="run.dat"'
    (here / "x.in").write_text(f"&control\n{control}\n/\n&default_model\na=1\nb=2\n/\n&param_space\n{{}}\n/\n")
    request = read_input_file(Path("x.in"))
    paths = ExperimentPaths(here / "X000")
    paths.runs.mkdir(parents=True)
    model = model_command(request.settings, sys.executable, 5, paths.root, templates=request.templates)
    attempt = attempt_at(1, {"a": 1})
    outcome = run_attempt(model, attempt, paths.trial(attempt.trial.id), {}, StopSwitch())
    assert (outcome.status, outcome.reason) == (
        Status.FAILED,
        'it cannot be started: run.dat needs "b", which this set of hyperparameters does not have',
    )


@pytest.mark.parametrize("warm", [False, True])
def test_links_lead_to_what_all_trials_read(run: Run, here: Path, warm: bool) -> None:
    (here / "data" / "raw").mkdir(parents=True)
    (here / "data" / "raw" / "x.txt").write_text("3")
    (here / "w.bin").write_text("4")
    (here / "m.py").write_text(
        "import os\nassert os.path.islink('data/raw') and os.path.islink('w.bin')\n"
        "val_to_return = int(open('data/raw/x.txt').read()) + int(open('w.bin').read())\n"
    )
    assert run("m.py", 'link="data/raw, w.bin"', warm=warm).value_of(THE_VALUE) == 7
    assert run("m.py", 'link="data/raw, w.bin"', warm=warm).value_of(THE_VALUE) == 7


def test_a_trial_that_writes_into_what_all_share_has_no_value(run: Run, here: Path) -> None:
    (here / "w.bin").write_text("4")
    (here / "m.py").write_text("open('w.bin', 'a').write('5')\nval_to_return = 1\n")
    outcome = run("m.py", 'link="w.bin"')
    assert (outcome.status, outcome.value_of(THE_VALUE)) == (Status.FAILED, None)
    assert outcome.reason.startswith(f"{here}/w.bin was written to while it ran, which all trials share (link)")


def test_a_link_takes_no_place_that_is_taken(run: Run, here: Path) -> None:
    (here / "w.bin").write_text("4")
    (here / "m.py").write_text("import os\nos.remove('w.bin')\nopen('w.bin', 'w').write('5')\nval_to_return = 1\n")
    assert run("m.py", 'link="w.bin"').value_of(THE_VALUE) == 1
    assert "w.bin is there already, and is not the link to" in run("m.py", 'link="w.bin"').reason
    (here / "w.bin").unlink()
    (here / "w.bin").symlink_to("nowhere")
    assert run("m.py", "").reason == ""


IN_REPOSITORY = """
import json, os, sys
from pathlib import Path
from helper import factor
here = Path(__file__).parent
assert Path.cwd() == here and sys.path[0] == str(here) == os.path.dirname(sys.argv[0]), (Path.cwd(), here, sys.path[0])
assert json.load(open(here / "conf" / "c.json"))["lr"] == 0.5
assert open("data/big.txt").read() == "big"
log = open("log.txt", "a+"); log.write("x"); log.seek(0)
assert log.read() == "begunx"
os.makedirs("out", exist_ok=True); open("out/model.pt", "w").write("weights")
assert not os.path.exists("ignored.txt")
val_to_return = factor * 0.5
"""


@pytest.mark.parametrize("warm", [False, True])
def test_each_trial_has_its_own_copy_of_the_script_s_folder(run: Run, here: Path, warm: bool) -> None:
    for folder in ("conf", "data"):
        (here / folder).mkdir()
    (here / "m.py").write_text(IN_REPOSITORY)
    (here / "helper.py").write_text("factor = 4\n")
    (here / "conf" / "c.json").write_text('{"lr": 0.1}')
    (here / "data" / "big.txt").write_text("big")
    (here / "log.txt").write_text("begun")
    (here / ".gitignore").write_text("ignored.txt\n")
    (here / "ignored.txt").write_text("old")
    subprocess.run(["git", "init", "-q"], check=True, cwd=here)
    control = 'config_file="conf/c.json"\nlink="data"\nrun_in="script"'
    for number in (1, 2, 1):
        outcome = run("m.py", control, number, warm=warm, lr=0.5)
        assert (outcome.reason, outcome.value_of(THE_VALUE)) == ("", 2)
    copy = here / "X000" / "run" / "hpset_00001" / "script"
    left = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    assert left == {"conf/c.json", "log.txt", "out/model.pt"}
    assert ((here / "log.txt").read_text(), json.loads((here / "conf" / "c.json").read_text())) == (
        "begun",
        {"lr": 0.1},
    )


def test_what_is_not_copied_is_named(run: Run, here: Path) -> None:
    (here / ".gitignore").write_text("d.csv\n")
    (here / "d.csv").touch()
    subprocess.run(["git", "init", "-q"], check=True, cwd=here)
    (here / "m.py").write_text("open('d.csv')\n")
    reason = run("m.py", 'run_in="script"').reason
    assert reason.endswith(f"d.csv is in {here}: it is not copied for each trial, so name it, or its folder, in link")


def test_scripts_in_other_languages_run_from_their_copy(run: Run, here: Path) -> None:
    (here / "m").write_text('#!/bin/sh\ntest "$(pwd)/m" = "$0" && cat lib.txt > "$CANDLE_RESULT_FILE"\n')
    (here / "m").chmod(0o755)
    (here / "lib.txt").write_text("3")
    outcome = run("m", 'run_in="script"')
    assert (outcome.reason, outcome.value_of(THE_VALUE)) == ("", 3)


FORTRAN = """
program relax
  implicit none
  real(8) :: dx, w(3); integer :: nx; logical :: fast; character(20) :: name
  namelist /grid/ nx, dx, w, fast, name
  open(7, file="input/run.nml"); read(7, nml=grid)
  if (.not. fast .or. name /= "it's") stop 3
  print *, "loss ", dx * nx + w(2)
end program
"""
NAMELIST = "! points\n&grid\n nx = 1, dx = 1d0 ! step\n w = 3*0.0\n fast = .false.\n name = 'a'\n/\n"
C = """
#include <stdio.h>
int main(void) {
  double a; int n;
  if (scanf("%lf %d", &a, &n) != 2) return 1;
  printf("loss %.17g\\n", a * n);
  return 0;
}
"""


@pytest.mark.skipif(shutil.which("gfortran") is None, reason="needs gfortran (Debian: apt-get install gfortran)")
def test_a_fortran_program_reads_its_namelist(run: Run, here: Path) -> None:
    (here / "input").mkdir()
    (here / "input" / "run.nml").write_text(NAMELIST)
    (here / "relax.f90").write_text(FORTRAN)
    subprocess.run(["gfortran", "-o", "relax", "relax.f90"], check=True, cwd=here)
    values = {"grid__nx": 4, "grid__dx": 1e-05, "grid__w": [1, 0.5, 2], "grid__fast": True, "grid__name": "it's"}
    outcome = run("relax", f'config_file="input/run.nml"\n{PRINTED}', **values)
    assert (outcome.value_of(THE_VALUE), outcome.reason) == (0.50004, "")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc (Debian: apt-get install gcc)")
def test_a_c_program_reads_standard_input(run: Run, here: Path) -> None:
    (here / "scan.c").write_text(C)
    (here / "deck.txt").write_text("{{a}} {{n}}\n")
    subprocess.run(["gcc", "-o", "scan", "scan.c"], check=True, cwd=here)
    outcome = run("scan", f'stdin_file="deck.txt"\n{PRINTED}', a=1e-05, n=3)
    assert (outcome.value_of(THE_VALUE), outcome.reason) == (1e-05 * 3, "")


def test_the_path_of_the_file_on_the_command_line(run: Run, here: Path) -> None:
    (here / "c.toml").write_text("[a]\nlr = 0.1\n")
    (here / "m.py").write_text(
        "import os, sys\nconfig = os.environ['CANDLE_CONFIG']\nval_to_return = 1\n"
        "assert sys.argv[1:] == ['--config', config, '--lr=0.5', '--epochs', '3'], sys.argv\n"
    )
    control = 'config_file="c.toml"\nscript_args="--config {config} --lr={a.lr} {arguments}"'
    assert run("m.py", control, a__lr=0.5, epochs=3).reason == ""


def test_the_command_line_by_hand(run: Run, here: Path) -> None:
    (here / "in.txt").write_text("{{ a }}")
    (here / "m.py").write_text("print(input())\nval_to_return = 1\n")
    run("m.py", "stdin_file=\"in.txt\"\nprepare='candle_get_param a >> asked.txt'", a=0.5)
    folder = here / "X000" / "run" / "hpset_00001"
    done = subprocess.run(["bash", folder / "command.sh"], capture_output=True, text=True, check=True)
    assert (done.stdout, (folder / "asked.txt").read_text()) == ("0.5\n", "0.5\n0.5\n")
