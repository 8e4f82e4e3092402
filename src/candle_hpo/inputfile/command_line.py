"""What is wrong with the command line that the keywords of `&control` make: names in braces, options, modules."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import PurePath

from candle_hpo.core.command_words import (
    ARGUMENTS,
    CONFIG,
    CONFIG_VARIABLE,
    OF_A_TRIAL,
    PYTHON,
    SCRIPT,
    names_in_two_pairs,
    only_placeholder,
    placeholders,
)
from candle_hpo.core.errors import nearest
from candle_hpo.core.experiment import Language, Settings
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.space import GridSpace
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.inputfile.control import Control
from candle_hpo.inputfile.sections import Findings

_OPTION_NAME = re.compile(r"\w[\w./@-]*", re.ASCII)
_RESERVED = (ARGUMENTS, SCRIPT, PYTHON)
_NO_SCRIPT = {"model_script": "", "workflow": "grid"}


def check_command_line(
    control: Control,
    default_model: Hyperparameters,
    space: GridSpace | ParametricSpace | None,
    findings: Findings,
    in_files: Collection[str] = (),
) -> None:
    """Check the names in braces of `script_args` and `model_command`, and whatever becomes an option.

    What is handed over `in_files` does not.
    Without a `space`, which is that of an earlier experiment then, other hyperparameters may be there.
    """
    settings = Settings(**{**_NO_SCRIPT, **control.values})  # type: ignore[arg-type]
    names = list(dict.fromkeys([*default_model, *(space.names if space else ())]))
    handed = {*placeholders(settings.argument_words), *in_files}
    in_arguments = [name for name in names if name not in handed]
    reserved = _RESERVED + ((CONFIG,) if settings.config_file else ())
    hands_over_all = ARGUMENTS in placeholders(settings.argument_words)
    where = control.line_of("script_args", "hyperparams_as", "model_command")
    for name in in_arguments if hands_over_all else ():
        if name not in settings.argument_style.options and not _OPTION_NAME.fullmatch(name):
            findings.wrong(where, f'"{name}" cannot be an option on a command line; rename the hyperparameter')
    for keyword, words in (("script_args", settings.script_args), ("model_command", settings.model_command)):
        for problem in _problems(words or (), names, reserved, default_model, space):
            findings.wrong(control.line_of(keyword), f"{keyword}: {problem}")
        for name in filter(names.__contains__, names_in_two_pairs(words or ())):
            why = f"in two pairs of braces, as in config_file, {name} is not replaced"
            findings.notes.append(f"{keyword}: {why}; write {{{name}}} for its value")
    style = settings.argument_style
    for name in [*style.options, *style.flags]:
        if names and name not in names:
            where = control.line_of("argument_style")
            findings.wrong(where, f'argument_style: there is no hyperparameter "{name}"; ' + nearest(name, names))
    if settings.start and settings.start.module and settings.model_script:
        _check_module(settings.start.module, settings.model_script, control, findings)
    findings.notes.extend(_notes_on_what_has_no_effect(control, settings, hands_over_all=hands_over_all))


def _problems(
    words: Sequence[str],
    names: Sequence[str],
    reserved: Sequence[str],
    default_model: Hyperparameters,
    space: GridSpace | ParametricSpace | None,
) -> Iterator[str]:
    """Yield what is wrong with the names in braces of a command line."""
    alone = [only_placeholder(word) for word in words]
    if ARGUMENTS in placeholders(word for word, name in zip(words, alone, strict=True) if name != ARGUMENTS):
        yield "{arguments} stands for several words, and is one by itself; put blanks around it"
    if alone.count(ARGUMENTS) > 1:
        yield "{arguments} appears twice; keep one"
    for name in dict.fromkeys(placeholders(words)):
        if name in reserved:
            if name in names:
                yield f"{{{name}}} does not stand for the hyperparameter of that name; rename that"
        elif name in OF_A_TRIAL and (name != CONFIG_VARIABLE or CONFIG in reserved):
            continue
        elif name in (CONFIG, CONFIG_VARIABLE) and name not in names:
            yield f"{{{name}}} is the trial's own configuration file, and there is none; name yours as config_file"
        elif name.startswith("CANDLE_") and name not in names:
            yield f"there is no variable {name} of a trial; " + nearest(name, OF_A_TRIAL)
        elif name not in names:
            if names and space is not None:
                yield f'there is no hyperparameter "{name}"; {nearest(name, [*names, *reserved])}'
        elif _may_be_missing(name, default_model, space):
            yield (
                f"{{{name}}} has no value in some trials, and would leave another command behind; hand it over by "
                "{arguments}, which omits it then"
            )


def _may_be_missing(name: str, default_model: Hyperparameters, space: GridSpace | ParametricSpace | None) -> bool:
    """Return whether some trials have null, or nothing at all, for a hyperparameter."""
    if isinstance(space, GridSpace) and name in space.names:
        return any(each.hyperparameters.get(name) is None for each in space.sets)
    if isinstance(space, ParametricSpace) and name in space.names:
        parameter = next(each for each in space.parameters if each.name == name)
        is_inactive = parameter.condition is not None and default_model.get(name) is None
        return is_inactive or None in parameter.axes[0].choices
    return default_model[name] is None


def _check_module(module: str, script: str, control: Control, findings: Findings) -> None:
    """Check that a script which is run as a module is that module."""
    path = module.replace(".", "/")
    valid = [f"{path}.py", f"{path}/__main__.py"]
    if not any(PurePath(script).parts[-len(PurePath(each).parts) :] == PurePath(each).parts for each in valid):
        where = control.line_of("model_command")
        findings.wrong(where, f"model_command: the module {module} is {valid[0]}, and model_script is {script}")
    elif script.endswith("/__main__.py") and not module.endswith("__main__"):
        where = control.line_of("model_command")
        findings.wrong(where, f"model_command: {script} is the module {module}.__main__; write that")


def _notes_on_what_has_no_effect(control: Control, settings: Settings, *, hands_over_all: bool) -> Iterator[str]:
    """Yield notes on keywords that are right, and do nothing beside the others."""
    if "argument_style" in control.lines and not hands_over_all:
        yield 'argument_style: no effect without {arguments} in script_args, or hyperparams_as="arguments"'
    if "hyperparams_as" in control.lines and settings.script_args is not None and not hands_over_all:
        yield "hyperparams_as: no effect beside script_args, which does not have {arguments}"
    if "extra_script_args" in control.lines and settings.model_script and settings.host is Language.PROGRAM:
        why = "model_command starts the script" if settings.start else "a program has no interpreter"
        yield f"extra_script_args: no effect, since {why}"
