"""What a script's own options and the command line of an input file ask of each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from candle_hpo.core.command_words import ARGUMENTS, placeholders
from candle_hpo.core.experiment import ArgumentStyle, Language, Settings
from candle_hpo.core.spelling import misspelling_of
from candle_hpo.launch.command import PARAMS_FILE
from candle_hpo.launch.handover.arguments import as_arguments
from candle_hpo.script.words import ScriptReading


class Comparison(msgspec.Struct, frozen=True):
    """What a script's text says of the hyperparameters that it is given.

    `seen` are those that it reads by name, `unclear` those of which its text does not show it; `notes` is what may not
    be meant so.
    """

    seen: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def compare_options(
    settings: Settings,
    reading: ScriptReading,
    names: Sequence[str],
    mentions_file: bool,
    declared: Collection[str] = (),
) -> Comparison:
    """Compare the options of a script with the hyperparameters `names` that its command line hands over.

    `mentions_file`: a program's text has the name of the file with all hyperparameters. `declared` are options that its
    text has in other ways than argparse's, and that are not all of them.
    """
    name, style = Path(settings.model_script).name, settings.argument_style
    named = set(placeholders(settings.argument_words))
    options = {each: option_of(each, style) for each in names if each not in named} if ARGUMENTS in named else {}
    can_be_seen = bool(reading.options) and style.prefix.startswith("-")
    there = reading.options if can_be_seen else declared
    seen = tuple(each for each, option in options.items() if option in there)
    unclear = () if can_be_seen else tuple(each for each in options if each not in seen)
    unknown = {option: each for each, option in options.items() if each not in (*seen, *unclear)}
    notes = [
        *(
            f'{name} does not seem to have the option {option}, which "{each}" becomes; '
            f"{_meant(option, reading, options.values())} (argument_style)"
            for option, each in unknown.items()
        ),
        *_unknown_words(settings, reading, name),
        *_notes_on_booleans(settings, reading, name, options),
    ]
    left = [] if {ARGUMENTS, PARAMS_FILE} & named else [each for each in names if each not in named]
    if settings.host is Language.PROGRAM:
        left = [] if mentions_file else left
    else:
        read = {each.name for each in reading.reads}
        left = [] if reading.hands_on else [each for each in left if each not in read]
    if left:
        listed = ", ".join(f'"{each}"' for each in left)
        notes.append(
            f"nothing hands {listed} over to {name}, so that whatever is given for it changes nothing: add "
            f"{{{left[0]}}}, or {{arguments}} for all others, to script_args"
        )
    return Comparison(seen, unclear, tuple(notes))


def option_of(name: str, style: ArgumentStyle) -> str:
    """Return the option that a hyperparameter becomes."""
    if flags := style.flags.get(name):
        return flags[0] or flags[1]
    given = as_arguments({name: 1}, style)
    return given[0 if name in style.options else len(style.before)].partition("=")[0]


def _meant(option: str, reading: ScriptReading, given: Collection[str] = ()) -> str:
    """Return what may be meant by an option that a script does not have: one that is not `given`, or what it has."""
    near = misspelling_of(option, [each for each in reading.options if each not in given])
    return f'did you mean "{near}"?' if near else f"it has {', '.join(reading.options)}"


def _unknown_words(settings: Settings, reading: ScriptReading, name: str) -> Iterator[str]:
    """Yield a note on each option in `script_args` that the script's own parser does not have."""
    options = reading.options
    for word in settings.script_args or () if options else ():
        option = word.partition("=")[0]
        is_negation = option.startswith("--no-") and f"--{option[len('--no-') :]}" in options
        is_long = option.startswith("--") and option != "--" and "{" not in option
        if is_long and not is_negation and option not in options:
            meant = _meant(option, reading)
            yield f"{name} does not seem to have the option {option}, which is in script_args; {meant}"


def _notes_on_booleans(
    settings: Settings, reading: ScriptReading, script: str, options: Mapping[str, str]
) -> Iterator[str]:
    """Yield a note on each option that does with true or false what its name does not say."""
    style = settings.argument_style
    names = {option: name for name, option in options.items() if name not in style.flags}
    for each in reading.booleans:
        name = names.get(each.option)
        if name is None:
            continue
        match each.kind:
            case "BooleanOptionalAction" if style.booleans == "no-":
                continue
            case "BooleanOptionalAction":
                what = (
                    "false omits the option, so that its default holds; add "
                    f"{name}:{each.option}/--no-{each.option.lstrip('-')} to argument_style"
                )
            case "store_false":
                what = f"this flag sets false, and true passes it: with {name}=true the script gets false"
            case _:
                what = 'with type=bool, every text is true, "False" and "0" as well; let it be a flag (store_true)'
        yield f"{script}:{each.line}: {each.option}: {what}"
