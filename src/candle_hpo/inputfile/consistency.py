"""Keywords of `&control` that only make sense together, or with what else the file holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from candle_hpo.core.axes import key_of
from candle_hpo.core.errors import nearest
from candle_hpo.core.fidelity import Fidelity
from candle_hpo.core.metric_names import direction_of_name, is_clear
from candle_hpo.core.objective import THE_VALUE, Direction, measured_groups, name_of_value
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.result_files import FileKind
from candle_hpo.core.space import GridSpace
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.inputfile.control import Control
from candle_hpo.inputfile.keyword_values import RULES
from candle_hpo.inputfile.sections import Findings

_GIVE_IT = "its value comes from fidelity: a line such as epochs = 10 in &default_model names it"
_WITHOUT_A_KEY = {
    FileKind.TABLE: "a CSV file; add its column",
    FileKind.EVENTS: "a file of TensorBoard's; add the tag",
}
_OF_A_RULE = ("min_steps", "max_steps", "reduction_factor")
_OF_BAYESIAN = ("design_size", "propose_points", "max_iterations", "sampler", "proposals", "warm_start")


def check_consistency(control: Control, findings: Findings) -> None:
    """Check the keywords beside one another."""
    _check_result_source(control, findings)
    if all(control.values.get(name, 1) != 1 for name in ("trials_per_gpu", "gpus_per_trial")):
        where = control.line_of("gpus_per_trial")
        findings.wrong(where, "trials_per_gpu shares a GPU, gpus_per_trial gives several to each trial; keep one")
    jobs, workers = control.values.get("jobs", 1), control.values.get("nworkers", 1)
    if isinstance(jobs, int) and isinstance(workers, int) and jobs > workers:
        findings.wrong(control.line_of("jobs"), f"jobs={jobs} is more than nworkers={workers}: a job without a worker")
    least, most = control.values.get("min_steps", 1), control.values.get("max_steps")
    if _rule(control.values) and isinstance(least, int) and isinstance(most, int) and most <= least:
        wrong = f"is not more than min_steps={least}" if "min_steps" in control.values else "is a single step"
        findings.wrong(control.line_of("max_steps"), f"max_steps={most} {wrong}: no trial could be stopped early")
    findings.notes.extend(_notes_on_groups(control.values))
    findings.notes.extend(_notes_on_direction(control.values))
    findings.notes.extend(_notes_on_what_has_no_effect(control.lines, control.values))


def _rule(values: Mapping[str, object]) -> str | None:
    """Return the rule that compares trials; None where none does."""
    stopping = values.get("stopping")
    return next((each for each in stopping if each in RULES), None) if isinstance(stopping, tuple) else None


def check_fidelity(
    control: Control, default_model: Hyperparameters, space: GridSpace | ParametricSpace, findings: Findings
) -> None:
    """Check that `fidelity` raises a number that nothing else varies, and make its numbers of that one's kind."""
    fidelity, where = control.values.get("fidelity"), control.line_of("fidelity")
    if not isinstance(fidelity, Fidelity):
        return
    name, numbers = fidelity.name, f"{fidelity.least} {fidelity.most}"
    if isinstance(space, ParametricSpace) and name in space.names:
        findings.wrong(where, f"fidelity: {name} is searched over; take it out of &param_space, for {_GIVE_IT}")
        return
    values = _values_of(name, default_model, space)
    if not values:
        there = list(dict.fromkeys([*default_model, *space.names]))
        meant = nearest(name, there) if there else ""
        findings.wrong(where, f'fidelity: there is no hyperparameter "{name}"; ' + (meant or _GIVE_IT))
    elif len(values) > 1:
        shown = ", ".join(list(values)[:3]) + (", …" if len(values) > 3 else "")
        text = f"fidelity: the sets give {name} different values ({shown}), and it is fidelity that raises it; take it"
        findings.wrong(where, f"{text} out of the sets, for {_GIVE_IT}")
    elif not isinstance(value := next(iter(values.values())), int | float) or isinstance(value, bool):
        findings.wrong(where, f"fidelity: {name} is {value!r}, not a number; {_GIVE_IT}")
    elif isinstance(value, float):
        control.values["fidelity"] = Fidelity(name, float(fidelity.least), float(fidelity.most))
    elif not all(float(number).is_integer() for number in (fidelity.least, fidelity.most)):
        text = f"fidelity: {name} = {value} is a whole number, and {numbers} are not"
        findings.wrong(where, f"{text}; give whole numbers, or write {name} = {float(value)}")
    else:
        control.values["fidelity"] = Fidelity(name, int(fidelity.least), int(fidelity.most))


def _values_of(name: str, default_model: Hyperparameters, space: GridSpace | ParametricSpace) -> dict[str, object]:
    """Return the different values that a hyperparameter has in all trials, by their texts."""
    if isinstance(space, GridSpace) and name in space.names:
        values = (one.hyperparameters[name] for one in space.sets if name in one.hyperparameters)
        return {key_of(value): value for value in values}
    return {key_of(default_model[name]): default_model[name]} if name in default_model else {}


def _check_result_source(control: Control, findings: Findings) -> None:
    """Check that it is clear where the value is looked for."""
    values = control.values
    name, key, pattern = values.get("result_file"), values.get("result_key"), values.get("result_pattern")
    if key and not name:
        where = control.line_of("result_key")
        findings.wrong(where, "result_key is a place in result_file, which is not there; add result_file")
    elif key and pattern:
        where = control.line_of("result_key")
        findings.wrong(where, "result_key and result_pattern both say where in result_file the value is; keep one")
    needs = isinstance(name, str) and not pattern and not key and _WITHOUT_A_KEY.get(FileKind.of(name))
    if needs:
        findings.wrong(control.line_of("result_file"), f"result_file is {needs} as result_key")
    if isinstance(objective := values.get("objectives"), str):
        wrong = _wrong_with_objective(objective, name, key, pattern)
        if wrong:
            findings.wrong(control.line_of("objectives"), f'objectives="{objective}": {wrong}')


def _wrong_with_objective(objective: str, file: object, key: object, pattern: object) -> str:
    """Return why what is named cannot be optimized, by where the value is looked for; nothing where it can be."""
    if isinstance(pattern, str):
        groups = list(measured_groups(re.compile(pattern)))
        if not groups:
            return f"no group of result_pattern has a name; write (?P<{objective}>...) around its number"
        return "" if objective in groups else f"it is not a group of result_pattern; {nearest(objective, groups)}"
    if isinstance(key, str) and objective != name_of_value(None, key):
        return f"result_key={key} says that another value is optimized; keep one of the two"
    if file and key is None:
        return f"in result_file, result_key says what is optimized; write result_key={objective}"
    return ""


def _notes_on_groups(values: Mapping[str, object]) -> Iterator[str]:
    """Yield a note where a group with a name is the value, and another without one may be meant."""
    pattern = values.get("result_pattern")
    groups = re.compile(pattern) if isinstance(pattern, str) else None
    if groups and groups.groupindex and len(groups.groupindex) < groups.groups:
        value = values.get("objectives") or next(iter(measured_groups(groups)))
        yield f"result_pattern: the value is the group {value}; groups without a name are not read"


def _notes_on_direction(values: Mapping[str, object]) -> Iterator[str]:
    """Yield a note where the name of the objective says that the other direction is meant."""
    pattern, key = values.get("result_pattern"), values.get("result_key")
    found = name_of_value(pattern if isinstance(pattern, str) else None, key if isinstance(key, str) else None)
    name = str(values.get("objectives") or found)
    shown = None if name == THE_VALUE else direction_of_name(name)
    given = values.get("direction")
    if given is None and shown is Direction.MAXIMIZE:
        yield f'direction is not given, so {name} is minimized; where more is better, write direction="maximize"'
    elif isinstance(given, Direction) and shown and given is not shown and is_clear(name):
        better = "less" if shown is Direction.MINIMIZE else "more"
        yield f'direction="{given.value}": of {name}, {better} is usually better; is "{shown.value}" meant?'


def _notes_on_what_has_no_effect(there: Mapping[str, int], values: Mapping[str, object]) -> Iterator[str]:
    """Yield notes on keywords that are right, and do nothing in this experiment."""
    yield from _notes_on_the_search(there, values)
    rule = _rule(values)
    of_rule = {None: (), "asha": _OF_A_RULE}.get(rule, ("min_steps", "max_steps"))
    others = ("reduction_factor",) if "fidelity" in there else ()
    useless = [name for name in _OF_A_RULE if name in there and name not in (*of_rule, *others)]
    if useless:
        yield f"{', '.join(useless)}: no effect {f'with stopping={rule}' if rule else 'without a rule in stopping'}"
    pattern = values.get("result_pattern")
    if (
        rule
        and isinstance(pattern, str)
        and re.compile(pattern).groupindex.keys() == measured_groups(re.compile(pattern)).keys()
    ):
        yield (
            f"stopping={rule}: result_pattern has no group step or epoch, so each match counts as a step; let it match "
            "what is optimized alone, once a step"
        )
    if values.get("on_timeout") == "take_value" and "trial_timeout" not in there:
        yield "on_timeout: no effect without trial_timeout"
    elif values.get("on_timeout") == "take_value" and rule and "max_steps" not in there:
        yield (
            "on_timeout=take_value: stopping learns the length of a whole trial from those that complete, and one that "
            "is ended by its time is shorter; say max_steps"
        )
    shares = [name for name in ("trials_per_gpu", "gpus_per_trial") if name in there]
    if shares and values.get("worker_type") == "cpu":
        yield f"{', '.join(shares)}: no effect on workers without a GPU"


def _notes_on_the_search(there: Mapping[str, int], values: Mapping[str, object]) -> Iterator[str]:
    workflow, points, workers = values.get("workflow"), values.get("propose_points"), values.get("nworkers")
    useless = [name for name in _OF_BAYESIAN if name in there]
    useless += ["max_budget"] if "max_budget" in there and workflow == "grid" else []
    if useless and workflow in ("grid", "random"):
        yield f"{', '.join(useless)}: no effect on {'a grid' if workflow == 'grid' else 'a random search'}"
    elif isinstance(points, int) and isinstance(workers, int) and points < workers:
        yield (
            f"propose_points={points}: {workers - points} of {workers} workers have nothing to do after the first "
            f"design_size trials; omit it, or set it to {workers}"
        )
