"""A grid's parameter space: one JSON object a line -> complete sets of hyperparameters."""

from __future__ import annotations

import re
from dataclasses import dataclass

from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.core.trial import Hyperparameters, default_trial_id
from candle_hpo.inputfile.json_values import NotJson, read_object
from candle_hpo.inputfile.sections import Line, Problems

# An id names a folder: portable, no path, nothing that a shell or `rm` would take for an option.
_SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,+=-]{0,99}")


@dataclass(frozen=True)
class _ReadSet:
    line: int
    id: str
    values: Hyperparameters


def read_parameter_sets(lines: list[Line], default_model: Hyperparameters, file: str, problems: Problems) -> GridSpace:
    """Read the sets of a grid and fill what they do not name from the default model.

    What is wrong, a hyperparameter that some sets name and others have from nowhere included, goes to
    `problems`.
    """
    sets: list[_ReadSet] = []
    lines_of_ids: dict[str, int] = {}
    for position, line in enumerate(lines):
        try:
            values = read_object(line.text)
        except NotJson as error:
            problems.add(file, line.number, f"{error}; a set is one JSON object on one line")
            continue
        set_id = values.pop("id", default_trial_id(position))
        problem = _problem_of_id(set_id, lines_of_ids) or _problem_of_names(values)
        if problem:
            problems.add(file, line.number, problem)
            continue
        lines_of_ids[str(set_id).lower()] = line.number
        sets.append(_ReadSet(line.number, str(set_id), values))
    names = tuple(dict.fromkeys(name for one in sets for name in one.values))
    for one in sets:
        missing = [name for name in names if name not in one.values and name not in default_model]
        if missing:
            listed = ", ".join(f'"{name}"' for name in missing)
            problems.add(
                file,
                one.line,
                f"set {one.id} has no {listed}, which other sets name; add it here or to &default_model",
            )
    complete = [ParameterSet(one.id, {**default_model, **one.values}) for one in sets]
    return GridSpace(names, complete)


def _problem_of_id(set_id: object, lines_of_ids: dict[str, int]) -> str | None:
    if not isinstance(set_id, str):
        return f'the id {set_id!r} is not text; write "id": "{set_id}"'
    if not _SAFE_ID.fullmatch(set_id):
        return (
            f'the id "{set_id[:60]}" cannot name a folder; use letters, digits and _ . , + = - '
            "(a letter, digit or _ first, 100 at most)"
        )
    # Folders `A` and `a` are one on some file systems.
    first = lines_of_ids.get(set_id.lower())
    return f'the id "{set_id}" is there twice (first in line {first}); every id is unique' if first else None


def _problem_of_names(values: Hyperparameters) -> str | None:
    if "" in values:
        return "a hyperparameter has an empty name; give it one"
    return None
