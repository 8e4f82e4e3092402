"""How numbers, times and hyperparameters look to people: as short as may be, and different where they differ."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

Value = TypeVar("Value")


def number(value: float) -> str:
    """Return a number in six significant digits."""
    return f"{value:.6g}"


def step_text(step: float) -> str:
    """Return a step: whole ones with all their digits."""
    return f"{int(step):,}" if step.is_integer() else number(step)


def ordinal(place: int) -> str:
    """Return a place in an order: `1st`, `12th`, `23rd`."""
    ending = "th" if place // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place:,}{ending}"


def duration(seconds: float) -> str:
    """Return a duration as `0:01:23`, with the days in front where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (f"{days} d " if days else "") + f"{hours}:{minutes:02d}:{rest:02d}"


def count(amount: int, noun: str) -> str:
    """Return an amount with its noun: `1 trial`, `2,000 trials`."""
    return f"{amount:,} {noun}" + ("" if amount == 1 else "s")


def json_text(value: object) -> str:
    """Return a value as JSON, with all digits: the whole number 1 is `1`, the float `1.0`."""
    return json.dumps(value, ensure_ascii=False)


def plain(value: object) -> str:
    """Return a value with all its digits: text as it is where it cannot be taken for another value, all else as JSON.

    So different values have different texts: the text `true` is `"true"`, the boolean `true`.
    """
    return value if isinstance(value, str) and not _reads_as_another(value) else json_text(value)


# What pandas.read_csv and R's read.csv take for a missing value, or for a boolean, and would make one with others.
_READ_OTHERWISE = frozenset([
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN", "<NA>", "N/A", "n/a", "NA", "NULL", "None",
    "TRUE", "True", "T", "FALSE", "False", "F",
])  # fmt: skip
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f]")  # a carriage return alone ends a row, to some readers
_HEXADECIMAL = re.compile(r"[-+]?0x[0-9a-f.]+(p[-+]?\d+)?", re.IGNORECASE)  # a number to R


def _reads_as_another(text: str) -> bool:
    bare = text.strip(" ")
    if not text or bare in _READ_OTHERWISE or _HEXADECIMAL.fullmatch(bare) or _CONTROLS.search(text):
        return True
    for read in (float, json.loads):
        try:
            read(text)
        except (ValueError, RecursionError):
            continue
        return True
    return False


def short(value: object) -> str:
    """Return a hyperparameter's value as JSON, but floats in six digits; `1.0` stays a float."""
    if not isinstance(value, float):
        return json_text(value)
    text = number(value)
    return f"{text}.0" if re.fullmatch(r"-?\d+", text) else text


def texts_apart(
    values: Sequence[Value], short_text: Callable[[Value], str], whole_text: Callable[[Value], str]
) -> list[str]:
    """Return the values of a column as short texts, or as whole ones where different values would look alike."""
    texts = [short_text(value) for value in values]
    alike: dict[str, set[str]] = defaultdict(set)
    for text, value in zip(texts, values, strict=True):
        alike[text].add(whole_text(value))
    return [whole_text(value) if len(alike[text]) > 1 else text for text, value in zip(texts, values, strict=True)]


def column_texts(values: Sequence[object]) -> list[str]:
    """Return hyperparameters of one name for a column on a screen: as `plain`, but floats in six digits if they can."""
    return texts_apart(values, lambda value: short(value) if isinstance(value, float) else plain(value), plain)


def number_texts(values: Sequence[float]) -> list[str]:
    """Return results for a column on a screen: in six digits, or in all where six do not distinguish them."""
    return texts_apart(values, number, repr)


def hyperparameters(values: Mapping[str, object], names: Sequence[str], longest: int = 200) -> str:
    """Return the hyperparameters of these names (all, if none are given) on one line, cut where it grows too long."""
    (line,) = hyperparameter_lines([values], names, longest)
    return line


def hyperparameter_lines(sets: Sequence[Mapping[str, object]], names: Sequence[str], longest: int = 200) -> list[str]:
    """Return a line for each set, as `hyperparameters` does, with as many digits as distinguish the sets."""
    parts: list[list[str]] = [[] for _ in sets]
    for name in names or dict.fromkeys(name for each in sets for name in each):
        with_it = [place for place, each in enumerate(sets) if name in each]
        texts = texts_apart([sets[place][name] for place in with_it], short, json_text)
        for place, text in zip(with_it, texts, strict=True):
            parts[place].append(f"{name}={text}")
    lines = [", ".join(each) for each in parts]
    return [line if len(line) <= longest else line[: longest - 1] + "…" for line in lines]


def cut_apart(texts: Sequence[str], longest: int) -> list[str]:
    """Return texts that are cut in their middle where they are too long, but not those that would then look alike."""
    return texts_apart(texts, lambda text: cut(text, longest), str)


def cut(text: str, longest: int) -> str:
    """Return a text that is at most so long: what is too long has its beginning and its end."""
    end = longest // 3
    return text if len(text) <= longest else f"{text[: longest - 1 - end]}…{text[-end:]}"


def location(path: Path) -> str:
    """Return a path as short as it can be typed: from where the user stands, if it lies below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
