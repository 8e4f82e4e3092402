"""An input file -> a validated experiment, or everything that is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path

from candle_hpo.core.errors import InputError, Problem
from candle_hpo.core.experiment import Experiment
from candle_hpo.core.space import GridSpace
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.inputfile.control import Control, read_control
from candle_hpo.inputfile.default_model import read_default_model
from candle_hpo.inputfile.parameter_sets import read_parameter_sets
from candle_hpo.inputfile.sections import Line, Problems, Section, read_text, split_sections, text_lines
from candle_hpo.inputfile.shell_values import ShellReader, ShellValueError

# Keywords of the input file's contract that this version does not act on: refused, never ignored.
_NOT_YET = {
    "supp_modules": "load the modules before candle submit-job",
    "exec_python_module": "load the module before candle submit-job, or set python_bin_path",
    "exec_r_module": "R scripts come with a later version",
    "supp_r_libs": "R scripts come with a later version",
    "restart_from_exp": "submit the sets that are not completed as a new experiment",
}


def read_experiment(path: Path, shell: ShellReader | None = None) -> Experiment:
    """Read an input file.

    Raises `InputError` with everything that is wrong with it, each with its file and line.
    """
    shell = shell or ShellReader()
    file = str(path)
    problems = Problems()
    notes: list[str] = []
    sections = split_sections(read_text(path, file), file, problems)
    if "control" not in sections:
        problems.add(file, 0, 'there is no section "&control"; begin it with a line "&control"')
        control = Control(0)
    else:
        control = read_control(sections["control"], file, shell, problems)
    _check_what_this_version_has(control, file, problems)
    default_model = _default_model(sections, control, file, shell, problems, notes)
    space = None
    if control.values.get("run_workflow", True) and control.values.get("workflow") == "grid":
        space = _grid(sections, control, default_model, file, shell, problems)
    problems.raise_if_any()
    return Experiment(
        input_file=str(path.absolute()),
        settings=control.settings(),
        default_model=default_model,
        space=space,
        notes=tuple(notes),
    )


def _check_what_this_version_has(control: Control, file: str, problems: Problems) -> None:
    for keyword, instead in _NOT_YET.items():
        if keyword in control.values:
            problems.add(file, control.lines[keyword], f"{keyword} is not in this version of candle; {instead}")
    if control.values.get("run_workflow", True) and control.values.get("workflow") in ("bayesian", "random"):
        problems.add(
            file,
            control.lines["workflow"],
            f'workflow "{control.values["workflow"]}" is not in this version of candle; "grid" is',
        )
    if control.values.get("engine") == "slurm":
        problems.add(file, control.lines["engine"], 'engine "slurm" is not in this version of candle; "local" is')
    script = control.values.get("model_script")
    if isinstance(script, str) and not script.endswith(".py"):
        problems.add(
            file,
            control.lines["model_script"],
            f"model_script: {Path(script).name} is not a Python script (.py), which this version of candle runs",
        )


def _default_model(
    sections: dict[str, Section],
    control: Control,
    file: str,
    shell: ShellReader,
    problems: Problems,
    notes: list[str],
) -> Hyperparameters:
    lines, source = _lines_of("default_model", sections, control, file, shell, problems)
    return read_default_model(lines, source, problems, notes)


def _grid(
    sections: dict[str, Section],
    control: Control,
    default_model: Hyperparameters,
    file: str,
    shell: ShellReader,
    problems: Problems,
) -> GridSpace:
    lines, source = _lines_of("param_space", sections, control, file, shell, problems)
    if not lines and not problems:
        line = sections["param_space"].header if "param_space" in sections else 0
        problems.add(
            file,
            line,
            'there are no sets to run; list them in "&param_space" (candle generate-grid makes them)',
        )
    return read_parameter_sets(lines, default_model, source, problems)


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
    pointer = re.fullmatch(rf"candle_{name}_file\s*=\s*(.*)", lines[0].text) if len(lines) == 1 else None
    if named is not None and lines:
        where = control.lines[f"{name}_file"]
        problems.add(file, where, f'{name}_file and the section "&{name}" both say it; keep one')
        return [], file
    if pointer:
        try:
            named = str(Path.cwd() / shell.read(pointer[1]))
        except ShellValueError as error:
            problems.add(file, lines[0].number, f"candle_{name}_file: {error}")
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
