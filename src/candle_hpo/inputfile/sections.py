"""Text -> sections: which line belongs where. What the lines mean is for the dialects to say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from candle_hpo.core.errors import InputError, Problem, nearest
from candle_hpo.core.paths import meant_instead

SECTION_NAMES = ("control", "default_model", "param_space")

LONGEST_LINE = 1_000_000  # bytes, of an input file
_LONGEST_PROBLEM = 1000  # characters of a message, in which there may be something of the user's

_HEADER = re.compile(r"&\s*([^\s#]*)\s*(?:#.*)?$")
_CLOSING = re.compile(r"/\s*(?:#.*)?$")


class Line(NamedTuple):
    """One line with its number in the file, from 1; white space around it is gone."""

    number: int
    text: str


@dataclass
class Section:
    """A section of an input file: its lines without blank ones and those that are comments alone."""

    name: str
    header: int
    lines: list[Line] = field(default_factory=list)


@dataclass(frozen=True)
class Findings:
    """Collects everything that is wrong with a file, so that the user sees it all at once, and notes beside it."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    overrides: Sequence[str] = ()

    def of(self, file: str) -> Findings:
        """Return what collects the same of another file."""
        return Findings(file, self.problems, self.notes)

    def wrong(self, line: int, text: str) -> None:
        """Add a problem of a line; -1 is the first of the `overrides`."""
        self.problems.append(self._at(line, _shortened(text, _LONGEST_PROBLEM)))

    def note(self, line: int, text: str) -> None:
        """Add a note on a line: it is right, and perhaps not meant."""
        self.notes.append(str(self._at(line, text)))

    def _at(self, line: int, text: str) -> Problem:
        return Problem(self.file, line, text) if line >= 0 else Problem(f"--set {self.overrides[-line - 1]}", 0, text)

    def in_order(self) -> tuple[Problem, ...]:
        """Return all problems in the order of their files and lines, each once."""
        return tuple(sorted(dict.fromkeys(self.problems), key=lambda problem: (problem.file, problem.line)))


def read_text(path: Path, shown: str) -> str:
    """Return the text of a file that the user wrote; raise `InputError` where that cannot be done."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        meant = meant_instead(path, "check the name and the folder")
        raise InputError(Problem(shown, 0, f"there is no such file; {meant}")) from None
    except IsADirectoryError:
        raise InputError(Problem(shown, 0, "this is a folder; name a file in it")) from None
    except (OSError, ValueError) as error:
        raise InputError(Problem(shown, 0, f"it cannot be read: {error}")) from None
    nul = data.find(b"\0")
    if nul >= 0:
        line = data.count(b"\n", 0, nul) + 1
        raise InputError(Problem(shown, line, "there is a NUL byte; an input file is plain text in UTF-8"))
    for line, text in enumerate(data.split(b"\n"), start=1):
        if len(text) > LONGEST_LINE:
            raise InputError(Problem(shown, line, f"this line is longer than {LONGEST_LINE:,} bytes; is it data?"))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(Problem(shown, line, "this is not UTF-8 text; save the file as UTF-8")) from None


def text_lines(text: str) -> list[Line]:
    """Return the lines that hold something: no blank ones, no comments."""
    # Not `splitlines()`: a JSON string may hold U+2028 and its like, which do not end a line here.
    stripped = (Line(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1))
    return [line for line in stripped if line.text and not line.text.startswith("#")]


def closes_a_section(text: str) -> bool:
    """Return whether this line, stripped, is the "/" at the end of a section."""
    return _CLOSING.match(text) is not None


def split_sections(text: str, findings: Findings) -> dict[str, Section]:
    """Return the sections of an input file by name; what belongs to no section is a problem."""
    sections: dict[str, Section] = {}
    current: Section | None = None
    for line in text_lines(text):
        if line.text.startswith("&"):
            if current is not None:
                findings.wrong(current.header, _unclosed(current))
            current = _open(line, sections, findings)
        elif closes_a_section(line.text):
            if current is None:
                findings.wrong(line.number, 'this "/" closes no section; remove it')
            current = None
        elif current is not None:
            current.lines.append(line)
        else:
            findings.wrong(line.number, f'"{_shortened(line.text)}" is outside every section; move it into one')
    if current is not None:
        findings.wrong(current.header, _unclosed(current))
    return sections


def _open(line: Line, sections: dict[str, Section], findings: Findings) -> Section:
    header = _HEADER.match(line.text)
    name = header.group(1).lower() if header else ""
    section = Section(name, line.number)
    if not header:
        findings.wrong(line.number, f'"{_shortened(line.text)}" is not a section\'s first line; write "&NAME" alone')
    elif name not in SECTION_NAMES:
        findings.wrong(line.number, f'unknown section "&{name}"; ' + nearest(name, SECTION_NAMES))
    elif name in sections:
        first = sections[name].header
        findings.wrong(line.number, f'section "&{name}" appears twice (first in line {first}); keep one')
    else:
        sections[name] = section
    return section


def _unclosed(section: Section) -> str:
    return f'section "&{section.name}" is not closed; end it with a line that holds "/" alone'


def _shortened(text: str, length: int = 40) -> str:
    return text if len(text) <= length else text[:length] + "…"
