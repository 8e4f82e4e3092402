"""What completed trials have in common when a hyperparameter does not arrive: values that are exactly the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from candle_hpo.record.history import History, TrialHistory

_FEWEST = 3  # configurations, or comparisons of two of them, that are no coincidence


def same_value_notes(history: History, names: Sequence[str]) -> list[str]:
    """Return what to look at where all values are the same, or all those of trials that differ in one name alone.

    `names` are the hyperparameters that vary. Whether that is a mistake the values do not tell: some change nothing.
    """
    note = note_on_one_value(history)
    return [note] if note else list(_notes_on_names(history, names))


def note_on_one_value(history: History) -> str:
    """Return the note on values that are all the same, or ""; it looks only as far as the first two that differ."""
    best = history.best
    if best is None or any(row.value != best.value for row in _completed(history)):
        return ""
    different = {msgspec.json.encode(row.trial.hyperparameters) for row in _completed(history)}
    if len(different) < _FEWEST:
        return ""
    return (
        f"all {len(different):,} completed configurations have exactly the same value {best.value!r}: a hyperparameter "
        "may not arrive; look at how the script gets its hyperparameters, and at where its value comes from "
        f"(candle logs {best.trial.id})"
    )


def _completed(history: History) -> Iterator[TrialHistory]:
    return (row for row in history.trials.values() if row.value is not None)


def _notes_on_names(history: History, names: Sequence[str]) -> Iterator[str]:
    rows = [_Row.of(row) for row in _completed(history)]
    for name in names:
        groups = _levels_by_group(name, rows)
        levels = sum(map(len, groups))
        if levels - len(groups) >= _FEWEST:
            yield (
                f"{name} changes nothing so far: the {levels:,} completed configurations that differ from others in "
                f"{name} alone have exactly the same values as those; it may not arrive"
            )


class _Row(NamedTuple):
    """A completed trial: its value, a number for each of its hyperparameters, and their sum, which stands for all."""

    value: float | None
    codes: dict[str, int]
    sum: int

    @classmethod
    def of(cls, row: TrialHistory) -> _Row:
        codes = {name: hash((name, repr(value))) for name, value in row.trial.hyperparameters.items()}
        return cls(row.value, codes, sum(codes.values()))


def _levels_by_group(name: str, rows: Sequence[_Row]) -> list[set[int]]:
    """Return the levels of a hyperparameter in each group of trials that differ in it alone.

    None at all where two of a group have different values.
    """
    groups: dict[int, tuple[float | None, set[int]]] = {}
    for row in rows:
        code = row.codes.get(name)
        if code is not None:
            value, levels = groups.setdefault(row.sum - code, (row.value, set()))
            if value != row.value:
                return []
            levels.add(code)
    return [levels for _, levels in groups.values() if len(levels) > 1]
