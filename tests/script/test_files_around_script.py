"""Which files of a script's folder each trial gets a copy of."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.file_template import Placed
from candle_hpo.script.files_around_script import files_around_script


def around(here: Path, *links: str) -> tuple[set[str], tuple[str, ...]]:
    link = tuple(Placed(str(here / each), each) for each in links)
    settings = Settings(model_script=str(here / "m.py"), workflow="grid", run_in="script", link=link)
    copied, large = files_around_script(settings)
    assert len(set(copied)) == len(copied)
    return set(copied), large


def make(here: Path, *names: str) -> None:
    for name in names:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(name)


def test_without_git_all_but_what_is_not_the_script_s(here: Path) -> None:
    make(here, "m.py", "lib/a.py", "lib/__pycache__/a.pyc", "data/x.csv", "venv/pyvenv.cfg", "venv/bin/python", ".env")
    make(here, "candle_generated_files/x", "node_modules/y")
    (here / "other").symlink_to("lib")
    (here / "last-candle-job").symlink_to("lib")
    assert around(here) == ({"m.py", "lib/a.py", "data/x.csv", ".env", "other"}, ())
    assert around(here, "data", "lib/a.py") == ({"m.py", ".env", "other"}, ())


def test_with_git_what_it_knows_and_what_is_new(here: Path) -> None:
    make(here, "top.txt", "app/m.py", "app/lib/a é.py", "app/new.py", "app/out/x.bin", "app/gone.py", "app/data/y")
    make(here / "app", ".gitignore")
    (here / "app" / ".gitignore").write_text("out/\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True, cwd=here)
    (here / "app" / "gone.py").unlink()
    make(here / "app", "newer.py")
    expected = {"m.py", "lib/a é.py", "new.py", "newer.py", ".gitignore"}
    assert around(here / "app", "data") == (expected, ())


def test_what_is_too_much_for_each_trial(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(here, "m.py", "a", "b", "data/c")
    monkeypatch.setattr("candle_hpo.script.files_around_script.LARGEST", 5)
    assert around(here) == ({"m.py", "a", "b"}, ("data/c",))
    monkeypatch.setattr("candle_hpo.script.files_around_script.MOST_FILES", 2)
    with pytest.raises(InputError, match="name folders of data in link"):
        around(here)
