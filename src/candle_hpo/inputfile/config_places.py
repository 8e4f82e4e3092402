"""Where the values stand in a configuration file: YAML, JSON, TOML, INI, `.env`, Fortran's namelists, Python.

A place is found by its dotted name, `optimizer.lr` or `layers.0.units`. Only the text of the value is replaced later,
so that comments, order and layout stay as they are.
"""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from candle_hpo.core.file_template import Form
from candle_hpo.inputfile.python_places import python_places

if TYPE_CHECKING:
    from yaml import Node

_SENTINEL = "candle_hole"


class Place(NamedTuple):
    """The text between `start` and `end` is the value that is called `name`; another one of this name may count."""

    name: str
    start: int
    end: int


class NotOfThisForm(ValueError):
    """A file that cannot be read as what its suffix says; `line` counts from 1, 0 where it is unknown."""

    def __init__(self, text: str, line: int = 0) -> None:
        self.line = line
        super().__init__(text)


def places_of(form: Form, text: str, wanted: Collection[str]) -> list[Place]:
    """Return the places in a text, by name; at least those that are `wanted` have their start and end.

    Raises `NotOfThisForm`.
    """
    return list(_toml(text, wanted) if form == "TOML" else _READERS[form](text))


def _joined(above: str, name: object) -> str:
    return f"{above}.{name}" if above else str(name)


def _yaml(text: str) -> Iterator[Place]:
    """Yield what a document of YAML holds. What an alias stands for is found where its anchor is."""
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise NotOfThisForm(f"this is not YAML: {error.problem or error.context}", line) from None
    except yaml.YAMLError as error:
        raise NotOfThisForm(f"this is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(root, yaml.MappingNode):
        raise NotOfThisForm("this YAML has no names: its top is not a mapping")
    seen: set[int] = set()

    def below(node: Node, name: str) -> Iterator[Place]:
        if id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = set[str]()
            for key, value in node.value:
                inner = _joined(name, key.value)
                if inner in keys and id(value) in seen:  # an alias takes the place of what stood there
                    yield Place(inner, *_span(key, text))
                keys.add(inner)
                yield from below(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                yield from below(value, _joined(name, number))
        if name:
            yield Place(name, *_span(node, text))

    yield from below(root, "")


def _span(node: Any, text: str) -> tuple[int, int]:
    """Return where the text of a node of YAML begins and ends, without its anchor and its tag."""
    start, end = node.start_mark.index, node.end_mark.index
    properties = re.compile(r"(?:[&!]\S*[ \t]+)+").match(text, start)
    if properties and properties.end() < end:
        start = properties.end()
    if getattr(node, "flow_style", None) is False and node.value:  # its end is where the next thing begins
        last = node.value[-1]
        end = _span(last[1] if isinstance(last, tuple) else last, text)[1]
    return start, start + len(text[start:end].rstrip())


def _json(text: str) -> Iterator[Place]:
    try:
        found = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 0)
        raise NotOfThisForm(f"this is not JSON: {getattr(error, 'msg', error)}", line) from None
    if not isinstance(found, dict):
        raise NotOfThisForm("this JSON has no names: it is not an object")
    decoder, space = json.JSONDecoder(), re.compile(r"[ \t\r\n]*")

    def skip(at: int) -> int:
        match = space.match(text, at)
        return match.end() if match else at

    def below(at: int, name: str) -> Generator[Place, None, int]:
        """Yield the places in the value that begins here; return where it ends."""
        start, opener, number = at, text[at], 0
        if opener not in "{[":
            at = decoder.raw_decode(text, at)[1]
        else:
            at = skip(at + 1)
            while text[at] not in "}]":
                key: object = number
                if opener == "{":
                    key, at = decoder.raw_decode(text, at)
                    at = skip(skip(at) + 1)  # past the colon
                at = skip((yield from below(at, _joined(name, key))))
                at = skip(at + 1) if text[at] == "," else at
                number += 1
            at += 1
        if name:
            yield Place(name, start, at)
        return at

    yield from below(skip(0), "")


def _toml(text: str, wanted: Collection[str]) -> Iterator[Place]:
    """Yield what a document of TOML holds; tomlkit says what is where by writing another value there."""
    import tomlkit
    from tomlkit.exceptions import ParseError, TOMLKitError

    try:
        found = tomlkit.parse(text)
    except ParseError as error:
        raise NotOfThisForm(f"this is not TOML: {error}", error.line) from None
    except TOMLKitError as error:
        raise NotOfThisForm(f"this is not TOML: {error}") from None

    def below(value: Any, name: str, path: tuple[str | int, ...]) -> Iterator[tuple[str, tuple[str | int, ...]]]:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            yield from below(item, _joined(name, key), (*path, key))
        if path:
            yield name, path

    for name, path in below(found, "", ()):
        yield Place(name, *(_span_in_toml(text, path) if name in wanted else (0, 0)))


def _span_in_toml(text: str, path: tuple[str | int, ...]) -> tuple[int, int]:
    import tomlkit

    there: Any = tomlkit.parse(text)
    document = there
    for step in path[:-1]:
        there = there[step]
    there[path[-1]] = _SENTINEL
    before, _, after = tomlkit.dumps(document).partition(f'"{_SENTINEL}"')
    start, end = len(before), len(text) - len(after)
    if not (text.startswith(before) and text.endswith(after) and start <= end):
        shown = ".".join(map(str, path))
        raise NotOfThisForm(f'"{shown}" is a table there, or part of one, that cannot be replaced; name what is in it')
    return start, end


_SECTION = re.compile(r"\[(?P<name>.+)\]")
_OF_NO_SECTION = re.compile(r"\s*(?:[#;].*|[A-Za-z][\w.-]*\s*=(?:.*[^;{\\\s])?\s*)?", re.ASCII)
_OPTION = re.compile(r"(?P<name>[^=:\s][^=:]*?)\s*[=:][^\S\n]*(?P<value>\S.*?|)(?=\s+[;#]|\s*$)")


def _ini(text: str) -> Iterator[Place]:
    """Yield the options of an INI file as `section.option`, where Python's configparser reads it.

    Without sections, each line has to be a comment or `option = value`; other languages end their lines otherwise.
    """
    parser, has_sections = configparser.RawConfigParser(strict=False, allow_no_value=True), True
    try:
        parser.read_string(text)
    except configparser.MissingSectionHeaderError:
        has_sections = False
        for number, each in enumerate(text.splitlines(), start=1):
            if not _OF_NO_SECTION.fullmatch(each):
                raise NotOfThisForm(
                    f'this is neither "option = value" nor a comment: {each.strip()[:40]}', number
                ) from None
    except AttributeError:  # of Pythons before 3.13, at a line that continues an option without a value
        raise NotOfThisForm("this is not an INI file: a line continues an option that has no value") from None
    except configparser.ParsingError as error:
        number, each = error.errors[0]
        raise NotOfThisForm(f"this is not an INI file: {each} is neither a section nor an option", number) from None
    section, indent, at = "", 0, 0
    place: Place | None = None
    names: dict[str, str] = {}  # as they are written first; capitals do not matter to most readers
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        bare, begins = line.strip(), len(line) - len(line.lstrip())
        if place is not None and bare and bare[0] not in "#;" and begins > indent and has_sections:
            place = place._replace(end=at + len(line.rstrip()))  # the value continues
        elif bare and bare[0] not in "#;":
            if place is not None:
                yield place
            header, option = _SECTION.match(bare), _OPTION.match(line.rstrip("\r\n"), begins)
            section, indent, place = header["name"] if header else section, begins, None
            if option and not header:
                place = Place(_joined(section, option["name"]), at + option.start("value"), at + option.end("value"))
                first = names.setdefault(_joined(section, option["name"].lower()), place.name)
                if first != place.name:
                    yield place._replace(name=first)
        at += len(line)
    if place is not None:
        yield place


_ENV = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w.]*)[ \t]*=[ \t]*"""
    r"""(?P<value>'[^'\n]*'|"(?:\\.|[^"\\\n])*"|[^\s'"#]\S*(?:[ \t]+[^\s#]\S*)*|)"""
    r"""(?=[ \t]*(?:[ \t]\#[^\n]*)?\r?$)""",
    re.MULTILINE,
)


_ANOTHER_IN_LINE = re.compile(r"[^'\"].*;\s*(?:export\s+)?[A-Za-z_]\w*=")


def _env(text: str) -> Iterator[Place]:
    for match in _ENV.finditer(text):
        if not _ANOTHER_IN_LINE.match(match["value"]):
            yield Place(match["name"], *match.span("value"))


_HIDDEN = re.compile(r"""'(?:[^'\n]|'')*'|"(?:[^"\n]|"")*"|![^\n]*""")
_GROUP = re.compile(r"(?m)^[ \t]*[&$](?P<name>[a-z_]\w*)(?P<body>.*?)(?:/|[&$]end\b)", re.IGNORECASE | re.DOTALL)
_VARIABLE = re.compile(
    r"(?P<name>[a-z_]\w*(?:\s*\([^()]*\))?(?:\s*%\s*[a-z_]\w*(?:\s*\([^()]*\))?)*)\s*=\s*", re.IGNORECASE
)


def _namelist(text: str) -> Iterator[Place]:
    """Yield the variables of Fortran's namelists as `group.variable`, in small letters: Fortran ignores their case."""
    masked = _HIDDEN.sub(lambda found: (" " if found[0][0] == "!" else "x") * len(found[0]), text)
    groups = list(_GROUP.finditer(masked))
    if not groups:
        raise NotOfThisForm("there is no namelist: no line begins with & and a name, or none is closed by /")
    for group in groups:
        variables = list(_VARIABLE.finditer(masked, *group.span("body")))
        ends = [each.start() for each in variables[1:]] + [group.end("body")]
        before: list[str] = []
        for variable, end in zip(variables, ends, strict=True):
            name = re.sub(r"\s", "", f"{group['name']}.{variable['name']}").replace("%", ".").lower()
            start = variable.end()
            place = Place(name, start, start + len(masked[start:end].rstrip(" \t\r\n,")))
            yield place
            yield from (place._replace(name=other) for other in before if _has_a_part_of(name, other))
            before.append(name)


def _has_a_part_of(name: str, other: str) -> bool:
    """Return whether a variable of a namelist is, or may be, a part of another one that it is not, or has that."""
    if name == other:
        return False
    shorter, longer = sorted((name, other), key=len)
    if longer.startswith((f"{shorter}(", f"{shorter}.")):
        return True
    return ":" in name + other and name.partition("(")[0] == other.partition("(")[0]


def _python(text: str) -> Iterator[Place]:
    try:
        yield from (Place(each.name, each.start, each.end) for each in python_places(text))
    except SyntaxError as error:
        raise NotOfThisForm(f"this is not Python: {error.msg}", error.lineno or 0) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise NotOfThisForm(f"this is not Python that can be read: {error}") from None


_READERS: dict[Form, Callable[[str], Iterable[Place]]] = {
    "YAML": _yaml,
    "JSON": _json,
    "INI": _ini,
    "env": _env,
    "namelist": _namelist,
    "Python": _python,
}
