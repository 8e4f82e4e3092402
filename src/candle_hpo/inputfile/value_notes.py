"""Notes on values of hyperparameters that are right, and perhaps not meant so: such as paths for a shell."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from candle_hpo.core.number_text import json_text, number_text
from candle_hpo.core.paths import is_there
from candle_hpo.core.trial import Hyperparameters

Form = Literal["Python", "JSON", "R"]

_WORDS: dict[Form, dict[str, str]] = {
    "Python": {"true": "True", "false": "False", "null": "None", "none": "None"},
    "JSON": {"true": "true", "false": "false", "null": "null", "none": "null"},
    "R": {"true": "TRUE", "false": "FALSE", "null": "NULL", "none": "NULL"},
}
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)  # not 007, which is a name
_OF_SHELL = re.compile(r"\$\(\s*(.*?)\s*\)|`\s*(.*?)\s*`|\$\{(\w+)\}|\$([A-Za-z_]\w*)")
_UNKNOWN = "\0"  # in the place of what only bash knows
_MAY_BE_FILE = re.compile(r"(?!\./$)[^\s/].*(?:/.*|\.\w{1,6})")


class ValueNotes:
    """Collects notes, one of each kind for a hyperparameter, however many sets have it.

    `texts_matter`: the model can distinguish texts from numbers; `relative_to` is where relative paths begin for the
    user, if they do not for the model.
    """

    def __init__(self, *, texts_matter: bool = True, relative_to: Path | None = None) -> None:
        self.notes: list[str] = []
        self._texts_matter, self._relative_to = texts_matter, relative_to
        self._noted: set[tuple[str, str]] = set()
        self._lists: dict[str, tuple[str, list[object]]] = {}
        self._others: set[str] = set()

    def see(self, name: str, value: object, where: str, form: Form) -> None:
        """Look at a value, which stands at `FILE:LINE` in this form."""
        for text in _texts_in(value):
            for kind, note in self._notes_on(name, text, form):
                if (name, kind) not in self._noted:
                    self._noted.add((name, kind))
                    self.notes.append(f"{where}: {name} {note}")

    def see_set(self, values: Mapping[str, object], where: str) -> None:
        """Look at all values of a set of a grid."""
        for name, value in values.items():
            if isinstance(value, list):
                self._lists.setdefault(name, (where, value))
            else:
                self._others.add(name)
            if isinstance(value, str | list | dict):
                self.see(name, value, where, "JSON")

    def end_of_sets(self, count: int, default_model: Hyperparameters) -> None:
        """Note lists that may be meant as the values of several sets: where others have one value, or there are none.

        A list of layers, say, is a value like any other.
        """
        for name, (where, values) in self._lists.items():
            default = default_model.get(name)
            is_usual = isinstance(default, list) or (count > 1 and name not in self._others and default is None)
            if not is_usual:
                argument = f"\"['{name}',{json_text(values)}]\""
                self.notes.append(
                    f"{where}: {name} is one value, the list {json_text(values)}; for a set with each of them, candle "
                    f"generate-grid makes all combinations: candle generate-grid {argument} …"
                )

    def _notes_on(self, name: str, text: str, form: Form) -> Iterator[tuple[str, str]]:
        words = _WORDS[form]
        if self._texts_matter and text.lower() in words:
            yield "word", f'is the text "{text}"; {form} writes the value {words[text.lower()]}, without quotes'
        elif self._texts_matter and _NUMBER.fullmatch(text) and math.isfinite(float(text)):
            number = number_text(int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text))
            yield "number", f'is the text "{text}"; {form} writes the number {number}, without quotes'
        elif (shell := _as_shell_reads(text)) is not None:
            yield (
                "shell",
                f'is "{text}" as it stands: only &control reads values as bash does; write the whole path'
                + (f", {shell}" if shell else ""),
            )
        elif self._relative_to is not None and (name, "asked") not in self._noted and _MAY_BE_FILE.fullmatch(text):
            self._noted.add((name, "asked"))  # one look at a disk for each hyperparameter
            if is_there(self._relative_to / text):
                yield (
                    "relative",
                    f'is "{text}", which is in {self._relative_to}; a trial runs in its own folder: write '
                    f"{self._relative_to / text}, unless the script knows that folder",
                )


def _as_shell_reads(text: str) -> str | None:
    """Return what bash would make of a path, "" where that is not known here; None for what bash leaves as it is."""
    expanded = os.path.expanduser(text)  # noqa: PTH111  # pathlib raises for an unknown user
    if not _OF_SHELL.search(text) or not ("/" in text or _OF_SHELL.fullmatch(text)):
        return expanded if text.startswith("~") and expanded != text else None
    known = {**os.environ, "PWD": str(Path.cwd())}

    def value(match: re.Match[str]) -> str:
        *commands, braced, name = match.groups()
        return known.get("PWD" if "pwd" in commands else braced or name or "", _UNKNOWN)

    whole = _OF_SHELL.sub(value, expanded)
    return "" if _UNKNOWN in whole else whole


def _texts_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(item)
