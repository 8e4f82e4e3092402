"""Which trials ran which version of the model script, where that changed; and what else changed between two runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from candle_hpo.core.provenance import ScriptState
from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.history import History
from candle_hpo.report.words import count

_MOST_RANGES = 8
_MOST_CHANGES = 5


def script_version_lines(history: History, stored: StoredExperiment) -> list[str]:
    """Return which trials ran which version of the script, if not all ran the one that was submitted; else nothing."""
    if not _changed(history, stored):
        return []
    lines = [f"{_subject(history, stored)} changed after {_name(stored)} was submitted; of the trials that have ended,"]
    for version, numbers in sorted(history.scripts.items(), key=lambda each: min(each[1])):
        lines.append(f"  {_version_text(version, stored)}: {count(len(numbers), 'trial')} ({number_ranges(numbers)})")
    return lines


def script_version_note(history: History, stored: StoredExperiment) -> str:
    """Return in one line how many trials ran another version than the first, and from which on; "" where none did."""
    if not _changed(history, stored):
        return ""
    submitted = stored.provenance.script
    first = next(iter(history.scripts)) if submitted is None else submitted.version
    others = {version: numbers for version, numbers in history.scripts.items() if version != first}
    from_on = min(min(numbers) for numbers in others.values())
    amount = sum(map(len, others.values()))
    return (
        f"{_subject(history, stored)} changed: {count(amount, 'trial')}, from trial {from_on} on, ran another version"
    )


def environment_lines(stored: StoredExperiment) -> list[str]:
    """Return how the interpreter and its packages changed from one run to the next, a line each time."""
    runs = (stored.provenance, *stored.resumed)
    lines: list[str] = []
    for before, after in pairwise(runs):
        lines += [f"Resumed at {after.created}: {text}" for text in changes_text(after.changes_since(before))]
    return lines


def changes_text(changes: Sequence[str]) -> list[str]:
    """Return changes of an interpreter and its packages in one line; nothing where there are none."""
    if not changes:
        return []
    more = len(changes) - _MOST_CHANGES
    return [", ".join(changes[:_MOST_CHANGES]) + (f", and {more} more (experiment.json has all)" if more > 0 else "")]


def what_changed(before: ScriptState, after: ScriptState) -> str:
    """Return the names of the files of a script that are not the same in both states."""
    names = [name for name in (before.files | after.files) if before.files.get(name) != after.files.get(name)]
    return ", ".join(names[:_MOST_CHANGES]) + (", …" if len(names) > _MOST_CHANGES else "")


def number_ranges(numbers: Iterable[int]) -> str:
    """Return numbers in short: `1-12, 15`."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in ranges[:_MOST_RANGES]]
    return ", ".join(texts) + (", …" if len(ranges) > _MOST_RANGES else "")


def _changed(history: History, stored: StoredExperiment) -> bool:
    submitted = stored.provenance.script
    versions = {*history.scripts, *([] if submitted is None else [submitted.version])}
    return len(versions) > 1


def _parts(history: History, stored: StoredExperiment) -> Iterator[tuple[str, str]]:
    """Yield the short names of the script's own text and of the modules beside it, of each version that there was."""
    submitted = stored.provenance.script
    for versions in (*history.scripts, *([] if submitted is None else [submitted.version])):
        for version in versions.split("-"):
            script, _, beside = version.partition("+")
            yield script, beside


def _subject(history: History, stored: StoredExperiment) -> str:
    scripts, beside = map(set, zip(*_parts(history, stored), strict=True))
    name = stored.settings.model_script.rpartition("/")[2]
    subjects = [*([name] if len(scripts) > 1 else []), *(["a module beside it"] if len(beside) > 1 else [])]
    return " or ".join(subjects) if len(scripts) > 1 else f"a module that {name} imports from its folder"


def _name(stored: StoredExperiment) -> str:
    return stored.input_file.rpartition("/")[2]


def _version_text(versions: str, stored: StoredExperiment) -> str:
    known = {
        run.script.version: f"resumed at {run.created}" for run in reversed(stored.resumed) if run.script is not None
    }
    if stored.provenance.script is not None:
        known[stored.provenance.script.version] = "submitted"
    first, *later = [each + (f" (as {known[each]})" if each in known else "") for each in versions.split("-")]
    return f"version {first}" + "".join(f", {each} at their end" for each in later)
