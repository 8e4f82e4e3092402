from __future__ import annotations

import json
import math
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_param_helpers import only, read, read_right

from candle_hpo.core.axes import Axis, categorical
from candle_hpo.core.conditions import All, Among, Compare
from candle_hpo.core.errors import InputError
from candle_hpo.core.expressions import FUNCTIONS, OPERATORS
from candle_hpo.core.parameters import Parameter, ParametricSpace
from candle_hpo.core.space import GridSpace
from candle_hpo.inputfile.read import read_input_file
from conftest import WriteInput, input_text

CONTROL = 'model_script="model.py"\nworkflow="bayesian"'


def read_file(here: Path, param_space: str, control: str = CONTROL, default_model: str = "") -> ParametricSpace:
    (here / "model.py").touch()
    (here / "x.in").write_text(input_text(control, default_model, param_space), encoding="utf-8")
    space = read_input_file(Path("x.in")).space
    assert isinstance(space, ParametricSpace)
    return space


def problems_of(here: Path, param_space: str, control: str = CONTROL) -> list[str]:
    with pytest.raises(InputError) as caught:
        read_file(here, param_space, control)
    return [str(problem) for problem in caught.value.problems]


# The input file.


@pytest.mark.parametrize("workflow", ["bayesian", "random"])
def test_both_forms_in_an_input_file(here: Path, workflow: str) -> None:
    control = f'model_script="model.py"\nworkflow="{workflow}"'
    in_r = """
      makeIntegerParam("epochs", lower = 2, upper = 5)   # a comment
      makeNumericParam("dropout",
                       lower = 0, upper = 0.9)
      makeDiscreteParam("optimizer", values = c("sgd", "a # b"))
    """
    in_json = """
      # a comment
      {"name": "epochs", "type": "int", "low": 2, "high": 5}   # another
      {"name": "dropout", "type": "float", "low": 0, "high": 0.9}
      {"name": "optimizer", "type": "categorical", "choices": ["sgd", "a # b"]}
    """
    expected = ParametricSpace(
        (
            Parameter(name="epochs", axes=(Axis("epochs", "integer", 2, 5),)),
            Parameter(name="dropout", axes=(Axis("dropout", "float", 0.0, 0.9),)),
            Parameter(name="optimizer", axes=(categorical("optimizer", ("sgd", "a # b")),)),
        ),
        {"epochs": 9, "seed": 1},
    )
    for text in (in_r, in_json):
        assert read_file(here, text, control, "epochs = 9\nseed = 1") == expected


def test_a_name_of_the_space_overrides_its_default(here: Path) -> None:
    space = read_file(here, 'makeIntegerParam("epochs", 2, 5)', default_model="epochs = 9\nseed = 1")
    assert space.hyperparameters({"epochs": 3}) == {"epochs": 3, "seed": 1}


def test_a_whole_file_of_r(here: Path) -> None:
    (here / "space.R").write_text('\nps <- makeParamSet(\n  makeLogicalParam("a")\n)\n')
    assert read_file(here, "candle_param_space_file = space.R").names == ("a",)
    assert read_file(here, "", f"{CONTROL}\nparam_space_file=space.R").names == ("a",)
    (here / "space.R").write_text('\nps <- makeParamSet(\n  makeLogicalParm("a")\n)\n')
    (found,) = problems_of(here, "candle_param_space_file = space.R")
    assert found.startswith(f'{here}/space.R:3: "makeLogicalParm" describes no parameter')


def test_lines_are_those_of_the_input_file(here: Path) -> None:
    found = problems_of(here, 'makeNumericParam("x",\n\n  # why\n  lower = 2,\n  uper = 1)\nmakeLogicalParam("y"))')
    assert [problem.split(": ")[0] for problem in found] == ["x.in:13", "x.in:14"]


def test_a_space_without_parameters(here: Path) -> None:
    (found,) = problems_of(here, "")
    assert found.startswith("x.in:8: there are no parameters to vary; write for instance makeNumericParam(")
    (found,) = problems_of(here, "library(ParamHelpers)")
    assert found.startswith("x.in:9: there are no parameters to vary")
    (found,) = problems_of(here, "ps <- makeParamSet()")
    assert found.startswith("x.in:9: there are no parameters to vary")


def test_a_form_that_is_for_another_workflow(here: Path) -> None:
    (found,) = problems_of(here, '{"epochs": 2, "batch_size": 64}')
    assert found.startswith('x.in:9: this is a set of values, as workflow="grid" lists them; here each line is')
    in_r = 'makeLogicalParam("x")\nmakeLogicalParam("y")'
    (found,) = problems_of(here, in_r, 'model_script="model.py"\nworkflow="grid"')
    assert found.startswith('x.in:9: parameters with ranges are for workflow="bayesian" or "random"; with "grid"')
    (found,) = problems_of(here, "param.set <- makeParamSet(\n)", 'model_script="model.py"\nworkflow="grid"')
    assert found.startswith("x.in:9: parameters with ranges")


@pytest.mark.parametrize(
    "text",
    [
        'makeLogicalParam("x")\n{"name": "y", "type": "int", "low": 1, "high": 2}',
        '{"name": "y", "type": "int", "low": 1, "high": 2}\nmakeLogicalParam("x")',
    ],
)
def test_the_two_forms_do_not_mix(here: Path, text: str) -> None:
    assert problems_of(here, text) == ["x.in:10: JSON and make…Param(…) stand in one section; write all in one form"]


def test_a_note_on_constants(here: Path) -> None:
    (here / "model.py").touch()
    (here / "x.in").write_text(input_text(CONTROL, "epoch = 2", 'makeIntegerParam("epochs", 2, 2)'), encoding="utf-8")
    assert read_input_file(here / "x.in").notes == (f"{here}/x.in:9: epochs is always 2; nothing of it is searched",)


def test_with_run_workflow_0_the_parameters_are_not_judged(write_input: WriteInput) -> None:
    text = write_input(control="use_candle=0", param_space="nonsense").read_text().replace('"grid"', '"random"')
    Path("x.in").write_text(text)
    assert read_input_file(Path("x.in")).space is None


def test_a_range_that_no_float_can_resolve(here: Path) -> None:
    (found,) = problems_of(here, '{"name": "x", "type": "float", "low": -1.7e308, "high": 1.7e308}')
    assert found == "x.in:9: x: the range is too wide to be computed with; keep its bounds below 1e300"


# The JSON form.


def test_numbers() -> None:
    space = read_right(
        """
        {"name": "rate", "type": "float", "low": 1e-5, "high": 0.1, "log": true}
        {"name": "units", "type": "int", "low": 8, "high": 512, "log": true, "length": 2}
        {"name": "batch", "type": "integer", "low": 16, "high": 70, "step": 16}
        {"name": "dropout", "type": "float", "low": 0.1, "high": 0.5, "step": 0.1}
        """
    )
    assert [parameter.scale for parameter in space.parameters] == ["log", "log", "linear", "linear"]
    assert [axis.name for axis in space.axes] == ["rate", "units[0]", "units[1]", "batch", "dropout"]
    assert space.axes[0] == Axis("rate", "float", 1e-5, 0.1, log=True)
    assert space.axes[1] == Axis("units[0]", "integer", 8, 512, log=True)
    of_steps = [
        [space.parameters[place].value({name: count}) for count in range(int(space.axes[place + 1].high) + 1)]
        for place, name in ((2, "batch"), (3, "dropout"))
    ]
    assert of_steps == [[16, 32, 48, 64], [0.1, 0.2, 0.3, 0.4, 0.5]]
    assert all(type(value) is int for value in of_steps[0])
    assert all(type(value) is float for value in of_steps[1])


def test_choices_are_any_json() -> None:
    choices = ["relu", None, True, 1, 2.5, [1, [2]], {"a": 1}]
    parameter = only(json.dumps({"name": "x", "type": "categorical", "choices": choices, "length": 2}))
    assert parameter.value({"x[0]": 5, "x[1]": 1}) == [[1, [2]], None]
    assert parameter.find([{"a": 1.0}, True]) == {"x[0]": 6, "x[1]": 2}


def test_choices_that_are_equal_and_not_the_same() -> None:
    """A script may do something else for 1 than for 1.0: they are two choices, and a condition names one of them."""
    space = read_right(
        """
        {"name": "x", "type": "categorical", "choices": [1, 1.0, "a", true]}
        {"name": "z", "type": "categorical", "choices": [2.0, 4.0]}
        {"name": "y", "type": "float", "low": 0, "high": 1, "requires": {"x": 1.0, "z": [4]}}
        """
    )
    values = [space.hyperparameters({"x": place, "z": 1, "y": 0.5}) for place in range(4)]
    assert [repr(each["x"]) for each in values] == ["1", "1.0", "'a'", "True"]
    assert ["y" in each for each in values] == [False, True, False, False]
    found = [space.coordinates(each) for each in values]
    assert [each and each["x"] for each in found] == [0, 1, 2, 3]


def test_conditions() -> None:
    space = read_right(
        """
        {"name": "optimizer", "type": "categorical", "choices": ["sgd", "adam", "rms"]}
        {"name": "layers", "type": "int", "low": 1, "high": 5}
        {"name": "batch", "type": "int", "low": 16, "high": 64, "step": 16}
        {"name": "a", "type": "float", "low": 0, "high": 1, "requires": {"optimizer": "sgd"}}
        {"name": "b", "type": "float", "low": 0, "high": 1, "requires": {"optimizer": ["adam", "rms"], "layers": 2}}
        {"name": "c", "type": "float", "low": 0, "high": 1, "requires": {"layers": {"low": 2, "high": 4}}}
        {"name": "d", "type": "float", "low": 0, "high": 1, "requires": {"batch": [16, 64]}}
        {"name": "e", "type": "float", "low": 0, "high": 1, "requires": {"batch": {"low": 33}}}
        """
    )
    assert [parameter.condition for parameter in space.parameters[3:]] == [
        Among("optimizer", (0,)),
        All((Among("optimizer", (1, 2)), Compare("layers", "==", 2.0))),
        All((Compare("layers", ">=", 2.0), Compare("layers", "<=", 4.0))),
        Among("batch", (0, 3)),
        Among("batch", (2, 3)),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"type": "int"}', '"name" is missing, or not text; write for instance "name": "dropout"'),
        ('{"name": "x"}', 'x: "type" is missing, or not text; valid are float, int, integer, categorical'),
        ('{"name": "x", "type": "floot"}', 'x: "floot" is not a type; did you mean "float"?'),
        (
            '{"name": "x", "type": "int", "hihg": 1}',
            'x: "hihg" does not apply to an int parameter; did you mean "high"?',
        ),
        ('{"name": "x", "type": "float", "lo": 1}', 'x: "lo" does not apply to a float parameter; did you mean "low"?'),
        ('{"name": "x", "type": "float", "low": 1}', 'x: "high" is missing, or not a number'),
        ('{"name": "x", "type": "float", "low": "1", "high": 2}', 'x: "low" is missing, or not a number'),
        ('{"name": "x", "type": "float", "low": 3, "high": 2}', 'x: "low", 3, is above "high", 2; swap them'),
        ('{"name": "x", "type": "int", "low": 0.5, "high": 2}', 'x: "low" of an integer is a whole number'),
        ('{"name": "x", "type": "int", "low": 0, "high": 2, "log": true}', 'x: "log" needs a "low" above 0, not 0'),
        ('{"name": "x", "type": "int", "low": 1, "high": 2, "log": 1}', 'x: "log" is true or false'),
        ('{"name": "x", "type": "int", "low": 1, "high": 9, "log": true, "step": 2}', 'x: "log" and "step" exclude'),
        ('{"name": "x", "type": "int", "low": 1, "high": 9, "step": 0}', 'x: "step" is above 0, and makes at most'),
        ('{"name": "x", "type": "float", "low": 1, "high": 9, "step": 1e-9}', 'x: "step" is above 0, and makes at'),
        ('{"name": "x", "type": "categorical"}', 'x: "choices" is missing, or not a list; write for instance'),
        ('{"name": "x", "type": "categorical", "choices": []}', "x: there are no choices; name at least one"),
        (
            '{"name": "x", "type": "categorical", "choices": [1, 2], "low": 1}',
            'x: "low" does not apply to a categorical',
        ),
        ('{"name": "x", "type": "int", "low": 1, "high": 9, "length": 0}', 'x: "length" is a whole number from 1 to'),
        ('{"name": "x", "type": "int", "low": 1, "high": 9, "requires": "y"}', 'x: "requires" is an object, such as'),
        (
            '{"name": "x", "type": "int", "low": 1, "high": 9, "requires": {"y": 1}}',
            'x: the condition asks for "y", which is not a parameter; valid are x',
        ),
        ('{"name": "x", "type": "int", "low": 1, "high": 9,}', 'remove the comma before "}"; a parameter is one JSON'),
        ('{"name": "id", "type": "int", "low": 1, "high": 9}', '"id" names the trials; call the parameter something'),
        ('{"name": "x", "type": "int", "low": 1, "high": ' + "9" * 400 + "}", 'x: "high" is too large'),
        ("[1]", "this is not a JSON object such as"),
    ],
)
def test_what_is_wrong(line: str, expected: str) -> None:
    _, problems, _ = read("# first\n" + line)
    assert len(problems) == 1, problems
    assert problems[0].removeprefix("x.in:2: ").startswith(expected)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ('{"o": "sdg"}', '"sdg" is not a value of o; did you mean "sgd"?'),
        ('{"o": {"low": 1}}', 'the choices of o are not numbers; ">=" does not apply to them'),
        ('{"n": 9}', "n == 9 never holds: n is from 1 to 5; choose another value"),
        ('{"n": {"high": 0}}', "n <= 0 never holds"),
        ('{"n": {"lower": 0}}', '"requires" of "n": a range has "low", "high" or both'),
        ('{"n": [1, 6]}', "6 is not a value of n, which is from 1 to 5"),
        ('{"n": "a"}', "n is a number, which a is not; compare it with a number"),
        ('{"f": [0.5]}', "f has too many values to ask for some of them; compare it with < or >"),
        ('{"x": 1}', 'the conditions are circular: "x" needs "x"; omit one'),
    ],
)
def test_what_is_wrong_with_conditions(asked: str, expected: str) -> None:
    _, problems, _ = read(
        '{"name": "o", "type": "categorical", "choices": ["sgd", "adam"]}\n'
        '{"name": "n", "type": "int", "low": 1, "high": 5}\n'
        '{"name": "f", "type": "float", "low": 0, "high": 1}\n'
        f'{{"name": "x", "type": "int", "low": 1, "high": 5, "requires": {asked}}}'
    )
    assert len(problems) == 1, problems
    assert problems[0].removeprefix("x.in:4: ").removeprefix("x: ").startswith(expected)


def test_vectors_and_scalars_share_no_name() -> None:
    fields = '"type": "int", "low": 1, "high": 2'
    _, problems, _ = read(f'{{"name": "v", {fields}, "length": 2}}\n{{"name": "v[1]", {fields}}}')
    assert problems == ['x.in:2: "v[1]" appears twice (first in line 1); keep one']


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
_FIELDS = ["name", "type", "low", "high", "log", "step", "length", "choices", "requires"]


@settings(max_examples=300)
@given(
    fields=st.dictionaries(st.sampled_from(_FIELDS), _JSON),
    more=st.fixed_dictionaries(
        {"name": st.sampled_from("xy"), "type": st.sampled_from(["int", "float", "categorical"])}
    ),
    low=st.floats(-5, 5),
)
def test_arbitrary_fields_are_read_or_reported(fields: dict[str, object], more: dict[str, object], low: float) -> None:
    line = json.dumps({**more, "low": low, "high": 4, **fields})
    space, problems, _ = read(f'{line}\n{{"name": "z", "type": "int", "low": 1, "high": 3, "requires": {{"x": 1}}}}')
    if not problems:
        assert msgspec.json.decode(msgspec.json.encode(space), type=ParametricSpace) == space
        point = space.rounded({axis.name: (axis.low + axis.high) / 2 for axis in space.axes})
        assert space.coordinates(space.hyperparameters(point)) == point
        assert all(math.isfinite(coordinate) for coordinate in point.values())


# The forms of IMPROVE and Supervisor.


def test_the_spaces_of_improve_and_supervisor_are_read_as_they_are(here: Path) -> None:
    for_deephyper = """[
        {"name": "learning_rate", "type": "float", "min": 1e-6, "max": 1e-2, "log_uniform": true, "default": 7e-6},
        {
            "name": "layers",
            "type": "int", "min": 1, "max": 4
        },
        {"name": "activation", "type": "categorical", "choices": ["relu", "tanh"]}
    ]"""
    assert read_file(here, for_deephyper).parameters == (
        Parameter(name="learning_rate", axes=(Axis("learning_rate", "float", 1e-6, 1e-2, True),)),
        Parameter(name="layers", axes=(Axis("layers", "integer", 1, 4),)),
        Parameter(name="activation", axes=(categorical("activation", ("relu", "tanh")),)),
    )
    for_supervisor = """[
        {"name": "rate", "type": "float", "use_log_scale": true, "lower": 0.001, "upper": 0.1, "sigma": 0.1},
        {"name": "batch", "type": "ordered", "element_type": "int", "values": [16, 32], "sigma": 1},
        {"name": "drop", "type": "categorical", "element_type": "float", "values": [0, 0.5]},
        {"name": "norm", "type": "logical"},
        {"name": "epochs", "type": "constant", "value": 5}
    ]"""
    assert read_file(here, for_supervisor).parameters == (
        Parameter(name="rate", axes=(Axis("rate", "float", 0.001, 0.1, True),)),
        Parameter(name="batch", axes=(categorical("batch", (16, 32)),)),
        Parameter(name="drop", axes=(categorical("drop", (0.0, 0.5)),)),
        Parameter(name="norm", axes=(categorical("norm", (False, True)),)),
        Parameter(name="epochs", axes=(categorical("epochs", (5,)),)),
    )


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ('"type": "int", "min": 4, "max": 1', 'y: "min", 4, is above "max", 1; swap them'),
        ('"type": "int", "min": 4, "low": 1, "max": 9', 'y: "min" and "low" mean the same; keep one'),
        ('"type": "int", "max": 9', 'y: "low" is missing, or not a number'),
        (
            '"type": "float", "lower": 0, "upper": 9, "use_log_scale": true',
            'y: "use_log_scale" needs a "lower" above 0, not 0',
        ),
        (
            '"type": "logical", "values": [1]',
            'y: "values" does not apply to a logical parameter; valid are name, type, length, requires',
        ),
        (
            '"type": "ordered", "element_type": "int", "values": [1.5]',
            'y: 1.5 is not what "element_type" says, int',
        ),
        (
            '"type": "ordered", "element_type": "real", "values": [1]',
            'y: "element_type" is one of int, float, string, logical',
        ),
        ('"type": "constant"', 'y: "value" is missing: what a constant parameter always is'),
        ('"name": "z"', '"name" appears twice; keep one'),
        ('"type": None', "None is Python's; JSON writes null"),
    ],
)
def test_what_is_wrong_in_a_list_has_its_line(here: Path, second: str, expected: str) -> None:
    text = f'[\n{{"name": "x", "type": "int", "low": 1, "high": 2}},\n{{"name": "y", {second}}}\n]'
    assert problems_of(here, text) == [f"x.in:11: {expected}"]


def test_a_list_is_read_to_its_end(here: Path) -> None:
    one = '{"name": "x", "type": "int", "low": 1, "high": 2}'
    wrong = "x.in:9: this is not JSON"
    assert problems_of(here, f"[{one},\n7]") == [
        'x.in:10: this is not a JSON object such as {"epochs": 2, "batch_size": 64}'
    ]
    assert problems_of(here, f"[{one},\n]") == ['x.in:9: remove the comma before "]"']
    assert problems_of(here, f"[{one} {one}]") == [f'{wrong}, from "{one[:30]}" on']
    assert problems_of(here, f"[{one}") == [f"{wrong}: it ends too early; is a bracket or a quote not closed?"]
    assert problems_of(here, f"[{one}]\n{one}") == [f'x.in:10: remove "{one[:40]}" after the closing bracket']


def test_a_grid_stays_a_grid(write_input: WriteInput) -> None:
    assert isinstance(read_input_file(write_input()).space, GridSpace)


def test_the_examples_of_the_manual_are_right() -> None:
    page = (Path(__file__).parents[2] / "docs" / "parameter-space.md").read_text(encoding="utf-8")
    examples = re.findall(r"```(?:r|json)\n(.*?)```", page, re.DOTALL)
    assert [len(read_right(example).parameters) for example in examples] == [1, 4, 3, 4, 6, 6]
    for name in FUNCTIONS:
        assert f"`{name}`" in page or name in OPERATORS
