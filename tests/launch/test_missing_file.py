"""A file that a model did not find, in the words of whoever looked for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from candle_hpo.launch.measuring.missing_file import hint_of_missing_file

RUN = Path("candle_generated_files/experiments/X000/run/hpset_00001")


@pytest.fixture
def run_folder(here: Path) -> Path:
    """A trial's folder below the user's, in which there are data."""
    (here / RUN).mkdir(parents=True)
    (here / "my data").mkdir()
    for name in ("d.csv", "my data/d.csv", "model.py"):
        (here / name).touch()
    return here / RUN


@pytest.mark.parametrize("name", ["d.csv", "my data/d.csv"])
@pytest.mark.parametrize(
    "said",
    [
        "FileNotFoundError: [Errno 2] No such file or directory: '{}'",
        "FileNotFoundError: {} not found.",  # numpy.loadtxt, genfromtxt
        "FileNotFoundError: [Errno 2] File b'{}' does not exist: b'{}'",  # older pandas
        "FileNotFoundError: [Errno 2] Unable to synchronously open file (unable to open file: name = '{}', errno = 2, "
        "error message = 'No such file or directory', flags = 0, o_flags = 0)",  # h5py
        "OSError: Unable to open file (unable to open file: name = '{}', errno = 2)",
        "FileNotFoundError: ./{} not found.",  # NumPy
        "FileNotFoundError: [Errno 2] No such file or directory: '{run}/{}'",  # Pillow
        "  cannot open file '{}': No such file or directory",  # R
        "  cannot open compressed file '{}', probable reason 'No such file or directory'",
        "Error: '{}' does not exist in current working directory ('/somewhere').",  # readr
        "  File '{}' does not exist or is non-readable. getwd()=='/somewhere'",  # data.table
        "Error: `path` does not exist: \u2018{}\u2019",  # readxl
        "cat: {}: No such file or directory",
        'awk: cannot open "{}" (No such file or directory)',
        "Fortran runtime error: Cannot open file '{}': No such file or directory",
        'ERROR: LoadError: SystemError: opening file "{}": No such file or directory',  # Julia
        "FileNotFoundError: No such file or directory (os error 2): {}",  # Polars
        "FileNotFoundError: [Errno 2] Failed to open local file '{}'. Detail: [errno 2] No such file or directory",
        "soundfile.LibsndfileError: Error opening '{}': System error.",
        "[ WARN:0@0.0] findDecoder imread_('{}'): can't open/read file: check file path/integrity",  # OpenCV
        "tensorflow.python.framework.errors_impl.NotFoundError: {}; No such file or directory [Op:ReadFile]",
    ],
)
def test_whose_words_they_are_does_not_matter(run_folder: Path, here: Path, name: str, said: str) -> None:
    line = said.replace("{run}", str(run_folder)).replace("{}", name)
    hint = hint_of_missing_file([line, "  warnings follow"], run_folder, here / "model.py", [here])
    assert hint.startswith(f"{name} is in {here}: a trial runs in its own folder")


@pytest.mark.parametrize(
    "said",
    [
        "No such file or directory: 'gone.csv'",
        "KeyError: 'd.csv'",
        "model.py: line 3: cat: command not found",
        "ModuleNotFoundError: No module named 'd'",
        "the optimum was not found",
        "No such file or directory: '/d.csv'",
        "No such file or directory: '{}'",
        "not found: \0",
    ],
)
def test_what_is_not_a_file_of_the_users_gives_no_hint(run_folder: Path, here: Path, said: str) -> None:
    assert hint_of_missing_file([said.replace("{}", "x" * 5000)], run_folder, here / "model.py", [here]) == ""


def test_a_file_that_is_in_the_run_folder_was_not_the_one(run_folder: Path, here: Path) -> None:
    (run_folder / "d.csv").touch()
    assert hint_of_missing_file(["d.csv not found"], run_folder, here / "model.py", [here]) == ""


@pytest.mark.parametrize(
    "code",
    [
        "import numpy; numpy.loadtxt('d.csv')",
        "import numpy; numpy.genfromtxt('d.csv')",
        "import numpy; numpy.load('d.csv')",
        "import pandas; pandas.read_csv('d.csv')",
        "import pandas; pandas.read_parquet('d.csv')",
        "from PIL import Image; Image.open('d.csv')",
        "import pyarrow.csv; pyarrow.csv.read_csv('d.csv')",
        "import torch; torch.load('d.csv')",
    ],
)
def test_libraries_as_they_speak_today(run_folder: Path, here: Path, code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=run_folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    lines = done.stderr.splitlines()[-10:]
    assert hint_of_missing_file(lines, run_folder, here / "model.py", [here]).startswith(f"d.csv is in {here}: "), lines


def test_the_advice_is_a_keyword_that_helps(run_folder: Path, here: Path) -> None:
    (here / "models").mkdir()
    said, script = ["data/d.csv not found"], here / "models" / "model.py"
    (here / "data").mkdir()
    (here / "data" / "d.csv").touch()
    elsewhere = hint_of_missing_file(said, run_folder, script, [script.parent, here])
    assert elsewhere.endswith('use the whole path in the script, or link="data" in the input file')
    beside = hint_of_missing_file(said, run_folder, here / "model.py", [here])
    assert beside.endswith('use the whole path in the script, or run_in="script" in the input file')
