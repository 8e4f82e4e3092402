"""What the values of `&control`'s keywords look like: a text -> the value of a setting."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from candle_hpo.core import sbatch_arguments as sbatch
from candle_hpo.core.command_words import SCRIPT, placeholders, start_of
from candle_hpo.core.errors import nearest
from candle_hpo.core.experiment import NO_PRELOAD
from candle_hpo.core.fidelity import Fidelity
from candle_hpo.core.file_template import Placed
from candle_hpo.core.objective import STEPS, Direction, ResultFrom, measured_groups
from candle_hpo.core.paths import meant_instead

_WHERE_PATHS_BEGIN = "relative paths and $(pwd) are taken from where you run candle"


class KeywordValueError(ValueError):
    """A keyword's value is not of its form; the text says what would be right."""


def text(given: str) -> str:
    """Return the text as it is."""
    return given


def worker_type(given: str) -> str:
    """Return the name of a kind of worker; `cpu`, in whatever case that is written."""
    return given.lower() if given.lower() == "cpu" else given


def existing_file(text: str) -> str:
    """Return the absolute path of a file, taken from where the user stands; raise `KeywordValueError` for none."""
    path = Path.cwd() / text
    if not path.is_file():
        if path.is_dir():
            raise KeywordValueError(f"the file {path} is a folder, not a file; {_WHERE_PATHS_BEGIN}")
        raise KeywordValueError(f"the file {path} does not exist; {meant_instead(path, _WHERE_PATHS_BEGIN)}")
    return str(path)


def folder(text: str) -> str:
    """Return the absolute path of a folder."""
    path = Path.cwd() / text
    if path.is_file():
        raise KeywordValueError(f"{path} is a file; give its folder, {path.parent}")
    if not path.is_dir():
        raise KeywordValueError(f"the folder {path} does not exist; {meant_instead(path, _WHERE_PATHS_BEGIN)}")
    return str(path)


def placed_file(text: str) -> Placed:
    """Return a file of the user's, and its name in a trial's folder."""
    return _placed(existing_file(text))


def placed(text: str) -> tuple[Placed, ...]:
    """Return files and folders of the user's, which commas separate, and their names in a trial's folder."""
    found: list[Placed] = []
    for each in filter(None, map(str.strip, text.split(","))):
        path = Path.cwd() / each
        if not path.exists():
            raise KeywordValueError(f"{path} does not exist; {meant_instead(path, _WHERE_PATHS_BEGIN)}")
        found.append(_placed(str(path)))
    return tuple(found)


def _placed(path: str) -> Placed:
    """Return a path with its name from where the user stands; with its last part alone where it is elsewhere."""
    whole, here = Path(os.path.abspath(path)), Path.cwd()  # noqa: PTH100  # a link is not followed
    inside = whole.is_relative_to(here) and whole != here
    return Placed(str(whole), str(whole.relative_to(here)) if inside else whole.name)


def folders(text: str) -> str:
    """Return the absolute paths of folders, joined as they were."""
    return os.pathsep.join(folder(each) for each in text.split(os.pathsep) if each)


def yes_or_no(text: str) -> bool:
    """Return whether the text is 1; it is 0 or 1."""
    if text not in ("0", "1"):
        raise KeywordValueError(f'"{text}" is neither 0 nor 1')
    return text == "1"


def whole_number(at_least: int) -> Callable[[str], int]:
    """Return what reads a whole number from this one up."""

    def read(text: str) -> int:
        # At most 9 digits: more is a slip of the hand for every keyword there is.
        if not re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII) or int(text) < at_least:
            raise KeywordValueError(f'"{text}" is not a whole number from {at_least} up (at most 9 digits)')
        return int(text)

    return read


def size(unit: str, examples: str, *, or_none: bool = False) -> Callable[[str], float]:
    """Return what reads a number of gigabytes or of megabytes, with or without the unit's letters; perhaps 0."""

    def read(text: str) -> float:
        number = re.fullmatch(rf"(\d{{1,9}}(?:\.\d{{1,6}})?)\s*{unit[0]}?b?", text, re.ASCII | re.IGNORECASE)
        if not number or (float(number[1]) == 0 and not or_none):
            raise KeywordValueError(f'"{text}" is not a number of {unit} such as {examples}')
        return float(number[1])

    return read


_TIME = re.compile(r"(?:(\d{1,4})-)?(\d{1,4}):([0-5]?\d)(?::([0-5]?\d))?", re.ASCII)


def time(text: str) -> int:
    """Return a time in seconds."""
    match = _TIME.fullmatch(text)
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if total == 0:
        raise KeywordValueError(f'"{text}" is not a time such as 00:20:00 (HH:MM:SS, HH:MM or D-HH:MM:SS)')
    return total


def arguments(text: str) -> tuple[str, ...]:
    """Return words as bash splits them."""
    try:
        return tuple(shlex.split(text))
    except ValueError:
        raise KeywordValueError(f"a quote within {text} is not closed; add it") from None


def sbatch_arguments(text: str) -> tuple[str, ...]:
    """Return words as bash splits them, which are options that `sbatch` can be given here."""
    words = arguments(text)
    try:
        sbatch.sbatch_arguments(words)
    except sbatch.SbatchArgumentError as error:
        raise KeywordValueError(str(error)) from None
    return words


def modules(text: str) -> tuple[str, ...]:
    """Return the names of environment modules."""
    return tuple(text.replace(",", " ").split())


def python_modules(text: str) -> tuple[str, ...]:
    """Return the names of modules of Python, or `NO_PRELOAD`."""
    names = modules(text)
    if [name.lower() for name in names] == list(NO_PRELOAD):
        return NO_PRELOAD
    for name in names:
        if not all(part.isidentifier() for part in name.split(".")):
            raise KeywordValueError(
                f'"{name}" is not the name of a Python module such as sklearn.svm; "none" turns it off'
            )
    return names


def one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """Return what reads one of some words."""

    def read(text: str) -> str:
        if text.lower() not in choices:
            raise KeywordValueError(f'"{text}" is not a valid value; ' + nearest(text, choices))
        return text.lower()

    return read


RULES, STOPS_NAN = ("median", "asha", "best_few"), "nan"


def stopping(text: str) -> tuple[str, ...]:
    """Return what stops trials early: a rule, values that are not numbers, or both; nothing for `none`."""
    words = [one_of((*RULES, STOPS_NAN, "none"))(word.strip()) for word in text.split(",")]
    if len(words) > 1 and "none" in words:
        raise KeywordValueError(f'"{text}": none says that nothing stops a trial early; keep it alone, or leave it out')
    rules = [word for word in words if word in RULES]
    if len(rules) > 1:
        raise KeywordValueError(f'"{text}" names {len(rules)} rules; keep one of {", ".join(rules)}')
    return tuple(dict.fromkeys(word for word in words if word != "none"))


def fidelity(text: str) -> Fidelity:
    """Return a hyperparameter, its least and its most."""
    words = text.replace(",", " ").split()
    if len(words) != 3:
        raise KeywordValueError(f'"{text}" is not a hyperparameter, its least and its most, such as epochs 3 81')
    name, least, most = words[0], _budget(words[1]), _budget(words[2])
    if least >= most:
        raise KeywordValueError(f'"{text}": the most, {words[2]}, is not more than the least, {words[1]}')
    return Fidelity(name, least, most)


def _budget(text: str) -> int | float:
    """Return a number above 0, whole where it is written so."""
    if not re.fullmatch(
        r"\+?\d{1,15}|\+?\d{1,15}\.\d{0,15}|\+?\.\d{1,15}|\d(\.\d{1,15})?[eE][+-]?\d{1,2}", text, re.ASCII
    ):
        raise KeywordValueError(f'"{text}" is not a number such as 3 or 0.1')
    number = int(text) if text.lstrip("+").isdecimal() else float(text)
    if number <= 0:
        raise KeywordValueError(f'"{text}" is not more than 0')
    return number


def model_command(text: str) -> tuple[str, ...]:
    """Return the words of what starts the script, in which `{script}` stands for it."""
    words = arguments(text)
    if not words:
        raise KeywordValueError("there is nothing in it; write for instance torchrun {script}")
    is_there = SCRIPT in placeholders(words)
    if not is_there and not start_of(words).module:
        raise KeywordValueError(
            f"{{script}}, which stands for model_script, is not in {text}; write for instance {words[0]} {{script}}. "
            f'(A program that needs no script is a model_script itself: model_script="$(command -v {words[0]})")'
        )
    return words


def pattern(text: str) -> str:
    """Return a regular expression that compiles."""
    try:
        expression = re.compile(text, re.MULTILINE)
    except (re.error, RecursionError, OverflowError) as error:
        raise KeywordValueError(f"{text} is not a regular expression: {error}") from None
    if expression.groups > 1 and not expression.groupindex:
        raise KeywordValueError(
            f"{text} has {expression.groups} groups; keep the one around the number, and write (?:...) for others"
        )
    if expression.groupindex and not measured_groups(expression):
        raise KeywordValueError(
            f"{text}: {', '.join(expression.groupindex)} counts steps, and no other group has a name; give one to the "
            "group around the number, such as (?P<loss>...)"
        )
    return text


_MEAN = re.compile(r"mean_of_last_(\d{1,6})", re.ASCII)


def result_from(text: str) -> ResultFrom:
    """Return which of several measurements is the value."""
    word = text.lower()
    mean = _MEAN.fullmatch(word)
    if mean and int(mean[1]) > 0:
        return ResultFrom("mean", int(mean[1]))
    match word:
        case "last" | "best" | "first":
            return ResultFrom(word)
        case _:
            raise KeywordValueError(f'"{text}" is not one of last, best, first, or a mean such as mean_of_last_5')


def file_in_run_folder(text: str) -> str:
    """Return a path that does not leave the run folder."""
    path = PurePath(text)
    if path.is_absolute() or ".." in path.parts or text.startswith("~"):
        raise KeywordValueError(f"{text} is not in the trial's own folder; write for instance results/metrics.json")
    return text


def objectives(text: str) -> str:
    """Return the name of what is optimized."""
    name, _, end = text.partition(":")
    if "," in text:
        raise KeywordValueError(f'"{text}" names several, and one is optimized; keep that one')
    if end.strip().lower() in [each.value for each in Direction]:
        raise KeywordValueError(f'"{text}": write objectives="{name.strip()}" and direction="{end.strip().lower()}"')
    if text.lower() in STEPS:
        raise KeywordValueError(f'"{text}" counts steps, and measures nothing')
    return text


def direction(text: str) -> Direction:
    """Return which end of the objective is the better one."""
    return Direction(one_of([each.value for each in Direction])(text))
