"""A parameter space for `bayesian` and `random`, in either form -> a search space, or everything wrong with it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import msgspec

from candle_hpo.core.axes import key_of
from candle_hpo.core.parameters import CircularConditions, ParametricSpace, parents_first
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.inputfile.json_parameters import EXAMPLE, read_json_parameters
from candle_hpo.inputfile.json_values import NotJson, check
from candle_hpo.inputfile.parameter_drafts import Draft, ParameterError, UnknownParameter, text_of
from candle_hpo.inputfile.paramhelpers.parameters import read_param_helpers
from candle_hpo.inputfile.sections import Findings, Line
from candle_hpo.inputfile.value_notes import ValueNotes

_IS_JSON = re.compile(r'\[|\{\s*["}]|\{$')
_IS_PARAM_HELPERS = re.compile(r"(?:[\w.]+\s*(?:<-|=)\s*)?make\w+\s*\(", re.IGNORECASE)

NO_PARAMETERS = (
    'there are no parameters to vary; write for instance makeNumericParam("dropout", lower = 0, upper = 0.9), '
    f"or {EXAMPLE}"
)


def read_parameter_space(
    lines: Sequence[Line], default_model: Hyperparameters, findings: Findings, values: ValueNotes
) -> ParametricSpace:
    """Read the lines of `&param_space`, adding what is wrong, or perhaps not meant, to `findings`.

    `values` sees all choices.
    """
    drafts: list[Draft] = []
    before = len(findings.problems)
    is_json = bool(lines) and _IS_JSON.match(lines[0].text) is not None
    if is_json:
        stranger = next((line for line in lines if _IS_PARAM_HELPERS.match(line.text)), None)
        if stranger is None:
            drafts = read_json_parameters(lines, findings)
    else:
        stranger = next((line for line in lines if re.match(r'\{\s*"', line.text)), None)
        if stranger is None:
            drafts = read_param_helpers(lines, findings)
    if stranger is not None:
        findings.wrong(stranger.number, "JSON and make…Param(…) stand in one section; write all in one form")
    elif lines and not drafts and len(findings.problems) == before:
        findings.wrong(lines[0].number, NO_PARAMETERS)
    all_were_read = len(findings.problems) == before
    by_name = _checked(drafts, findings)
    complete = _with_conditions(by_name, all_were_read, findings)
    for draft in complete.values():
        axes = draft.parameter.axes
        for choice in axes[0].choices:
            values.see(draft.name, choice, f"{findings.file}:{draft.line}", "JSON" if is_json else "R")
        if all(axis.low == axis.high for axis in axes):
            value = draft.parameter.value({axis.name: axis.low for axis in axes})
            findings.note(draft.line, f"{draft.name} is always {text_of(value)}; nothing of it is searched")
    return ParametricSpace(tuple(draft.parameter for draft in complete.values()), default_model)


def is_param_helpers(line: Line) -> bool:
    """Return whether a line begins a parameter of ParamHelpers."""
    return _IS_PARAM_HELPERS.match(line.text) is not None


def _checked(drafts: Sequence[Draft], findings: Findings) -> dict[str, Draft]:
    """Return the parameters by name, adding what is wrong with names and choices to `findings`."""
    by_name: dict[str, Draft] = {}
    taken: dict[str, int] = {}
    for draft in drafts:
        problem = _problem_of_name(draft.name) or _problem_of_choices(draft) or _problem_of_range(draft)
        first = next((taken[name] for name in (draft.name, *_axis_names(draft)) if name in taken), None)
        if first is not None:
            problem = f'"{draft.name}" appears twice (first in line {first}); keep one'
        if problem:
            findings.wrong(draft.line, problem)
        for name in (draft.name, *_axis_names(draft)):
            taken.setdefault(name, draft.line)
        by_name.setdefault(draft.name, draft)
    return by_name


def _axis_names(draft: Draft) -> list[str]:
    return [axis.name for axis in draft.parameter.axes]


def _problem_of_name(name: str) -> str | None:
    if name == "id":
        return '"id" names the trials; call the parameter something else'
    if not name.strip():
        return "a parameter has an empty name; give it one"
    try:
        check(name)
    except NotJson as error:
        return f"the name: {error}"
    return None


def _problem_of_choices(draft: Draft) -> str | None:
    axis = draft.parameter.axes[0]
    if axis.kind != "categorical":
        return None
    if not axis.choices:
        return f"{draft.name}: there are no choices; name at least one"
    keys: set[str] = set()
    for choice in axis.choices:
        try:
            check(choice)
        except NotJson as error:
            return f"{draft.name}: {error}"
        if key_of(choice) in keys:
            return f"{draft.name}: the choice {text_of(choice)} appears twice; keep one"
        keys.add(key_of(choice))
    return None


def _problem_of_range(draft: Draft) -> str | None:
    if all(math.isfinite(axis.high - axis.low) for axis in draft.parameter.axes):
        return None
    return f"{draft.name}: the range is too wide to be computed with; keep its bounds below 1e300"


def _with_conditions(by_name: Mapping[str, Draft], all_were_read: bool, findings: Findings) -> dict[str, Draft]:
    """Return the parameters with their conditions, adding what is wrong with those to `findings`.

    Where not all parameters could be read, a condition may ask for one of those; nothing is said of it then.
    """
    complete: dict[str, Draft] = {}
    for name, draft in by_name.items():
        parameter = draft.parameter
        if draft.condition is not None:
            try:
                parameter = msgspec.structs.replace(parameter, condition=draft.condition(by_name))
            except ParameterError as error:
                if all_were_read or not isinstance(error, UnknownParameter):
                    findings.wrong(error.line, f"{name}: {error}")
        complete[name] = Draft(draft.line, parameter)
    try:
        parents_first(draft.parameter for draft in complete.values())
    except CircularConditions as circle:
        first = complete[circle.names[0]]
        shown = " needs ".join(f'"{name}"' for name in circle.names)
        findings.wrong(first.line, f"the conditions are circular: {shown}; omit one")
    return complete
