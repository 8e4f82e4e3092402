"""Results of an earlier experiment in a table: which of them count, and what may make them other ones."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from candle_hpo.core.errors import InputError
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.inputfile.read import read_input_file
from candle_hpo.record.earlier_results import find_earlier_results
from candle_hpo.runner.search_assembly import earlier_results_of
from conftest import Candle, WriteInput

SPACE = 'makeNumericParam("x", lower = 0, upper = 1)'
SPACE_OF_2 = 'makeNumericParam("x", lower = 0, upper = 2)'


@pytest.mark.parametrize(
    ("rows", "values"),
    [
        ("a,0.1,3\na@9,0.1,9\na@27,0.1,27\nb,0.2,3\nb@9,0.2,9\nc@27,0.3,27", [3.0, 6.0]),
        ("a,0.1,3\na@4.5,0.1,4.5", [2.0]),
        ("a,0.1,3\nb,0.2,3", [1.0, 2.0]),
        ("a,0.1,3\nb@home,0.2,3", [1.0, 2.0]),
        ("a,0.1,3\na@10,0.1,10\na@9,0.1,9", [2.0]),
        ("a,9,3\nb,0.2,3\na@9,9,9", [3.0]),
        ("a,9,3\nb,0.2,3\na@9,9,9\nb@9,0.2,9", [3.0, 4.0]),
        ("b,0.2,3\nb@9,0.2,9\na,9,3\na@9,9,9", [2.0, 4.0]),
    ],
)
def test_only_the_highest_level_of_a_table_counts(rows: str, values: list[float], tmp_path: Path) -> None:
    numbered = "\n".join(f"{number}.0,{row}" for number, row in enumerate(rows.split("\n"), start=1))
    (tmp_path / "r.csv").write_text(f"result,id,x,epochs\n{numbered}\n,d@81,0.4,81\n")
    assert [each.value for each in find_earlier_results("r.csv", tmp_path).results] == values


def test_a_table_that_lacks_cells(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("result,x,id\n1,0.5,a@9,more\n0,0.5,b@3\n2,0.5\n3\n")
    assert [each.value for each in find_earlier_results("r.csv", tmp_path).results] == [1.0, 0.0, 2.0, 3.0]
    (tmp_path / "r.csv").write_text("id,x\na,0.5\n")
    with pytest.raises(InputError, match='no row with a column "result"'):
        find_earlier_results("r.csv", tmp_path)


@pytest.mark.parametrize(
    ("defaults", "note"),
    [
        ("epochs = 9", "fixed here: epochs=9 (there 3, 27);"),
        ("epochs = 3\nmode = '27'", "fixed here: epochs=3 (there 27);"),
        ("mode = 'b'\nmissing = 1", 'fixed here: mode=b (there "27");'),
        ("missing = 1", None),
    ],
)
def test_what_is_fixed_here_and_was_something_else_is_noted(
    defaults: str, note: str | None, write_input: WriteInput, here: Path
) -> None:
    (here / "r.csv").write_text('result,id,x,epochs,mode\n1,a,0.1,3,"""27"""\n2,b,0.2,27,"""27"""\n')
    request = read_input_file(write_input("", "warm_start=r.csv", defaults, SPACE), overrides=["workflow=bayesian"])
    assert isinstance(request.space, ParametricSpace)
    said: list[str] = []
    found = earlier_results_of(request.space, request.settings, lambda *lines: said.extend(lines))
    assert [each.value for each in found] == [1.0, 2.0]
    assert note is None or note in "\n".join(said)
    assert ("may not be comparable" in "\n".join(said)) == (note is not None)


def _append(said: list[str], *lines: str) -> None:
    said.extend(lines)


def test_what_is_optimized_now_counts_where_it_was_measured_beside_something_else(
    write_input: WriteInput, here: Path
) -> None:
    (here / "r.csv").write_text(
        "result,id,x,acc,f1,status\n1,a,0.1,0.25,,completed\n2,b,0.2,,,completed\n,c,0.3,9,,failed\n"
    )
    for name, values in [("acc", [0.25]), ("f1", [1.0, 2.0]), ("x", [1.0, 2.0])]:
        path = write_input("", f"warm_start=r.csv\nobjectives={name}", "", SPACE)
        request = read_input_file(path, overrides=["workflow=bayesian"])
        assert isinstance(request.space, ParametricSpace)
        said: list[str] = []
        found = earlier_results_of(request.space, request.settings, partial(_append, said))
        assert [each.value for each in found] == values, name
        assert (said[1:] == ["  (acc counts, which was measured there beside what was optimized)"]) == (name == "acc")


def test_what_is_optimized_now_counts_in_an_experiment_too(write_input: WriteInput, candle: Candle, here: Path) -> None:
    script = 'x = hyperparams["x"]\nval_to_return = {"loss": x, "acc": x / 4} if x < 2 else {"loss": x}'
    candle("submit-job", write_input(script, "objectives=loss\nengine=local", "", '{"x": 1}\n{"x": 2}'))
    path = write_input("val_to_return = 1", "warm_start=X000\nmax_budget=9\ndry_run=1\nengine=local", "", SPACE_OF_2)
    path.write_text(path.read_text().replace('"grid"', '"bayesian"'))
    shown = candle("submit-job", path).stdout
    assert "the search knows 2 of 2 results in X000" in shown
    assert "nothing is learned" not in shown
    for name, values in [("acc", [0.25]), ("f1", [1.0, 2.0]), ("loss", [1.0, 2.0])]:
        found = find_earlier_results("X000", here, name)
        assert [each.value for each in found.results] == values
        assert found.beside == (name if name == "acc" else "")
