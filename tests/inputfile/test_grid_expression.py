from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from candle_hpo.core.errors import InputError
from candle_hpo.inputfile.grid_expression import grid_lines, read_axes


def values_of(expression: str) -> list[object]:
    (axis,) = read_axes([f"['x',{expression}]"])
    return list(axis.values)


def test_the_exercises_call_gives_exactly_its_25_lines() -> None:
    lines = list(grid_lines(read_axes(["['epochs',np.arange(2,11,2)]", "['batch_size',[64,128,256,512,1024]]"])))
    expected = [
        f'{{"id": "hpset_{number:05d}", "epochs": {epochs}, "batch_size": {batch_size}}}'
        for number, (epochs, batch_size) in enumerate(
            itertools.product([2, 4, 6, 8, 10], [64, 128, 256, 512, 1024]), start=1
        )
    ]
    assert lines == expected
    assert lines[0] == '{"id": "hpset_00001", "epochs": 2, "batch_size": 64}'
    assert len(lines) == 25


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("[1, 2.5, 'a', None, True]", [1, 2.5, "a", None, True]),
        ("[[2,2],None,[2,2,2]]", [[2, 2], None, [2, 2, 2]]),
        ("(1, 2)", [1, 2]),
        ("range(3)", [0, 1, 2]),
        ("range(10, 0, -5)", [10, 5]),
        ("np.arange(2, 11, 2)", [2, 4, 6, 8, 10]),
        ("np.arange(3) + 1", [1, 2, 3]),
        ("2 ** np.arange(4, 7)", [16, 32, 64]),
        ("np.linspace(0, 1, 3)", [0.0, 0.5, 1.0]),
        ("np.linspace(0, 1, num=2, endpoint=False)", [0.0, 0.5]),
        ("np.linspace(1, 3, 3, dtype=int)", [1, 2, 3]),
        ("numpy.logspace(-3, -1, 3)", [0.001, 0.01, 0.1]),
        ("np.geomspace(1, 100, 3)", [1.0, 10.0, 100.0]),
        ("np.array([1, 2]) / 4", [0.25, 0.5]),
        ("np.array([[1, 2], [3, 4]])", [[1, 2], [3, 4]]),
        ("[1e-7, 1e-5, 10**-3, -1]", [1e-7, 1e-5, 1e-3, -1]),
        ("[2**10, 7//2, 7%4, -(3)]", [1024, 3, 3, -3]),
        (" [ 'with spaces' ] ", ["with spaces"]),
        ("['__import__(\"os\")']", ['__import__("os")']),
    ],
)
def test_values(expression: str, values: list[object]) -> None:
    found = values_of(expression)
    assert found == pytest.approx(values) if expression.startswith("numpy.log") else found == values
    assert [type(value) for value in found] == [type(value) for value in values]


def test_every_digit_is_kept() -> None:
    (line,) = grid_lines(read_axes(["['rate',[0.1+0.2]]"]))
    assert line == '{"id": "hpset_00001", "rate": 0.30000000000000004}'
    (line,) = grid_lines(read_axes(["['rate',[1e-7]]"]))
    assert line.endswith('"rate": 1.0e-07}')


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("epochs", "this is not a list of a name and its values; write \"['name',values]\", with the double quotes"),
        ("['epochs'", "this is not a Python list; write \"['name',values]\", with the double quotes"),
        (
            "['epochs']",
            "this is not a list of a name and its values; write \"['name',values]\", with the double quotes",
        ),
        ("[epochs,[1]]", "the first of the two is the hyperparameter's name, in quotes"),
        ("['id',[1]]", '"id" names the sets themselves; call the hyperparameter something else'),
        ("['x',5]", "the second of the two is a list of values, at least one"),
        ("['x',[]]", "the second of the two is a list of values, at least one"),
        ("['x',range(1.5)]", "this cannot be computed: 'float' object cannot be interpreted as an integer"),
        ("['x',[1/0]]", "this cannot be computed: division by zero"),
        ("['x',np.arange(1e12)]", "these are more than 10,000,000 values; did you mean fewer?"),
        ("['x',range(10**15)]", "these are more than 10,000,000 values; did you mean fewer?"),
        ("['x',range(10**30)]", "these are more than 10,000,000 values; did you mean fewer?"),
        ("['x',np.linspace(0,1,10**9)]", "these are more than 10,000,000 values; did you mean fewer?"),
        ("['x',[10**10**10]]", "a whole number in this has more than 300 digits"),
        (
            "['x',[1e308*10]]",
            "NaN, infinities and numbers too large for a float are not valid values of a hyperparameter",
        ),
        ("['x',['a'*3]]", "'a' * 3 is not arithmetic on numbers or arrays"),
        ("['x',[1]*10**9]", "[1] * 10 ** 9 is not arithmetic on numbers or arrays"),
        ("['x',np.linspace(0,1,axis=0)]", "axis=0 is not allowed here; options are"),
        ("['x',np.arange(3,dtype=object)]", "dtype=object is not allowed here; dtype is int or float"),
    ],
)
def test_what_is_wrong_is_said(argument: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_axes([argument])
    assert str(caught.value).startswith(f"{argument}: {message}")


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('touch hacked')",
        "open('/etc/passwd')",
        "np.load('x.npy')",
        "np.random.rand(3)",
        "np.arange(3).tofile('x')",
        "[i for i in range(3)]",
        "(lambda: [1])()",
        "exec('1')",
        "np",
        "b'bytes'",
        "{1, 2}",
        "f'{1}'",
        "[1 < 2]",
        "[*range(3)]",
    ],
)
def test_nothing_else_can_run(expression: str) -> None:
    with pytest.raises(InputError, match=r"is not allowed here; (allowed|options) are"):
        values_of(expression)


def test_all_arguments_are_judged_at_once() -> None:
    with pytest.raises(InputError) as caught:
        read_axes(["['x',5]", "['y',[1]]", "['y',[2]]", "z"])
    assert len(caught.value.problems) == 3
    assert '"y" appears twice; keep one' in str(caught.value)


@given(st.text(alphabet="[]()'xnp.arange,0123456789+-*/% \\e", max_size=40) | st.text(max_size=40))
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    for argument in (text, f"['x',{text}]"):
        try:
            for line in itertools.islice(grid_lines(read_axes([argument])), 3):
                json.loads(line)
        except InputError as error:
            assert str(error)


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 9))
def test_arange_is_numpys(start: int, stop: int, step: int) -> None:
    expected = np.arange(start, stop, step).tolist()
    if expected:
        assert values_of(f"np.arange({start},{stop},{step})") == expected


def test_arithmetic_on_numbers_without_end_is_refused_and_not_begun() -> None:
    with pytest.raises(InputError, match="whole ones have at most 19 digits"):
        read_axes([f"['x', 2 ** np.array([{'7' * 70}])]"])
