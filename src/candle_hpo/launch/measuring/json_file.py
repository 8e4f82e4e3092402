"""`result_file`: the value, and metrics beside it, in JSON that a model writes, as a document or on each line."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from candle_hpo.core.trial import Metrics
from candle_hpo.launch.measuring.metrics import metrics_of
from candle_hpo.launch.measuring.number_texts import finite, number_or_none, shortened
from candle_hpo.launch.measuring.readings import Choice, Measured, Reading, chosen

_PART = re.compile(r"\.?([^.\[\]]+)|\[(-?\d{1,9}|\*)\]")


class _Repeated(list[object]):
    """What stands under a key that is there more than once in an object of JSON: no value of it."""

    def __str__(self) -> str:
        return f"there {len(self)} times ({', '.join(map(str, self))})"


class NotThereError(ValueError):
    """What a key names is not there."""


class Row(NamedTuple):
    """What stands under a key, and all that stands beside it, where `own` is its name."""

    value: object
    beside: Mapping[str, object]
    own: str

    @property
    def metrics(self) -> Metrics:
        """What can be kept of what stands beside the value."""
        return {name: value for name, value in metrics_of(self.beside).items() if name != self.own}


def read_json(text: str) -> object:
    """Return what a text in JSON says; a key that appears twice has no value. Raises `ValueError`."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        times = Counter(name for name, _ in pairs)
        found.update(
            {name: _Repeated(value for other, value in pairs if other == name) for name in times if times[name] > 1}
        )
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_object)


def in_json(text: str, name: str, key: str | None, choice: Choice, lines_before: int = 0, *, is_over: bool) -> Measured:
    """Return the value of a key: in the last object of a list, or on the last line; or of all, by the choice.

    Of a file with an object on each line, the first lines, so many of them, were there before; unless `is_over`, the
    last one need not be whole. Raises `ValueError` for what is not there, or no number.
    """
    document = None if lines_before else _document(text, key, is_over=is_over)  # to which nothing can be added
    if choice.is_last:
        last = _last_of_lines(text, name, lines_before, is_over=is_over) if document is None else document[-1]
        *_, row = rows_of(last, key, name)
        return Measured(finite(row.value, _where(key, name)), row.metrics)
    is_alone = document is not None and len(document) == 1 and not name.endswith((".jsonl", ".ndjson"))
    if is_alone and not has_many(key):
        raise ValueError(
            f"{name} has one value alone, and result_from={choice.how} chooses among all that a trial has measured; "
            "let it be x.jsonl, with an object on each line, or a list of objects, or write [*] in result_key"
        )
    objects = _all_lines(text, name, lines_before, is_over=is_over) if document is None else document
    found = chosen(_readings(objects, key, name), choice, _where(key, name))
    if found is None:
        raise NotThereError(f'{name} has no "{key}"')
    return found


def has_many(key: str | None) -> bool:
    """Return whether a key stands for each element of a list."""
    return key is not None and "[*]" in key


def _where(key: str | None, name: str) -> str:
    return name if key is None else f"{key} in {name}"


def _document(text: str, key: str | None, *, is_over: bool) -> Sequence[object] | None:
    """Return the elements of a list, or any other document as the only one; None where the text is not one."""
    try:
        found = read_json(text)
    except ValueError:
        return None
    if not is_over and not isinstance(found, dict | list) and not text.endswith("\n"):
        raise ValueError(f"{shortened(text)} may not be the whole number: no line end follows it")
    return found if isinstance(found, list) and found and not (key or "").startswith("[") else [found]


def _lines(text: str, name: str, lines_before: int, *, is_over: bool) -> list[tuple[int, str]]:
    """Return the lines that are not blank, with their numbers; other characters that end lines may stand in a text."""
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    try:
        read_json(lines[0][1] if lines else "")
    except ValueError:
        raise ValueError(f"{name} holds no JSON") from None
    own = lines[bisect_right(lines, lines_before, key=itemgetter(0)) :]
    if not is_over and own and not text.endswith("\n") and not isinstance(_json_or_none(own[-1][1]), dict):
        own.pop()
    if not own:
        raise ValueError(f"nothing in {name} is new")
    return own


def _json_or_none(text: str) -> object:
    try:
        return read_json(text)
    except ValueError:
        return None


def _last_of_lines(text: str, name: str, lines_before: int, *, is_over: bool) -> object:
    last = _lines(text, name, lines_before, is_over=is_over)[-1][1]
    try:
        return read_json(last)
    except ValueError:
        raise ValueError(f"the last line of {name} is not whole: {shortened(last)}") from None


def _all_lines(text: str, name: str, lines_before: int, *, is_over: bool) -> Iterator[object]:
    for number, line in _lines(text, name, lines_before, is_over=is_over):
        try:
            yield read_json(line)
        except ValueError:
            raise ValueError(f"line {number} of {name} holds no JSON: {shortened(line)}") from None


def _readings(objects: Iterable[object], key: str | None, name: str) -> Iterator[Reading]:
    for each in objects:
        try:
            rows = list(rows_of(each, key, name))
        except NotThereError:  # one of a training step, between those of a validation
            continue
        for row in rows:
            value = None if row.value is None else number_or_none(row.value, _where(key, name))
            yield Reading(value, row.metrics)


def rows_of(found: object, key: str | None, name: str) -> Sequence[Row]:
    """Return what a key names in JSON, with what stands beside it: one, or, of `a[*].b`, all that there are.

    `a.b` is `b` within `a`, unless there is a name `a.b`; `a[-1]` is the last of a list. Beside an element of a list
    stand, if it is an object, its own entries, else the elements at this place of the other lists of this length.
    Raises `NotThereError` where there is nothing.
    """
    if key is None:
        return [Row(found, {}, "")]
    beside = found if isinstance(found, dict) else {}
    if key in beside:
        return [Row(beside[key], beside, key)]
    rows = list(_within(found, _parts(key, name), Row(found, beside, ""), name))
    if not rows:
        raise NotThereError(f"{name} has nothing at {key}")
    return rows


def _parts(key: str, name: str) -> list[str | int | None]:
    """Return names, indices, and None for each index. Raises `NotThereError` for a key that is not of that form."""
    parts: list[str | int | None] = []
    end = 0
    while found := _PART.match(key, end):
        end = found.end()
        parts.append(found[1] or (None if found[2] == "*" else int(found[2])))
    if end < len(key):
        raise NotThereError(f'{name} has no "{key}", nor is that a place such as a.b, a[-1].b or a[*].b')
    return parts


def _within(found: object, parts: Sequence[str | int | None], row: Row, name: str) -> Iterator[Row]:
    """Yield what the parts of a key lead to, from what is found so far; `row` has what stands beside that."""
    if not parts:
        yield row._replace(value=found)
        return
    part, *rest = parts
    if isinstance(part, str):
        if not isinstance(found, dict) or part not in found:
            there = ", ".join(map(str, found)) if isinstance(found, dict) else "none"
            raise NotThereError(f'{name} has no "{part}" (it has: {shortened(there)})')
        yield from _within(found[part], rest, Row(found, row.beside, f"{row.own}.{part}".lstrip(".")), name)
        return
    if type(found) is not list:  # not what stands under a key that appears twice
        raise NotThereError(f"{name} has no list where its {row.own or 'document'} is asked for an element")
    if part is not None and not -len(found) <= part < len(found):
        raise NotThereError(f"{name} has no [{part}] in {row.own or 'its list'}, which has {len(found)} elements")
    for index in range(len(found)) if part is None else [part]:
        try:
            yield from _within(found[index], rest, _beside_element(found, index, row), name)
        except NotThereError as error:
            if part == -1:
                raise NotThereError(f"{error}; with [*] in place of [-1], the last that has it is the value") from None
            if part is not None:
                raise


def _beside_element(found: list[object], index: int, row: Row) -> Row:
    """Return what stands beside an element of a list; `row.value` is the object that has the list, if one has it."""
    element = found[index]
    if isinstance(element, dict):
        return Row(element, element, "")
    if not isinstance(row.value, dict):
        return Row(element, {}, "")
    last = row.own.rpartition(".")[2]
    others = {n: each[index] for n, each in row.value.items() if isinstance(each, list) and len(each) == len(found)}
    return Row(element, others, last)
