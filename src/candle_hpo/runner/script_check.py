"""What a model script and an input file ask of each other: said before anything runs."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from candle_hpo.core.errors import InputError, MachineError, Problem, nearest
from candle_hpo.core.experiment import Experiment, Language, Settings
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.space import GridSpace
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.launch.command import modules_of
from candle_hpo.launch.handover.arguments import as_arguments
from candle_hpo.launch.interpreter import Interpreter
from candle_hpo.launch.preload import Preload, preload_of
from candle_hpo.process.modules import environment_of_script, environment_with
from candle_hpo.script.questions import find_modules, syntax_error
from candle_hpo.script.reading import read_script
from candle_hpo.script.words import Mention, ScriptReading

# What a bash script may do before a line that `bash -n` takes for wrong, so that it is right or never read.
_PIPE = re.compile(r"^[^#\n]*\|&?[ \t]*tee\b", re.MULTILINE)
_CHANGES_SYNTAX = re.compile(r"^\s*(?:shopt|alias|exit|exec|return)\b|;\s*(?:exit|exec)\b", re.MULTILINE)
_HOW_TO_KEEP = {
    Language.PYTHON: 'write "global val_to_return" in the function, or set it outside of functions',
    Language.R: "write val_to_return <<- there, or set it outside of functions",
}


class Comparison(msgspec.Struct, frozen=True):
    """What a script's text says of the hyperparameters that it is given.

    `seen` are those that it reads by name, `unclear` those of which its text does not show it; `lacking` is what it
    reads and nobody gives, `notes` is what else may not be meant so.
    """

    seen: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    lacking: tuple[Mention, ...] = ()
    notes: tuple[str, ...] = ()


def script_text(settings: Settings) -> str:
    """Return the text of the model script, "" of a program. Raises `MachineError` where it cannot be read."""
    if settings.language is Language.PROGRAM:
        return ""
    try:
        return Path(settings.model_script).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise MachineError(f"{settings.model_script} cannot be read: {error.strerror}; check it with ls -l") from None


def syntax_findings(
    settings: Settings, interpreter: Interpreter, modules: Sequence[str]
) -> tuple[list[Problem], list[str]]:
    """Return what the interpreter that will run a script finds wrong in its text, and notes on what may be right.

    Raises `MachineError`.
    """
    found = syntax_error(settings.model_script, settings.language, interpreter.path, environment_with(tuple(modules)))
    if found is None:
        return [], []
    before = "\n".join(script_text(settings).splitlines()[: max(0, found.line - 1)])
    if settings.language is Language.BASH and _CHANGES_SYNTAX.search(before):
        return [], [f"{found}; unless what the script does before that line makes it right, or ends the script"]
    return [found], []


def compare_hyperparameters(settings: Settings, names: Sequence[str], input_file: str) -> Comparison:
    """Compare the hyperparameters that a script reads with the `names` that an input file gives it."""
    reading = read_script(script_text(settings), settings.language)
    script = Path(settings.model_script).name
    value_notes = [*_notes_on_value(settings, reading, script), *_notes_on_pipes(settings, script)]
    if settings.hyperparams_as == "arguments":
        options = {name: _option(name, settings) for name in names}
        seen = tuple(name for name in names if options[name] in reading.options)
        unclear = () if reading.options else tuple(names)
        unknown = [name for name in names if name not in (*seen, *unclear)]
        booleans = _notes_on_booleans(reading, options, settings, script)
        return Comparison(
            seen, unclear, (), (*_unknown_options(reading, options, unknown, script), *booleans, *value_notes)
        )
    if settings.language is Language.PROGRAM:
        return Comparison((), tuple(names), (), (*_notes_on_program(settings, script), *value_notes))
    read = {each.name for each in reading.reads}
    unread = [name for name in names if name not in read]
    lacking = [each for each in reading.reads if not each.optional and each.name not in names]
    notes = [
        f'{script}:{each.line}: "{each.name}" is read if it is there, and {input_file} has none; '
        + nearest(each.name, unread)
        for each in reading.reads
        if each.optional and each.name not in names and _has_near(each.name, unread)
    ]
    return Comparison(
        seen=tuple(name for name in names if name in read),
        unclear=tuple(unread) if reading.hands_on else (),
        lacking=() if reading.fills_in else tuple(lacking),
        notes=(*notes, *_unread(reading, unread, names, script), *value_notes),
    )


def note_on_lacking(read: Mention, names: Sequence[str], settings: Settings, input_file: str) -> str:
    """Return the note on a hyperparameter that a script reads and nobody gives it."""
    near = nearest(read.name, names) if names and _has_near(read.name, names) else ""
    add = "add it to &default_model, or to &param_space"
    return (
        f'{Path(settings.model_script).name}:{read.line}: it reads the hyperparameter "{read.name}", '
        f"which {input_file} does not have; {near or add} "
        "(a trial that comes there fails, unless the script has set it itself)"
    )


def _has_near(name: str, names: Sequence[str]) -> bool:
    return nearest(name, names).startswith("did you mean")


def _unread(reading: ScriptReading, unread: Sequence[str], names: Sequence[str], script: str) -> Iterator[str]:
    """Yield a note on hyperparameters that a script never asks for; none where it may hand them on to others."""
    if not unread or reading.hands_on:
        return
    if len(unread) < len(names) or reading.reads:
        listed = ", ".join(f'"{name}"' for name in unread)
        yield f"{script} does not seem to read {listed}: whatever is given for it changes nothing"
        return
    options = '; it has its own options: did you mean hyperparams_as="arguments"?' if reading.options else ""
    yield f"{script} does not seem to read any hyperparameter, so all trials would be the same{options}"


def _option(name: str, settings: Settings) -> str:
    given = as_arguments({name: 1}, settings.argument_style)
    return given[0].partition("=")[0] if given else ""


def _unknown_options(
    reading: ScriptReading, options: dict[str, str], unknown: Sequence[str], script: str
) -> Iterator[str]:
    """Yield a note on each option that candle will give a script, and that its own parser does not have."""
    for name in unknown:
        if option := options[name]:
            near = nearest(option, reading.options)
            yield f'{script} does not seem to have the option {option}, which "{name}" becomes; {near} (argument_style)'


def _notes_on_booleans(
    reading: ScriptReading, options: dict[str, str], settings: Settings, script: str
) -> Iterator[str]:
    """Yield a note on each option that does with true or false what its name does not say."""
    names = {option: name for name, option in options.items() if name not in settings.argument_style.flags}
    for each in reading.booleans:
        name = names.get(each.option)
        if name is None:
            continue
        match each.kind:
            case "BooleanOptionalAction":
                flags = f"{name}:{each.option}/--no-{each.option.lstrip('-')}"
                what = f"false omits the option, so that its default holds; add {flags} to argument_style"
            case "store_false":
                what = f"this flag sets false, and true passes it: with {name}=true the script gets false"
            case _:
                what = 'with type=bool, every text is true, "False" and "0" as well; let it be a flag (store_true)'
        yield f"{script}:{each.line}: {each.option}: {what}"


def _notes_on_pipes(settings: Settings, script: str) -> Iterator[str]:
    """Yield a note where bash does not say that a program failed whose output goes through another one."""
    text = script_text(settings)
    if settings.language is Language.BASH and "pipefail" not in text and (pipe := _PIPE.search(text)):
        line = text.count("\n", 0, pipe.start()) + 1
        yield f"{script}:{line}: bash ignores that what is before `| tee` failed; add `set -o pipefail` above"


def _notes_on_value(settings: Settings, reading: ScriptReading, script: str) -> Iterator[str]:
    """Yield a note where no value is left that could be found, or always the same."""
    if settings.result_pattern or settings.result_file or settings.language is Language.PROGRAM:
        return
    lost, placeholder = reading.lost_value, reading.placeholder
    if placeholder and lost:
        yield (
            f"{script}:{placeholder}: val_to_return is a constant here, and set again in line {lost} only, "
            "within a function: the value of every trial would be this constant; "
            f"{_HOW_TO_KEEP[settings.language]}"
        )
    elif placeholder:
        same = "all trials would have the same value"
        yield f"{script}:{placeholder}: nothing but this constant sets val_to_return: {same}"
    elif lost:
        yield (
            f"{script}:{lost}: val_to_return is set within a function, and gone when that returns; "
            f"{_HOW_TO_KEEP[settings.language]}"
        )
    elif reading.leaves_value is False:
        yield (
            f"{script} does not seem to leave a value: nothing sets val_to_return, and neither result_pattern nor "
            "result_file says where else it is"
        )


def _notes_on_program(settings: Settings, script: str) -> Iterator[str]:
    """Yield a note on what a program would have to know by the names of variables, which its text does not have."""
    if not (settings.result_pattern or settings.result_file) and not _mentions(settings, b"CANDLE_RESULT_FILE"):
        yield (
            f"{script} does not mention CANDLE_RESULT_FILE: unless a program that it starts writes its value there, no "
            "value can be found; write it there, or set result_pattern or result_file"
        )
    if not _mentions(settings, b"CANDLE_PARAMS_FILE", b"params.json"):
        yield (
            f"{script} does not mention CANDLE_PARAMS_FILE: unless a program that it starts reads its hyperparameters "
            'there, they change nothing; read them there, or set hyperparams_as="arguments"'
        )


def _mentions(settings: Settings, *words: bytes) -> bool:
    """Return whether one of these words is in the file of a program, or may be."""
    try:
        with (
            Path(settings.model_script).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as all_of_it,
        ):
            return any(all_of_it.find(word) >= 0 for word in words)
    except (OSError, ValueError):  # it may only be executed, or is empty
        return True


def notes_on_imports(settings: Settings, interpreter: Interpreter, site_modules: Sequence[str]) -> list[str]:
    """Return notes on modules that a script imports and its interpreter would not find, or not the usual ones.

    Nothing of them is run. Raises `MachineError` where the interpreter does not run.
    """
    text = script_text(settings)
    reading = read_script(text, settings.language)
    script = Path(settings.model_script).name
    modules = (*site_modules, *modules_of(settings))
    environment = environment_of_script(modules, settings.supp_pythonpath, settings.supp_r_libs)
    preload = preload_of(settings)
    beforehand = [name.partition(".")[0] for name in preload.modules] if isinstance(preload, Preload) else []
    names = [each.name for each in reading.modules]
    asked = [*names, *beforehand]
    missing, hidden = find_modules(asked, settings.model_script, settings.language, interpreter.path, environment)
    kind = "package" if settings.language is Language.R else "module"
    itself = ("sys.path" in text or "addsitedir" in text) and settings.language is Language.PYTHON
    notes = [
        f"preload: the module {name} is not installed for {interpreter.path}; there is nothing to import beforehand"
        for name in beforehand
        if name in missing and name not in names
    ]
    for each in reading.modules:
        if each.name in missing:
            advice = "the script may do without it" if each.optional else _how(settings, interpreter, each.name)
            advice += "; the script changes sys.path, and may find it then" if itself and not each.optional else ""
            notes.append(
                f"{script}:{each.line}: the {kind} {each.name} is not installed for {interpreter.path}; {advice}"
            )
    for name, path in hidden.items():
        notes.append(
            f'{path} has the name of the module {name}: whatever imports "{name}", libraries included, may get this '
            "file in its place; call it something else"
        )
    return notes


def notes_before_submission(experiment: Experiment, interpreter: Interpreter, site_modules: Sequence[str]) -> list[str]:
    """Return what the user should see of a script before it is submitted: the quick part of `candle check`.

    Raises `InputError` for a script that its interpreter cannot parse. The rest that is found by reading the text is a
    guess (a module may be found once the script has run so far, or on another machine), and stops nobody.
    """
    settings = experiment.settings
    wrong, notes = syntax_findings(settings, interpreter, (*site_modules, *modules_of(settings)))
    if wrong:
        raise InputError(*wrong)
    input_file = Path(experiment.input_file).name
    if experiment.space is not None or not settings.run_workflow:  # else its sets are those of an earlier experiment
        names = names_given(experiment.default_model, experiment.space)
        found = compare_hyperparameters(settings, names, input_file)
        notes += [note_on_lacking(each, names, settings, input_file) for each in found.lacking]
        notes += found.notes
    try:
        notes += notes_on_imports(settings, interpreter, site_modules)
    except MachineError as error:
        notes.append(f"what it imports could not be looked for: {error}")
    return [*notes, f"(candle check {input_file} looks closer)"] if notes else []


def names_given(default_model: Hyperparameters, space: GridSpace | ParametricSpace | None) -> list[str]:
    """Return the names of all hyperparameters that a trial can get."""
    return list(dict.fromkeys([*default_model, *(space.names if space else ())]))


def _how(settings: Settings, interpreter: Interpreter, name: str) -> str:
    if settings.language is Language.R:
        return f'install it there (install.packages("{name}")), or name the folder where it is in supp_r_libs'
    other = "or name the Python that has it in python_bin_path"
    return f"install it there ({interpreter.path} -m pip install …), {other}"
