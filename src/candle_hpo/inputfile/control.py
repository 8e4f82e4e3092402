"""The section `&control`: `name = value` lines -> `Settings`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from candle_hpo.core.errors import nearest
from candle_hpo.core.experiment import Settings
from candle_hpo.inputfile.keyword_values import KeywordValueError, time
from candle_hpo.inputfile.keywords import BY_NAME
from candle_hpo.inputfile.sections import Findings, Section
from candle_hpo.inputfile.shell_values import ShellReader, ShellValueError

_ASSIGNMENT = re.compile(r"([A-Za-z_][\w.-]*)\s*=\s*(.*)", re.DOTALL)
_QUESTION = re.compile(r"\s#\s*QUESTION\b")
REQUIRED = ("model_script", "workflow")


@dataclass
class Control:
    """What `&control` says: the values that could be read, and where each stands.

    `replaced` are the lines of the file that do not count, since something else is given in their place.
    """

    header: int
    values: dict[str, object] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    replaced: list[int] = field(default_factory=list)

    def line_of(self, *keywords: str) -> int:
        """Return the line of the first of these keywords that is there, else that of the section."""
        return next((self.lines[name] for name in keywords if name in self.lines), self.header)

    def settings(self) -> Settings:
        """Return the settings; only for a section without problems."""
        return Settings(**self.values)  # type: ignore[arg-type]  # each keyword's reader gives its field's type


def read_control(section: Section, shell: ShellReader, findings: Findings) -> Control:
    """Read all lines of `&control`, adding everything that is wrong to `findings`.

    The overrides of these take the place of lines: each is the text of a keyword as it stands, which a shell has read.
    """
    control = Control(section.header)
    overridden = _read_overrides(control, findings)
    names: dict[str, str] = {}
    for line in section.lines:
        assignment = _ASSIGNMENT.match(line.text)
        if not assignment:
            findings.wrong(line.number, f'"{line.text[:40]}" is not of the form name = value')
            continue
        name, text = assignment.groups()
        keyword = BY_NAME.get(name.lower())
        if keyword is not None and keyword.name in overridden:
            control.replaced.append(line.number)
        elif keyword is None:
            findings.wrong(line.number, f'unknown keyword "{name}"; ' + nearest(name, BY_NAME))
        elif keyword.name in names:
            findings.wrong(line.number, _twice(name, names[keyword.name], control.lines[keyword.name]))
        else:
            names[keyword.name] = name
            if _QUESTION.search(text):
                findings.note(line.number, _unanswered(keyword.name, text))
            control.lines[keyword.name] = line.number
            try:
                _read_value(control, keyword.name, shell.read(text), line.number, name, findings)
            except ShellValueError as error:
                findings.wrong(line.number, f"{name}: {error}")
    for required in REQUIRED:
        if required not in control.lines:
            findings.wrong(section.header, f'"&control" lacks the keyword "{required}"; {_example(required)}')
    return control


def _unanswered(keyword: str, text: str) -> str:
    """Return a note on a line that `candle init` has guessed, and whose question is still there."""
    given = _QUESTION.split(text)[0].strip()
    other = '; if more is better, write direction="maximize"' if keyword == "direction" and "min" in given else ""
    return f"{keyword}={given} is a guess{other}; when it is right, remove the QUESTION behind it"


def with_overrides(text: str, control: Control, overrides: Sequence[str]) -> str:
    """Return the text of an input file which says by itself what it says with these overrides."""
    if not overrides:
        return text
    lines = text.split("\n")
    for number in control.replaced:
        lines[number - 1] = f"# {lines[number - 1]}"
    added = [f"  {name}={shlex.quote(value)}  # --set" for name, value in map(_name_and_value, overrides)]
    return "\n".join([*lines[: control.header], *added, *lines[control.header :]])


def _name_and_value(override: str) -> tuple[str, str]:
    """Return both, the value as it is, blanks too, unless there are some before the `=` as well: `seed = 5`."""
    name, _, value = override.partition("=")
    return name.strip(), value.strip() if name[-1:].isspace() else value


def _read_overrides(control: Control, findings: Findings) -> set[str]:
    """Read what is given in place of lines; return its keywords."""
    overridden: set[str] = set()
    for place, override in enumerate(findings.overrides, start=1):
        assignment = _ASSIGNMENT.fullmatch(override)
        keyword = BY_NAME.get(assignment[1].lower()) if assignment else None
        if assignment is None or "\n" in override:
            findings.wrong(-place, "it is not of the form keyword=value, such as nworkers=8")
        elif keyword is None:
            where = "; --set is for the keywords of &control"
            findings.wrong(-place, f'unknown keyword "{assignment[1]}"{where}; ' + nearest(assignment[1], BY_NAME))
        elif keyword.name in overridden:
            findings.wrong(-place, f'keyword "{keyword.name}" is set twice; keep one')
        else:
            overridden.add(keyword.name)
            control.lines[keyword.name] = -place
            _read_value(control, keyword.name, _name_and_value(override)[1], -place, assignment[1], findings)
    return overridden


def _read_value(control: Control, keyword: str, value: str, line: int, shown: str, findings: Findings) -> None:
    try:
        # As in bash, where an empty variable and one that is not set are the same habit.
        if value:
            control.values[keyword] = BY_NAME[keyword].read(value)
            if BY_NAME[keyword].read is time and (two_parts := re.fullmatch(r"(\d+):(\d+)", value)):
                findings.note(line, f"{shown}={value} {_in_words(*map(int, two_parts.groups()))}")
        elif keyword in REQUIRED:
            findings.wrong(line, f'"{shown}" has no value; {_example(keyword)}')
    except KeywordValueError as error:
        findings.wrong(line, f"{shown}: {error}")
    except (OSError, ValueError) as error:  # a path that no file system takes
        findings.wrong(line, f"{shown}: this path cannot be used: {error}")


def _in_words(hours: int, minutes: int) -> str:
    """Return the note on a time of two parts: hours and minutes here, and minutes and seconds to SLURM."""
    there = divmod(hours, 60)
    return (
        f"is {hours} h {minutes} min (HH:MM); {hours} min {minutes} s, as SLURM itself would read it, are "
        f"{there[0]:02d}:{there[1]:02d}:{minutes:02d}"
    )


def _twice(name: str, first_name: str, first_line: int) -> str:
    if name.lower() == first_name.lower():
        return f'keyword "{name}" appears twice (first in line {first_line}); keep one'
    return f'"{name}" means the same as "{first_name}" in line {first_line}; keep one'


def _example(keyword: str) -> str:
    examples = {"model_script": 'model_script="$(pwd)/main.py"', "workflow": 'workflow="grid"'}
    return f"add for instance {examples[keyword]}"
