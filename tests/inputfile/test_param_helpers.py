from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candle_hpo.core.axes import Axis, categorical, same_value
from candle_hpo.core.expressions import Argument, Call, Expression, Number, evaluate
from candle_hpo.core.parameters import Parameter, ParametricSpace
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.inputfile.parameter_space import read_parameter_space
from candle_hpo.inputfile.sections import Findings, text_lines
from candle_hpo.inputfile.value_notes import ValueNotes

FILES = sorted(
    (Path(__file__).parents[1] / "support" / "data" / "parameter_sets").glob("[a-z]*.R"), key=lambda path: path.name
)
FILES = [path for path in FILES if path.name != "expected.R"]


def read(text: str, default_model: Hyperparameters | None = None) -> tuple[ParametricSpace, list[str], list[str]]:
    """Return the space that a text gives, what is wrong with it, and the notes."""
    findings = Findings("x.in")
    space = read_parameter_space(text_lines(text), default_model or {}, findings, ValueNotes())
    problems = sorted(findings.problems, key=lambda problem: problem.line)
    return space, [str(problem) for problem in problems], findings.notes


def read_right(text: str, default_model: Hyperparameters | None = None) -> ParametricSpace:
    space, problems, _ = read(text, default_model)
    assert problems == []
    return space


def only(text: str) -> Parameter:
    (parameter,) = read_right(text).parameters
    return parameter


# Whole files, and what R itself makes of them: tests/support/data/parameter_sets/expected.R.


def nearly(found: object, expected: object) -> bool:
    """Return whether two values are the same but for the last digit of a float, which is the C library's."""
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(nearly, found, expected))
    if isinstance(expected, float) and not isinstance(found, bool) and isinstance(found, int | float):
        return math.isclose(found, expected, rel_tol=1e-14)
    return same_value(found, expected)


def test_there_are_twenty_files_and_more() -> None:
    assert len(FILES) >= 20
    assert {path.stem for path in FILES} == {path.stem for path in FILES[0].parent.glob("*.json")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_gives_the_space_that_r_makes_of_it(path: Path) -> None:
    space = read_right(path.read_text(encoding="utf-8"))
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert space.names == tuple(each["name"] for each in expected["parameters"])
    for parameter, description in zip(space.parameters, expected["parameters"], strict=True):
        check_parameter(parameter, description)


def check_parameter(parameter: Parameter, expected: dict[str, Any]) -> None:
    kinds = {"numeric": "float", "integer": "integer", "discrete": "categorical", "logical": "categorical"}
    assert {axis.kind for axis in parameter.axes} == {kinds[expected["type"].removesuffix("vector")]}
    assert parameter.is_vector == expected["type"].endswith("vector")
    assert len(parameter.axes) == expected["length"]
    for place, axis in enumerate(parameter.axes):
        if "values" in expected:
            assert nearly(list(axis.choices), expected["values"])
        else:
            assert nearly([axis.low, axis.high], [float(expected[end][place]) for end in ("lower", "upper")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_its_points_are_delivered_as_r_does(path: Path) -> None:
    space = read_right(path.read_text(encoding="utf-8"))
    for point in json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["points"]:
        coordinates: dict[str, float] = {}
        for name, drawn in point["coordinates"].items():
            elements = {f"{name}[{place}]": each for place, each in enumerate(drawn)} if isinstance(drawn, list) else {}
            coordinates |= elements or {name: drawn}
        found = space.hyperparameters(coordinates)
        assert set(found) == set(point["hyperparameters"])
        for name, expected in point["hyperparameters"].items():
            assert nearly(found[name], expected), name
        assert space.coordinates(found) is not None
        near = space.rounded(coordinates)
        assert space.coordinates(space.hyperparameters(near)) == near


# Expressions, and what R 4.2.2 says of them. (`%%` of large quotients is exact here, and not in R.)

IN_R = [
    ("2L^x", 5.0, 32.0),
    ("10^x", -3.25, 0.0005623413251903491),
    ("-x^2", 3.0, -9.0),
    ("2^-x^2*3", 1.5, 0.6306723114402859),
    ("2^3^x", 2.0, 512.0),
    ("x**3", 1.7, 4.912999999999999),
    ("-2 %/% x", 3.0, -1.0),
    ("-x %% 3", 5.0, 1.0),
    ("x %% -3", 5.0, -1.0),
    ("x %% 0.3", 1.0, 0.10000000000000003),
    ("5.5 %% x", -2.0, -0.5),
    ("x %/% 0.2", 1.0, 4.0),
    ("x %/% 0.1", 1.0, 9.0),
    ("-x %/% 2", 5.0, -3.0),
    ("x * 2 %% 3", 7.0, 14.0),
    ("2 * x %/% 3", 7.0, 4.0),
    ("1 - x / 2 / 4", 3.0, 0.625),
    ("1 - (x - 2) - 4", 3.0, -4.0),
    ("exp(x) - 1", 0.25, 0.2840254166877414),
    ("expm1(x)", 1e-09, 1.0000000005000001e-09),
    ("log1p(x)", 1e-09, 9.999999995e-10),
    ("log(x)", 7.0, 1.9459101490553132),
    ("log(x, 2)", 1024.0, 10.0),
    ("log(x, base = 10)", 1000.0, 3.0),
    ("log(base = 3, x)", 81.0, 4.0),
    ("log(x, 7)", 50.0, 2.0103821378018547),
    ("log2(x)", 10.0, 3.321928094887362),
    ("log10(x)", 50.0, 1.6989700043360187),
    ("sqrt(x) * 3", 2.0, 4.242640687119286),
    ("abs(-x)", 4.5, 4.5),
    ("round(x)", 0.5, 0.0),
    ("round(x)", 1.5, 2.0),
    ("round(x)", 2.5, 2.0),
    ("round(x)", -2.5, -2.0),
    ("round(x, 2)", 2.675, 2.67),
    ("round(x, 1)", 0.15, 0.1),
    ("round(x, 1)", 0.25, 0.2),
    ("round(x, 1)", 0.35, 0.3),
    ("round(x, 2)", 1.005, 1.0),
    ("round(x, digits = 3)", 0.0005, 0.0),
    ("round(x, -2)", 1250.0, 1200.0),
    ("floor(x)", -1.5, -2.0),
    ("ceiling(x)", -1.5, -1.0),
    ("trunc(x)", -1.7, -1.0),
    ("as.integer(x)", -2.9, -2.0),
    ("as.integer(round(2^x * 10))", 3.3, 98.0),
    ("as.numeric(x)", 2.0, 2.0),
    ("min(x, 3, 5)", 4.0, 3.0),
    ("max(x, 3, 5)", 4.0, 5.0),
    ("pmin(x, 2)", 1.0, 1.0),
    ("x^0.5^2", 16.0, 2.0),
    ("(x + 1)^2", 0.1, 1.2100000000000002),
    ("0x10 * x + .5e1", 2.0, 37.0),
    ("1e3L + x", 1.0, 1001.0),
    ("+x - +3", 2.0, -1.0),
    ("pi * x", 2.0, 6.283185307179586),
    ("x^-1", 8.0, 0.125),
    ("-(-x)^3", 2.0, 8.0),
    ("(-8)^x", 3.0, -512.0),
]


@pytest.mark.parametrize(("expression", "argument", "expected"), IN_R)
def test_expressions_are_those_of_r(expression: str, argument: float, expected: float) -> None:
    bounds = f"lower = {argument!r}, upper = {argument!r}"
    parameter = only(f'makeNumericParam("x", {bounds}, trafo = function(x) {expression})')
    assert parameter.transform is not None
    assert evaluate(parameter.transform, argument) == pytest.approx(expected, rel=1e-15, abs=0)


@pytest.mark.parametrize(
    "function",
    [
        "function(x) 2^x",
        "function (units) { 2^units }",
        "function(x){return(2^x)}",
        "function(x) {\n  2^\n    x\n}",
        "function(x)\n  (2 ^ x)",
        "\\(y) 2**y",
        "function(x) {\n  # a comment\n  2^x;\n}",
    ],
)
def test_forms_of_a_function(function: str) -> None:
    parameter = only(f'makeIntegerParam("x", lower = 1, upper = 4, trafo = {function})')
    assert parameter.transform == Call("^", (Number(2.0), Argument()))
    assert [parameter.value({"x": x}) for x in (1, 4)] == [2, 16]
    assert all(type(parameter.value({"x": x})) is int for x in (1, 4))


@pytest.mark.parametrize(
    ("text", "scale", "kind"),
    [
        ('makeIntegerParam("x", 1, 4, trafo = function(x) 2L^x)', "log", int),
        ('makeIntegerParam("x", -2, 4, trafo = function(x) 2^x)', "log", float),
        ('makeNumericParam("x", -5, -1, trafo = function(x) 10^x)', "log", float),
        ('makeNumericParam("x", 0, 8, trafo = function(x) as.integer(round(3 * exp(x))))', "log", int),
        ('makeNumericParam("x", 0, 8, trafo = function(x) round(x))', "linear", int),
        ('makeNumericParam("x", 0, 8, trafo = function(x) round(x, 1))', "linear", float),
        ('makeNumericParam("x", 0, 2, trafo = function(x) 10^x - 1)', "linear", float),
        ('makeIntegerParam("x", 1, 99999, trafo = function(x) 10 * x)', "linear", int),
        ('makeIntegerParam("x", 1, 9, trafo = function(x) x / 10)', "linear", float),
        ('makeNumericParam("x", 1, 9)', "linear", float),
        ('makeIntegerParam("x", 1, 9)', "linear", int),
    ],
)
def test_the_scale_and_the_type_of_what_is_delivered(text: str, scale: str, kind: type) -> None:
    parameter = only(text)
    assert parameter.scale == scale
    coordinate = parameter.axes[0].rounded(3.7)
    assert type(parameter.value({"x": coordinate})) is kind


def test_whole_numbers_among_values_are_integers() -> None:
    values = only('makeDiscreteParam("x", values = c(16, 2L, 1e3, 0.5))').axes[0].choices
    assert [type(value) for value in values] == [int, int, int, float]


# What is wrong.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('makeNumericParm("x", 0, 1)', '"makeNumericParm" describes no parameter; did you mean "makeNumericParam"?'),
        (
            'makeUntypedParam("x")',
            "makeUntypedParam has no range to search; put the value into &default_model",
        ),
        (
            'makeNumericParam("x", lower = 0, uper = 1)',
            'makeNumericParam has no argument "uper"; did you mean "upper"?',
        ),
        ('makeNumericParam("x", lower = 0)', "x: upper is missing; the search needs both lower and upper"),
        (
            'makeNumericParam("x", 0, 1, 0.5)',
            "makeNumericParam takes id, lower, upper without names; write the name of what else there is",
        ),
        ('makeNumericParam("x", lower = 0, lower = 1, upper = 2)', '"lower" appears twice; keep one'),
        ("makeNumericParam(x, 0, 1)", '"x" is a name whose value is not known here; write the value, text in quotes'),
        ("makeNumericParam(7, 0, 1)", "makeNumericParam: the name 7 is not text; put it in quotes"),
        (
            "makeNumericParam(lower = 0, upper = 1)",
            'makeNumericParam: the name is missing; write for instance makeNumericParam("dropout", …)',
        ),
        ('makeNumericParam("x", 2, 1)', "x: lower, 2, is above upper, 1; swap them"),
        (
            'makeNumericParam("x", -Inf, 1)',
            "Inf is not a value of a parameter; use a finite number, text, TRUE or FALSE",
        ),
        ('makeNumericParam("x", 0, 1e999)', "a number is too large for a floating-point number"),
        ('makeNumericParam("x", "0", 1)', "lower is a number; write for instance 0.001"),
        ('makeIntegerParam("x", 0.5, 2)', "x: the bounds of an integer are whole numbers, not 0.5 and 2"),
        ('makeDiscreteParam("x")', 'x: values is missing; write for instance values = c("sgd", "adam")'),
        ('makeDiscreteParam("x", values = list())', "x: there are no choices; name at least one"),
        ('makeDiscreteParam("x", values = c(1, 1.0))', "x: the choice 1 appears twice; keep one"),
        (
            'makeDiscreteParam("x", values = c(1, "a"))',
            "R makes one kind of all values in c(…): of numbers text, or of TRUE a 1; write list(…) to keep them",
        ),
        ('makeDiscreteParam("x", values = c(True))', "True is not an R value; write TRUE"),
        (
            'makeDiscreteParam("x", values = c(NA, 1))',
            "NA is not a value of a parameter; use a finite number, text, TRUE or FALSE",
        ),
        ('makeDiscreteParam("x", values = c(1, NULL))', "R leaves NULL out of c(…); write list(…) to keep it"),
        ('makeDiscreteParam("x", values(0, 1))', '"values" makes no values here; valid are c, list, seq, seq_len'),
        ('makeDiscreteParam("x", values = 1:1e9)', "these are not 1 to 10,000 values; did you mean other ends?"),
        ('makeDiscreteParam("x", values = c(.0.1))', '".1" comes without a comma or an operator before it; add it'),
        ('makeDiscreteParam("x", values = c("a" "b"))', '""b"" comes without a comma or an operator before it; add it'),
        (
            'makeDiscreteParam("x", values = c("a))',
            'the quote " is not closed in its line; add one at the end of the text',
        ),
        (
            'makeDiscreteParam("x", values = c("a), 1)',
            'the quote " is not closed in its line; add one at the end of the text',
        ),
        ("makeDiscreteParam(“x”, values = 1)", "“ is a typographic quote; write \" or '"),
        (
            'makeDiscreteParam("x", values = "\\q")',
            "\\q is not a valid escape in R; a backslash itself is written twice",
        ),
        (
            'makeNumericParam("x", 0, 1, tunable = FALSE)',
            "x: tunable = … is not understood; put the value into &default_model, and omit the parameter",
        ),
        (
            'makeNumericParam("x", 0, 1, special.vals = list(2))',
            "x: special.vals = … is not understood; the search knows one range; make it a makeDiscreteParam",
        ),
        ('makeNumericParam("x", 0, 1, default = 2)', "x: default is outside of the range of the parameter"),
        (
            'makeIntegerVectorParam("x", lower = 0, upper = 1)',
            "x: len is missing, the number of elements; write for instance len = 3",
        ),
        (
            'makeIntegerVectorParam("x", len = 3, lower = c(0, 1), upper = 1)',
            "x: lower has 2 numbers; one is for all, else there are 3",
        ),
        ('makeNumericParam("id", 0, 1)', '"id" names the trials; call the parameter something else'),
        ('makeNumericParam("", 0, 1)', "a parameter has an empty name; give it one"),
        (
            'makeNumericParam("x", -1, 1, trafo = function(x) log(x))',
            "trafo of x: at -1 log(-1) is not a finite number; change it or the bounds",
        ),
        (
            'makeIntegerParam("x", -1, 1, trafo = function(x) 1 / x)',
            "trafo of x: at 0 1 / 0 is not a finite number; change it or the bounds",
        ),
        (
            'makeNumericParam("x", 0, 400, trafo = function(x) 10^x)',
            "trafo of x: at 308.4 10 ^ 308.4 is not a finite number; change it or the bounds",
        ),
        (
            'makeNumericParam("x", -1, 1, trafo = function(x) x^2)',
            "trafo of x: it both rises and falls between the bounds; change it or the bounds",
        ),
        (
            'makeNumericParam("x", -1, 1, trafo = function(x) 7)',
            "trafo of x: it gives 7 whatever the coordinate is; change it or the bounds",
        ),
        (
            'makeNumericParam("x", 0, 1, trafo = function(x, y) x)',
            "a function has one argument here, such as function(x) 2^x",
        ),
        (
            'makeNumericParam("x", 0, 1, trafo = function(x) y)',
            '"y" is not known in trafo; the function has its argument "x" alone',
        ),
        ('makeNumericParam("x", 0, 1, trafo = function(x) round(x, 1, 2))', "round takes 1 to 2 arguments, not 3"),
        ('makeNumericParam("x", 0, 1, trafo = 5)', "trafo is a function of one argument, such as function(x) 2^x"),
        (
            'makeNumericParam("x", 0, 1, trafo = function(x) {\n x\n - 1 })',
            "a function is one expression here, in one piece; put brackets around what continues on the next line",
        ),
        (
            'makeNumericVectorParam("x", 2, 0, 1, trafo = function(x) max(x, 1))',
            "max in trafo is that of the whole vector; write pmax for each element",
        ),
        (
            'makeLogicalParam("x", requires = y == 1)',
            'requires is a quoted condition, such as quote(optimizer == "sgd")',
        ),
        (
            'makeLogicalParam("x", requires = quote(yy == 1))',
            'x: the condition asks for "yy", which is not a parameter; valid are x',
        ),
        ('makeLogicalParam("x", requires = quote(x))', 'the conditions are circular: "x" needs "x"; omit one'),
        ('makeLogicalParam("x")) ', 'this ")" closes nothing; remove it'),
        ("library(mlr)\nx", '"x" is not understood here; parameters are make…Param(…), perhaps in makeParamSet(…)'),
        (
            'ps <- makeParamSet(makeLogicalParam("x"), forbidden = quote(x == 1))',
            "forbidden is not understood; say with requires in a parameter when it is active",
        ),
        ('ps <- makeParamSet(makeLogicalParam("x")', 'makeParamSet( is not closed; add ")" at the end'),
        (
            'ps < makeParamSet(makeLogicalParam("x"))',
            '"ps < makeParamSet(makeLogicalParam("x"))": a set of parameters begins with param.set <- makeParamSet(',
        ),
        (
            'makeParamSet(makeLogicalParam("x"))\nmakeParamSet(makeLogicalParam("y"))',
            "there is a second makeParamSet(; write all parameters in one",
        ),
    ],
)
def test_what_is_wrong(text: str, expected: str) -> None:
    _, problems, _ = read(text)
    assert len(problems) == 1, problems
    assert problems[0].partition(": ")[2].startswith(expected)


ABOUT_CONDITIONS = """
makeDiscreteParam("optimizer", values = list(plain = "sgd", fast = "adam"))
makeIntegerParam("power", 3, 6, trafo = function(x) 2^x)
makeNumericVectorParam("v", 2, 0, 1)
makeLogicalParam("flag")
"""


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('optimizer == "sdg"', '"sdg" is not a value of optimizer; did you mean "sgd"?'),
        ("optimizer", '"optimizer" is not TRUE or FALSE; compare it, such as optimizer == 1'),
        ('optimizer < "b"', 'the choices of optimizer are not numbers; "<" does not apply to them'),
        (
            "power > 32",
            "power > 32 never holds: power is from 3 to 6 before its trafo, where conditions look",
        ),
        ("power == 3.5", "power == 3.5 never holds"),
        ('power == "a"', "power is a number, which a is not; compare it with a number"),
        ("v == 1", 'the condition asks for "v", a vector; only a single value can be asked for'),
        ("power == flag", "power == flag: a parameter is compared with a value, not with another"),
        ("power == c(3, 4)", "this is not a single value; write %in% c(…) for several"),
        ("1 == 2", 'one side of "==" is the name of a parameter'),
        ("is.null(power)", '"is.null" is not a condition; write comparisons of a parameter with a value'),
        ("TRUE", '"TRUE" is not a condition'),
    ],
)
def test_what_is_wrong_with_conditions(condition: str, expected: str) -> None:
    _, problems, _ = read(f'{ABOUT_CONDITIONS}makeNumericParam("x", 0, 1, requires = quote({condition}))')
    assert len(problems) == 1, problems
    assert problems[0].startswith("x.in:6: x: ")
    assert problems[0].removeprefix("x.in:6: x: ").startswith(expected)


@pytest.mark.parametrize(
    ("condition", "coordinates", "active"),
    [
        ('optimizer == "sgd"', {"optimizer": 0}, True),
        ('"sgd" == optimizer', {"optimizer": 1}, False),
        ('optimizer == "fast"', {"optimizer": 1}, True),
        ('optimizer %in% c("sgd", "adam")', {"optimizer": 1}, True),
        ("4 < power", {"power": 4}, False),
        ("4 < power", {"power": 5}, True),
        ("power %in% c(3, 6)", {"power": 6}, True),
        ("power %in% 3:4", {"power": 5}, False),
        ("flag & power <= 4", {"flag": 1, "power": 4}, True),
        ("!flag || power <= 4", {"flag": 1, "power": 5}, False),
        ("flag == FALSE", {"flag": 0}, True),
        ("flag != TRUE", {"flag": 1}, False),
    ],
)
def test_conditions(condition: str, coordinates: dict[str, float], active: bool) -> None:
    space = read_right(f'{ABOUT_CONDITIONS}makeNumericParam("x", 0, 1, requires = quote({condition}))')
    point = {"optimizer": 0, "power": 3, "v[0]": 0.5, "v[1]": 0.5, "flag": 0, "x": 0.5, **coordinates}
    assert ("x" in space.active(point)) is active


def test_everything_wrong_in_a_file_is_reported_at_once() -> None:
    _, problems, _ = read(
        """param.set <- makeParamSet(
          makeDiscreteParam("a", values = c(1, 2),
          makeNumericParam("b", 0, 1, trafo = function(x) sinh(x)),
          set.seed(1)
          makeIntegerParam("c", 3, 1),
          makeLogicalParam("ok", requires = quote(a == 1)),
          makeNumericParam("b", 0, 1)
          makeNumericParam("b", 0, 1))"""
    )
    assert [problem.split(": ")[0] for problem in problems] == ["x.in:2", "x.in:3", "x.in:4", "x.in:5", "x.in:8"]


def test_a_default_is_noted_and_a_constant_too() -> None:
    _, problems, notes = read('makeNumericParam("x", 0, 1, default = 0.5)\nmakeIntegerParam("y", 7, 7)')
    assert problems == []
    assert [note.split(";")[0] for note in notes] == [
        "x.in:1: default has no effect on the search",
        "x.in:2: y is always 7",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "makeNumericParam(" * 50_000,
        'makeNumericParam("x", 0, 1, trafo = function(x) ' + "(" * 9_000 + "x" + ")" * 9_000 + ")",
        'makeNumericParam("x", 0, 1, trafo = function(x) ' + "-" * 9_000 + "x)",
        'makeNumericParam("x", 0, 1, trafo = function(x) x' + " + 1" * 9_000 + ")",
        'makeLogicalParam("x", requires = quote(' + "!" * 9_000 + "x))",
        'makeDiscreteParam("x", values = ' + "list(" * 9_000 + ")" * 9_000 + ")",
        'makeDiscreteParam("x", values = c(' + "1," * 30_000 + "1))",
        'makeDiscreteParam("x", values = "' + "a" * 5_000_000 + '")',
        'makeNumericParam("x", 0, 1, trafo = function(x) 9^9^9^9^x)',
        "x" * 290_000,
        "#" * 2_000_000,
        ")" * 100_000,
        "makeParamSet(" * 20_000,
        '{"name": ' * 50_000,
        '{"name": "x", "type": "categorical", "choices": ' + "[" * 5_000 + "]" * 5_000 + "}",
        '{"name": "x", "type": "int", "low": ' + "9" * 4_000 + ', "high": 1e300}',
    ],
    ids=lambda text: text[:24],
)  # fmt: skip
def test_hostile_texts_are_refused(text: str) -> None:
    _, problems, _ = read(text)
    assert problems or text.startswith("#") or "(((" in text


# Arbitrary spaces, written down and read back.

_NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda number: float(f"{number:.6g}"))
_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs", "Cc")), max_size=8)
_TRANSFORMS: list[tuple[str, Expression]] = [
    ("function(x) 2^x", Call("^", (Number(2.0), Argument()))),
    ("function(x) x / 7", Call("/", (Argument(), Number(7.0)))),
    ("exp", Call("exp", (Argument(),))),
]


def quoted(text: str, quote: str) -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def in_r(value: object, draw: random.Random) -> str:
    if isinstance(value, str):
        return quoted(value, draw.choice("'\""))
    if isinstance(value, bool):
        return draw.choice(["TRUE", "T"] if value else ["FALSE", "F"])
    return repr(value) + (draw.choice(["L", ""]) if isinstance(value, int) else "")


@st.composite
def parameters(draw: st.DrawFn, name: str) -> tuple[Parameter, str]:
    """Return a parameter, and a call that describes it, with blanks and comments in arbitrary places."""
    chance = draw(st.randoms(use_true_random=False))
    kind = draw(st.sampled_from(["Numeric", "Integer", "Discrete", "Logical"]))
    length = draw(st.sampled_from([None, None, 1, 3]))
    names = [name] if length is None else [f"{name}[{place}]" for place in range(length)]
    arguments = [f"len = {length}"] if length is not None else []
    transform, whole = None, False
    if kind in ("Numeric", "Integer"):
        numbers = _NUMBERS if kind == "Numeric" else st.integers(-10, 20)
        low, high = sorted(draw(st.lists(numbers, min_size=2, max_size=2, unique=True)))
        if kind == "Numeric" and draw(st.booleans()):
            low, high = -5.0, 3.0
        if abs(low) <= 20 and abs(high) <= 20 and high - low > 0.001 and draw(st.booleans()):
            text, transform = draw(st.sampled_from(_TRANSFORMS))
            arguments.append(f"trafo = {text}")
            whole = kind == "Integer" and low >= 0 and text.endswith("2^x")
        arguments += [f"lower = {in_r(low, chance)}", f"upper = {in_r(high, chance)}"]
        axes = [Axis(each, "float" if kind == "Numeric" else "integer", low, high) for each in names]
    elif kind == "Discrete":
        one_kind = draw(st.sampled_from([_TEXTS, st.integers(-99, 99), _NUMBERS.filter(lambda x: not x.is_integer())]))
        choices = tuple(draw(st.lists(one_kind, min_size=1, max_size=5, unique=True)))
        separator = draw(st.sampled_from([",", ", ", " ,\n  ", ", # values\n"]))
        arguments.append(
            f"values = {draw(st.sampled_from(['c', 'list']))}({separator.join(in_r(x, chance) for x in choices)})"
        )
        axes = [categorical(each, choices) for each in names]
    else:
        axes = [categorical(each, (False, True)) for each in names]
    chance.shuffle(arguments)
    gap = draw(st.sampled_from(["", " ", "\n", "\n  # it's a comment, (really\n", "\t"]))
    inner = f"{gap},{gap}".join([in_r(name, chance), *arguments])
    function = f"make{kind}{'' if length is None else 'Vector'}Param"
    parameter = Parameter(name=name, axes=tuple(axes), is_vector=length is not None, transform=transform, whole=whole)
    return parameter, f"{function}{draw(st.sampled_from(['', ' ']))}({gap}{inner}{gap})"


@given(data=st.data())
def test_arbitrary_spaces_come_through(data: st.DataObject) -> None:
    names = data.draw(
        st.lists(_TEXTS.filter(lambda text: text.strip() and text != "id"), min_size=1, max_size=5, unique=True)
    )
    made = [data.draw(parameters(name)) for name in names if "[" not in name]
    commas = data.draw(st.sampled_from([",\n", "\n", " ", ", # and\n  ", "\n\n# next,\n"]))
    text = commas.join(call for _, call in made)
    head = data.draw(
        st.sampled_from(["", "makeParamSet(\n", "param.set <- makeParamSet(", "ps = makeParamSet(params = list("])
    )
    space, problems, _ = read(head + text + ")" * head.count("("))
    if made:
        assert problems == []
    assert space.parameters == tuple(parameter for parameter, _ in made)


_PIECES = st.sampled_from(
    [
        *("makeNumericParam(", "makeDiscreteParam(", "makeLogicalParam(", "makeParamSet(", '"x"', "'y'", "lower = "),
        *("upper =", "values = ", "trafo =", "function(x)", "requires =", "quote(", "x", "c(", "list(", "1", "2L"),
        *("1e-5", "TRUE", "NULL", ",", ")", "(", "{", "}", "+", "-", "^", "%in%", "==", "&&", "!", ":", "\n", "#"),
        *('"', "<-", "=", "\\", "[", "seq(", "\u201c", "log(", "/"),
    ]
)


@settings(max_examples=300)
@given(text=st.lists(_PIECES | st.text(max_size=3), max_size=40).map("".join))
def test_arbitrary_text_is_read_or_reported(text: str) -> None:
    _, problems, _ = read(text)
    assert all(problem.startswith("x.in:") for problem in problems)
