from __future__ import annotations

import contextlib
import math
from typing import Literal

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from candle_hpo.core.axes import (
    Axis,
    categorical,
    find_coordinate,
    is_delivered_whole,
    key_of,
    problem_of,
    same_value,
    scale_of,
    value_at,
)
from candle_hpo.core.conditions import All, Among, Any, Compare, Condition, Not, holds
from candle_hpo.core.expressions import FUNCTIONS, Argument, Call, Expression, ExpressionError, Number, apply, evaluate
from candle_hpo.core.parameters import CircularConditions, Coordinates, Parameter, ParametricSpace, parents_first

X = Argument()
TEN_TO_X = Call("^", (Number(10.0), X))
TWO_TO_X = Call("^", (Number(2.0), X))

SPACE = ParametricSpace(
    (
        Parameter(
            name="momentum",
            axes=(Axis("momentum", "float", 0.0, 1.0),),
            condition=Among("optimizer", (0,)),
        ),
        Parameter(name="optimizer", axes=(categorical("optimizer", ("sgd", "adam", None)),)),
        Parameter(name="rate", axes=(Axis("rate", "float", -5.0, -1.0),), transform=TEN_TO_X),
        Parameter(name="decay", axes=(Axis("decay", "float", 1e-6, 1e-2, log=True),)),
        Parameter(name="batch", axes=(Axis("batch", "integer", 4, 9),), transform=TWO_TO_X, whole=True),
        Parameter(
            name="units",
            axes=(Axis("units[0]", "integer", 8, 64), Axis("units[1]", "integer", 4, 32)),
            is_vector=True,
            condition=All((Compare("batch", ">=", 6.0), Not(Among("optimizer", (2,))))),
        ),
        Parameter(
            name="nesterov",
            axes=(categorical("nesterov", (False, True)),),
            condition=Any((Compare("momentum", ">", 0.5), Compare("batch", "==", 4.0))),
        ),
    ),
    {"momentum": 0.9, "epochs": 3, "rate": 7},
)
POINT: Coordinates = {
    "momentum": 0.25,
    "optimizer": 0,
    "rate": -2.0,
    "decay": 1e-4,
    "batch": 6,
    "units[0]": 10,
    "units[1]": 5,
    "nesterov": 1,
}


def test_a_space_comes_back_from_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(SPACE), type=ParametricSpace) == SPACE


def test_the_axes_are_those_of_all_parameters_in_order() -> None:
    assert [axis.name for axis in SPACE.axes] == list(POINT)
    assert SPACE.names == ("momentum", "optimizer", "rate", "decay", "batch", "units", "nesterov")


def test_hyperparameters_are_values_over_the_defaults() -> None:
    assert SPACE.hyperparameters(POINT) == {
        "epochs": 3,
        "momentum": 0.25,
        "optimizer": "sgd",
        "rate": 0.01,
        "decay": 1e-4,
        "batch": 64,
        "units": [10, 5],
    }
    assert type(SPACE.hyperparameters(POINT)["batch"]) is int


def test_what_is_inactive_has_its_default_value_or_none() -> None:
    found = SPACE.hyperparameters({**POINT, "optimizer": 1, "batch": 5})
    assert found["momentum"] == 0.9
    assert "units" not in found
    assert "nesterov" not in found


def test_a_parameter_whose_parent_is_inactive_is_inactive() -> None:
    point = {**POINT, "optimizer": 1, "momentum": 0.9}
    assert "nesterov" not in SPACE.active(point)
    assert "nesterov" in SPACE.active({**point, "optimizer": 0})
    # "true or unknown" is true.
    assert "nesterov" in SPACE.active({**point, "batch": 4})


def test_coordinates_of_what_is_inactive_need_not_be_there() -> None:
    part = SPACE.active({**POINT, "optimizer": 1, "batch": 5})
    assert list(part) == ["optimizer", "rate", "decay", "batch"]
    assert SPACE.active(part) == part
    with pytest.raises(KeyError):
        SPACE.hyperparameters({"optimizer": 1})


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "adm"},
        {"rate": 0.2},
        {"rate": "0.01"},
        {"rate": True},
        {"decay": 1e-7},
        {"batch": 65},
        {"batch": 8},
        {"units": [10]},
        {"units": 10},
        {"units": [10, 99]},
        {"momentum": math.nan},
    ],
)
def test_hyperparameters_of_another_space_have_no_coordinates(change: dict[str, object]) -> None:
    right = SPACE.hyperparameters(POINT)
    assert SPACE.coordinates(right) == SPACE.active(POINT)
    assert SPACE.coordinates({**right, **change}) is None
    del right[next(iter(change))]
    assert SPACE.coordinates(right) is None


def test_numbers_that_json_or_csv_changed_are_found_too() -> None:
    right = SPACE.hyperparameters(POINT)
    assert SPACE.coordinates({**right, "batch": 64.0, "momentum": 0, "units": [10.0, 5]}) == {
        **SPACE.active(POINT),
        "momentum": 0.0,
    }
    found = SPACE.coordinates({**right, "rate": 0.0123457})
    assert found is not None
    assert SPACE.hyperparameters(found)["rate"] == pytest.approx(0.0123457, rel=1e-9)


def test_conditions_go_in_no_circle() -> None:
    def depending(name: str, *parents: str) -> Parameter:
        asks: Condition = Any(tuple(Among(parent, (0,)) for parent in parents))
        return Parameter(name=name, axes=(categorical(name, (1, 2)),), condition=asks if parents else None)

    assert [one.name for one in parents_first([depending("a", "b"), depending("b", "c"), depending("c")])] == [
        "c",
        "b",
        "a",
    ]
    with pytest.raises(CircularConditions) as caught:
        parents_first([depending("a", "b"), depending("b", "c"), depending("c", "a")])
    assert set(caught.value.names) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Among("here", (1, 2)), True),
        (Among("here", (3,)), False),
        (Among("gone", (1,)), None),
        (Not(Among("gone", (1,))), None),
        (Not(Among("here", (1,))), False),
        (All((Among("here", (1,)), Among("gone", (1,)))), None),
        (All((Among("here", (3,)), Among("gone", (1,)))), False),
        (Any((Among("here", (1,)), Among("gone", (1,)))), True),
        (Any((Among("here", (3,)), Among("gone", (1,)))), None),
        (All(()), True),
        (Any(()), False),
    ],
)
def test_logic_with_what_is_unknown(condition: Condition, expected: bool | None) -> None:
    assert holds(condition, {"here": 1}) is expected


def test_values_of_json_are_distinguished() -> None:
    assert same_value(1, 1.0)
    assert same_value([1, {"b": 2.0, "a": None}], [1.0, {"a": None, "b": 2}])
    assert not same_value(1, True)
    assert not same_value("1", 1)
    assert not same_value([1], 1)
    assert len({key_of(value) for value in (1, 1.0, True, "1", [1], [1.0], None, "null", {"1": 1}, 1.5)}) == 10


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("/", [1, 0]),
        ("%%", [1, 0]),
        ("log", [0]),
        ("log", [-1]),
        ("sqrt", [-1]),
        ("exp", [1000]),
        ("^", [-8, 1 / 3]),
        ("^", [0, -1]),
        ("^", [10, 400]),
        ("*", [1e308, 1e308]),
        ("as.integer", [3e9]),
        ("log1p", [-1]),
        ("log", [2, 1]),
    ],
)
def test_what_is_not_finite_is_an_error(function: str, arguments: list[float]) -> None:
    with pytest.raises(ExpressionError, match="is not a finite number"):
        apply(function, arguments)


@given(
    function=st.sampled_from(sorted(FUNCTIONS)),
    arguments=st.lists(st.floats() | st.integers(-(2**53), 2**53), min_size=2, max_size=2),
)
def test_a_function_gives_a_finite_number_or_an_error(function: str, arguments: list[float]) -> None:
    most = len(FUNCTIONS[function].names) or 2
    with contextlib.suppress(ExpressionError):
        assert math.isfinite(apply(function, arguments[:most]))


# What a search proposes is found again exactly, whatever the transform.

INNER: list[Expression] = [
    X,
    TEN_TO_X,
    TWO_TO_X,
    Call("exp", (X,)),
    Call("-", (TEN_TO_X, Number(1.0))),
    Call("negative", (TWO_TO_X,)),
    Call("^", (Number(10.0), Call("negative", (X,)))),
    Call("/", (X, Number(10.0))),
    Call("+", (Call("*", (Number(0.1), X)), Number(3.0))),
    Call("log1p", (Call("abs", (Call("+", (X, Number(100.0))),)),)),
    Call("pmin", (X, Number(2.0))),
    Call("%/%", (X, Number(3.0))),
    Call("-", (Number(1.0), Call("exp", (Call("negative", (Call("*", (X, X)),)),)))),
]
TRANSFORMS: list[Expression | None] = [
    None,
    *INNER,
    *(Call("round", (inner,)) for inner in INNER),
    *(Call("round", (inner, Number(2.0))) for inner in INNER),
    *(Call("floor", (Call("*", (inner, Number(7.0))),)) for inner in INNER),
]


@st.composite
def axes(draw: st.DrawFn, name: str = "x") -> Axis:
    kind: Literal["float", "integer"] = draw(st.sampled_from(["float", "integer"]))
    if kind == "integer":
        low = draw(st.integers(-20, 20))
        return Axis(name, kind, low, low + draw(st.integers(0, 20) | st.integers(1000, 5000)))
    low_float = draw(st.sampled_from([-5.0, 0.0, 1 / 3, -2 / 3, math.log(1e-6)]) | st.floats(-20, 20))
    width = draw(st.sampled_from([1.0, 2 / 3, 1e-3, 20.0]) | st.floats(1e-6, 20))
    return Axis(name, kind, low_float, low_float + width)


@pytest.mark.slow
@settings(max_examples=400)
@given(axis=axes(), transform=st.sampled_from(TRANSFORMS), place=st.floats(0, 1))
def test_what_is_proposed_is_found_again(axis: Axis, transform: Expression | None, place: float) -> None:
    assume(transform is None or problem_of(axis, transform) is None)
    whole = transform is not None and is_delivered_whole(axis, transform)
    space = ParametricSpace((Parameter(name="x", axes=(axis,), transform=transform, whole=whole),))
    proposed = {"x": axis.low + (axis.high - axis.low) * place}
    near = space.rounded(proposed)
    assert axis.low <= near["x"] <= axis.high
    assert type(near["x"]) is (int if axis.kind == "integer" else float)
    values = space.hyperparameters(near)
    assert type(values["x"]) is (int if whole or (transform is None and axis.kind == "integer") else float)
    assert space.coordinates(values) == near
    assert space.rounded(near) == near
    # The way through a file, and through a float of every number, changes nothing.
    again = msgspec.json.decode(msgspec.json.encode(values))
    assert space.coordinates(again) == near
    assert space.coordinates({"x": float(again["x"])}) == near
    # Rounding changes what is delivered by next to nothing.
    first = value_at(axis, transform, whole, axis.rounded(proposed["x"]))
    assert values["x"] == first


@given(axis=axes(), place=st.floats(0, 1))
def test_rounding_is_done_once(axis: Axis, place: float) -> None:
    near = axis.rounded(axis.low + (axis.high - axis.low) * place)
    assert axis.low <= near <= axis.high
    assert axis.rounded(near) == near
    if axis.kind == "float":
        assert abs(near - (axis.low + (axis.high - axis.low) * place)) <= 1e-9 * (axis.high - axis.low)


@given(low=st.floats(1e-12, 1.0), ratio=st.floats(1.0, 1e12), place=st.floats(0, 1))
def test_a_log_axis_keeps_ten_digits_everywhere(low: float, ratio: float, place: float) -> None:
    axis = Axis("x", "float", low, low * ratio, log=True)
    meant = min(max(low * ratio**place, axis.low), axis.high)
    near = axis.rounded(meant)
    assert math.isclose(near, meant, rel_tol=1e-9)
    assert axis.rounded(near) == near
    assert find_coordinate(axis, None, near) == near


@given(axis=axes(), transform=st.sampled_from(INNER), value=st.floats(-1e6, 1e6))
def test_any_value_has_a_coordinate_near_it_or_none(axis: Axis, transform: Expression, value: float) -> None:
    assume(problem_of(axis, transform) is None)
    found = find_coordinate(axis, transform, value)
    if found is not None:
        assert axis.low <= found <= axis.high
        ends = sorted(evaluate(transform, end) for end in (axis.low, axis.high))
        assert ends[0] <= value <= ends[1] or axis.kind == "integer"


@pytest.mark.parametrize(
    ("axis", "transform", "expected"),
    [
        (Axis("x", "float", -1.0, 1.0), Call("*", (X, X)), "it both rises and falls"),
        (Axis("x", "integer", -900, 900), Call("*", (X, X)), "it both rises and falls"),
        (Axis("x", "integer", -5, 5), Call("*", (X, X)), None),
        (Axis("x", "float", 0.0, 1.0), Call("log", (X,)), "at 0 log(0) is not"),
        (Axis("x", "float", 1.0, 1.0), Call("*", (X, Number(0.0))), None),
        (Axis("x", "float", 0.0, 1.0), Call("*", (X, Number(0.0))), "it gives 0 whatever"),
    ],
)
def test_transforms_without_a_way_back(axis: Axis, transform: Expression, expected: str | None) -> None:
    problem = problem_of(axis, transform)
    assert problem is None if expected is None else problem is not None and problem.startswith(expected)


def test_the_scale() -> None:
    assert scale_of(Axis("x", "float", 1.0, 10.0, log=True), None) == "log"
    assert scale_of(Axis("x", "float", 1.0, 10.0), None) == "linear"
    assert scale_of(Axis("x", "float", -3.0, 0.0), Call("round", (TEN_TO_X, Number(3.0)))) == "log"
    assert scale_of(Axis("x", "float", 0.0, 1.0), Call("log", (X,))) == "linear"
    assert scale_of(Axis("x", "float", 0.0, 1.0), Call("+", (X, Number(1.0)))) == "linear"
