"""A configuration file that a script reads, or its own text → what of it can be varied."""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Language, Settings
from candle_hpo.core.metric_names import is_clear
from candle_hpo.draft.options import OWN_TEXT, Kind, Option, Options, Way, fitting, kind_of
from candle_hpo.draft.ranges import range_of
from candle_hpo.inputfile.config_places import NotOfThisForm, places_of
from candle_hpo.inputfile.handed_files import form_of
from candle_hpo.inputfile.python_places import python_places
from candle_hpo.script.files_around_script import files_around_script
from candle_hpo.script.reading import ScriptFile

_SUFFIXES = (".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".nml")
_LITERAL = re.compile(rf"[\"']([\w./-]+(?:{'|'.join(map(re.escape, _SUFFIXES))}))[\"']")
_OF_JSON = re.compile(r"conf|cfg|param|setting|hyp|option|args", re.IGNORECASE)  # else it may be a result
_D_EXPONENT = re.compile(r"^([+-]?[\d.]+)[dD](?=[+-]?\d+$)")  # of Fortran
# A class that is given numbers by name: `Ridge(alpha=1.0)`; what splits data, or draws figures, is none that is tuned.
_OF_A_MODEL = re.compile(
    r"(?!\w*(?:Split|Fold|CV\.|Search|Dataset|Figure|Path|Logger|Namespace|Thread|Process|Pool|Random(?!Forest)|Rng|"
    r"Generator|Locator|Axes|Timer|Writer))_*[A-Z]\w*[a-z]\w*\.|(?:SVC|SVR|SGD|MLP|KNN|PCA|SVM|NMF|LSTM|GRU|CNN)\."
)
_TIME = re.compile(r"(?:^|[_.])(?:time|runtime|seconds|secs?|elapsed)(?:$|[_.])", re.IGNORECASE)
_MOST_READ = 1_000_000  # bytes, of a file with hyperparameters


def with_configuration(options: Options, text: str, here: Path, *, is_program: bool = False) -> Options:
    """Return the numbers and switches of the configuration file of a script, in the place of its options.

    The file is the default of one of them, or the one that its text names, from where the user stands; the name of one
    that a program reads is somewhere in it. The options are as they were where there is none, or several.
    """
    named = [(Path(each.default), each) for each in options.found if isinstance(each.default, str) and not each.choices]
    if not named and is_program:
        beside = [each for each in sorted(here.iterdir()) if each.suffix.lower() in _SUFFIXES and each.name in text]
        named = [(each, Option(name="")) for each in beside]
    elif not named and "__file__" not in text:
        named = [(here / name, Option(name="")) for name in dict.fromkeys(_LITERAL.findall(text))]
    files = [(path, each) for path, each in named if _is_configuration(path, each.name)]
    if len(files) != 1:
        return options
    path, option = files[0]
    found = tuple(_values_in(path))
    shown = path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)
    handed = " ".join([option.option, "{config}"]).strip().replace("= ", "=") if option.name else ""
    return Options(Way.CONFIGURATION, found, path.name, config=shown, config_words=handed) if found else options


def with_standard_input(path: Path, words: Sequence[str]) -> Options:
    """Return the values of a file that a script reads on its standard input, with these words on its command line."""
    handed = shlex.join(words)
    return Options(Way.CONFIGURATION, tuple(_values_in(path)), path.name, config_words=handed, stdin=path.as_posix())


def with_own_text(options: Options, script: ScriptFile, here: Path, words: Sequence[str]) -> Options:
    """Return the numbers that stand in the text of a Python script, where none of its options has a range.

    Each trial then runs a copy of the script that has its values, in a copy of the script's folder, with these words on
    its command line. The options are as they were where there is no such number, or the folder is too large for that.
    """
    if script.language is not Language.PYTHON or any(range_of(each) is not None for each in options.found):
        return options
    found = tuple(_numbers_in(script.text))
    if all(range_of(each) is None for each in found) or not _can_be_copied(script):
        return options
    path = script.path
    shown = path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)
    return Options(Way.CONFIGURATION, found, OWN_TEXT, config=shown, config_words=shlex.join(words))


def _numbers_in(text: str) -> Iterator[Option]:
    """Yield the numbers to which a script sets a name once, or which it gives to a class that could be a model."""
    try:
        places = python_places(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    times = Counter(each.name for each in places)
    for each in places:
        is_number = isinstance(each.value, int | float) and not isinstance(each.value, bool)
        is_measured = is_clear(each.name.rpartition(".")[2]) or _TIME.search(each.name) is not None
        may_be_meant = (not each.is_given or _OF_A_MODEL.match(each.name)) and not is_measured
        if is_number and may_be_meant and times[each.name] == 1 and math.isfinite(each.value):  # type: ignore[arg-type]
            line = text.count("\n", 0, each.start) + 1
            yield Option(name=each.name, kind=kind_of(each.value), default=each.value, line=line)


def _can_be_copied(script: ScriptFile) -> bool:
    try:
        files_around_script(Settings(model_script=str(script.path), workflow="bayesian", run_in="script"))
    except InputError:
        return False
    return True


def _is_configuration(path: Path, name: str) -> bool:
    """Return whether a file is likely to be the configuration of a script, by its name and that of the option."""
    suffix = path.suffix.lower()
    is_likely = suffix != ".json" or _OF_JSON.search(f"{name} {path.name}") is not None
    return suffix in _SUFFIXES and is_likely and path.is_file()


def _values_in(path: Path) -> Iterator[Option]:
    """Yield the numbers and switches of a configuration file by their places; of lists, nothing."""
    import yaml

    try:
        if path.stat().st_size > _MOST_READ:
            return
        text, form = path.read_text(encoding="utf-8"), form_of(path)
        if form == "text":  # in which nothing has a name
            return
        names = [each.name for each in places_of(form, text, ())]
        above = {each.rpartition(".")[0] for each in names}
        places = places_of(form, text, [each for each in names if each not in above])
    except (OSError, UnicodeDecodeError, NotOfThisForm):
        return
    for place in places:
        written = text[place.start : place.end]
        try:
            value = fitting(yaml.safe_load(_D_EXPONENT.sub(r"\1e", written)), Kind.NUMBER)
        except yaml.YAMLError:
            continue
        if isinstance(value, float) and re.fullmatch(r"[+-]?\d+", written):
            value = int(value)
        is_number = isinstance(value, bool | int | float) and written[:1] not in "\"'" and math.isfinite(value)
        if is_number and not re.search(r"\.\d+(?:\.|$)", place.name):
            yield Option(name=place.name, kind=kind_of(value), default=value)
