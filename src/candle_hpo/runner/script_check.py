"""What a model script and an input file ask of each other: said before anything runs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from candle_hpo.core.command_words import ARGUMENTS, placeholders
from candle_hpo.core.errors import InputError, MachineError, Problem
from candle_hpo.core.experiment import InputFile, Language, Settings
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.space import GridSpace
from candle_hpo.core.spelling import misspelling_of
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.draft.script_options import options_of_script
from candle_hpo.launch.command import PARAMS_FILE, modules_of
from candle_hpo.launch.interpreter import Interpreter
from candle_hpo.process.modules import environment_with
from candle_hpo.runner.import_check import has_known_interpreter, notes_on_imports
from candle_hpo.runner.option_check import Comparison, compare_options, option_of
from candle_hpo.script.questions import syntax_error
from candle_hpo.script.reading import read_script, script_text
from candle_hpo.script.words import Mention

# What a bash script may do before a line that `bash -n` takes for wrong, so that it is right or never read.
_PIPE = re.compile(r"^[^#\n]*\|&?[ \t]*tee\b", re.MULTILINE)
_CHANGES_SYNTAX = re.compile(r"^\s*(?:shopt|alias|exit|exec|return)\b|;\s*(?:exit|exec)\b", re.MULTILINE)
_LONGEST_PROGRAM = 1_000_000  # bytes, of a text
_HOW_TO_KEEP = {
    Language.PYTHON: 'write "global val_to_return" in the function, or set it outside of functions',
    Language.R: "write val_to_return <<- there, or set it outside of functions",
}


class ScriptCheck:
    """Looks at the model script of these settings, which is read once; of a program, little can be said.

    Raises `MachineError` where it cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._path = settings, Path(settings.model_script)
        self._name, self._language, self._host = self._path.name, settings.language, settings.host
        try:
            is_text = self._language is not Language.PROGRAM
            self._text = script_text(self._path) if is_text else ""
        except OSError as error:
            raise MachineError(
                f"{settings.model_script} cannot be read: {error.strerror}; check it with ls -l"
            ) from None
        self.reading = read_script(self._text, self._language, str(self._path.absolute()))

    def syntax(self, interpreter: Interpreter, modules: Sequence[str]) -> tuple[list[Problem], list[str]]:
        """Return what the interpreter that will run it finds wrong in its text, and notes on what may be right.

        Raises `MachineError`.
        """
        if not has_known_interpreter(self._settings):
            return [], []
        environment = environment_with((*modules, *modules_of(self._settings)))
        found = syntax_error(self._settings.model_script, self._language, interpreter.path, environment)
        if found is None:
            return [], []
        before = "\n".join(self._text.splitlines()[: max(0, found.line - 1)])
        if self._language is Language.BASH and _CHANGES_SYNTAX.search(before):
            return [], [f"{found}; unless what the script does before that line makes it right, or ends the script"]
        return [found], []

    def compare(self, names: Sequence[str], input_file: str, *, known: Collection[str] = ()) -> Comparison:
        """Compare the hyperparameters that it reads with the `names` that an input file gives it.

        Others that are `known` are perhaps given, too.
        """
        reading = self.reading
        program = _text_of_program(self._path) if self._language is Language.PROGRAM else self._text
        if program is None:
            return Comparison()
        value_notes = [*self._notes_on_value(), *self._notes_on_pipes()]
        if self._host is not self._language and reading.reads:
            value_notes.append(self._note_on_start(reading.reads[0]))
        words = self._settings.argument_words
        if {*placeholders(words)} & {ARGUMENTS, PARAMS_FILE, *names} or self._settings.script_args is not None:
            mentions_file = "CANDLE_PARAMS_FILE" in program or "params.json" in program
            declared = {each.option for each in options_of_script(self._text, self._language).found} - {""}
            compared = compare_options(self._settings, reading, names, mentions_file, declared)
            return msgspec.structs.replace(compared, notes=(*compared.notes, *value_notes))
        if self._host is Language.PROGRAM:
            return Comparison((), tuple(names), (*self._notes_on_program(program, is_given=bool(names)), *value_notes))
        read = {each.name for each in reading.reads}
        unread = [name for name in names if name not in read]
        absent = [each for each in reading.reads if each.name not in names]
        lacking = [each for each in absent if not (each.optional or reading.fills_in or each.name in known)]
        optional = {each: near for each in absent if each.optional and (near := misspelling_of(each.name, unread))}
        return Comparison(
            seen=tuple(name for name in names if name in read),
            unclear=tuple(unread) if reading.hands_on else (),
            notes=(
                *(self._note_on_lacking(each, unread, input_file) for each in lacking),
                *(
                    f'{self._name}:{each.line}: "{each.name}" is read if it is there, and {input_file} has none; '
                    f'did you mean "{near}"?'
                    for each, near in optional.items()
                ),
                *self._unread(unread, names),
                *value_notes,
            ),
        )

    def unread(self, default_model: Hyperparameters, varied: Sequence[str]) -> tuple[str, ...]:
        """Return which of those that vary it is not seen to read; none where its text shows none that it reads."""
        found = self.compare([*default_model, *varied], "")
        is_unknown = self._host is Language.PROGRAM or (found.unclear and not found.seen)
        return () if is_unknown else tuple(name for name in varied if name not in found.seen)

    def notes_on_names(
        self, default_model: Hyperparameters, space: GridSpace | ParametricSpace | None
    ) -> Iterator[str]:
        """Yield notes on names of the space that `&default_model` has misspelt; none where the script has both."""
        names = () if space is None else space.names
        others = [name for name in default_model if name not in names]
        who = "sets name" if isinstance(space, GridSpace) else "parameters name"
        for name in names:
            near = None if name in default_model else misspelling_of(name, others)
            if near is not None and not (self._has(name) and self._has(near)):
                yield f'the {who} "{name}", and &default_model has "{near}"; is one of them misspelt?'

    def _has(self, name: str) -> bool:
        if ARGUMENTS in placeholders(self._settings.argument_words):
            return option_of(name, self._settings.argument_style) in self.reading.options
        return any(each.name == name for each in self.reading.reads)

    def _note_on_start(self, read: Mention) -> str:
        return (
            f'{self._name}:{read.line}: only a script that candle starts itself finds the hyperparameter "{read.name}" '
            "so, and model_command starts this one: hand it over on its command line ({arguments}), or read the file "
            "that CANDLE_PARAMS_FILE names"
        )

    def _note_on_lacking(self, read: Mention, unread: Sequence[str], input_file: str) -> str:
        near = misspelling_of(read.name, unread)
        what = f'did you mean "{near}"?' if near else "add it to &default_model, or to &param_space"
        return (
            f'{self._name}:{read.line}: it reads the hyperparameter "{read.name}", '
            f"which {input_file} does not have; {what} "
            "(a trial that comes there fails, unless the script has set it itself)"
        )

    def _unread(self, unread: Sequence[str], names: Sequence[str]) -> Iterator[str]:
        """Yield a note on hyperparameters that it never asks for; none where it may hand them on to others."""
        if not unread or self.reading.hands_on:
            return
        if len(unread) < len(names) or self.reading.reads:
            listed = ", ".join(f'"{name}"' for name in unread)
            yield f"{self._name} does not seem to read {listed}: whatever is given for it changes nothing"
            return
        options = '; it has its own options: did you mean hyperparams_as="arguments"?' if self.reading.options else ""
        yield f"{self._name} does not seem to read any hyperparameter, so all trials would be the same{options}"

    def _notes_on_pipes(self) -> Iterator[str]:
        """Yield a note where bash does not say that a program failed whose output goes through another one."""
        text = self._text
        if self._language is Language.BASH and "pipefail" not in text and (pipe := _PIPE.search(text)):
            line = text.count("\n", 0, pipe.start()) + 1
            yield f"{self._name}:{line}: bash ignores that what is before `| tee` failed; add `set -o pipefail` above"

    def _notes_on_value(self) -> Iterator[str]:
        """Yield a note where no value is left that could be found, or always the same."""
        name = self._name
        if self._is_looked_for or self._host is Language.PROGRAM:
            return
        lost, placeholder = self.reading.lost_value, self.reading.placeholder
        if placeholder and lost:
            yield (
                f"{name}:{placeholder}: val_to_return is a constant here, and set again in line {lost} only, "
                "within a function: the value of every trial would be this constant; "
                f"{_HOW_TO_KEEP[self._language]}"
            )
        elif placeholder:
            same = "all trials would have the same value"
            yield f"{name}:{placeholder}: nothing but this constant sets val_to_return: {same}"
        elif lost:
            yield (
                f"{name}:{lost}: val_to_return is set within a function, and gone when that returns; "
                f"{_HOW_TO_KEEP[self._language]}"
            )
        elif self.reading.leaves_value is False:
            yield (
                f"{name} does not seem to leave a value: nothing sets val_to_return, and neither result_pattern nor "
                "result_file says where else it is"
            )

    @property
    def _is_looked_for(self) -> bool:
        """Whether the value is not returned, but printed, in a file, or among the reports."""
        return bool(
            self._settings.result_pattern
            or self._settings.result_file
            or self._settings.result_from
            or self._settings.objectives
        )

    def _notes_on_program(self, text: str, *, is_given: bool) -> Iterator[str]:
        """Yield a note on what a program would have to know by the names of variables, which its text does not have."""
        if not self._is_looked_for and "CANDLE_RESULT_FILE" not in text:
            yield (
                f"{self._name} does not mention CANDLE_RESULT_FILE: unless a program that it starts writes its value "
                "there, no value can be found; write it there, or set result_pattern or result_file"
            )
        if is_given and "CANDLE_PARAMS_FILE" not in text and "params.json" not in text:
            yield (
                f"{self._name} does not mention CANDLE_PARAMS_FILE: unless a program that it starts reads its "
                'hyperparameters there, they change nothing; read them there, or set hyperparams_as="arguments"'
            )


def _text_of_program(path: Path) -> str | None:
    """Return the text of a script that its first line makes a program; None where it is compiled, or a notebook."""
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_PROGRAM + 1)
    except OSError:  # it may only be executed
        return None
    is_text = len(text) <= _LONGEST_PROGRAM and b"\0" not in text and path.suffix != ".ipynb"
    return text.decode(errors="replace") if is_text else None


def notes_before_submission(request: InputFile, interpreter: Interpreter, site_modules: Sequence[str]) -> list[str]:
    """Return what the user should see of a script before it is submitted: the quick part of `candle check`.

    Raises `InputError` for a script that its interpreter cannot parse. The rest that is found by reading the text is a
    guess (a module may be found once the script has run so far, or on another machine), and stops nobody.
    """
    settings, check = request.settings, ScriptCheck(request.settings)
    wrong, notes = check.syntax(interpreter, site_modules)
    if wrong:
        raise InputError(*wrong)
    input_file = Path(request.path).name
    if request.space is not None or not settings.run_workflow:  # else its sets are those of an earlier experiment
        notes += check.notes_on_names(request.default_model, request.space)
        in_files = settings.handed_besides(request.templates)
        names = [name for name in names_given(request.default_model, request.space) if name not in in_files]
        notes += check.compare(names, input_file, known=in_files).notes
    try:
        notes += notes_on_imports(check.reading, settings, interpreter, site_modules)
    except MachineError as error:
        notes.append(f"what it imports could not be looked for: {error}")
    return [*notes, f"(candle check {input_file} looks closer)"] if notes else []


def names_given(default_model: Hyperparameters, space: GridSpace | ParametricSpace | None) -> list[str]:
    """Return the names of all hyperparameters that a trial can get."""
    return list(dict.fromkeys([*default_model, *(space.names if space else ())]))
