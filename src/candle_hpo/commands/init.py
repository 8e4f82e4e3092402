"""`candle init`: a first input file for a script, from its options and, with `--run`, from what it measures."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
from rich.console import Console

from candle_hpo.commands.init_questions import Questions
from candle_hpo.commands.screen import Screen
from candle_hpo.core.errors import ExitStatus, InputError, MachineError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE, Direction
from candle_hpo.core.paths import meant_instead
from candle_hpo.core.trial import Status
from candle_hpo.draft.given import missing, options_as_given, with_given, with_value, wrong_with_value
from candle_hpo.draft.improve import score_of
from candle_hpo.draft.options import OWN_TEXT, Options
from candle_hpo.draft.plan import (
    Remedy,
    first_draft,
    with_measured,
    with_remedy,
    with_score,
    with_usual_values,
    without_objective,
)
from candle_hpo.draft.starts import words_of
from candle_hpo.draft.text import Draft, input_text
from candle_hpo.files import write_new_file
from candle_hpo.launch.interpreter import Interpreter, find_interpreter
from candle_hpo.launch.measuring.result import lines_that_explain
from candle_hpo.report.words import duration, location, number
from candle_hpo.runner.config_options import with_own_text
from candle_hpo.runner.drafting import (
    MOST_SECONDS,
    Ran,
    as_input_file,
    has_failed,
    leaves_its_value,
    run_with_defaults,
    workers_of_this_machine,
)
from candle_hpo.runner.found_options import (
    find_options,
    may_have_options,
    of_standard_input,
    options_of_command,
    start_of,
    with_configuration_file,
    with_whole_paths,
)
from candle_hpo.runner.improve_model import is_training_of_improve, with_files_of_improve
from candle_hpo.runner.listener import Say
from candle_hpo.runner.neighbours import neighbours
from candle_hpo.script.reading import ScriptFile

_MOST_LISTED = 6
_MOST_REMEDIES = 5  # that are tried, one after the other


def init(script: Path, given: Sequence[str], output: Path | None, run: bool, console: Console) -> ExitStatus:
    """Write an input file for a script; what is there already is never written over, and nothing is written halfway.

    Raises `InputError` where the script cannot be given anything, and `MachineError` where it does not run.
    """
    target = output or Path(f"{script.stem}.in")
    say, questions = Screen(console).say, Questions(console)
    _check_paths(script, target)
    file = ScriptFile.at(script)
    is_of_improve, start = is_training_of_improve(file), start_of(file)
    settings = Settings(model_script=str(file.path), workflow="bayesian", model_command=words_of(start))
    interpreter = find_interpreter(settings, ())
    say(f"{script.name}: {interpreter.name} ({interpreter.path})")
    options = _options(file, settings, interpreter, given, questions, say, shlex.quote(str(script)))
    for each in (each for each in options.found if each.is_guessed):
        name = each.name
        say(f"{name} = {each.default} is a guess, as its text shows no value; {name}=VALUE, behind --, sets it")
    draft = first_draft(script, Path.cwd(), options, workers_of_this_machine(settings), start)
    if options.by == OWN_TEXT:
        draft = with_remedy(draft, Remedy("run_in", "script", "its values stand in its text"))
    elif not is_of_improve and (found := neighbours(settings, file, [options.config])):
        say(f'{script.name}: {found.reason}, so the file has {found.keyword}="{found.value}"')
        draft = with_remedy(draft, found)
    draft = _with_choice(draft, questions, say)
    ran: Ran | None = None
    leaves_value = leaves_its_value(file)
    if run or (not leaves_value and questions.yes(f"Run {script.name} once now, to see what it measures?")):
        draft, ran = _with_run(draft, file, leaves_value, questions, say)
    elif is_of_improve:
        draft = with_score(draft, *score_of(options.found))
    else:
        draft = without_objective(
            draft, leaves_value=leaves_value, reason="candle init --run finds it, by running the script once"
        )
    text = input_text(draft, target.name, is_asked=questions.can_ask)
    as_input_file(text)
    try:
        write_new_file(target, text.encode())
    except FileExistsError:
        raise _is_there(target) from None
    except OSError as error:
        raise MachineError(f"{target} cannot be written: {error.strerror}") from None
    again = ["candle", "init", str(script), "--run", *(["--output", str(output)] if output else [])]
    retry = f"rm {shlex.quote(str(target))}; {shlex.join([*again, *(['--', *given] if given else [])])}"
    return _conclude(draft, ran, target, retry, Screen(console))


def _check_paths(script: Path, target: Path) -> None:
    if os.path.lexists(target):
        raise _is_there(target)
    if not script.is_file():
        raise InputError(
            f"{script}: this is a folder; name the script in it"
            if script.is_dir()
            else f"{script}: there is no such file; {meant_instead(script, 'check the name and the folder')}"
        )


def _is_there(target: Path) -> InputError:
    return InputError(f"{target} is there already; name another file with --output, or move it")


def _options(
    script: ScriptFile,
    settings: Settings,
    interpreter: Interpreter,
    words: Sequence[str],
    questions: Questions,
    say: Say,
    typed: str,
) -> Options:
    """Return what the script can be given, with a value for whatever it cannot do without.

    `words` are those that the user gives it, `typed` is how the script is written in a command.
    """
    name, given = script.name, words
    if (of_input := of_standard_input(given, name)) is not None:
        return of_input
    options = find_options(script, settings, interpreter, say)
    if is_training_of_improve(script):
        options = with_files_of_improve(options, script, say)
    if options.commands:
        command = _command(options, given, name, questions, typed)
        options = options_of_command(options, command, script, settings, interpreter, say)
        given = given[1:] if given[:1] == [command] else given
    if not options.found and not given:
        options = with_configuration_file(options, script)
    may_have_others = not options.found and may_have_options(script)
    if may_have_others and given:
        options, given = options_as_given(given), ()
    options = with_whole_paths(with_given(options, given, name), script.path) if options.found else options
    options = with_configuration_file(with_usual_values(options), script)
    if not (settings.start and settings.start.module):
        options = with_own_text(options, script, Path.cwd(), words)
    if not options.found:
        raise InputError(
            f"{name}: neither its text nor its --help shows its options; name those that may vary, as you would by "
            f"hand: candle init {typed} --run -- --lr 0.1"
            if may_have_others
            else f"{name}: neither its text nor its --help shows anything that it can be given; let it take what is to "
            "vary from its command line or from hyperparams (docs/model-scripts.md), and try again"
        )
    lacking = missing(options)
    if lacking and not questions.can_ask:
        shown = " ".join(
            f"{each.option or each.name} VALUE" if each.option else f"{each.name}=VALUE" for each in lacking
        )
        raise InputError(
            f"{name} does not run without values that its text does not show; give them: "
            f"candle init {typed} --run -- {shown}"
        )
    for each in lacking:
        question = f"{name} needs a value for {each.option or each.name}:"
        options = with_value(options, each.name, questions.text(question, partial(wrong_with_value, each)))
    return options


def _command(options: Options, given: Sequence[str], script: str, questions: Questions, typed: str) -> str:
    """Return the sub-command of a script that is to be run."""
    commands = options.commands
    if given and given[0] in commands:
        return given[0]
    if len(commands) == 1:
        return commands[0]
    if questions.can_ask:
        return commands[questions.one(f"{script} has the commands {', '.join(commands)}. Which one?", commands) - 1]
    raise InputError(f"{script} has several commands; name one: candle init {typed} --run -- {commands[0]}")


def _with_choice(draft: Draft, questions: Questions, say: Say) -> Draft:
    """Return the draft with the hyperparameters that the user wants to search, where there is somebody to ask."""
    ranges = draft.ranges_in_order
    say("", "Hyperparameters with a range:")
    say(*(f"  {at}  {each}" for at, each in enumerate(map(str, ranges), start=1)))
    usual = [at for at, each in enumerate(ranges, start=1) if each.name in draft.searched]
    chosen = questions.several("Which of them should be searched?", usual, [each.name for each in ranges])
    return msgspec.structs.replace(draft, searched=tuple(ranges[at - 1].name for at in chosen))


def _run(draft: Draft, script: ScriptFile, say: Say) -> Ran:
    request = as_input_file(input_text(draft, "draft.in", is_asked=False))
    say(
        "",
        f"Running {script.name} once with its defaults; it is ended after {MOST_SECONDS // 60} minutes ...",
    )
    return run_with_defaults(request, script)


def _with_run(
    draft: Draft, script: ScriptFile, leaves_value: bool, questions: Questions, say: Say
) -> tuple[Draft, Ran]:
    """Run the script with its defaults, and return the draft with what it measured."""
    ran = _run(draft, script, say)
    for _ in range(_MOST_REMEDIES):
        if ran.remedy is None:
            break
        say(f"It failed: {ran.remedy.reason}; again with {ran.remedy.keyword}")
        draft = with_remedy(draft, ran.remedy)
        ran = _run(draft, script, say)
    if has_failed(ran.outcome):
        shown = lines_that_explain(ran.paths.output, _MOST_LISTED, ran.outcome.reason)
        say(*(f"  | {line}" for line in shown))
        return without_objective(draft, leaves_value=leaves_value, reason="the run with these values failed"), ran
    took = f"{duration(ran.outcome.seconds)}"
    say(f"It ran for {took}; its output: {location(ran.paths.output)}")
    has_left_none = ran.outcome.status is Status.FAILED
    if ran.outcome.status is Status.COMPLETED or (leaves_value and not has_left_none):  # whatever its text shows
        loss = ran.outcome.metrics.get("val_loss")  # of a history as Keras has it
        is_loss = loss is not None and loss == ran.outcome.metrics.get(THE_VALUE)
        return with_measured(draft, ran.outcome, None, (), Direction.MINIMIZE if is_loss else None), ran
    if leaves_value:
        say(f"By its text it leaves a value, and it left none: {ran.outcome.reason}")
    candidates = ran.candidates[:_MOST_LISTED]
    if not candidates:
        nothing = "no number with a name was found in what it printed or wrote"
        return without_objective(draft, leaves_value=False, reason=nothing), ran
    say("", "What it measured:")
    say(
        *(
            f"  {at}  {each.where} = {number(each.value)}{_direction_of(each.direction)}"
            for at, each in enumerate(candidates, start=1)
        )
    )
    at = questions.one("Which of them is the objective?", [each.name for each in candidates])
    chosen = candidates[at - 1]
    direction = chosen.direction or questions.direction(chosen.name)
    others = tuple(each for each in candidates if each is not chosen)
    return with_measured(draft, ran.outcome, chosen, others, direction), ran


def _direction_of(direction: Direction | None) -> str:
    return f", {direction.value}" if direction else ""


def _conclude(draft: Draft, ran: Ran | None, target: Path, retry: str, screen: Screen) -> ExitStatus:
    """Say what was written, and what to do next; `retry` are the commands that make the file again."""
    say = screen.say
    say("", f"{target} is written. It searches {', '.join(draft.searched)}")
    if ran is not None and has_failed(ran.outcome):
        say(
            f"But the script failed: {ran.outcome.reason}",
            f"All that it printed: {location(ran.paths.output)}",
            "Fix it, or give it what it needs, behind --, and try again:",
        )
        screen.copy(f"  {retry}")  # whole, to be copied
        return ExitStatus.TRIALS_FAILED
    if draft.why_none:
        say(f"Its objective is not known: {draft.why_none}")
        say("Name it in the file, or let the script print it, and try again:" if ran else "To make the file again:")
        screen.copy(f"  {retry}")
        return ExitStatus.ALL_WELL
    if draft.direction is None:
        say('It minimizes its value; where more is better, write direction="maximize"')
    if draft.reports_each:
        say('To stop bad trials early, remove the # before stopping="asha" in it')
    say(f"Next: candle submit-job {shlex.quote(str(target))}")
    return ExitStatus.ALL_WELL
