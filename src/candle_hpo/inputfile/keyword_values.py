"""What the values of `&control`'s keywords look like: a text -> the value of a setting."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from candle_hpo.core.errors import nearest
from candle_hpo.core.experiment import NO_PRELOAD, ArgumentStyle
from candle_hpo.core.objective import Direction
from candle_hpo.inputfile.argument_style import read_argument_style


class KeywordValueError(ValueError):
    """A keyword's value is not of its form; the text says what would be right."""


def text(given: str) -> str:
    """Return the text as it is."""
    return given


def existing_file(text: str) -> str:
    """Return the absolute path of a file, taken from where the user stands; raise `KeywordValueError` for none."""
    path = Path.cwd() / text
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise KeywordValueError(
            f"the file {path} {what}; relative paths and $(pwd) are taken from where you run candle"
        )
    return str(path)


def folder(text: str) -> str:
    """Return the absolute path of a folder."""
    path = Path.cwd() / text
    if path.is_file():
        raise KeywordValueError(f"{path} is a file; give its folder, {path.parent}")
    if not path.is_dir():
        raise KeywordValueError(
            f"the folder {path} does not exist; relative paths and $(pwd) are taken from where you run candle"
        )
    return str(path)


def folders(text: str) -> str:
    """Return the absolute paths of folders, joined as they were."""
    return os.pathsep.join(folder(each) for each in text.split(os.pathsep) if each)


def yes_or_no(text: str) -> bool:
    """Return whether the text is 1; it is 0 or 1."""
    if text not in ("0", "1"):
        raise KeywordValueError(f'"{text}" is neither 0 nor 1')
    return text == "1"


def whole_number(at_least: int) -> Callable[[str], int]:
    """Return what reads a whole number from this one up."""

    def read(text: str) -> int:
        # At most 9 digits: more is a slip of the hand for every keyword there is.
        if not re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII) or int(text) < at_least:
            raise KeywordValueError(f'"{text}" is not a whole number from {at_least} up (at most 9 digits)')
        return int(text)

    return read


def gigabytes(text: str) -> float:
    """Return a number of gigabytes."""
    number = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)\s*[gG]?[bB]?", text, re.ASCII)
    if not number or float(number[1]) <= 0:
        raise KeywordValueError(f'"{text}" is not a number of gigabytes such as 7 or 1.5')
    return float(number[1])


def megabytes(text: str) -> float:
    """Return a number of megabytes."""
    number = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)\s*[mM]?[bB]?", text, re.ASCII)
    if not number or float(number[1]) <= 0:
        raise KeywordValueError(f'"{text}" is not a number of megabytes such as 100 or 0.5')
    return float(number[1])


_TIME = re.compile(r"(?:(\d{1,4})-)?(\d{1,4}):([0-5]?\d)(?::([0-5]?\d))?", re.ASCII)


def time(text: str) -> int:
    """Return a time in seconds."""
    match = _TIME.fullmatch(text)
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if total == 0:
        raise KeywordValueError(f'"{text}" is not a time such as 00:20:00 (HH:MM:SS, HH:MM or D-HH:MM:SS)')
    return total


def arguments(text: str) -> tuple[str, ...]:
    """Return words as bash splits them."""
    try:
        return tuple(shlex.split(text))
    except ValueError:
        raise KeywordValueError(f"a quote within {text} is not closed; add it") from None


def modules(text: str) -> tuple[str, ...]:
    """Return the names of environment modules."""
    return tuple(text.replace(",", " ").split())


def python_modules(text: str) -> tuple[str, ...]:
    """Return the names of modules of Python, or `NO_PRELOAD`."""
    names = modules(text)
    if [name.lower() for name in names] == list(NO_PRELOAD):
        return NO_PRELOAD
    for name in names:
        if not all(part.isidentifier() for part in name.split(".")):
            raise KeywordValueError(
                f'"{name}" is not the name of a Python module such as sklearn.svm; "none" turns it off'
            )
    return names


def one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """Return what reads one of some words."""

    def read(text: str) -> str:
        if text.lower() not in choices:
            raise KeywordValueError(f'"{text}" is not a valid value; ' + nearest(text, choices))
        return text.lower()

    return read


def argument_style(text: str) -> ArgumentStyle:
    """Return what arguments look like."""
    try:
        return read_argument_style(text)
    except ValueError as error:
        raise KeywordValueError(str(error)) from None


def pattern(text: str) -> str:
    """Return a regular expression that compiles."""
    try:
        expression = re.compile(text, re.MULTILINE)
    except (re.error, RecursionError, OverflowError) as error:
        raise KeywordValueError(f"{text} is not a regular expression: {error}") from None
    if expression.groups > 1 and not expression.groupindex:
        raise KeywordValueError(
            f"{text} has {expression.groups} groups; keep the one around the number, and write (?:...) for others"
        )
    return text


def file_in_run_folder(text: str) -> str:
    """Return a path that does not leave the run folder."""
    path = PurePath(text)
    if path.is_absolute() or ".." in path.parts:
        raise KeywordValueError(f"{text} is not in the trial's own folder; write for instance results/metrics.json")
    return text


def direction(text: str) -> Direction:
    """Return which end of the objective is the better one."""
    return Direction(one_of([each.value for each in Direction])(text))
