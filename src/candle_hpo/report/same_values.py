"""What completed trials have in common when a hyperparameter does not arrive: values that are exactly the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    encode = msgspec.json.Encoder(order="deterministic").encode
    rows = [
        (row.value, {name: encode(value) for name, value in row.trial.hyperparameters.items()})
        for row in _completed(history)
    ]
    for name in names:
        groups = _groups_without(name, rows)
        levels = sum(map(len, groups))
        if levels - len(groups) >= _FEWEST:
            yield (
                f"{name} changes nothing so far: the {levels:,} completed configurations that differ from others in "
                f"{name} alone have exactly the same values as those; it may not arrive"
            )


def _groups_without(name: str, rows: Sequence[tuple[float | None, dict[str, bytes]]]) -> list[set[bytes]]:
    """Return the levels of a hyperparameter in each group of trials that differ in it alone.

    None at all where two of a group have different values.
    """
    levels: dict[tuple[tuple[str, bytes], ...], set[bytes]] = {}
    values: dict[tuple[tuple[str, bytes], ...], float | None] = {}
    for value, texts in rows:
        if name not in texts:
            continue
        others = tuple(sorted((other, text) for other, text in texts.items() if other != name))
        if values.setdefault(others, value) != value:
            return []
        levels.setdefault(others, set()).add(texts[name])
    return [found for found in levels.values() if len(found) > 1]
