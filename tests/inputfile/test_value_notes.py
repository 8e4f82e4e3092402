"""Values that are right, and perhaps not meant so: they are noted, and never refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from candle_hpo.inputfile.read import read_input_file
from conftest import Candle, WriteInput


def notes_of(path: Path) -> list[str]:
    return list(read_input_file(Path(path.name)).notes)


@pytest.mark.parametrize(
    ("text", "python", "json"),
    [
        ("False", "value False", "value false"),
        ("true", "value True", "value true"),
        ("None", "value None", "value null"),
        ("1e-3", "number 0.001", "number 0.001"),
        ("-2", "number -2", "number -2"),
        (".5", "number 0.5", "number 0.5"),
        ("1e-9", "number 1.0e-09", "number 1.0e-09"),
    ],
)
def test_texts_that_look_like_other_values(write_input: WriteInput, text: str, python: str, json: str) -> None:
    path = write_input(default_model=f"y = '{text}'", param_space=f'{{"x": "{text}"}}\n{{"x": "{text}"}}')
    assert notes_of(path) == [
        f'x.in:6: y is the text "{text}"; Python writes the {python}, without quotes',
        f'x.in:9: x is the text "{text}"; JSON writes the {json}, without quotes',
    ]
    path = write_input(default_model="", param_space=f'{{"x": ["relu", "{text}"]}}\n{{"x": []}}')
    assert f'x is the text "{text}"' in notes_of(path)[0]
    for parameter, form, meant in [
        (f'{{"name": "x", "type": "categorical", "choices": [8, "{text}"]}}', "JSON", json),
        (f'makeDiscreteParam("x", values = list(8, "{text}"))', "R", ""),
    ]:
        path = write_input(default_model="", param_space=parameter)
        path.write_text(path.read_text().replace('"grid"', '"random"'))
        assert f'x.in:9: x is the text "{text}"; {form} writes the {meant}' in notes_of(path)[0]


@pytest.mark.parametrize("text", ["relu", "007", "1e999", "1.2.3", "v1", "", "1,5", "nan"])
def test_other_texts(write_input: WriteInput, text: str) -> None:
    assert notes_of(write_input(default_model=f"y = '{text}'", param_space=f'{{"x": "{text}"}}')) == []


def test_where_everything_becomes_text_nothing_is_noted(write_input: WriteInput, here: Path) -> None:
    """A script that wants `--nesterov True` is given the text."""
    path = write_input(control="hyperparams_as=arguments", param_space='{"x": "True"}', default_model="y = '1'")
    assert notes_of(path) == []
    (here / "a.sh").touch()
    path.write_text(path.read_text().replace("model.py", "a.sh").replace("hyperparams_as=arguments", ""))
    assert notes_of(path) == []


def test_paths_as_for_a_shell(write_input: WriteInput, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", "/scratch/me")
    monkeypatch.setenv("HOME", "/home/me")
    literal = "as it stands: only &control reads values as bash does; write the whole path"
    for text, meant in [
        ("$(pwd)/data/d.csv", f", {here}/data/d.csv"),
        ("`pwd`/d.csv", f", {here}/d.csv"),
        ("$PWD/d.csv", f", {here}/d.csv"),
        ("${DATA}/d.csv", ", /scratch/me/d.csv"),
        ("$DATA", ", /scratch/me"),
        ("~/d.csv", ", /home/me/d.csv"),
        ("$NOT_SET/d.csv", ""),
        ("$(date +%F)/d.csv", ""),
    ]:
        path = write_input(default_model=f'y = "{text}"', param_space=f'{{"x": "{text}"}}\n{{"x": 3}}')
        assert notes_of(path) == [f'x.in:6: y is "{text}" {literal}{meant}', f'x.in:9: x is "{text}" {literal}{meant}']
    for text in ("a$b", "5$", "~0.5", "~ x/y", "cost: $", "/data/d.csv"):
        assert notes_of(write_input(default_model=f'y = "{text}"', param_space=f'{{"x": "{text}"}}')) == []


def test_a_relative_path_that_is_there(write_input: WriteInput, here: Path) -> None:
    (here / "data").mkdir()
    (here / "data" / "d.csv").touch()
    (here / "relu").touch()
    path = write_input(default_model='y = "data/d.csv"', param_space='{"x": "relu"}\n{"x": "data/gone.csv"}')
    (note,) = notes_of(path)
    assert note.startswith(f'x.in:6: y is "data/d.csv", which is in {here}; a trial runs in its own folder: write ')
    path = write_input(control="run_workflow=0", default_model='y = "data/d.csv"')
    assert notes_of(path) == []


@pytest.mark.parametrize(
    ("default", "sets", "is_noted"),
    [
        ("", ['{"max_depth": [1, 2, 3]}'], True),
        ("max_depth = 3", ['{"max_depth": [1, 2, 3]}', '{"max_depth": [4, 5]}'], True),
        ("", ['{"max_depth": [1, 2, 3]}', '{"max_depth": 4}'], True),
        ("max_depth = [1]", ['{"max_depth": [1, 2, 3]}'], False),
        ("", ['{"max_depth": [128, 64]}', '{"max_depth": [64]}'], False),
    ],
)
def test_a_list_in_a_grid_is_one_value(write_input: WriteInput, default: str, sets: list[str], is_noted: bool) -> None:
    notes = notes_of(write_input(default_model=default, param_space="\n".join(sets)))
    assert bool(notes) is is_noted
    for note in notes:
        assert (
            "max_depth is one value, the list [1, 2, 3]; for a set with each of them, candle generate-grid makes"
            in note
        )
        assert note.endswith("candle generate-grid \"['max_depth',[1, 2, 3]]\" …")


@pytest.mark.parametrize("command", ["check", "submit-job"])
def test_notes_are_shown_before_anything_runs(candle: Candle, write_input: WriteInput, command: str) -> None:
    path = write_input("val_to_return = 1", default_model='data = "$(pwd)/d.csv"', param_space='{"x": "False"}')
    done = candle(command, path)
    assert done.returncode == 0, done.stderr
    assert 'x.in:6: data is "$(pwd)/d.csv" as it stands' in done.stdout
    assert 'x.in:9: x is the text "False"' in done.stdout


def test_a_large_grid_is_noted_once(write_input: WriteInput) -> None:
    sets = "\n".join(f'{{"x": "{number}", "z": "d{number}.csv"}}' for number in range(20_000))
    looked_at = 0
    exists = Path.exists

    def counted(path: Path, **options: bool) -> bool:
        nonlocal looked_at
        looked_at += 1
        return exists(path, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "exists", counted)
        assert len(notes_of(write_input(default_model="", param_space=sets))) == 1
    assert looked_at <= 1
