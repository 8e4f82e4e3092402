"""What a run has printed and written → candidates for the objective, each with the keywords that find it again."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TypeGuard

import msgspec

from candle_hpo.core.metric_names import direction_of_name, words_of
from candle_hpo.core.objective import STEPS, Direction
from candle_hpo.core.result_files import FileKind
from candle_hpo.draft.lines_alike import HELD_OUT, TRAINED, deciding_heading
from candle_hpo.draft.printed_lines import COMPLEMENT, Slot, slots_of
from candle_hpo.launch.measuring.number_texts import as_number

_NOT = {
    "time", "sec", "secs", "second", "seconds", "ms", "min", "minutes", "hours", "elapsed", "eta", "took", "duration",
    "epoch", "epochs", "step", "steps", "iter", "iters", "iteration", "iterations", "lr", "rate", "memory", "mem",
    "gb", "mb", "version", "size", "samples", "batch", "seed", "total", "count", "number", "params", "parameters",
    "speed", "throughput", "n", "workers", "gpu", "cpu", "threads", "port", "pid", "date", "id", "support", "it/s",
    "fold", "shape", "train_size", "learning", "patience", "grad", "norm", "weight", "decay", "momentum", "dropout",
}  # fmt: skip
_OF_SETTINGS = {"args", "config", "namespace", "arguments", "hyperparameters", "hparams", "params"}
_FOLD, _OF_FOLDS = re.compile(r"\bfold\W{0,3}(\d+)", re.IGNORECASE), {"average", "avg", "mean", "overall", "cv"}
_OF_MANY = {"average", "avg", "mean", "overall", "final"}
_SPREAD = {"std", "stdev", "stddev", "deviation", "sd", "stderr", "variance", "var"}  # how far apart values are
_LAST_WORD = re.compile(r"(?:weight|coef|coefficient|scale|steps?|epochs?|threshold)$")
# The scores of IMPROVE's models, of which the first is the one that its searches take: improvelib, utils.py.
SCORES_OF_IMPROVE = "val_scores.json"
# Folders of which there is another one for each run, or after so many steps.
_COUNTED = re.compile(r"^(.*(?:checkpoint|ckpt|step|epoch|iter|version|run|exp)[-_]?)\d+$", re.IGNORECASE)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A number that may be the objective, with the keywords that find it: the first pattern that does is taken.

    `times` is how often it was measured; `has_step` is whether it says by which step. The direction is None where the
    name does not show it; `worth` says how likely it is to be meant. One that `is_bare` was printed without a name.
    """

    name: str
    value: float
    patterns: tuple[str, ...] = ()
    file: str = ""
    key: str = ""
    times: int = 1
    has_step: bool = False
    direction: Direction | None = None
    worth: int = 0
    is_bare: bool = False

    @property
    def where(self) -> str:
        """Where the number is, for people."""
        return f"{self.key} in {self.file}" if self.key else self.file or f'"{self.name}" in what it prints'


def with_name(candidate: Candidate, name: str, direction: Direction) -> Candidate:
    """Return a candidate that was printed without a name with this one, and as likely as others with such a name."""
    found, worth = judged(name, "", candidate.value)
    return msgspec.structs.replace(candidate, name=name, direction=found or direction, worth=candidate.worth + worth)


def worth_showing(found: Sequence[Candidate], names: Collection[str]) -> list[Candidate]:
    """Return the candidates in their order, without those that only repeat hyperparameters of these names.

    Where any has a name that speaks of a loss or a score, only such are left.
    """
    others = [each for each in found if re.sub(r"\W+", "_", each.name).lower() not in names]
    return [each for each in others if each.direction is not None] or others


def printed_candidates(text: str) -> list[Candidate]:
    """Return the numbers with names in what a script has printed, the likeliest first."""
    has_folds = len(set(_FOLD.findall(text))) > 1
    found = [_of_slot(slot, has_folds=has_folds) for slot in slots_of(text)]
    return _ordered(each for each in found if each is not None)


def _of_slot(slot: Slot, *, has_folds: bool) -> Candidate | None:
    heading = deciding_heading(slot.headings)
    direction, worth = judged(slot.label, f"{heading} {slot.before}", slot.value)
    if worth < 0 or not math.isfinite(slot.value):
        return None
    if has_folds and words_of(slot.label) & _OF_FOLDS:  # of each fold there is another number
        worth += 3
    return Candidate(
        name=f"{heading}: {slot.label}" if heading and slot.label else slot.label or "value",
        value=slot.value,
        patterns=slot.patterns,
        times=slot.times,
        has_step=slot.has_step,
        direction=direction,
        worth=worth + min(slot.times, 2) - 1 + slot.has_step,
        is_bare=not slot.label,
    )


def file_candidates(name: str, text: str) -> list[Candidate]:
    """Return the numbers with names in a file that a script has written, the likeliest first."""
    suffix = PurePath(name).suffix.lower()
    found: Iterator[Candidate] = iter(())
    if suffix in (".csv", ".tsv"):
        found = _in_table(name, text)
    elif suffix in (".json", ".jsonl", ".ndjson"):
        found = _in_json(name, text)
    return _ordered(found)


def _in_table(name: str, text: str) -> Iterator[Candidate]:
    first = text.lstrip("\ufeff").partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    rows = [
        [cell.strip() for cell in row]
        for row in csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter=delimiter, skipinitialspace=True)
        if any(row)
    ]
    headings = rows[0] if rows else []
    if not headings or any(as_number(each) is not None for each in headings):
        return
    has_step = any(each.lower() in STEPS for each in headings)
    for column, heading in enumerate(headings):
        cells = [row[column] for row in rows[1:] if len(row) == len(headings) and row[column]]
        numbers = [number for cell in cells if (number := as_number(cell)) is not None]
        if heading and headings.count(heading) == 1 and numbers and len(numbers) == len(cells):
            yield from _in_file(name, heading, numbers, has_step=has_step)


def _in_json(name: str, text: str) -> Iterator[Candidate]:
    try:
        objects = [json.loads(text)]
    except ValueError:
        try:
            objects = [json.loads(line) for line in text.split("\n") if line.strip()]
        except ValueError:
            return
    if len(objects) == 1 and isinstance(objects[0], list):
        objects = objects[0]
    if len(objects) == 1 and _is_number(objects[0]):
        yield from _in_file(name, "", [float(objects[0])], has_step=False)
    dictionaries = [each for each in objects if isinstance(each, dict)]
    if not dictionaries or len(dictionaries) != len(objects):
        return
    has_step = any(str(key).lower() in STEPS for key in dictionaries[-1])
    for key, value in _flat(dictionaries[-1], ""):
        series = [number for each in dictionaries if (number := dict(_flat(each, "")).get(key)) is not None]
        yield from _in_file(name, key, series or [value], has_step=has_step)
    if len(dictionaries) == 1:
        yield from _in_lists(name, dictionaries[0])


def _flat(found: Mapping[str, object], prefix: str) -> Iterator[tuple[str, float]]:
    for key, value in found.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif _is_number(value):
            yield f"{prefix}{key}", float(value)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _in_lists(name: str, found: Mapping[str, object]) -> Iterator[Candidate]:
    """Yield the last numbers of what was measured one after the other: numbers, or objects with them."""
    for key, value in found.items():
        elements = value if isinstance(value, list) else []
        numbers = [float(each) for each in elements if _is_number(each)]
        if numbers and len(numbers) == len(elements):
            yield from _in_file(name, f"{key}[-1]", numbers, has_step=True)
        rows = [dict(_flat(each, "")) for each in elements if isinstance(each, dict)]
        if not rows or len(rows) != len(elements):
            continue
        has_step = any(each.lower() in STEPS for row in rows for each in row)
        for own in dict.fromkeys(each for row in rows for each in row):
            series = [row[own] for row in rows if own in row]
            yield from _in_file(name, f"{key}[*].{own}", series, has_step=has_step)


def event_candidates(name: str, series: Mapping[str, Sequence[float]]) -> list[Candidate]:
    """Return the tags of an event file of TensorBoard's with their numbers, the likeliest first."""
    return _ordered(each for tag, numbers in series.items() for each in _in_file(name, tag, numbers, has_step=True))


def name_in_each_trial(name: str) -> str:
    """Return what stands for a file's path in each trial: `*` where a path has the time, or how far a run has come.

    `logs/version_0/metrics.csv` is `logs/version_*/metrics.csv`, `outputs/2026-11-26/loss.csv` is `outputs/*/loss.csv`.
    The names of event files, and of the folders that TensorBoard's writers make for them, have the time, the host and
    the process in them.
    """
    *folders, file = name.split("/")
    if FileKind.of(name) is FileKind.EVENTS:
        found = ["*" if re.search(r"\d", each) else each for each in folders]
        return "/".join([*found, f"{file[: file.index('tfevents')]}tfevents.*"])
    found = [_COUNTED.sub(r"\1*", each) for each in folders]
    return "/".join(re.sub(r"\d[\d._:T-]{4,}\d", "*", each) for each in [*found, file])


def _in_file(name: str, key: str, numbers: Sequence[float], *, has_step: bool) -> Iterator[Candidate]:
    direction, worth = judged(key or PurePath(name).stem, PurePath(name).stem, numbers[-1])
    if worth >= 0 and math.isfinite(numbers[-1]):
        yield Candidate(
            name=key or PurePath(name).stem,
            value=numbers[-1],
            file=name,
            key=key,
            times=len(numbers),
            has_step=has_step,
            direction=direction,
            worth=worth + min(len(numbers), 2) + has_step + 10 * (PurePath(name).name == SCORES_OF_IMPROVE),
        )


def judged(label: str, before: str, value: float = 1.0) -> tuple[Direction | None, int]:
    """Return the direction that a name shows, and how likely it is to be the objective; less than 0: it is not.

    `before` is what stands before the name in its line, or the name of the file. An error that cannot be below 0, and
    has such a `value`, was negated, as scikit-learn's scores are, so that more is better.
    """
    words, around = words_of(label), words_of(before)
    direction = direction_of_name(label, value)
    if label.startswith(COMPLEMENT):
        direction = Direction.MINIMIZE if direction is Direction.MAXIMIZE else None
    worth = 10 if direction else 0
    if (
        (words | around) & _OF_SETTINGS
        or (words & {*_NOT, "index"} and direction is None)
        or _LAST_WORD.search(label.lower())
    ):
        return None, -1
    if words & _SPREAD or (words <= {"n", "i", "k", "x", "y"} and words):
        return None, -1
    if words & TRAINED and words & HELD_OUT:  # Train/test accuracy: 0.9 / 0.8
        return None, -1
    worth += bool(words & _OF_MANY) - 2 * ("per" in words)  # of each class, beside all of them
    if words & HELD_OUT:
        worth += 5
    elif words & TRAINED:
        worth -= 3
    elif around & HELD_OUT:
        worth += 4
    elif around & TRAINED:
        worth -= 3
    return direction, max(worth, 0)


def _ordered(found: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates, the likeliest first; of equal ones, the first; a loss before a score."""
    return sorted(found, key=lambda each: (-each.worth, each.direction is not Direction.MINIMIZE))
