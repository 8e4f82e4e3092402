from __future__ import annotations

from pathlib import Path

import pytest

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.inputfile.read import read_input_file
from candle_hpo.record.folder import (
    create_experiment,
    find_experiment,
    point_last_experiment,
    read_experiment_settings,
    read_parameter_sets,
)
from conftest import WriteInput


def create(path: Path, here: Path) -> ExperimentPaths:
    paths, _ = create_experiment(here, read_input_file(path), total=4, seed=7, interpreter="/usr/bin/python3")
    point_last_experiment(here, paths)
    return paths


def test_an_experiments_folder_holds_what_is_needed_to_run_it_again(write_input: WriteInput, here: Path) -> None:
    source = write_input(control="nworkers=3\nqueue=norm")
    paths = create(source, here)
    assert paths.root == here / "candle_generated_files" / "experiments" / "X000"
    assert paths.input_file.read_text() == source.read_text()
    stored = read_experiment_settings(paths)
    assert stored.settings == read_input_file(source).settings
    assert (stored.names, stored.total, stored.seed) == (["x", "y"], 4, 7)
    assert stored.interpreter == "/usr/bin/python3"
    assert stored.provenance.directory == str(here)
    assert stored.provenance.host
    assert stored.provenance.command
    assert read_parameter_sets(paths, stored) == read_input_file(source).space
    assert paths.parameter_sets.read_text().splitlines()[0] == '{"id":"hpset_00001","y":2,"x":1}'


def test_experiments_are_numbered_and_the_last_is_linked(write_input: WriteInput, here: Path) -> None:
    source = write_input()
    assert [create(source, here).root.name for _ in range(3)] == ["X000", "X001", "X002"]
    (here / "candle_generated_files" / "experiments" / "X999").mkdir()
    assert create(source, here).root.name == "X1000"
    assert (here / "last-candle-job").readlink() == Path("candle_generated_files/experiments/X1000")


def test_an_experiment_is_found_by_name_by_path_and_as_the_last(write_input: WriteInput, here: Path) -> None:
    source = write_input()
    first, last = create(source, here), create(source, here)
    assert find_experiment(None, here) == last
    assert find_experiment("last-candle-job", here) == last
    assert find_experiment("X000", here) == first
    assert find_experiment(str(first.root), Path("/")) == first
    assert find_experiment("candle_generated_files/experiments/X000", here) == first


def test_an_experiment_that_is_not_there(write_input: WriteInput, here: Path) -> None:
    with pytest.raises(InputError, match="there is no experiment here"):
        find_experiment(None, here)
    with pytest.raises(InputError, match=r"^X007 is not an experiment; there is none here$"):
        find_experiment("X007", here)
    create(write_input(), here)
    with pytest.raises(InputError, match=r"^X007 is not an experiment; here are X000$"):
        find_experiment("X007", here)


def test_something_of_the_users_with_the_links_name_is_left_alone(write_input: WriteInput, here: Path) -> None:
    (here / "last-candle-job").mkdir()
    with pytest.raises(MachineError, match='"last-candle-job" is something of yours, not a link of candle; rename it'):
        create(write_input(), here)
    assert (here / "last-candle-job").is_dir()


def test_a_folder_that_cannot_be_made(write_input: WriteInput, here: Path) -> None:
    (here / "candle_generated_files").write_text("a file of this name")
    with pytest.raises(MachineError, match="the experiment's folder cannot be made"):
        create(write_input(), here)
    assert not (here / "last-candle-job").exists()
