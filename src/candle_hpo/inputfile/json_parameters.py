"""Parameters as JSON: `{"name": "learning_rate", "type": "float", "low": 1e-5, "high": 0.1}`.

One object a line, or all in a list. The names that fields have in IMPROVE's and Supervisor's spaces are read as well.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import cast

from candle_hpo.core.axes import Axis, categorical
from candle_hpo.core.conditions import All, Condition
from candle_hpo.core.errors import nearest
from candle_hpo.core.expressions import Argument, Call, Expression, Number
from candle_hpo.core.parameters import Parameter
from candle_hpo.inputfile.json_values import NotJson, read_list, read_object
from candle_hpo.inputfile.parameter_drafts import (
    LONGEST_VECTOR,
    Draft,
    ParameterError,
    among,
    compared,
    find_draft,
    text_of,
)
from candle_hpo.inputfile.sections import Findings, Line

EXAMPLE = '{"name": "learning_rate", "type": "float", "low": 1e-5, "high": 0.1, "log": true}'

_TYPES = {"float": "float", "int": "integer", "integer": "integer", "categorical": "categorical"}
_CHOSEN = {"ordered": "categorical", "logical": "logical", "constant": "constant"}  # Supervisor's types besides
_FIELDS = {
    **dict.fromkeys(("integer", "float"), ("name", "type", "low", "high", "log", "step", "length", "requires")),
    "categorical": ("name", "type", "choices", "element_type", "length", "requires"),
    "logical": ("name", "type", "length", "requires"),
    "constant": ("name", "type", "value", "element_type"),
}
# What fields are called in the spaces of IMPROVE's models, which are for DeepHyper (min, max, log_uniform), and in
# those of Supervisor's genetic algorithm (lower, upper, use_log_scale, values).
_CALLED_ELSEWHERE = {
    **dict.fromkeys(("min", "lower"), "low"),
    **dict.fromkeys(("max", "upper"), "high"),
    **dict.fromkeys(("log_uniform", "use_log_scale"), "log"),
    "values": "choices",
}
_OF_OTHER_SEARCHES = ("default", "sigma")  # where one begins, and how far a genetic algorithm goes at a time
_ELEMENTS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "string": (str,),
    "logical": (bool,),
}
_MOST_STEPS = 1000


def read_json_parameters(lines: Sequence[Line], findings: Findings) -> list[Draft]:
    """Read all parameters, adding everything that is wrong to `findings`."""
    drafts: list[Draft] = []
    for number, fields in _objects(lines, findings):
        try:
            if not {"name", "type"} & set(fields):
                raise ParameterError(
                    number,
                    'this is a set of values, as workflow="grid" lists them; here each line is a parameter, '
                    f"such as {EXAMPLE}",
                )
            drafts.append(_Reader(number, fields).draft())
        except ParameterError as error:
            findings.wrong(error.line, str(error))
    return drafts


def _objects(lines: Sequence[Line], findings: Findings) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the objects with the numbers of their lines: one a line, or those of a list over all lines."""
    if lines and lines[0].text.startswith("["):
        begins = list(accumulate((len(line.text) + 1 for line in lines), initial=0))
        try:
            for at, fields in read_list("\n".join(line.text for line in lines)):
                yield lines[bisect_right(begins, at) - 1].number, fields
        except NotJson as error:
            findings.wrong(lines[min(bisect_right(begins, error.at), len(lines)) - 1].number, str(error))
        return
    for line in lines:
        try:
            yield line.number, read_object(line.text)
        except NotJson as error:
            findings.wrong(line.number, f"{error}; a parameter is one JSON object on one line, or all are in one list")


class _Reader:
    """One JSON object that describes a parameter."""

    def __init__(self, line: int, fields: Mapping[str, object]) -> None:
        self._line = line
        self._name = ""
        self._fields: dict[str, object] = {}
        self._called: dict[str, str] = {}  # our fields by the names that they have here
        name = fields.get("name")
        if not isinstance(name, str):
            raise ParameterError(line, '"name" is missing, or not text; write for instance "name": "dropout"')
        self._name = name
        for field, value in fields.items():
            ours = _CALLED_ELSEWHERE.get(field, field)
            if ours in self._called:
                raise self._error(f'"{self._called[ours]}" and "{field}" mean the same; keep one')
            if field not in _OF_OTHER_SEARCHES:
                self._fields[ours], self._called[ours] = value, field

    def draft(self) -> Draft:
        """Return the parameter; raise `ParameterError` with the first thing that is wrong with it."""
        kind = self._kind()
        for field in self._fields:
            if field not in _FIELDS[kind]:
                its_type = str(self._fields["type"])
                article = "an" if its_type[:1].lower() == "i" else "a"
                what = f'"{self._called[field]}" does not apply to {article} {its_type} parameter'
                raise self._error(f"{what}; {nearest(field, _FIELDS[kind])}")
        transform: Expression | None = None
        if kind in ("categorical", "logical", "constant"):
            choices = self._choices(kind)
            axes = tuple(categorical(name, choices) for name in self._axis_names())
        elif "step" in self._fields:
            axes, transform = self._stepped(kind)
        else:
            low, high = self._ends(kind)
            log = self._log(low)
            axes = tuple(Axis(name, kind, low, high, log) for name in self._axis_names())  # type: ignore[arg-type]
        parameter = Parameter(
            name=self._name,
            axes=axes,
            is_vector="length" in self._fields,
            transform=transform,
            whole=transform is not None and kind == "integer",
        )
        return Draft(self._line, parameter, condition=self._condition(), shown_values=transform is not None)

    def _kind(self) -> str:
        kind = self._fields.get("type")
        if not isinstance(kind, str):
            raise self._error(f'"type" is missing, or not text; valid are {", ".join(_TYPES)}')
        if kind not in (types := {**_TYPES, **_CHOSEN}):
            raise self._error(f'"{kind}" is not a type; {nearest(kind, _TYPES)}')
        return types[kind]

    def _axis_names(self) -> list[str]:
        if "length" not in self._fields:
            return [self._name]
        length = self._fields["length"]
        if not isinstance(length, int) or isinstance(length, bool) or not 1 <= length <= LONGEST_VECTOR:
            raise self._error(f'"length" is a whole number from 1 to {LONGEST_VECTOR}')
        return [f"{self._name}[{place}]" for place in range(length)]

    def _choices(self, kind: str) -> tuple[object, ...]:
        if kind == "logical":
            return (False, True)
        if kind == "constant" and "value" not in self._fields:
            raise self._error('"value" is missing: what a constant parameter always is')
        choices = [self._fields["value"]] if kind == "constant" else self._fields.get("choices")
        if not isinstance(choices, list):
            raise self._error('"choices" is missing, or not a list; write for instance "choices": ["sgd", "adam"]')
        return tuple(map(self._element, choices)) if "element_type" in self._fields else tuple(choices)

    def _element(self, choice: object) -> object:
        """Return a choice as its `element_type` says; raise `ParameterError` where it is something else."""
        kind = self._fields["element_type"]
        if not isinstance(kind, str) or kind not in _ELEMENTS:
            raise self._error(f'"element_type" is one of {", ".join(_ELEMENTS)}')
        if not isinstance(choice, _ELEMENTS[kind]) or (kind != "logical" and isinstance(choice, bool)):
            raise self._error(f'{text_of(choice)} is not what "element_type" says, {kind}')
        return float(cast(float, choice)) if kind == "float" else choice

    def _ends(self, kind: str) -> tuple[int | float, int | float]:
        low, high = (self._number(name, kind) for name in ("low", "high"))
        if low > high:
            raise self._error(f'"{self._call("low")}", {low:g}, is above "{self._call("high")}", {high:g}; swap them')
        return low, high

    def _number(self, field: str, kind: str) -> int | float:
        value = self._fields.get(field)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._error(f'"{self._call(field)}" is missing, or not a number')
        try:
            number = float(value)
        except OverflowError:
            raise self._error(f'"{self._call(field)}" is too large') from None
        if kind == "float":
            return number
        if not number.is_integer() or abs(number) > 2**53:
            raise self._error(
                f'"{self._call(field)}" of an integer is a whole number of at most 16 digits, not {number:g}'
            )
        return int(value)

    def _log(self, low: float) -> bool:
        log = self._fields.get("log", False)
        if not isinstance(log, bool):
            raise self._error(f'"{self._call("log")}" is true or false')
        if log and low <= 0:
            raise self._error(f'"{self._call("log")}" needs a "{self._call("low")}" above 0, not {low:g}')
        return log

    def _stepped(self, kind: str) -> tuple[tuple[Axis, ...], Expression]:
        """Return axes that count the steps from "low" on, and what makes the value of the count."""
        low, high = self._ends(kind)
        step = self._number("step", kind)
        if "log" in self._fields:
            raise self._error('"log" and "step" exclude each other; keep one')
        count = (high - low) / step if step > 0 else math.inf
        if not 0 <= count <= _MOST_STEPS:
            raise self._error(f'"step" is above 0, and makes at most {_MOST_STEPS} steps from "low" to "high"')
        axes = tuple(Axis(name, "integer", 0, math.floor(count + 1e-9)) for name in self._axis_names())
        value: Expression = Call("+", (Number(float(low)), Call("*", (Number(float(step)), Argument()))))
        if kind == "float":  # 0.1 + 2 * 0.1 is meant to be 0.3
            digits = 12 - math.floor(math.log10(max(abs(low), abs(high)) or 1.0))
            value = Call("round", (value, Number(digits)))
        return axes, value

    def _condition(self) -> Callable[[Mapping[str, Draft]], Condition] | None:
        if "requires" not in self._fields:
            return None
        asked = self._fields["requires"]
        if not isinstance(asked, dict) or not asked:
            raise self._error('"requires" is an object, such as {"optimizer": "sgd"} or {"layers": {"low": 2}}')
        return lambda drafts: self._all(
            [self._asked(find_draft(name, drafts, self._line), asked[name]) for name in asked]
        )

    def _all(self, conditions: list[Condition]) -> Condition:
        return conditions[0] if len(conditions) == 1 else All(tuple(conditions))

    def _asked(self, draft: Draft, wanted: object) -> Condition:
        if isinstance(wanted, list):
            return among(draft, wanted, self._line)
        if not isinstance(wanted, dict):
            return compared(draft, "==", wanted, self._line)
        ends = {"low": ">=", "high": "<="}
        if not wanted or not set(wanted) <= set(ends):
            raise ParameterError(self._line, f'"requires" of "{draft.name}": a range has "low", "high" or both')
        return self._all([compared(draft, ends[end], cast(float, wanted[end]), self._line) for end in wanted])

    def _call(self, field: str) -> str:
        return self._called.get(field, field)

    def _error(self, text: str) -> ParameterError:
        return ParameterError(self._line, f"{self._name}: {text}")
