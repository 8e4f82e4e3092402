"""What a model script and an input file ask of each other: told before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from candle_hpo.core.errors import InputError, MachineError, Problem, nearest
from candle_hpo.core.experiment import Experiment, Language, Settings
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.space import GridSpace
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.model.arguments import as_arguments
from candle_hpo.model.command import modules_of
from candle_hpo.model.interpreter import Interpreter
from candle_hpo.model.modules import environment_with
from candle_hpo.model.preload import Preload, preload_of
from candle_hpo.model.script_questions import missing_modules, syntax_error, with_library_paths
from candle_hpo.model.script_reading import Mention, ScriptReading, read_script


class ScriptFindings(msgspec.Struct, frozen=True):
    """What is wrong with a script: `errors` fail every trial, `likely` those that come there; `notes` may be meant."""

    errors: tuple[Problem, ...] = ()
    likely: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def script_text(settings: Settings) -> str:
    """Return the text of the model script. Raises `MachineError` where it cannot be read."""
    try:
        return Path(settings.model_script).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise MachineError(f"{settings.model_script} cannot be read: {error.strerror}; look at it with ls -l") from None


def syntax_errors(settings: Settings, interpreter: Interpreter, modules: Sequence[str]) -> list[Problem]:
    """Return what the interpreter that will run the script finds wrong in its text. Raises `MachineError`."""
    found = syntax_error(settings.model_script, settings.language, interpreter.path, environment_with(tuple(modules)))
    return [] if found is None else [found]


def hyperparameter_findings(settings: Settings, names: Sequence[str], input_file: str) -> ScriptFindings:
    """Compare the hyperparameters that a script reads with the `names` that an input file gives it."""
    reading = read_script(script_text(settings), settings.language)
    script = Path(settings.model_script).name
    if settings.hyperparams_as == "arguments":
        return ScriptFindings(notes=tuple(_unknown_options(settings, reading, names, script)))
    lacking = [read for read in reading.reads if not read.optional and read.name not in names]
    told = [(read, Problem(script, read.line, _lacking(read, names, input_file))) for read in lacking]
    may_get_more = settings.prepare is not None or _imports_neighbours(settings, reading)
    errors = tuple(problem for read, problem in told if read.certain and not may_get_more)
    likely = tuple(problem for _, problem in told if problem not in errors)
    unread = [name for name in names if name not in {each.name for each in reading.reads}]
    notes = [
        f'{script}:{read.line}: "{read.name}" is read if it is there, and {input_file} has none; '
        + nearest(read.name, unread)
        for read in reading.reads
        if read.optional and read.name not in names and _has_near(read.name, unread)
    ]
    notes += [*_unread(reading, names, script), *_without_value(settings, reading, script)]
    return ScriptFindings(errors, likely, tuple(notes))


def _imports_neighbours(settings: Settings, reading: ScriptReading) -> bool:
    """Tell whether a script imports files of its own folder, which may give it hyperparameters, or end it."""
    folder = Path(settings.model_script).resolve().parent
    return any((folder / each.name).is_dir() or (folder / f"{each.name}.py").exists() for each in reading.modules)


def _lacking(read: Mention, names: Sequence[str], input_file: str) -> str:
    near = nearest(read.name, names) if names and _has_near(read.name, names) else ""
    add = "add it to &default_model, or to &param_space"
    return f'it reads the hyperparameter "{read.name}", which {input_file} does not have; {near or add}'


def _has_near(name: str, names: Sequence[str]) -> bool:
    return nearest(name, names).startswith("did you mean")


def _unread(reading: ScriptReading, names: Sequence[str], script: str) -> Iterator[str]:
    """Yield a note on hyperparameters that a script never asks for; none where it may hand them on to others."""
    read = [each.name for each in reading.reads]
    unread = [name for name in names if name not in read]
    if unread and not reading.hands_on:
        listed = ", ".join(f'"{name}"' for name in unread)
        if not read:
            options = (
                '; it reads options of its own: did you mean hyperparams_as="arguments"?' if reading.options else ""
            )
            yield f"{script} does not seem to read any hyperparameter, so all trials would be the same{options}"
            return
        yield f"{script} does not seem to read {listed}: whatever is given for it changes nothing"


def _unknown_options(settings: Settings, reading: ScriptReading, names: Sequence[str], script: str) -> Iterator[str]:
    """Yield a note on each option that candle will give a script, and that its own parser does not have."""
    if not reading.options:
        return
    for name in names:
        given = as_arguments({name: 1}, settings.argument_style)
        option = given[0].partition("=")[0] if given else ""
        if option and option not in reading.options:
            near = nearest(option, reading.options)
            yield f'{script} does not seem to have the option {option}, which "{name}" becomes; {near} (argument_style)'


def _without_value(settings: Settings, reading: ScriptReading, script: str) -> Iterator[str]:
    if settings.result_pattern or settings.result_file:
        return
    if reading.local_value and not reading.leaves_value:
        yield (
            f"{script}:{reading.local_value}: val_to_return is set within a function, and gone when that returns; "
            'write "global val_to_return" before it, or set it outside of functions'
        )
    elif reading.leaves_value is False and settings.language is not Language.PROGRAM:
        yield f"{script} does not seem to leave a value: nothing sets val_to_return"


def missing_imports(settings: Settings, interpreter: Interpreter, site_modules: Sequence[str]) -> ScriptFindings:
    """Return the modules that a script imports and its interpreter would not find; nothing of them is run.

    Raises `MachineError` where the interpreter does not run.
    """
    reading = read_script(script_text(settings), settings.language)
    script = Path(settings.model_script).name
    environment = environment_with((*site_modules, *modules_of(settings)))
    environment = with_library_paths(environment, settings.supp_pythonpath, settings.supp_r_libs)
    preload = preload_of(settings)
    beforehand = [name.partition(".")[0] for name in preload.modules] if isinstance(preload, Preload) else []
    names = [each.name for each in reading.modules]
    asked = [*names, *beforehand]
    missing = missing_modules(asked, settings.model_script, settings.language, interpreter.path, environment)
    kind = "package" if settings.language is Language.R else "module"
    likely: list[Problem] = []
    notes = [
        f"preload: the module {name} is not installed for {interpreter.path}; there is nothing to import beforehand"
        for name in beforehand
        if name in missing and name not in names
    ]
    for each in reading.modules:
        if each.name in missing:
            lacks = f"the {kind} {each.name} is not installed for {interpreter.path}"
            if each.optional:
                notes.append(f"{script}:{each.line}: {lacks}; the script may do without it")
            else:
                likely.append(Problem(script, each.line, f"{lacks}; {_how(settings, interpreter, each.name)}"))
    return ScriptFindings(likely=tuple(likely), notes=tuple(notes))


def notes_before_submission(experiment: Experiment, interpreter: Interpreter, site_modules: Sequence[str]) -> list[str]:
    """Return what the user should see of a script before it is submitted: the quick part of `candle check`.

    Raises `InputError` for a script with which every trial would fail: one that its interpreter cannot parse, or that
    certainly reads a hyperparameter which nobody gives it. The rest that is found by reading the text is a guess (a
    module may be found once the script has run so far, or on another machine), and stops nobody.
    """
    settings = experiment.settings
    wrong = syntax_errors(settings, interpreter, (*site_modules, *modules_of(settings)))
    if wrong:
        raise InputError(*wrong)
    input_file = Path(experiment.input_file).name
    found = ScriptFindings()
    if not (settings.restart_from_exp and settings.run_workflow):  # else its sets are those of an earlier experiment
        names = names_given(experiment.default_model, experiment.space)
        found = hyperparameter_findings(settings, names, input_file)
    if found.errors:
        raise InputError(*found.errors)
    try:
        missing: Sequence[object] = missing_imports(settings, interpreter, site_modules).likely
    except MachineError as error:
        missing = [f"what it imports could not be looked for: {error}"]
    doubts = [*map(str, found.likely), *map(str, missing), *found.notes]
    return [*doubts, f"(candle check {input_file} looks closer)"] if doubts else []


def names_given(default_model: Hyperparameters, space: GridSpace | ParametricSpace | None) -> list[str]:
    """Return the names of all hyperparameters that a trial can get."""
    return list(dict.fromkeys([*default_model, *(space.names if space else ())]))


def _how(settings: Settings, interpreter: Interpreter, name: str) -> str:
    if settings.language is Language.R:
        return f'install it there (install.packages("{name}")), or name the folder where it is in supp_r_libs'
    other = "or name the Python that has it in python_bin_path"
    return f"install it there ({interpreter.path} -m pip install …), {other}"
