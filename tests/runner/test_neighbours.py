"""How trials find what lies beside their script."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

import msgspec
import pytest

from candle_hpo.core.experiment import Settings
from candle_hpo.core.paths import init_run_paths
from candle_hpo.draft.plan import Remedy
from candle_hpo.runner import neighbours as module
from candle_hpo.runner.found_options import start_of
from candle_hpo.runner.neighbours import neighbours, remedy_of
from candle_hpo.script.reading import ScriptFile


def settings(script: Path) -> Settings:
    return Settings(model_script=str(script), workflow="bayesian")


def beside(script: Path, known: Collection[str]) -> Remedy | None:
    return neighbours(settings(script), ScriptFile.at(script), known)


@pytest.fixture
def script(here: Path) -> Path:
    (here / "model").mkdir()
    (here / "model" / "data.csv").write_text("1\n")
    (here / "model" / "big.bin").write_bytes(b"0" * 2000)
    path = here / "model" / "train.py"
    path.write_text("open('data.csv')\nopen('not_there.csv')\n")
    return path


def test_what_a_script_opens_beside_itself_is_copied(script: Path) -> None:
    assert beside(script, []) == Remedy("run_in", "script", "data.csv is beside it")
    assert beside(script, ["data.csv"]) is None


def test_of_a_large_folder_only_what_is_missing_is_linked(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 1000)
    assert beside(script, []) == Remedy("link", "model/data.csv", "data.csv is not in its folder")


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_what_git_ignores_is_linked_since_no_copy_has_it(script: Path) -> None:
    (script.parent / "data").mkdir()
    (script.parent / "data" / "x.csv").write_text("1\n")
    script.write_text("open('data/x.csv')\nopen('data.csv')\n")
    subprocess.run(["git", "init", "--quiet"], cwd=script.parent, check=True)
    assert beside(script, []) == Remedy("run_in", "script", "data/x.csv is beside it")
    (script.parent / ".gitignore").write_text("data/\n")
    assert beside(script, []) == Remedy("link", "model/data", "data/x.csv is not in its folder")
    assert beside(script, ["data/x.csv"]) == Remedy("run_in", "script", "data.csv is beside it")


@pytest.mark.parametrize(
    ("said", "keyword", "value"),
    [
        ("FileNotFoundError: [Errno 2] No such file or directory: 'data.csv'", "run_in", "script"),
        ("ModuleNotFoundError: No module named 'tools'", "run_in", "script"),
        ("ModuleNotFoundError: No module named 'tensorflow'", "", ""),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'here.csv'", "link", "here.csv"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'out/x.csv'", "prepare", "mkdir -p out"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '../data.csv'", "", ""),
    ],
)
def test_what_a_run_that_failed_misses(said: str, keyword: str, value: str, script: Path, here: Path) -> None:
    (script.parent / "src").mkdir()
    (script.parent / "src" / "tools.py").write_text("")
    (here / "here.csv").write_text("1\n")
    paths = init_run_paths(here)
    paths.run.mkdir(parents=True)
    paths.output.write_text(f"{said}\n")
    remedy = remedy_of(paths, paths.run, settings(script))
    assert (remedy.keyword, remedy.value) == (keyword, value) if remedy else not keyword


@pytest.mark.parametrize("above", ["..", None], ids=["relative", "by __file__"])
def test_what_is_beside_the_folder_of_a_script_is_linked_for_its_copy(
    above: str | None, script: Path, here: Path
) -> None:
    (here / "more data").mkdir()
    (here / "more data" / "x.csv").write_text("1\n")
    paths = init_run_paths(here)
    paths.copy_of_script.mkdir(parents=True)
    paths.output.write_text("FileNotFoundError: ../more data/x.csv not found.\n")
    first = remedy_of(paths, paths.run, settings(script))
    assert first is not None
    assert (first.keyword, first.value) == ("run_in", "script")
    in_copy = msgspec.structs.replace(settings(script), run_in="script")
    paths.output.write_text(f"FileNotFoundError: '{above or paths.run}/more data/x.csv'\n")
    second = remedy_of(paths, paths.copy_of_script, in_copy)
    assert second is not None
    assert second.keyword == "prepare"
    assert shlex.split(second.value) == ["ln", "-sfn", f"{here}/more data", "../more data"]


def test_a_script_with_relative_imports_is_a_module_of_its_package(here: Path) -> None:
    folder = here / "top" / "inner"
    folder.mkdir(parents=True)
    (folder / "train.py").write_text("from . import data\n")
    assert start_of(ScriptFile.at(folder / "train.py")).command == "{python} -m inner.train"
    (here / "top" / "__init__.py").write_text("")
    assert start_of(ScriptFile.at(folder / "train.py")).command == "{python} -m top.inner.train"
    (folder / "train.py").write_text(f"from {'.' * 99} import data\n")
    assert start_of(ScriptFile.at(folder / "train.py")).command.endswith(".top.inner.train"), (
        "Python says what is wrong with it"
    )
    (folder / "train.py").write_text("try:\n    from . import data\nexcept ImportError:\n    import data\n")
    assert start_of(ScriptFile.at(folder / "train.py")).command == ""
