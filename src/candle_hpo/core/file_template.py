"""A text file of the user's in which hyperparameters have their places, and what is written there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from candle_hpo.core.number_text import json_text, number_text

Form = Literal["YAML", "JSON", "TOML", "INI", "env", "namelist", "Python", "text"]

_FLOAT = re.compile(r"[+-]?(?:\d+\.\d*|\.\d+|\d+(?=[eEdD]))(?:[eEdD][+-]?\d+)?", re.ASCII)
# What no reader of YAML takes for anything but a text; the words are those of YAML 1.1 for true, false and null.
_PLAIN_IN_YAML = re.compile(
    r"(?!(?:y|n|yes|no|on|off|true|false|null|nan|inf)$)[A-Za-z_][\w/-]*(?:\.[\w/-]+)*", re.I | re.A
)
_PLAIN_IN_SHELL = re.compile(r"[\w./:@%+,-]*", re.ASCII)
_IN_QUOTES = '"'
_BOOLEANS = ("false", "true"), ("no", "yes"), ("off", "on"), ("0", "1")


class NotWritable(ValueError):
    """A value that cannot be written into a file of this form; the text says why."""


class Placed(msgspec.Struct, frozen=True):
    """A file or folder of the user's, by its absolute path, and its name in each trial's folder."""

    path: str
    place: str


class Hole(msgspec.Struct, frozen=True):
    """Where the value of a hyperparameter belongs, and what stands there in the user's file."""

    name: str
    now: str = ""


class FileTemplate(msgspec.Struct, frozen=True):
    """A text file of the user's, in parts: `holes` are between the `texts`, of which there is one more.

    `path` is where it was read, and `place` its name in the folder of a trial.
    """

    path: str
    place: str
    form: Form
    texts: tuple[str, ...]
    holes: tuple[Hole, ...]
    encoding: str = "utf-8"

    @property
    def names(self) -> set[str]:
        """The hyperparameters whose values are written into it."""
        return {hole.name for hole in self.holes}

    @property
    def user_text(self) -> str:
        """What was read, but for blanks; a hole in a text is what has to be written there to make one."""
        there = [hole.now or f"{{{{{hole.name}}}}}" if self.form == "text" else hole.now for hole in self.holes]
        parts = [self.texts[0], *(part for pair in zip(there, self.texts[1:], strict=True) for part in pair)]
        return "".join("".join(parts).split())

    def is_of(self, data: bytes) -> bool:
        """Return whether it would be made of this file, too, but for blanks."""
        return "".join(data.decode(self.encoding, "replace").split()) == self.user_text

    def filled(self, values: Mapping[str, object]) -> str:
        """Return its text with these values; a hyperparameter that a trial lacks leaves what stands in the file.

        Raises `NotWritable`.
        """
        parts = [self.texts[0]]
        for hole, after in zip(self.holes, self.texts[1:], strict=True):
            parts += [self.written(hole, values), after]
        return "".join(parts)

    def data(self, values: Mapping[str, object]) -> bytes:
        """Return the file with these values. Raises `NotWritable`."""
        try:
            return self.filled(values).encode(self.encoding)
        except UnicodeEncodeError as error:
            character = error.object[error.start]
            raise NotWritable(f'{self.place} is not in UTF-8, and has no way to write "{character}"') from None

    def written(self, hole: Hole, values: Mapping[str, object]) -> str:
        """Return what stands in a hole with these values. Raises `NotWritable`."""
        if hole.name not in values:
            if self.form == "text":
                raise NotWritable(f'{self.place} needs "{hole.name}", which this set of hyperparameters does not have')
            return hole.now
        value = values[hole.name]
        if isinstance(value, int) and not isinstance(value, bool) and _FLOAT.fullmatch(hole.now.replace("_", "")):
            value = float(value)
        try:
            text = _WRITERS[self.form](value, hole.now)
            if "\\" in text and self.path.endswith(".properties"):
                raise NotWritable("a backslash has another meaning there")
            return text
        except NotWritable as error:
            raise NotWritable(f'{self.place}: "{hole.name}" cannot be written into it: {error}') from None


def _plain(value: object, _: str) -> str:
    return value if isinstance(value, str) else json_text(value)


def _yaml(value: object, now: str) -> str:
    match value:
        case str():
            return value if now[:1] not in ("'", '"') and _PLAIN_IN_YAML.fullmatch(value) else _quoted(value)
        case list():
            return f"[{', '.join(_yaml(item, _IN_QUOTES) for item in value)}]"
        case dict():
            return f"{{{', '.join(f'{_quoted(name)}: {_yaml(item, _IN_QUOTES)}' for name, item in value.items())}}}"
        case _:
            return json_text(value)


def _python(value: object, _: str = "") -> str:
    match value:
        case None | bool() | str():
            return repr(value)
        case list():
            return f"[{', '.join(map(_python, value))}]"
        case dict():
            return f"{{{', '.join(f'{name!r}: {_python(item)}' for name, item in value.items())}}}"
        case _:
            return json_text(value)


def _toml(value: object, _: str = "") -> str:
    match value:
        case None:
            raise NotWritable("TOML has no null")
        case str():
            return _quoted(value)
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            return f"{{{', '.join(f'{_quoted(name)} = {_toml(item)}' for name, item in value.items())}}}"
        case _:
            return json_text(value)


def _quoted(text: str) -> str:
    """Return a text in double quotes as YAML and TOML both read it."""

    def written(character: str) -> str:
        if character in '"\\':
            return f"\\{character}"
        if character.isprintable():
            return character
        return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"

    return f'"{"".join(map(written, text))}"'


def _ini(value: object, now: str) -> str:
    text = _one_line(value, now)
    if text != text.strip() or re.search(r"(?:^|\s)[#;]|%", text):
        raise NotWritable(f"not every reader of INI files reads {json_text(text)} as it is")
    return text


def _env(value: object, now: str) -> str:
    text = _one_line(value, now)
    if _PLAIN_IN_SHELL.fullmatch(text):
        return text
    return f"'{text}'" if "'" not in text else '"' + re.sub(r'(["\\$`])', r"\\\1", text) + '"'


def _one_line(value: object, now: str) -> str:
    """Return a value as a line of an INI or `.env` file has it: true and false in the words that the file has."""
    match value:
        case None:
            raise NotWritable("null has no spelling there")
        case bool():
            pair = next((pair for pair in _BOOLEANS if now.lower() in pair), _BOOLEANS[0])
            return _in_case_of(now, pair[value])
        case str() if any(not character.isprintable() for character in value):
            raise NotWritable("it has more than one line, or characters that cannot be printed")
        case list() if now[:1] not in ("[", "(", "'", '"') and "," in now and all(map(_is_simple, value)):
            return (", " if ", " in now else ",").join(_plain(item, "") for item in value)
        case _:
            return _plain(value, "")


def _in_case_of(now: str, word: str) -> str:
    if now.isupper():
        return word.upper()
    return word.capitalize() if now[:1].isupper() else word


def _is_simple(value: object) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and "," not in value)


def _namelist(value: object, now: str) -> str:
    match value:
        case None | dict():
            raise NotWritable("a namelist has no spelling for it")
        case bool():
            return ".true." if value else ".false."
        case str():
            if any(not character.isprintable() for character in value):
                raise NotWritable("it has more than one line, or characters that cannot be printed")
            return "'" + value.replace("'", "''") + "'"
        case list() as items if items and not any(isinstance(item, list) for item in items):
            return ", ".join(_namelist(item, now) for item in items)
        case list():
            raise NotWritable("a list in a namelist has values, and no lists in it")
        case int() | float():
            return number_text(value)
        case _:
            raise TypeError(f"{value!r} is not a value of JSON")


_WRITERS: dict[Form, Callable[[object, str], str]] = {
    "YAML": _yaml,
    "JSON": lambda value, _: json_text(value),
    "TOML": _toml,
    "INI": _ini,
    "env": _env,
    "namelist": _namelist,
    "Python": _python,
    "text": _plain,
}


def names_in(templates: Sequence[FileTemplate]) -> set[str]:
    """Return the hyperparameters whose values are written into one of these files."""
    return {name for template in templates for name in template.names}
