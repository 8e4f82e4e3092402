"""The script's own files that hold its hyperparameters, `config_file` and `stdin_file` -> templates with holes."""

from __future__ import annotations

import codecs
import contextlib
import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath

from candle_hpo.core.command_words import ARGUMENTS, CONFIG, placeholders
from candle_hpo.core.errors import Problem, nearest
from candle_hpo.core.experiment import Settings
from candle_hpo.core.file_template import FileTemplate, Form, Hole, NotWritable, Placed, names_in
from candle_hpo.core.number_text import json_text
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.paths import NAMES_OF_CANDLE
from candle_hpo.core.space import GridSpace
from candle_hpo.inputfile.config_places import NotOfThisForm, Place, places_of

MOST_BYTES = 1_000_000  # of a file with hyperparameters, which travels with each trial; more is data
_FORMS: dict[str, Form] = {
    ".yaml": "YAML", ".yml": "YAML", ".json": "JSON", ".toml": "TOML", ".ini": "INI", ".cfg": "INI", ".conf": "INI",
    ".properties": "INI", ".mdp": "INI",
    ".env": "env", ".nml": "namelist", ".namelist": "namelist",
    ".py": "Python",
}  # fmt: skip
_BY_CONTENT: tuple[Form, ...] = ("JSON", "namelist", "INI")  # what is unlike the others, whatever the file's name is
_MARKED = re.compile(r"\{\{\s*([^\s{}]+)\s*\}\}")
_HOW_TO_MARK = "write {{ name }} in it where the value of a hyperparameter belongs"
_SHOWN = 12  # names in a message
_TRIED = 3  # sets of hyperparameters with which a file is read again


def read_templates(
    settings: Settings, names: Sequence[str], samples: Iterable[Mapping[str, object]] = ()
) -> tuple[tuple[FileTemplate, ...], tuple[Problem, ...]]:
    """Return the files in which these hyperparameters are written for each trial, and all that is wrong with them.

    `samples` are sets of hyperparameters whose values are tried out.
    """
    problems: list[Problem] = []
    templates: list[FileTemplate] = []
    there: list[str] = []
    files = list(dict.fromkeys(filter(None, (settings.config_file, settings.stdin_file))))
    for file in files:
        try:
            read = _read(file, is_needed=file == settings.config_file)
            if read is None:
                continue
            text, encoding = read
            form, places = _places(file, text, names, is_needed=file == settings.config_file)
            there += [place.name for place in places if place.name not in there]
            placed = Placed(file.path, settings.place_of(file))
            templates.append(_template(placed, form, text, places, names, encoding))
        except NotOfThisForm as error:
            problems.append(Problem(file.path, error.line, str(error)))
    if problems:
        return (), tuple(problems)
    handed = names_in(templates)
    if settings.config_file or handed:
        lost = [name for name in names if name not in handed and not _has_another_way(name, settings)]
        problems += [Problem(files[0].path, 0, _unknown(name, there)) for name in lost]
    problems += _not_writable(templates, samples)
    return tuple(templates), tuple(problems)


def problems_of_places(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield keywords whose files cannot lie where they would in a trial's working directory, and why."""
    own = () if settings.run_in == "script" else NAMES_OF_CANDLE
    written = dict.fromkeys(filter(None, (settings.config_file, settings.stdin_file)))
    places = {file.path: PurePath(settings.place_of(file)) for file in (*written, *settings.link)}
    for file in (*written, *settings.link):
        keyword = "link" if file in settings.link else "config_file" if file == settings.config_file else "stdin_file"
        place = places[file.path]
        if not place.parts:
            yield keyword, f"{file.path} has no name that a link to it could have; link what the script reads there"
            continue
        if place.parts[0] in own:
            yield keyword, f"{place} is what candle itself writes into each trial's folder; call it something else"
        for path, other in places.items():
            if path != file.path and place.is_relative_to(other):
                text = f"{file.path} would be {place} in each trial's folder, where {path} is {other}"
                yield keyword, f"{text}; keep one, or link what is beside it"
    config = settings.config_file
    is_handed_over = CONFIG in placeholders(settings.argument_words)
    if config and settings.run_in != "script" and form_of(Path(config.path)) == "Python" and not is_handed_over:
        text = "Python runs, or imports, the one that lies there, and all trials would be the same"
        yield "config_file", f'{text}; add run_in="script": then each trial runs its own copy, with its values'
    if settings.run_in == "script" and settings.start and settings.start.module:
        text = "a module (python -m) runs from the folder of its package, and only that of the script would be copied"
        yield "run_in", f"{text}; name the script itself as model_script"
    for link in settings.link:
        place = places[link.path]
        if settings.run_in == "script" and PurePath(settings.model_script).is_relative_to(link.path):
            yield "link", f"the script itself is in {link.path}; link what is beside it"
        if settings.result_file and PurePath(settings.result_file).is_relative_to(place):
            text = f"result_file={settings.result_file} would be in {link.path}, the same file for all trials"
            yield "link", f"{text}; link only what they read"


def samples_of(
    default_model: Mapping[str, object], space: GridSpace | ParametricSpace | None
) -> Iterator[Mapping[str, object]]:
    """Yield sets of hyperparameters in which each value is, or one of each kind: all of a grid, and all choices."""
    if isinstance(space, GridSpace):
        yield from (one.hyperparameters for one in space.sets)
        return
    parameters = space.parameters if space is not None else ()
    least = {axis.name: axis.low for parameter in parameters for axis in parameter.axes}
    all_of_them = {**default_model, **{each.name: each.value(least) for each in parameters}}
    yield all_of_them
    for parameter in parameters:
        if parameter.condition is not None and parameter.name not in default_model:
            yield {name: value for name, value in all_of_them.items() if name != parameter.name}
        for axis in parameter.axes:
            for place in range(len(axis.choices)):
                yield {**all_of_them, parameter.name: parameter.value({**least, axis.name: place})}


def notes_on_private_files(templates: Sequence[FileTemplate]) -> Iterator[str]:
    """Yield a note on each file that its owner alone can read: what it holds will lie in other places, too."""
    for template in templates:
        with contextlib.suppress(OSError):
            if not Path(template.path).stat().st_mode & 0o044:
                yield (
                    f"{template.path} is readable by you alone; the experiment's folder, and each trial's, will have "
                    "its text, with the permissions that your umask gives"
                )


def _has_another_way(name: str, settings: Settings) -> bool:
    """Return whether a hyperparameter that no file has reaches the script all the same, because the user says so."""
    named = set(placeholders(settings.argument_words))
    return name in named or ARGUMENTS in named or name in settings.asked_in_prepare


def _read(file: Placed, *, is_needed: bool) -> tuple[str, str] | None:
    """Return the text of a file, and its encoding; None where it is data, which need not have hyperparameters."""
    try:
        with Path(file.path).open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise NotOfThisForm(f"it cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES or b"\0" in data:
        if not is_needed:
            return None
        raise NotOfThisForm(
            f"this is not a text of less than {MOST_BYTES // 10**6} MB, as files with hyperparameters are; data belong "
            "in a file that link names"
        )
    for encoding in ("utf-8-sig",) if data.startswith(codecs.BOM_UTF8) else ("utf-8", "latin-1"):
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode(encoding), encoding
    raise NotOfThisForm("it begins as UTF-8 text, and is none; save it as UTF-8")


def form_of(path: Path) -> Form:
    """Return what a file is by its name; a text where that does not say."""
    return "env" if path.name == ".env" or path.name.startswith(".env.") else _FORMS.get(path.suffix.lower(), "text")


def _places(file: Placed, text: str, names: Sequence[str], *, is_needed: bool) -> tuple[Form, list[Place]]:
    """Return where hyperparameters stand in a text: marked as `{{ name }}`, or by its form."""
    form = form_of(Path(file.path))
    if form == "Python":
        with contextlib.suppress(NotOfThisForm):
            places = _found(form, text, names)
            if any(place.name in names for place in places):  # what it has in two braces is of its f-strings
                return form, places
    marked = [Place(found[1], *found.span()) for found in _MARKED.finditer(text)]
    if any(place.name in names for place in marked) or (form == "text" and marked):
        for place in marked:
            if place.name not in names:
                line = text.count("\n", 0, place.start) + 1
                raise NotOfThisForm(f'there is no hyperparameter "{place.name}"; ' + nearest(place.name, names), line)
        return "text", marked
    if form == "text" and is_needed:
        for form in _BY_CONTENT:
            with contextlib.suppress(NotOfThisForm):
                found = _found(form, text, names)
                if any(place.name in names for place in found):
                    return form, found
        raise NotOfThisForm(
            f"its name does not say that it is YAML, JSON, TOML, INI, .env, a namelist or Python; {_HOW_TO_MARK}"
        )
    if form == "text":
        return form, []
    try:
        return form, _found(form, text, names)
    except NotOfThisForm as error:
        if not is_needed:
            return "text", []
        raise NotOfThisForm(f"{error}; correct it, or {_HOW_TO_MARK}", error.line) from None


def _found(form: Form, text: str, names: Iterable[str]) -> list[Place]:
    """Return the places of a text by the names that the input file has: `layers[0]`, and any case for Fortran's."""
    given = {_in_file(form, name): name for name in names}
    return [place._replace(name=given.get(place.name, place.name)) for place in places_of(form, text, given)]


def _in_file(form: Form, name: str) -> str:
    match form:
        case "namelist":
            return name.lower()
        case "YAML" | "JSON" | "TOML":
            return re.sub(r"\[(\d+)\]", r".\1", name)
        case _:
            return name


def _template(
    file: Placed, form: Form, text: str, places: Sequence[Place], names: Collection[str], encoding: str
) -> FileTemplate:
    wanted = sorted((place for place in places if place.name in names), key=lambda place: (place.start, -place.end))
    if form != "text":
        _refuse_what_is_not_clear(form, wanted, places)
    texts, holes, at = list[str](), list[Hole](), 0
    for place in wanted:
        between = text[at : place.start]
        # A value of YAML that begins a line has to stand further in than what it belongs to.
        apart = form == "YAML" and (not between[between.rfind("\n") + 1 :].strip() or between[-1] in ":-")
        texts.append(between + " " * apart)
        holes.append(Hole(place.name, "" if form == "text" else text[place.start : place.end]))
        at = place.end
    return FileTemplate(file.path, file.place, form, (*texts, text[at:]), tuple(holes), encoding)


def _refuse_what_is_not_clear(form: Form, wanted: Sequence[Place], places: Sequence[Place]) -> None:
    """Raise `NotOfThisForm` where a place, or what it is in, appears twice: one of the two counts for nothing."""
    times = Counter(_in_file(form, place.name) for place in places)
    for place in wanted:
        steps = _in_file(form, place.name).split(".")
        for name in (".".join(steps[:count]) for count in range(1, len(steps) + 1)):
            if times[name] > 1:
                shown = name if len(name) < len(".".join(steps)) else place.name
                raise NotOfThisForm(f'"{shown}" appears twice in it; keep one, so that it is clear which counts')
    for before, after in itertools.pairwise(wanted):
        if after.start < before.end:
            raise NotOfThisForm(f'"{after.name}" is a part of "{before.name}"; keep one of these hyperparameters')


def _not_writable(templates: Sequence[FileTemplate], samples: Iterable[Mapping[str, object]]) -> list[Problem]:
    """Return what is wrong with values: such as cannot be written, or would not be read as they are."""
    problems: dict[Problem, None] = {}
    seen: set[object] = set()
    tried = 0
    for values in samples:
        new = {(name, _kind_of(value)) for name, value in values.items()} | {frozenset(values)}
        new -= seen
        if not new:
            continue
        seen |= new
        for template in templates:
            try:
                template.data(values)
                if tried < _TRIED:
                    _try_out(template, values)
            except (NotWritable, NotOfThisForm) as error:
                problems[Problem(template.path, 0, str(error))] = None
        tried += 1
    return list(problems)


def _kind_of(value: object) -> object:
    """Return what is written in the same way: each text by itself, all numbers together."""
    return type(value) if isinstance(value, int | float | None) else json_text(value)


def _try_out(template: FileTemplate, values: Mapping[str, object]) -> None:
    """See that the file, with these values in it, has them in the same places."""
    if template.form == "text":
        return
    text = template.filled(values)
    there = {place.name: text[place.start : place.end] for place in _found(template.form, text, template.names)}
    for hole in template.holes:
        written = template.written(hole, values)
        if there.get(hole.name, "") != written:
            raise NotOfThisForm(f'with {written} as "{hole.name}" it would not be read as it is now; {_HOW_TO_MARK}')


def _unknown(name: str, there: Sequence[str]) -> str:
    """Return the message on a name that the file does not have, with those that it has and that are like it."""
    same = [each for each in there if each.rpartition(".")[2].lower() == name.rpartition(".")[2].lower()]
    if same:
        meant = "did you mean " + " or ".join(f'"{each}"' for each in same[:3]) + "? (names are whole: SECTION.NAME)"
    elif len(there) > _SHOWN and (meant := nearest(name, there)).startswith("valid"):
        meant = f"there are {', '.join(there[:_SHOWN])} and {len(there) - _SHOWN} more"
    else:
        meant = nearest(name, there) if there else "there are none"
    return f'it has no "{name}", which is a hyperparameter; {meant}'
