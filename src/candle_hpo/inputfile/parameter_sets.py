"""A grid's parameter space: one JSON object a line -> complete sets of hyperparameters."""

from __future__ import annotations

import difflib
import re
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence, Sized

from candle_hpo.core.space import GridSpace, ParameterSet, SetsOnDemand
from candle_hpo.core.trial import Hyperparameters, default_trial_id
from candle_hpo.inputfile.json_values import NotJson, read_object
from candle_hpo.inputfile.sections import Findings, Line
from candle_hpo.inputfile.value_notes import ValueNotes

# An id names a folder: portable, no path, nothing that a shell or `rm` would take for an option.
_SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,+=-]{0,99}")
_CLOSE = 0.8  # how alike two names are that one may be typed for the other, as difflib counts it


class SetsOfLines(SetsOnDemand):
    """The sets of a grid as their lines: each is read when it is asked for, so that a million of them fit into memory.

    All lines have been read once and found right. What a set does not name has its default value.
    """

    def __init__(self, lines: Sequence[str], default_model: Hyperparameters) -> None:
        self._lines, self._default_model = lines, default_model

    def __len__(self) -> int:
        return len(self._lines)

    def at(self, position: int) -> ParameterSet:
        """Return the set at a position from 0 up."""
        set_id, values = self.as_listed(position)
        return ParameterSet(set_id, {**self._default_model, **values})

    def as_listed(self, position: int) -> tuple[str, Hyperparameters]:
        """Return the id of a set and the values that its line names."""
        values = read_object(self._lines[position])
        return str(values.pop("id", default_trial_id(position + 1))), values


def read_parameter_sets(
    lines: list[Line], default_model: Hyperparameters, findings: Findings, values_seen: ValueNotes
) -> GridSpace:
    """Read the sets of a grid and fill what they do not name with the default values.

    What is wrong, a hyperparameter that some sets name and others have from nowhere included, goes to
    `findings`; `values_seen` sees all values.
    """
    names: dict[str, None] = {}
    shapes: dict[tuple[str, ...], array[int]] = {}  # the names that a set has -> the positions of all such sets
    lines_of_ids: dict[str, int] = {}
    for position, line in enumerate(lines):
        try:
            values = read_object(line.text)
        except NotJson as error:
            findings.wrong(line.number, f"{error}; a set is one JSON object on one line")
            continue
        set_id = values.pop("id", default_trial_id(position + 1))
        problem = _problem_of_id(set_id, lines_of_ids)
        if "" in values:
            problem = problem or "a hyperparameter has an empty name; give it one"
        if problem:
            findings.wrong(line.number, problem)
            continue
        lines_of_ids[str(set_id).lower()] = line.number
        names |= dict.fromkeys(values)
        values_seen.see_set(values, f"{findings.file}:{line.number}")
        shapes.setdefault(tuple(values), array("Q")).append(position)
    values_seen.end_of_sets(len(lines), default_model)
    misspelt = _misspelt(shapes, default_model)
    for shape, alike in shapes.items():
        wrong = [name for name in shape if name in misspelt]
        there = {*shape, *default_model, *misspelt, *(misspelt[name] for name in wrong)}
        missing = [name for name in names if name not in there]
        for position in alike if wrong or missing else ():
            set_id = read_object(lines[position].text).get("id", default_trial_id(position + 1))
            number = lines[position].number
            for name in wrong:
                text = f'set {set_id} names "{name}", which most others do not; did you mean "{misspelt[name]}"?'
                findings.wrong(number, text)
            if missing:
                listed = ", ".join(f'"{name}"' for name in missing)
                text = f"set {set_id} has no {listed}, which other sets name; add it here or to &default_model"
                findings.wrong(number, text)
    return GridSpace(tuple(names), SetsOfLines([line.text for line in lines], default_model))


def _misspelt(shapes: Mapping[tuple[str, ...], Sized], default_model: Hyperparameters) -> dict[str, str]:
    """Return the names that are probably misspelt, with what is meant: a name in `&default_model` or in most sets.

    Only a name that few sets have, and that nothing gives to the others, is; and only where none of its sets has the
    other name too.
    """
    counts = Counter(dict.fromkeys(default_model, 0))
    for shape, alike in shapes.items():
        counts.update(dict.fromkeys(shape, len(alike)))
    total = sum(map(len, shapes.values()))
    found: dict[str, str] = {}
    for name, count in counts.items():
        if name in default_model or 2 * count >= total:
            continue
        beside = {other for shape in shapes if name in shape for other in shape}
        usual = (other for other in counts if other in default_model or 2 * counts[other] > total)
        meant = [other for other in usual if other not in beside]
        close = difflib.get_close_matches(name, meant, n=1, cutoff=_CLOSE)
        if close:
            found[name] = close[0]
    return found


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
    return f'the id "{set_id}" appears twice (first in line {first}); every id is unique' if first else None
