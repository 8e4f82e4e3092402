"""The environment of a trial: that of the shell where its user submitted, whatever candle's libraries set."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import candle_hpo
from candle_hpo.user_environment import only_this_environment, user_environment, with_whole_paths
from conftest import Candle, WriteInput

pytestmark = pytest.mark.slow

SAY_ENVIRONMENT = """
    import json, os
    print("environment:", json.dumps(dict(os.environ)))
    print("parent:", os.getppid())
    val_to_return = 1
"""


@pytest.mark.parametrize(
    ("name", "value", "whole"),
    [
        ("PYTHONPATH", "src", "/here/src"),
        ("PYTHONPATH", "/a:../b/:./c", "/a:/b:/here/c"),
        ("PYTHONPATH", ":src", "/here:/here/src"),  # as PYTHONPATH=$PYTHONPATH:src leaves it
        ("PYTHONPATH", "", ""),
        ("PATH", "/bin:bin:", "/bin:/here/bin:/here"),
        ("LD_LIBRARY_PATH", "lib", "/here/lib"),
        ("R_LIBS", "rlib::~/R/%v", "/here/rlib::~/R/%v"),
        ("HOME", "src", "src"),
    ],
)
def test_lists_of_folders_mean_what_they_mean_where_the_user_stands(name: str, value: str, whole: str) -> None:
    assert with_whole_paths({name: value}, Path("/here")) == {name: whole}


def test_what_is_started_meanwhile_inherits_the_users_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SET_BY_A_LIBRARY", "1")
    ask = [sys.executable, "-c", "import os, json; print(json.dumps(dict(os.environ)))"]
    with only_this_environment({**user_environment(), "ADDED": "1"}):
        seen = json.loads(subprocess.run(ask, capture_output=True, check=True).stdout)
    assert (seen.pop("ADDED"), "SET_BY_A_LIBRARY" in seen, os.environ["SET_BY_A_LIBRARY"]) == ("1", False, "1")
    assert seen["PATH"] == user_environment()["PATH"]


def test_every_trial_of_a_grid_has_the_environment_of_the_shell(
    candle: Candle, write_input: WriteInput, here: Path
) -> None:
    """From the sixth trial on, a grid uses NumPy and what comes with it, which sets variables in candle's process."""
    sets = "\n".join(json.dumps({"x": number}) for number in range(25))
    path = write_input(SAY_ENVIRONMENT, "engine=local\nnworkers=2", param_space=sets)
    done = candle("submit-job", path, FROM_SHELL="a=b\nc")
    assert done.returncode == 0, done.stdout + done.stderr
    seen, parents = set(), set()
    for output in sorted(here.glob("last-candle-job/run/*/subprocess_out_and_err.txt")):
        said, parent = output.read_text().splitlines()[-2:]
        found = json.loads(said.partition(": ")[2])
        seen.add(frozenset(item for item in found.items() if not item[0].startswith("CANDLE_")))
        parents.add(parent)
    (environment,) = [dict(items) for items in seen]
    threads = {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"}
    assert {name for name in environment if name not in os.environ} - threads - {"FROM_SHELL"} <= {"LC_CTYPE"}
    assert environment["FROM_SHELL"] == "a=b\nc"
    assert len(parents) == 2  # each worker's warm host lives from its first trial to its last


@pytest.mark.parametrize("variable", ["PYTHONPATH", "PATH", "LD_LIBRARY_PATH"])
def test_relative_folders_are_found_by_check_and_by_trials(
    candle: Candle, write_input: WriteInput, here: Path, variable: str
) -> None:
    (here / "src").mkdir()
    (here / "src" / "mine.py").write_text("value = 3\n")
    (here / "src" / "tool").write_text("#!/bin/sh\necho 3\n")
    (here / "src" / "tool").chmod(0o755)
    scripts = {
        "PYTHONPATH": "import mine; val_to_return = mine.value",
        "PATH": "import subprocess; val_to_return = int(subprocess.check_output('tool'))",
        "LD_LIBRARY_PATH": "import os\n"
        f"val_to_return = 3 if os.environ['LD_LIBRARY_PATH'].split(':')[0] == {str(here / 'src')!r} else 0",
    }
    path = write_input(scripts[variable], "engine=local")
    environment = {variable: os.pathsep.join(filter(None, ["src", os.environ.get(variable)]))}
    checked, done = candle("check", path, **environment), candle("submit-job", path, **environment)
    assert (checked.returncode, done.returncode) == (0, 0), checked.stdout + done.stdout + done.stderr
    assert "is not installed for" not in checked.stdout + done.stdout
    values = {result.read_text() for result in here.glob("last-candle-job/run/*/result.txt")}
    assert values == {"3.0\n"}


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="there is no R (Debian: apt-get install r-base-core)")
def test_relative_libraries_of_r_are_found_by_trials(candle: Candle, write_input: WriteInput, here: Path) -> None:
    (here / "rlib").mkdir()
    path = write_input(control="engine=local")
    (here / "model.R").write_text("val_to_return <- sum(basename(.libPaths()) == 'rlib')\n")
    path.write_text(path.read_text().replace("model.py", "model.R"))
    done = candle("submit-job", path, R_LIBS="rlib")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {result.read_text() for result in here.glob("last-candle-job/run/*/result.txt")} == {"1.0\n"}


@pytest.mark.parametrize(
    ("control", "noted"),
    [
        ("prepare='export PATH=\"{here}/venv/bin:$PATH\"'", True),
        ("prepare='. \"{here}/venv/bin/activate\"; set -eu'", True),
        ("prepare='set -e; export PATH=\"$PATH:{here}/venv/bin\"'", False),
        ("prepare='export PATH=\"{here}/venv/bin:$PATH\"'\npython_bin_path={python}", False),
    ],
)
def test_a_prepare_that_brings_another_python_is_noted(
    candle: Candle, write_input: WriteInput, here: Path, control: str, noted: bool
) -> None:
    folder = here.parent / "plain"  # a name that a shell's quotes need not be doubled for
    (folder / "venv" / "bin").mkdir(parents=True)
    (folder / "venv" / "bin" / "python3").symlink_to("/usr/bin/env")
    (folder / "venv" / "bin" / "activate").write_text(f'PATH="{folder}/venv/bin:$PATH"\nexport PATH\n')
    python = Path(sys.executable).parent
    script = "import sys; print(sys.executable); val_to_return = 1"
    path = write_input(script, "engine=local\n" + control.format(here=folder, python=python))
    done = candle("submit-job", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(f"prepare puts {folder}/venv/bin/python3 first on the PATH, but trials run with ") == noted
    assert candle("status").stdout.count("prepare puts ") == noted
    assert not list(here.glob("last-candle-job/run/*/interpreter_of_prepare.txt"))


def test_a_bash_env_that_fails_is_the_scripts_own(candle: Candle, write_input: WriteInput, here: Path) -> None:
    (here / "model.sh").write_text("val_to_return=1\n")
    (here / "profile").write_text("echo noise\nexit 3\n")
    path = write_input(control="engine=local")
    path.write_text(path.read_text().replace("model.py", "model.sh"))
    done = candle("submit-job", path, BASH_ENV=str(here / "profile"))
    assert "bash 5" in done.stdout or "bash 4" in done.stdout or "bash 3" in done.stdout
    assert "4 trials: 4 failed" in done.stdout, done.stdout + done.stderr
    assert "exit status 3" in done.stdout


@pytest.mark.parametrize("where", ["beside", "with candle"])
def test_nothing_of_ours_is_imported_from_pythonpath(where: str, tmp_path: Path) -> None:
    """Unless candle itself lies there: then what it needs does, too."""
    (tmp_path / "typer.py").write_text("raise SystemExit('imported from PYTHONPATH')\n")
    (tmp_path / "queue.py").write_text("raise SystemExit('imported from PYTHONPATH')\n")
    if where == "with candle":
        (tmp_path / "candle_hpo").symlink_to(Path(candle_hpo.__file__).parent)
    start = [
        sys.executable,
        "-c",
        "import sys; sys.argv[1:] = ['--help']; from candle_hpo.__main__ import main; main()",
    ]
    done = subprocess.run(
        start, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (where == "beside"), done.stderr
    own = subprocess.run(
        [
            sys.executable,
            "-c",
            "from candle_hpo.engine.pilot.parsl_workers import own_program; print(own_program('x'))",
        ],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("'-E'" in own.stdout) == (where == "beside")
