"""What a script can be given: by its text, by files around it, or as it answers to `--help`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Language, Settings
from candle_hpo.draft.candle_models import file_of_default_model, is_model_of_candle, options_of_parameter_file
from candle_hpo.draft.help_text import commands_in_help, options_in_help
from candle_hpo.draft.notebook import options_of_notebook
from candle_hpo.draft.options import Kind, Options, Way, without_doubles
from candle_hpo.draft.ranges import range_of
from candle_hpo.draft.script_options import has_parser, options_of_script, reads_command_line
from candle_hpo.draft.starts import Start, start_of_notebook, start_of_text
from candle_hpo.launch.command import modules_of
from candle_hpo.launch.interpreter import Interpreter
from candle_hpo.launch.measuring.error_text import last_words
from candle_hpo.process.modules import environment_of_script
from candle_hpo.runner.config_options import with_configuration, with_standard_input
from candle_hpo.runner.listener import Say
from candle_hpo.runner.provenance import site_modules
from candle_hpo.script.questions import ask_for_help
from candle_hpo.script.reading import NOTEBOOK, ScriptFile, read_script, script_text

_SECONDS_FOR_HELP = 180.0  # transformers alone may take a minute to import
_MOST_READ = 4_000_000  # bytes, of a program
_MOST_FILES = 200


def find_options(script: ScriptFile, settings: Settings, interpreter: Interpreter, say: Say) -> Options:
    """Return what a script can be given: as its text says it, or else as it answers to `--help`."""
    if script.path.suffix == NOTEBOOK:
        return options_of_notebook(script.text, script.name)
    if script.language is Language.PYTHON and is_model_of_candle(script.text):
        parameters = script.path.parent / file_of_default_model(script.text)
        if parameters.is_file():
            return options_of_parameter_file(script_text(parameters), parameters.name)
    read = options_of_script(script.text, script.language)
    if not read.is_elsewhere and (read.found or not _imports_a_parser(script)):
        return read
    say(f"Its text does not show all of its options; asking {script.name} --help ...")
    said = _said_of_help(script, settings, interpreter)
    helped, commands = options_in_help(said), read.commands or commands_in_help(said)
    if not helped and not commands:
        _show(said, say)
    both = without_doubles((*read.found, *helped)) if not any(each.is_positional for each in read.found) else read.found
    return Options(Way.ARGUMENTS, both, "--help" if helped else read.by, True, commands)


def options_of_command(
    options: Options, command: str, script: ScriptFile, settings: Settings, interpreter: Interpreter, say: Say
) -> Options:
    """Return the options of a sub-command: those that the script's text has for it, or else as it answers to `--help`.

    Those before it on the command line are left as they are.
    """
    its = tuple(each for each in options.found if each.command == command)
    by = options.by
    if not its:
        say(f"Asking {script.name} {command} --help ...")
        said = _said_of_help(script, settings, interpreter, command)
        its, by = options_in_help(said), "--help"
        if not its:
            _show(said, say)
    return msgspec.structs.replace(options, found=its, by=by, command=command)


def _said_of_help(script: ScriptFile, settings: Settings, interpreter: Interpreter, *words: str) -> str:
    """Return what a script prints for `--help` behind these words; "" without an answer in time."""
    command, python_path = [interpreter.path, str(script.path)], settings.supp_pythonpath
    if settings.start and settings.start.module:
        command = [interpreter.path, "-m", settings.start.module]
        python_path = str(script.path.parents[settings.start.module.count(".")])
    elif settings.start:
        starting = [str(script.path) if each == "{script}" else each for each in settings.start.words]
        command = [interpreter.path, *starting]
    elif settings.language is Language.PROGRAM:
        command = [str(script.path)]
    environment = environment_of_script(
        (*site_modules(False), *modules_of(settings)), python_path, settings.supp_r_libs
    )
    return ask_for_help([*command, *words], environment, _SECONDS_FOR_HELP)


def _show(said: str, say: Say) -> None:
    """Show the last lines of an answer in which nothing was found."""
    lines = last_words([line.rstrip() for line in said.splitlines() if line.strip()], with_errors=True)
    say(*(f"  | {line}" for line in lines or [f"no answer in {_SECONDS_FOR_HELP:.0f} s"]))


def start_of(script: ScriptFile) -> Start:
    """Return what starts a script, where that is not its interpreter alone, by its text and where it lies."""
    if script.path.suffix == NOTEBOOK:
        return start_of_notebook()
    found = read_script(script.text, script.language, str(script.path)).relative_import
    module = _name_in_package(script.path, found.name) if found and not found.optional else ""
    return start_of_text(script.text, script.language, module)


def _name_in_package(script: Path, imported: str) -> str:
    """Return the name of a script as a module of its package, from which it imports by so many points."""
    levels = min(len(imported) - len(imported.lstrip(".")), len(script.parents) - 1)  # there may be more points
    while (script.parents[levels] / "__init__.py").is_file():
        levels += 1
    return ".".join([*(each.name for each in reversed(script.parents[:levels])), script.stem])


def may_have_options(script: ScriptFile) -> bool:
    """Return whether a script, of which no option was found, looks at its command line all the same."""
    return reads_command_line(script.text, script.language) or _imports_a_parser(script)


def with_configuration_file(options: Options, script: ScriptFile) -> Options:
    """Return the values of a script's configuration file, where none of its own options has a range.

    A program has the names of such files in it, too.
    """
    if any(range_of(each) is not None for each in options.found):
        return options
    if script.language is not Language.PROGRAM:
        return with_configuration(options, script.text, Path.cwd())
    with script.path.open("rb") as file:
        text = file.read(_MOST_READ).decode("latin-1")
    return with_configuration(options, text, Path.cwd(), is_program=True)


def of_standard_input(given: Sequence[str], script: str) -> Options | None:
    """Return what a script reads on its standard input, where that is given as by hand: `< run.nml`; else None.

    Raises `InputError` for a file that is not there, or in which nothing is found that could vary.
    """
    words = [part for word in given for part in (("<", word[1:]) if word[:1] == "<" and word != "<" else (word,))]
    if "<" not in words[:-1]:
        return None
    at = words.index("<")
    file = Path(words[at + 1])
    if not file.is_file():
        raise InputError(f"{script}: {file}, for its standard input, is not a file; write its path as from here")
    options = with_standard_input(file, [*words[:at], *words[at + 2 :]])
    if options.found:
        return options
    raise InputError(
        f"{script}: {file} has no numbers with names that could vary, as a namelist or a file in YAML, JSON, "
        "TOML or INI has; write {{ name }} in the place of each value that is to vary, and name the file in stdin_file "
        "(docs/model-scripts.md)"
    )


def _imports_a_parser(script: ScriptFile) -> bool:
    """Return whether a file beside a Python script that it imports has a library for options."""
    names, folder = [each.name for each in read_script(script.text, script.language).modules], script.path.parent
    files = [
        file
        for name in names
        for file in (folder / f"{name}.py", *sorted((folder / name).glob("*.py"))[:_MOST_FILES])
        if file.is_file()
    ]
    return any(has_parser(script_text(file)) for file in files)


def with_whole_paths(options: Options, script: Path) -> Options:
    """Return the options with whole paths as values, where one names something here, or beside the script."""
    found = []
    for each in options.found:
        value = each.default
        if each.kind is Kind.TEXT and isinstance(value, str) and not each.choices and value.strip("./"):
            there = [place / value for place in (Path.cwd(), script.parent) if (place / value).exists()]
            if there and not Path(value).is_absolute():
                each = msgspec.structs.replace(each, default=os.path.normpath(there[0]))
        found.append(each)
    last = [os.path.normpath(Path.cwd() / each) if Path(each).exists() else each for each in options.last_words]
    return msgspec.structs.replace(options, found=tuple(found), last_words=tuple(last))
