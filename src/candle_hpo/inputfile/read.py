"""An input file -> a validated experiment, or everything that is wrong with it."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from candle_hpo.core.errors import InputError, Problem
from candle_hpo.core.experiment import InputFile, Language, Settings
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.space import GridSpace
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.inputfile.consistency import (
    check_arguments,
    check_gpu_share,
    check_result_source,
    notes_on_what_has_no_effect,
)
from candle_hpo.inputfile.control import REQUIRED, Control, read_control
from candle_hpo.inputfile.default_model import read_default_model
from candle_hpo.inputfile.keyword_values import KeywordValueError, existing_file
from candle_hpo.inputfile.parameter_sets import read_parameter_sets
from candle_hpo.inputfile.parameter_space import NO_PARAMETERS, is_param_helpers, read_parameter_space
from candle_hpo.inputfile.sections import Line, Problems, Section, read_text, split_sections, text_lines
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


def read_input_file(path: Path, shell: ShellReader | None = None) -> InputFile:
    """Read an input file.

    Raises `InputError` with everything that is wrong with it, each with its file and line.
    """
    reading = read_what_can_be_read(path, shell)
    if reading.input_file is None:
        raise InputError(*reading.problems)
    return reading.input_file


def read_what_can_be_read(path: Path, shell: ShellReader | None = None) -> Reading:
    """Read an input file as far as it can be. Raises `InputError` where the file cannot be read at all."""
    shell = shell or ShellReader()
    file = str(path)
    problems = Problems()
    notes: list[str] = []
    text = read_text(path, file)
    sections = split_sections(text, file, problems)
    if "control" not in sections:
        problems.add(file, 0, 'there is no section "&control"; begin it with a line "&control"')
        control = Control(0)
    else:
        control = read_control(sections["control"], file, shell, problems)
    values = _value_notes(control)
    default_model = _default_model(sections, control, file, shell, problems, notes, values)
    space: GridSpace | ParametricSpace | None = None
    if "control" in sections and _space_counts(sections, control):
        space = _space(sections, control, default_model, file, shell, problems, notes, values)
        notes += _notes_on_names(space, default_model)
    check_arguments(control, default_model, space, file, problems)
    check_result_source(control, file, problems)
    check_gpu_share(control, file, problems)
    notes += [*values.notes, *notes_on_what_has_no_effect(control)]
    settings = control.settings() if all(name in control.values for name in REQUIRED) else None
    found = problems.in_order()
    input_file = None
    if settings is not None and not found:
        input_file = InputFile(str(path.absolute()), text, settings, default_model, space, tuple(notes))
    return Reading(found, settings, default_model, space, input_file)


def _space_counts(sections: dict[str, Section], control: Control) -> bool:
    """Return whether the parameter space is read: a search that continues has its own, a grid may get more sets."""
    if "restart_from_exp" not in control.values or not control.values.get("run_workflow", True):
        return bool(control.values.get("run_workflow", True))
    section = sections.get("param_space")
    has_sets = "param_space_file" in control.values or (section is not None and bool(section.lines))
    return control.values.get("workflow") == "grid" and has_sets


def _value_notes(control: Control) -> ValueNotes:
    """Return what sees the values: to a command line and to bash all are texts, and a single run begins paths here."""
    script = control.values.get("model_script")
    as_texts = control.values.get("hyperparams_as") == "arguments" or (
        isinstance(script, str) and Language.of(script) is Language.BASH
    )
    runs_here = not control.values.get("run_workflow", True)
    return ValueNotes(texts_matter=not as_texts, relative_to=None if runs_here else Path.cwd())


def _notes_on_names(space: GridSpace | ParametricSpace, default_model: Hyperparameters) -> list[str]:
    """Return notes on names that look misspelt: the space's name that `&default_model` has in another spelling."""
    who = "sets name" if isinstance(space, GridSpace) else "parameters name"
    untouched = [name for name in default_model if name not in space.names]
    notes: list[str] = []
    for name in space.names:
        close = difflib.get_close_matches(name, untouched, n=1, cutoff=0.5)
        if name not in default_model and close:
            notes.append(f'the {who} "{name}", and &default_model has "{close[0]}"; is one of them misspelt?')
    return notes


def _default_model(
    sections: dict[str, Section],
    control: Control,
    file: str,
    shell: ShellReader,
    problems: Problems,
    notes: list[str],
    values: ValueNotes,
) -> Hyperparameters:
    lines, source = _lines_of("default_model", sections, control, file, shell, problems)
    return read_default_model(lines, source, problems, notes, values)


def _space(
    sections: dict[str, Section],
    control: Control,
    default_model: Hyperparameters,
    file: str,
    shell: ShellReader,
    problems: Problems,
    notes: list[str],
    values: ValueNotes,
) -> GridSpace | ParametricSpace:
    lines, source = _lines_of("param_space", sections, control, file, shell, problems)
    section = sections.get("param_space")
    of_parameters = control.values.get("workflow") in ("bayesian", "random")
    if not lines and (section is None or not section.lines) and "param_space_file" not in control.values:
        line = section.header if section else 0
        no_sets = 'there are no sets to run; list them in "&param_space" (candle generate-grid makes them)'
        problems.add(file, line, NO_PARAMETERS if of_parameters else no_sets)
    if of_parameters:
        return read_parameter_space(lines, default_model, source, problems, notes, values)
    stranger = next((line for line in lines if is_param_helpers(line)), None)
    if stranger is not None:
        problems.add(
            source,
            stranger.number,
            'parameters with ranges are for workflow="bayesian" or "random"; with "grid", each line is a set such as '
            '{"epochs": 2, "batch_size": 64}',
        )
        return GridSpace((), ())
    return read_parameter_sets(lines, default_model, source, problems, values)


def _lines_of(
    name: str,
    sections: dict[str, Section],
    control: Control,
    file: str,
    shell: ShellReader,
    problems: Problems,
) -> tuple[list[Line], str]:
    """Return the lines that describe `name`, and the file that they are from.

    They stand in the section of that name, or in a file that the section's one line or a keyword of
    `&control` names.
    """
    section = sections.get(name)
    lines = section.lines if section else []
    named = control.values.get(f"{name}_file")
    pointers = [
        (line, match) for line in lines if (match := re.fullmatch(rf"candle_{name}_file\s*=\s*(.*)", line.text))
    ]
    if named is not None and lines:
        where = control.lines[f"{name}_file"]
        problems.add(file, where, f'{name}_file and the section "&{name}" are both given; keep one')
        return [], file
    if pointers:
        line, match = pointers[0]
        if len(lines) > 1:
            problems.add(
                file, line.number, f"candle_{name}_file stands alone in its section; move the other lines there"
            )
            return [], file
        try:
            named = existing_file(shell.read(match[1]))
        except (ShellValueError, KeywordValueError) as error:
            problems.add(file, line.number, f"candle_{name}_file: {error}")
            return [], file
    if named is None:
        return lines, file
    try:
        return text_lines(read_text(Path(str(named)), str(named))), str(named)
    except InputError as error:
        for problem in error.problems:
            if isinstance(problem, Problem):
                problems.add(problem.file, problem.line, problem.text)
        return [], str(named)
