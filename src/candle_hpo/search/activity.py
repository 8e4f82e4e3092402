"""Conditional parameters, learned from the trials that had them and those that had not."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from candle_hpo.search.cube import Activity

MISSING = object()


def learned_activity(trials: Sequence[Mapping[str, Any]]) -> Activity | None:
    """Return which parameters are used, as far as complete trials tell; None where all of them had the same ones.

    A parameter that some trials lack is conditional. If the value of one other parameter decides in every trial whether
    it was there, that is taken as its condition; values not met yet may have it. If there is no such parameter, it is
    taken as always there: a value too many does no harm.
    """
    names = list(dict.fromkeys(name for trial in trials for name in trial))
    conditional = [name for name in names if any(name not in trial for trial in trials)]
    if not conditional:
        return None
    rules = {name: rule for name in conditional if (rule := _rule(name, names, trials)) is not None}

    def is_active(assignment: Mapping[str, Any]) -> Collection[str]:
        active = set(assignment)
        for _ in rules:  # a parent may turn out inactive, and then its children too
            given = {name: value for name, value in assignment.items() if name in active}
            active = {
                name for name in active if name not in rules or given.get(rules[name][0], MISSING) not in rules[name][1]
            }
        return active

    return is_active


def _rule(name: str, names: Sequence[str], trials: Sequence[Mapping[str, Any]]) -> tuple[str, list[Any]] | None:
    """Return the parameter that decides whether `name` is there, and the values with which it is not."""
    for parent in names:
        if parent == name:
            continue
        having = [trial.get(parent, MISSING) for trial in trials if name in trial]
        lacking = [trial.get(parent, MISSING) for trial in trials if name not in trial]
        without = [value for index, value in enumerate(lacking) if value not in lacking[:index]]
        # A continuous parameter seems to decide everything, having no value twice.
        if len(without) < max(2, len(lacking)) and not any(value in without for value in having):
            return parent, without
    return None
