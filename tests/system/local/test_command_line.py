"""The commands as a user runs them: what is said, what is left behind, and the exit status."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import requires
from pathlib import Path

import pytest

from conftest import Candle, WriteInput, gone


def csv_of(here: Path) -> list[dict[str, str]]:
    with (here / "candle_generated_files" / "candle_results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_grid_from_end_to_end(candle: Candle, write_input: WriteInput, here: Path) -> None:
    done = candle("submit-job", write_input(control="ngpus=2", default_model="y = 2\nz = None").name)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == 'Submitting the CANDLE input file "x.in"...'
    assert "4 trials: 4 completed" in lines
    assert "best (minimize): 5 by hpset_00001: x=1, y=2" in lines
    assert done.stderr == ""

    assert candle("aggregate-results").returncode == 0
    rows = csv_of(here)
    assert list(rows[0]) == ["result", "dirname", "id", "x", "y", "status", "seconds", "attempts"]
    assert [(row["result"], row["id"]) for row in rows] == [
        ("5.0", "hpset_00001"),
        ("8.0", "hpset_00003"),
        ("13.0", "hpset_00002"),
        ("16.0", "hpset_00004"),
    ]
    status = candle("status", "last-candle-job")
    assert status.returncode == 0
    assert "4 trials: 4 completed" in status.stdout
    run = here / "last-candle-job" / "run"
    assert sorted(path.name for path in run.iterdir()) == [f"hpset_0000{number}" for number in (1, 2, 3, 4)]
    assert (run / "hpset_00001" / "result.txt").read_text() == "5.0\n"


def test_failures_are_reported_the_others_run_on_and_the_status_is_1(candle: Candle, write_input: WriteInput) -> None:
    script = """
        import math, os, sys
        kind = hyperparams["kind"]
        if kind == "exception": raise ValueError("odd")
        if kind == "exit": sys.exit(4)
        if kind == "signal": os.kill(os.getpid(), 11)
        if kind == "nan": val_to_return = math.nan
        if kind == "fine": val_to_return = 1.5
        if kind == "typo": hyperparams["knid"]
    """
    kinds = ["exception", "exit", "signal", "nan", "fine", "none", "typo"]
    path = write_input(script, param_space="\n".join(json.dumps({"kind": kind}) for kind in kinds))
    done = candle("submit-job", path)
    assert done.returncode == 1
    assert "7 trials: 1 completed, 6 failed" in done.stdout
    for reason in [
        "1 failed (hpset_00001): exit status 1; last output: ValueError: odd",
        "1 failed (hpset_00002): exit status 4",
        "1 failed (hpset_00003): ended by signal SIGSEGV",
        "1 failed (hpset_00004): val_to_return is nan, not a finite number",
        "1 failed (hpset_00006): it ended without a value; leave a number in the global variable val_to_return",
    ]:
        assert reason in done.stdout
    status = candle("status").stdout
    assert "  | ValueError: odd" in status
    table = candle("aggregate-results", "--format", "table").stdout
    assert table.splitlines()[1].split()[:2] == ["1.5", "hpset_00005"]


def test_a_single_run(candle: Candle, write_input: WriteInput, here: Path) -> None:
    path = write_input(
        "print('epochs', hyperparams['x']); open('left.txt', 'w'); val_to_return = 0.25",
        control="use_candle=0",
        default_model="x = 3\nactivation = relu",
        param_space='{"what is here": is not judged',
    )
    done = candle("submit-job", path)
    assert done.returncode == 0, done.stderr
    assert "{'activation': 'relu', 'x': 3}" in done.stdout
    assert "val_to_return = 0.25" in done.stdout
    assert (here / "subprocess_out_and_err.txt").read_text() == "epochs 3\n"
    assert (here / "left.txt").exists()
    assert not (here / "last-candle-job").exists()


def test_a_single_run_that_fails(candle: Candle, write_input: WriteInput) -> None:
    done = candle("submit-job", write_input("name = 'gone'; hyperparams[name]", control="use_candle=0"))
    assert done.returncode == 1
    assert "  | KeyError: 'gone'" in done.stdout
    assert 'there is no hyperparameter "gone" (there are: y)' in done.stdout


def test_a_dry_run_makes_nothing(candle: Candle, write_input: WriteInput, here: Path) -> None:
    path = write_input(control="dry_run=1\nnworkers=2")
    before = sorted(here.iterdir())
    done = candle("submit-job", path)
    assert done.returncode == 0
    assert "4 trials, 2 at a time, minimize" in done.stdout
    assert "dry_run=1: nothing was run" in done.stdout
    assert sorted(here.iterdir()) == before


def test_wrong_input_is_reported_with_status_2_and_nothing_is_made(
    candle: Candle, write_input: WriteInput, here: Path
) -> None:
    path = write_input(control="nworker=2", param_space='{"x": 1, "z": 1}\n{"x": 1}')
    before = sorted(here.iterdir())
    done = candle("submit-job", path.name)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        'x.in:4: unknown keyword "nworker"; did you mean "nworkers"?',
        'x.in:11: set hpset_00002 has no "z", which other sets name; add it here or to &default_model',
    ]
    assert sorted(here.iterdir()) == before


def test_a_missing_interpreter_is_reported(candle: Candle, write_input: WriteInput, here: Path) -> None:
    (here / "empty").mkdir()
    done = candle("submit-job", write_input(control="python_bin_path=empty"))
    assert done.returncode == 2
    assert f"there is no python3 in python_bin_path ({here}/empty)" in done.stderr


def test_an_interpreter_that_does_not_run_is_reported(candle: Candle, write_input: WriteInput, here: Path) -> None:
    (here / "bin").mkdir()
    (here / "bin" / "python3").write_text("#!/bin/sh\necho broken >&2; exit 5\n")
    (here / "bin" / "python3").chmod(0o755)
    done = candle("submit-job", write_input(control="python_bin_path=bin"))
    assert done.returncode == 3
    assert "does not run (exit status 5): broken" in done.stderr


def test_python_bin_path_is_the_python_that_runs_the_model(candle: Candle, write_input: WriteInput, here: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", here / "other"], check=True)
    path = write_input(
        "import sys; assert sys.prefix.endswith('/other'), sys.prefix\n"
        "import importlib.util; val_to_return = int(importlib.util.find_spec('msgspec') is None)",
        control="python_bin_path=other/bin",
    )
    done = candle("submit-job", path)
    assert done.returncode == 0, done.stdout
    assert f"({here}/other/bin/python3)" in done.stdout
    assert "best (minimize): 1" in done.stdout
    stored = json.loads((here / "last-candle-job" / "experiment.json").read_text())
    assert stored["interpreter"] == f"{here}/other/bin/python3"


def test_odd_values_reach_the_script_and_the_table(candle: Candle, write_input: WriteInput, here: Path) -> None:
    odd = "\"'` $(touch hacked) $HOME \\ ü数🙂 \n\r\t\u2028 '; rm -rf /"
    script = f"assert hyperparams['x'] == {odd!r}, hyperparams\nval_to_return = 1\n"
    done = candle("submit-job", write_input(script, param_space=json.dumps({"x": odd})))
    assert done.returncode == 0, done.stdout
    candle("aggregate-results")
    assert json.loads(csv_of(here)[0]["x"]) == odd  # it has a carriage return
    assert not list(here.rglob("hacked"))


def start(here: Path, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "candle_hpo", "submit-job", path.name],
        cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def pids_of_trials(here: Path, count: int) -> list[int]:
    """Wait until so many trials have written the number of their process; return these numbers."""
    deadline, found = time.monotonic() + 30, list[Path]()
    while time.monotonic() < deadline:
        found = [path for path in here.glob("last-candle-job/run/*/pids") if path.read_text().endswith("\n")]
        if len(found) >= count:
            return [int(pid) for path in found for pid in path.read_text().split()]
        time.sleep(0.02)
    raise AssertionError(f"only {found} after 30 s")


WAITS = """
    import os, subprocess, time
    if hyperparams["x"] == 1:
        val_to_return = 1
    else:
        child = subprocess.Popen(["sleep", "600"])
        with open("pids", "w") as file:
            print(os.getpid(), child.pid, file=file)
        time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_ends_the_trials_and_keeps_what_was_done(
    write_input: WriteInput, here: Path, candle: Candle, number: signal.Signals
) -> None:
    process = start(here, write_input(WAITS, control="nworkers=2"))
    pids = pids_of_trials(here, 2)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, (stdout, stderr)
    assert "4 trials: 1 completed, 2 interrupted, 1 not started" in stdout
    assert "what was done is kept" in stdout
    assert stderr == ""
    assert gone(*pids)
    status = candle("status").stdout
    assert "Stopped at" in status
    assert "best (minimize): 1 by hpset_00001" in status


def test_a_single_run_is_stopped_with_its_children(write_input: WriteInput, here: Path) -> None:
    process = start(here, write_input(WAITS, control="run_workflow=0", default_model="x = 2"))
    deadline = time.monotonic() + 30
    while not ((here / "pids").exists() and (here / "pids").read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    pids = [int(pid) for pid in (here / "pids").read_text().split()]
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "The model was interrupted" in stdout
    assert gone(*pids)


def test_status_reports_a_campaign_that_died(write_input: WriteInput, here: Path, candle: Candle) -> None:
    process = start(here, write_input(WAITS, control="nworkers=2"))
    pids = pids_of_trials(here, 2)
    assert "Running since" in candle("status").stdout
    process.kill()
    process.wait()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()
    status = candle("status")
    assert status.returncode == 0
    assert f"Interrupted: process {process.pid} on" in status.stdout


def test_a_single_run_survives_a_burst_of_signals(write_input: WriteInput, here: Path) -> None:
    process = start(here, write_input(WAITS, control="run_workflow=0", default_model="x = 2"))
    deadline = time.monotonic() + 30
    while not ((here / "pids").exists() and (here / "pids").read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # All at once, on a busy machine too: one that comes when all has been stopped ends candle as it ends any program.
    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCONT):
        process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert gone(*[int(pid) for pid in (here / "pids").read_text().split()])


def test_a_signal_that_is_ignored_stays_so(write_input: WriteInput, here: Path) -> None:
    """`nohup candle submit-job x.in &`, and the session ends."""
    path = write_input("import time; time.sleep(1.5); val_to_return = 1")
    process = subprocess.Popen(
        ["nohup", sys.executable, "-m", "candle_hpo", "submit-job", path.name],
        cwd=here,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not list(here.glob("last-candle-job/run/*/params.json")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGHUP)
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "4 trials: 4 completed" in stdout


@pytest.mark.parametrize("output", ["| head -1", "> /dev/full", ">&-"])
def test_a_screen_that_goes_away_stops_nothing(
    write_input: WriteInput, here: Path, candle: Candle, output: str
) -> None:
    path = write_input("import time; time.sleep(0.3); val_to_return = 1")
    command = f"{sys.executable} -m candle_hpo submit-job {path.name} {output}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=here, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 trials: 4 completed" in candle("status").stdout
    for other in ("status", "aggregate-results --format table", "help"):
        command = f"{sys.executable} -m candle_hpo {other} {output}; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], cwd=here, capture_output=True, text=True, timeout=60)
        assert "Traceback" not in done.stderr, done.stderr


def test_a_terminal_without_unicode_shows_what_it_can(candle: Candle, write_input: WriteInput) -> None:
    path = write_input("val_to_return = 1", param_space=json.dumps({"x": "ü数🙂"}, ensure_ascii=False))
    done = candle("submit-job", path.name, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, "")
    assert 'x="???"' in done.stdout


@pytest.mark.parametrize("name", ["a" * 5000, "no/such/thing", "loop"])
def test_odd_names_of_experiments(candle: Candle, here: Path, name: str) -> None:
    (here / "loop").symlink_to("loop")
    done = candle("status", name)
    assert done.returncode == 2
    assert "is not an experiment" in done.stderr


def test_a_folder_that_was_removed(candle: Candle, here: Path) -> None:
    command = f"mkdir gone && cd gone && rmdir ../gone && {sys.executable} -m candle_hpo status"
    done = subprocess.run(["bash", "-c", command], cwd=here, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert done.stderr.startswith("candle: system error:")


def test_an_input_that_can_be_read_once_is_kept_as_submitted(write_input: WriteInput, here: Path) -> None:
    path = write_input()
    command = f"{sys.executable} -m candle_hpo submit-job <(cat {path.name})"
    done = subprocess.run(["bash", "-c", command], cwd=here, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (here / "last-candle-job" / "input.in").read_text() == path.read_text()


def test_an_interrupted_experiment_continues(write_input: WriteInput, here: Path, candle: Candle) -> None:
    """Stopped, refused a second campaign while one runs, resumed: every trial completes once."""
    script = WAITS.replace("time.sleep(600)", "time.sleep(600 if not os.path.exists('../../../../../on') else 0)")
    script += "    val_to_return = 2\n"
    process = start(here, write_input(script, control="nworkers=2"))
    pids_of_trials(here, 2)
    second = candle("resume")
    assert second.returncode == 2
    assert f"X000 is being run by process {process.pid} on" in second.stderr
    assert "is stopping" in candle("cancel").stdout
    process.communicate(timeout=30)
    assert process.returncode == 130
    (here / "on").touch()
    resumed = candle("resume")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "Resuming X000: 3 trials of 4 left" in resumed.stdout
    assert "4 trials: 4 completed" in resumed.stdout
    assert "nothing is left to do, all 4 trials are completed" in candle("resume").stdout
    assert candle("cancel").returncode == 2


def test_the_site_in_use(candle: Candle, here: Path) -> None:
    assert "Site: generic" in candle("site").stdout
    (here / "config" / "candle" / "sites").mkdir(parents=True)
    (here / "config" / "candle" / "sites" / "mine.toml").write_text('hosts = ["*"]\n')
    mine = candle("site", XDG_CONFIG_HOME=str(here / "config")).stdout
    assert "Site: mine" in mine
    assert "as its hosts are (*)" in mine
    assert "Site: biowulf" in candle("site", CANDLE_SITE="biowulf").stdout
    wrong = candle("site", CANDLE_SITE="biowolf")
    assert wrong.returncode == 2
    assert '$CANDLE_SITE is "biowolf"; did you mean "biowulf"?' in wrong.stderr


def test_generate_grid(candle: Candle, here: Path) -> None:
    call = ["generate-grid", "['epochs',np.arange(2,11,2)]", "['batch_size',[64,128,256,512,1024]]"]
    assert candle(*call).returncode == 0
    assert candle(*call).returncode == 0
    files = list(here.glob("grid_workflow-????.txt"))
    assert len(files) == 2
    lines = files[0].read_text().splitlines()
    assert len(lines) == 25
    assert lines[0] == '{"id": "hpset_00001", "epochs": 2, "batch_size": 64}'


def test_generate_grid_into_an_input_file(candle: Candle, write_input: WriteInput) -> None:
    path = write_input()
    done = candle("generate-grid", "['x',[7,8,9]]", "--into", path.name)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3 sets in the section &param_space of x.in (the file as it was: x.in.bak1)\n"
    assert "3 trials: 3 completed" in candle("submit-job", path).stdout


def test_a_million_sets_stream_to_the_file(here: Path) -> None:
    program = (
        "import resource, sys; from candle_hpo.cli import main\n"
        "sys.argv = ['candle', 'generate-grid', \"['a',range(1000)]\", \"['b',range(1000)]\"]\n"
        "import numpy\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=here, capture_output=True, text=True, timeout=120)
    (path,) = here.glob("grid_workflow-*.txt")
    with path.open() as file:
        assert sum(1 for _ in file) == 1_000_000
    assert int(done.stderr) < 50_000  # kilobytes; the file alone has 55 MB


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import-template", "nothing"], 'there is no template "nothing"; valid are bash, bayesian, grid, r, vae'),
        (["generate-grid", "epochs"], "epochs: this is not a list of a name and its values"),
        (["submit-job", "gone.in"], "gone.in: there is no such file"),
        (["status"], "there is no experiment here"),
        (["aggregate-results", "X007"], "X007 is not an experiment"),
        (["aggregate-results", "--format", "cvs"], '"cvs" is not a format of results; did you mean "csv"?'),
        (["aggregate-results", "%d%d"], "is not a printf format for one number"),
    ],
)
def test_mistakes_are_reported_with_status_2(candle: Candle, arguments: list[str], message: str) -> None:
    done = candle(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_help_in_all_its_forms(candle: Candle) -> None:
    texts = {candle(*arguments).stdout for arguments in (["help"], ["--help"], ["-h"])}
    assert len(texts) == 1
    assert "submit-job" in texts.pop()
    assert candle("--version").stdout.startswith("candle 0.")
    assert "Usage" in candle().stdout + candle().stderr


def test_help_needs_no_library_but_that_of_the_command_line(candle: Candle) -> None:
    """What makes it answer at once; how long an import takes is the machine's affair."""
    done = candle("--help", PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    needed = {re.split(r"\W", each, maxsplit=1)[0] for each in requires("candle-hpo") or [] if "extra ==" not in each}
    assert len(needed) > 5
    assert imported & needed == {"typer"}


def test_templates_overwrite_nothing(candle: Candle, here: Path) -> None:
    (here / "digits_mlp.py").write_text("mine")
    done = candle("import-template", "grid")
    assert done.returncode == 2
    assert "digits_mlp.py exists here already; nothing was copied" in done.stderr
    assert [path.name for path in here.iterdir()] == ["digits_mlp.py"]
    assert (here / "digits_mlp.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("template", "files", "trials"),
    [
        ("grid", ["digits_mlp.py", "grid_example.in"], 5),
        ("r", ["ozone_loess.R", "r_example.in"], 6),
        ("bash", ["bash_example.in", "digits_svm.py", "digits_svm.sh"], 5),
    ],
)
def test_a_template_runs(template: str, files: list[str], trials: int, candle: Candle, here: Path) -> None:
    if template == "r" and shutil.which("Rscript") is None:
        pytest.skip("there is no R (Debian: apt-get install r-base-core)")
    assert candle("import-template", template).stdout.split() == files
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = candle("submit-job", f"{template}_example.in", PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{trials} trials: {trials} completed" in done.stdout
