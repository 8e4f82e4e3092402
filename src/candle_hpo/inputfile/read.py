"""An input file -> a validated experiment, or everything that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from candle_hpo.core.errors import InputError, Problem
from candle_hpo.core.experiment import InputFile, Language, Settings
from candle_hpo.core.file_template import FileTemplate, names_in
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.space import GridSpace
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.inputfile.command_line import check_command_line
from candle_hpo.inputfile.consistency import check_consistency, check_fidelity
from candle_hpo.inputfile.control import REQUIRED, Control, read_control, with_overrides
from candle_hpo.inputfile.default_model import read_default_model
from candle_hpo.inputfile.handed_files import notes_on_private_files, problems_of_places, read_templates, samples_of
from candle_hpo.inputfile.keyword_values import KeywordValueError, existing_file
from candle_hpo.inputfile.parameter_sets import read_parameter_sets
from candle_hpo.inputfile.parameter_space import NO_PARAMETERS, is_param_helpers, read_parameter_space
from candle_hpo.inputfile.sections import Findings, Line, read_text, split_sections, text_lines
from candle_hpo.inputfile.shell_values import ShellReader, ShellValueError
from candle_hpo.inputfile.value_notes import ValueNotes


@dataclass(frozen=True)
class Reading:
    """What could be read of an input file, whether or not everything in it is right.

    `settings` are there as soon as the required keywords are; `input_file` where `problems` is empty.
    """

    problems: tuple[Problem, ...]
    settings: Settings | None
    default_model: Hyperparameters
    space: GridSpace | ParametricSpace | None
    input_file: InputFile | None


def read_input_file(path: Path, shell: ShellReader | None = None, overrides: Sequence[str] = ()) -> InputFile:
    """Read an input file; `overrides` are texts such as `nworkers=8`, each in the place of a line of `&control`.

    Raises `InputError` with everything that is wrong with it, each with its file and line.
    """
    reading = read_what_can_be_read(path, shell, overrides)
    if reading.input_file is None:
        raise InputError(*reading.problems)
    return reading.input_file


def read_what_can_be_read(path: Path, shell: ShellReader | None = None, overrides: Sequence[str] = ()) -> Reading:
    """Read an input file as far as it can be. Raises `InputError` where the file cannot be read at all."""
    return _Reader(path, shell or ShellReader(), overrides).reading()


class _Reader:
    """One input file: its sections, and what is found of them."""

    def __init__(self, path: Path, shell: ShellReader, overrides: Sequence[str]) -> None:
        self._path, self._shell = str(path.absolute()), shell
        self._findings = Findings(str(path), overrides=overrides)
        self._text = read_text(path, str(path))
        self._sections = split_sections(self._text, self._findings)
        if "control" not in self._sections:
            self._findings.wrong(0, 'there is no section "&control"; begin it with a line "&control"')
            self._control = Control(0)
        else:
            self._control = read_control(self._sections["control"], shell, self._findings)
        self._keywords = self._control.values
        self._value_notes = _value_notes(self._keywords)

    def reading(self) -> Reading:
        known_problems = len(self._findings.problems)
        lines, findings = self._lines_of("default_model")
        default_model = read_default_model(lines, findings, self._value_notes)
        space: GridSpace | ParametricSpace | None = None
        if "control" in self._sections and self._space_counts():
            space = self._space(default_model)
        names_are_read = len(self._findings.problems) == known_problems
        if space is not None:
            check_fidelity(self._control, default_model, space, self._findings)
        self._findings.notes.extend(self._value_notes.notes)
        check_consistency(self._control, self._findings)
        settings = self._control.settings() if all(name in self._keywords for name in REQUIRED) else None
        templates: tuple[FileTemplate, ...] = ()
        if settings is not None and not self._findings.problems and (space is not None or self._runs_once):
            templates = self._templates(settings, default_model, space)
        known = GridSpace((), ()) if self._runs_once else space
        known_names = known if names_are_read else None
        check_command_line(self._control, default_model, known_names, self._findings, names_in(templates))
        problems, notes = self._findings.in_order(), tuple(self._findings.notes)
        input_file = None
        if settings is not None and not problems:
            text = with_overrides(self._text, self._control, self._findings.overrides)
            input_file = InputFile(self._path, text, settings, default_model, space, notes, templates)
        return Reading(problems, settings, default_model, space, input_file)

    def _templates(
        self, settings: Settings, default_model: Hyperparameters, space: GridSpace | ParametricSpace | None
    ) -> tuple[FileTemplate, ...]:
        names = list(dict.fromkeys([*default_model, *(space.names if space else ())]))
        templates, wrong = read_templates(settings, names, samples_of(default_model, space))
        self._findings.problems.extend(wrong)
        self._findings.notes.extend(notes_on_private_files(templates))
        for keyword, problem in problems_of_places(settings):
            self._findings.wrong(self._control.line_of(keyword), f"{keyword}: {problem}")
        return templates

    @property
    def _runs_once(self) -> bool:
        return not self._keywords.get("run_workflow", True)

    def _space_counts(self) -> bool:
        """Return whether the parameter space is read: a search that continues has its own, a grid may get more sets."""
        if "restart_from_exp" not in self._keywords or self._runs_once:
            return not self._runs_once
        has_sets = "param_space_file" in self._keywords or bool(self._section_lines("param_space"))
        return self._keywords.get("workflow") == "grid" and has_sets

    def _space(self, default_model: Hyperparameters) -> GridSpace | ParametricSpace:
        lines, findings = self._lines_of("param_space")
        of_parameters = self._keywords.get("workflow") in ("bayesian", "random")
        if not self._section_lines("param_space") and "param_space_file" not in self._keywords:
            line = self._sections["param_space"].header if "param_space" in self._sections else 0
            no_sets = 'there are no sets to run; list them in "&param_space" (candle generate-grid makes them)'
            findings.wrong(line, NO_PARAMETERS if of_parameters else no_sets)
        if of_parameters:
            return read_parameter_space(lines, default_model, findings, self._value_notes)
        stranger = next((line for line in lines if is_param_helpers(line)), None)
        if stranger is not None:
            findings.wrong(
                stranger.number,
                'parameters with ranges are for workflow="bayesian" or "random"; with "grid", each line is a set such '
                'as {"epochs": 2, "batch_size": 64}',
            )
            return GridSpace((), ())
        return read_parameter_sets(lines, default_model, findings, self._value_notes)

    def _section_lines(self, name: str) -> list[Line]:
        return self._sections[name].lines if name in self._sections else []

    def _lines_of(self, name: str) -> tuple[list[Line], Findings]:
        """Return the lines that describe `name`, and what collects the findings of the file that they are from.

        They stand in the section of that name, or in a file that the section's one line or a keyword of
        `&control` names.
        """
        lines, keyword, findings = self._section_lines(name), f"{name}_file", self._findings
        named = self._keywords.get(keyword)
        form = re.compile(rf"candle_{keyword}\s*=\s*(.*)")
        pointers = [(line, match) for line in lines if (match := form.fullmatch(line.text))]
        if named is not None and lines:
            where = self._control.lines[keyword]
            findings.wrong(where, f'{keyword} and the section "&{name}" are both given; keep one')
            return [], findings
        if pointers:
            line, match = pointers[0]
            if len(lines) > 1:
                findings.wrong(line.number, f"candle_{keyword} stands alone in its section; move the other lines there")
                return [], findings
            try:
                named = existing_file(self._shell.read(match[1]))
            except (ShellValueError, KeywordValueError) as error:
                findings.wrong(line.number, f"candle_{keyword}: {error}")
                return [], findings
        if named is None:
            return lines, findings
        try:
            return text_lines(read_text(Path(str(named)), str(named))), findings.of(str(named))
        except InputError as error:
            findings.problems.extend(problem for problem in error.problems if isinstance(problem, Problem))
            return [], findings


def _value_notes(keywords: Mapping[str, object]) -> ValueNotes:
    """Return what sees the values: to a command line and to bash all are texts, and a single run begins paths here."""
    script = keywords.get("model_script")
    is_bash = isinstance(script, str) and Language.of(script) is Language.BASH
    as_texts = keywords.get("hyperparams_as") == "arguments" or "script_args" in keywords or is_bash
    runs_here = not keywords.get("run_workflow", True)
    return ValueNotes(texts_matter=not as_texts, relative_to=None if runs_here else Path.cwd())
