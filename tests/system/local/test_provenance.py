"""What was run is kept: the script's text and version, its interpreter and packages, GPUs, its git commit."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import version as installed_version
from pathlib import Path

import pytest

import candle_hpo
from candle_hpo.core.experiment import Language, Settings
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.provenance import Surroundings
from candle_hpo.record.folder import read_experiment_settings
from candle_hpo.report.script_versions import number_ranges
from candle_hpo.script import surroundings as asked
from candle_hpo.script.version import ScriptWatch, keep_script
from candle_hpo.user_environment import user_environment
from conftest import Candle, WriteInput
from support.interpreters import interpreters
from support.waiting import unless_it_hangs

LAB = "import time\ntime.sleep(0.05)\nimport lab\nval_to_return = lab.value(hyperparams['x'])\n"
WAITS = """
import os, time
while hyperparams["x"] == 3 and not os.path.exists("../../../../../go"):
    time.sleep(0.01)
val_to_return = hyperparams["x"]
"""


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def settings(script: Path, **changes: object) -> Settings:
    return Settings(model_script=str(script), workflow="grid", **changes)  # type: ignore[arg-type]


def found(script: Path, interpreter: str = sys.executable) -> Surroundings:
    own = settings(script)
    return asked.surroundings(own, interpreter, (), ScriptWatch(str(script), own.language))


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    done = subprocess.run(["git", *identity, "-C", folder, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def provenance(here: Path) -> dict[str, object]:
    stored: dict[str, object] = json.loads((here / "last-candle-job" / "experiment.json").read_text())["provenance"]
    return stored


def test_the_script_is_kept_with_its_hash_and_what_it_ran_with(
    write_input: WriteInput, here: Path, candle: Candle, tmp_path: Path
) -> None:
    path = write_input(LAB)
    (here / "lab.py").write_text("import inner\ndef value(x): return inner.K * x\n")
    (here / "inner").mkdir()
    (here / "inner" / "__init__.py").write_text("from inner.deep import K\n")
    (here / "inner" / "deep.py").write_text("K = 2.0\n")
    (here / "unused.py").write_text("\n")
    git(here, "init", "-q")
    git(here, "add", "model.py", "lab.py", "inner")
    git(here, "commit", "-qm", "one")
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text('#!/bin/sh\n[ "$1" = --query-gpu=index ] || echo "NVIDIA H100 80GB HBM3, 550.54.15"\n')
    smi.chmod(0o755)
    done = candle("submit-job", path, PATH=f"{Path(sys.executable).parent}:{smi.parent}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stdout + done.stderr
    kept = here / "last-candle-job" / "script"
    names = ["model.py", "inner/__init__.py", "inner/deep.py", "lab.py"]
    assert sorted(each.relative_to(kept).as_posix() for each in kept.rglob("*.py")) == sorted(names)
    assert all((kept / name).read_bytes() == (here / name).read_bytes() for name in names)
    stored = provenance(here)
    script = stored["script"]
    assert isinstance(script, dict)
    assert script["files"] == {name: sha(here / name) for name in names}
    assert script["version"].startswith(sha(here / "model.py")[:8] + "+")
    assert stored["interpreter"] == f"Python {sys.version.split()[0]}"
    packages = stored["packages"]
    assert isinstance(packages, dict)
    for name in ("numpy", "scikit-learn", "typing-extensions"):
        assert packages[name] == installed_version(name)
    assert stored["gpus"] == ["NVIDIA H100 80GB HBM3, driver 550.54.15"]
    assert stored["git"] == {"commit": git(here, "rev-parse", "HEAD"), "dirty": False}
    assert stored["unknown"] == []
    assert "changed" not in done.stdout
    loaded = candle_hpo.load(here / "last-candle-job")
    assert {trial.script for trial in loaded.trials} == {script["version"]}
    assert candle("report").returncode == 0
    html = next(here.glob("candle_generated_files/*_report.html")).read_text()
    for shown in (sha(here / "model.py"), git(here, "rev-parse", "HEAD"), "1 x NVIDIA H100", "numpy "):
        assert shown in html, shown
    assert 'class="note"' not in html


@pytest.mark.parametrize(
    ("change", "dirty"),
    [
        (lambda here: None, False),
        (lambda here: (here / "model.py").write_text("val_to_return = 2\n"), True),
        (lambda here: (here / "other.txt").write_text("changed\n"), True),
        (lambda here: (here / "new.txt").write_text("git does not know it\n"), False),
        (lambda here: git(here, "rm", "-q", "--cached", "model.py"), True),
    ],
)
def test_a_repository_that_is_not_as_its_commit_is_dirty(
    here: Path, change: Callable[[Path], object], dirty: bool
) -> None:
    (here / "model.py").write_text("val_to_return = 1\n")
    (here / "other.txt").write_text("\n")
    git(here, "init", "-q")
    assert found(here / "model.py").git is None, "there is no commit yet"
    git(here, "add", ".")
    git(here, "commit", "-qm", "one")
    change(here)
    index = (here / ".git" / "index").read_bytes()
    state = found(here / "model.py").git
    assert state is not None
    assert (state.commit, state.dirty) == (git(here, "rev-parse", "HEAD"), dirty)
    assert (here / ".git" / "index").read_bytes() == index, "nothing of theirs is written"


def test_what_does_not_answer_stops_nobody(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "model.py").write_text("val_to_return = 1\n")
    for name in ("git", "nvidia-smi"):
        hangs = tmp_path / "bin" / name
        hangs.parent.mkdir(exist_ok=True)
        hangs.write_text("#!/bin/sh\ntrap '' TERM\nsleep 600 & wait\nsleep 600\n")
        hangs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(asked, "MOST_SECONDS", 1.0)
    seen = unless_it_hangs(lambda: found(here / "model.py", "/bin/false"))
    assert seen.script is not None
    assert (seen.interpreter, seen.packages, seen.gpus, seen.git) == ("", {}, (), None)
    assert [text.partition(":")[0] for text in seen.unknown] == [
        "the interpreter and its packages",
        "the GPUs",
        "the repository of the script",
    ]
    assert "/bin/false" in seen.unknown[0]


@pytest.mark.parametrize("program", interpreters())
def test_packages_of_any_python(here: Path, program: str) -> None:
    """Whatever lies where the user stands under the name of a module of Python's own: it is not run."""
    (here / "model.py").write_text("val_to_return = 1\n")
    for name in ("json.py", "os.py", "re.py", "types.py"):
        (here / name).write_text("raise SystemExit('this ran')\n")
    (here / "my_lab.egg-info").mkdir()
    (here / "my_lab.egg-info" / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: my_lab\nVersion: 3.2.1\n")
    seen = found(here / "model.py", program)
    assert seen.unknown == ()
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    assert seen.interpreter == said
    assert seen.packages["my-lab"] == "3.2.1"


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R")
def test_packages_that_an_r_script_loads_and_what_these_need(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, version, needs in (("lab", "0.3", "Imports: inner (>= 0.1), stats\n"), ("inner", "0.5", "")):
        (here / "library" / name).mkdir(parents=True)
        description = f"Package: {name}\nVersion: {version}\n{needs}Built: R 4.0.0; ; 2023-01-01; unix\n"
        (here / "library" / name / "DESCRIPTION").write_text(description)
    monkeypatch.setitem(user_environment(), "R_LIBS", str(here / "library"))
    (here / "model.R").write_text("library(lab)\nlibrary(stats)\nlibrary(nowhere)\nval_to_return <- 1\n")
    seen = found(here / "model.R", str(shutil.which("Rscript")))
    assert seen.unknown == ()
    assert seen.interpreter.startswith("R ")
    assert seen.packages == {"lab": "0.3", "inner": "0.5"}


def test_bash_has_a_version_and_no_packages(here: Path) -> None:
    (here / "model.sh").write_text("val_to_return=1\n")
    seen = found(here / "model.sh", "bash")
    assert seen.interpreter.startswith("bash ")
    assert seen.packages == {}
    (here / "model").write_bytes(b"\x7fELF")
    seen = found(here / "model", str(here / "model"))
    assert (seen.interpreter, seen.unknown) == ("", ())
    assert seen.script is not None
    assert seen.script.version == sha(here / "model")[:8]


def written(path: Path, text: str, seconds_ago: float = 60.0) -> None:
    """Write a file with the time of change of a minute ago, as most scripts have when they are run."""
    path.write_text(text)
    then = time.time() - seconds_ago
    os.utime(path, (then, then))


def test_every_change_of_a_script_is_another_version_and_nothing_else_is(here: Path) -> None:
    script = here / "model.py"
    written(script, "import lab, json\nx = 1\n")
    watch = ScriptWatch(str(script), Language.PYTHON)
    versions = [watch.version()]
    assert versions[0] == sha(script)[:8]
    for text in ("import lab, json\nx = 2\n", "import lab, json\nx = 3\n"):  # of the same length
        script.write_text(text)
        versions.append(watch.version())
    before = script.stat()
    script.write_text("import lab, json\nx = 4\n")
    os.utime(script, ns=(before.st_atime_ns, before.st_mtime_ns))  # as rsync -t and cp -p leave it
    versions.append(watch.version())
    (here / "lab.py").write_text("import other\n")  # until now, it was none of its neighbours
    time.sleep(0.05)
    versions.append(watch.version())
    (here / "other.py").write_text("y = 1\n")
    time.sleep(0.05)
    versions.append(watch.version())
    (here / "other.py").write_text("y = 2\n")
    time.sleep(0.05)
    versions.append(watch.version())
    assert len(set(versions)) == len(versions), versions
    assert all(each.startswith(sha(script)[:8] + "+") for each in versions[-3:])
    (here / "unused.py").write_text("\n")
    os.utime(script)
    time.sleep(0.05)
    assert watch.version() == versions[-1]
    script.unlink()
    assert watch.version() == ""
    script.write_text("import lab, json\nx = 4\n")
    assert watch.version() == versions[-1]


def test_a_folder_of_data_beside_a_script_is_not_a_module(here: Path) -> None:
    (here / "data").mkdir()
    for number in range(4000):
        (here / "data" / f"{number}.txt").touch()
    (here / "data" / "load.py").write_text("\n")
    (here / "model.py").write_text("import data.load\n")
    assert ScriptWatch(str(here / "model.py"), Language.PYTHON).version() == sha(here / "model.py")[:8]


def test_a_version_costs_a_trial_next_to_nothing(here: Path) -> None:
    script = here / "model.py"
    written(script, "import numpy, torch, lab\n")
    written(here / "lab.py", "x = 1\n")
    ctime = (here / "lab.py").stat().st_ctime
    while time.time() - ctime < 2.1:
        time.sleep(0.1)
    watch = ScriptWatch(str(script), Language.PYTHON)
    assert "+" in watch.version()
    files = (script, here / "lab.py")

    def seconds(look: Callable[[], object]) -> float:
        began = time.process_time()
        for _ in range(2_000):
            look()
        return time.process_time() - began

    cost = min(seconds(watch.version) / seconds(lambda: [file.stat() for file in files]) for _ in range(3))
    assert cost < 50, "in looks at its files; to read them costs hundreds"


def test_a_copy_is_of_what_was_looked_at_and_not_of_a_huge_program(here: Path) -> None:
    program = here / "model"
    with program.open("wb") as file:
        file.truncate(1_000_000_000_000)  # sparse: reading it takes ten minutes of processor time
    watch = ScriptWatch(str(program), Language.PROGRAM)
    state = unless_it_hangs(watch.state)
    assert state is not None
    assert keep_script(str(program), state, here / "kept") == ["model is larger than 10 MB, and no copy of it is kept"]
    os.utime(program, (1, 1))
    assert watch.version() != state.version
    program.write_bytes(b"one")
    state = watch.state()
    assert state is not None
    program.write_bytes(b"two")
    (note,) = keep_script(str(program), state, here / "kept")
    assert note.startswith("model changes just now")


def test_a_script_edited_while_it_runs_is_reported_everywhere(
    write_input: WriteInput, here: Path, candle: Candle
) -> None:
    path = write_input(WAITS, "nworkers=1", "", "\n".join(f'{{"x": {number}}}' for number in range(1, 7)))
    first = sha(here / "model.py")[:8]
    process = subprocess.Popen(
        [sys.executable, "-m", "candle_hpo", "submit-job", path], cwd=here, stdout=subprocess.PIPE, text=True
    )
    record = here / "last-candle-job" / "events.jsonl"
    deadline = time.monotonic() + 60
    while not record.exists() or record.read_text().count("TrialStarted") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)  # until the third has begun
    (here / "model.py").write_text((here / "model.py").read_text() + "val_to_return *= 10\n")
    second = sha(here / "model.py")[:8]
    (here / "go").touch()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    expected = [
        "model.py changed after x.in was submitted; of the trials that have ended,",
        f"  version {first} (as submitted): 2 trials (1-2)",
        f"  version {first} (as submitted), {second} at their end: 1 trial (3)",
        f"  version {second}: 3 trials (4-6)",
    ]
    text = "\n".join(expected)
    assert text in out
    assert "model.py changed: 4 trials, from trial 3 on, ran another version" in out, "while it ran"
    assert text in candle("status").stdout
    assert text in candle("watch").stdout
    assert candle("report").returncode == 0
    assert text in next(here.glob("candle_generated_files/*_report.html")).read_text()
    versions = [first, first, f"{first}-{second}", second, second, second]
    assert [trial.script for trial in candle_hpo.load(here / "last-candle-job").trials] == versions
    assert candle("export", "--to", "json").returncode == 0
    rows = json.loads(next(here.glob("candle_generated_files/*.json")).read_text())
    assert {row["id"][-1]: row["script"] for row in rows} == dict(zip("123456", versions, strict=True))
    assert sha(here / "last-candle-job" / "script" / "model.py")[:8] == first


@pytest.mark.parametrize("by_restart", [False, True])
def test_what_changed_before_a_resumption_is_reported_and_nothing_is_overwritten(
    write_input: WriteInput, here: Path, candle: Candle, by_restart: bool
) -> None:
    path = write_input("assert hyperparams['x'] != 2\nval_to_return = hyperparams['x']\n")
    assert candle("submit-job", path).returncode == 1
    root = ExperimentPaths((here / "last-candle-job").resolve())
    first = sha(here / "model.py")[:8]
    settings_file = root.settings.read_text()
    numpy = installed_version("numpy")
    root.settings.write_text(settings_file.replace(f'"numpy": "{numpy}"', '"numpy": "1.0"'))
    (here / "model.py").write_text("val_to_return = hyperparams['x']\n")
    second = sha(here / "model.py")[:8]
    if by_restart:
        path.write_text(path.read_text().replace("&control\n", "&control\nrestart_from_exp=X000\n"))
        done = candle("submit-job", path)
    else:
        done = candle("resume", "--retry-failed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        f"model.py changed since X000 was started last: trials from here on run version {second}, not {first}"
        in done.stdout
    )
    assert f"\nnumpy 1.0 is now {numpy}\n" in done.stdout
    assert f"version {first} (as submitted): 3 trials (1-2, 4)" in done.stdout
    stored = read_experiment_settings(root)
    (resumed,) = stored.resumed
    assert f"  version {second} (as resumed at {resumed.created}): 1 trial (3)" in candle("status").stdout
    assert f"Resumed at {resumed.created}: numpy 1.0 is now {numpy}" in candle("status").stdout
    assert stored.provenance.script is not None
    assert stored.provenance.script.version == sha(root.script / "model.py")[:8] == first
    assert sha(root.script_version(second) / "model.py")[:8] == second


def test_a_resumption_with_nothing_changed_says_nothing(write_input: WriteInput, here: Path, candle: Candle) -> None:
    assert candle("submit-job", write_input("assert hyperparams['x'] != 2\nval_to_return = 1\n")).returncode == 1
    done = candle("resume", "--retry-failed")
    assert done.returncode == 1
    assert "changed" not in done.stdout
    assert "is now" not in done.stdout
    assert [each.name for each in (here / "last-candle-job" / "script").iterdir()] == ["model.py"]


def test_many_threads_ask_for_a_version(here: Path) -> None:
    script = here / "model.py"
    script.write_text("x = 0\n")
    watch = ScriptWatch(str(script), Language.PYTHON)
    right = {hashlib.sha256(f"x = {number}\n".encode()).hexdigest()[:8] for number in range(50)}
    seen: list[str] = []

    def ask() -> None:
        for _ in range(200):
            seen.append(watch.version())  # noqa: PERF401  # one by one, while others ask

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(50):
        aside = here / "aside"
        aside.write_text(f"x = {number}\n")
        aside.replace(script)
        time.sleep(0.002)
    for thread in threads:
        thread.join()
    assert set(seen) <= right
    assert watch.version() == sha(script)[:8]


def test_ranges_of_numbers() -> None:
    assert number_ranges([5, 1, 2, 3, 9, 10]) == "1-3, 5, 9-10"
    assert number_ranges(range(1, 100, 2)).endswith("13, 15, …")
