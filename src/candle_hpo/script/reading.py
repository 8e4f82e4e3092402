"""What a model script asks for, as far as its text shows: hyperparameters, modules, and whether it leaves a value.

Reading a text is a guess: what a script does not say plainly is not reported.
"""

from __future__ import annotations

import io
import re
import tokenize
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from candle_hpo.core.experiment import Language
from candle_hpo.script.python_script import read_python
from candle_hpo.script.words import HYPERPARAMETER_NAMES, VALUE_NAMES, Mention, ScriptReading, ValueSet, value_left

_NAMES, _VALUES = "|".join(HYPERPARAMETER_NAMES), "|".join(VALUE_NAMES)
_IN_R = re.compile(rf"\b(?:{_NAMES})\s*(?:\$\s*([\w.]+|`[^`]+`)|\[\[\s*([\"'])(.*?)\2\s*\]\])")
_WHOLE_IN_R = re.compile(rf"\b(?:{_NAMES})\b(?!\s*(?:\$|\[\[\s*[\"']))")
_FILLED_IN_R = re.compile(rf"(?:^|[;{{])\s*(?:{_NAMES})\b[^=<(,]*(?:<<?-|=(?!=))")
_LIBRARY_IN_R = re.compile(
    r"\b(library|require|requireNamespace|loadNamespace)\s*\(\s*[\"']?([A-Za-z][\w.]*)[\"']?\s*[,)]"
)
_SYNTAX_OF_R = rf"""
    (?P<skip> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` | \#[^\n]* )
  | (?P<function> \b function \b | \\ (?=\s*\() )
  | (?P<local> \b local \s* (?=\() )
  | (?P<value> (?<![\w.$@]) (?:{_VALUES}) (?![\w.]) (?:[$\[][^\n<=]*?)? \s* (?P<how> <<- | <- | =(?!=) ) )
  | (?P<right> (?P<arrow> ->> | -> ) \s* (?:{_VALUES}) \b )
  | (?P<open> [(\[{{] ) | (?P<close> [)\]}}] )
"""
_CONSTANT_OF_R = re.compile(r"[ \t]*-?(?:\d[\w.+-]*|Inf|NaN|NULL|NA\w*|TRUE|FALSE)[ \t]*(?=$|[;#}\n])")
_IN_BASH = re.compile(r"\bcandle_get_param\s+([\"']?)([A-Za-z_][\w.-]*)\1(?=[\s)`;|&]|$)")
_WHOLE_IN_BASH = re.compile(r"\bcandle_get_param\s+[\"']?\$")


NOTEBOOK = ".ipynb"


class ScriptFile(NamedTuple):
    """A model script that was read once: where it lies, its language, and its text, "" for that of a program."""

    path: Path
    language: Language
    text: str

    @classmethod
    def at(cls, path: Path) -> ScriptFile:
        """Return the script at a path, or a notebook. Raises `OSError`."""
        language = Language.of(path.name)
        has_text = language is not Language.PROGRAM or path.suffix == NOTEBOOK
        return cls(path.absolute(), language, script_text(path) if has_text else "")

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.path.name


def script_text(path: Path) -> str:
    """Return the text of a script, in the encoding that it names; what is not of that is replaced. Raises `OSError`."""
    content = path.read_bytes()
    encoding = "utf-8-sig"
    with suppress(SyntaxError):  # of an encoding that there is not
        encoding = tokenize.detect_encoding(io.BytesIO(content).readline)[0]
    text = content.decode(encoding, errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_script(text: str, language: Language, file: str = "") -> ScriptReading:
    """Return what the text of a script in this language says, at this path; for any other program, that is nothing."""
    match language:
        case Language.PYTHON:
            return _of_python(text, file)
        case Language.R:
            return _of_r(text)
        case Language.BASH:
            return _of_bash(text)
        case Language.PROGRAM:
            return ScriptReading()


def _of_python(text: str, file: str) -> ScriptReading:
    try:
        return read_python(text, file)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ScriptReading()  # the user's own Python, which may be newer than ours, judges that


def _of_r(text: str) -> ScriptReading:
    reads: dict[str, Mention] = {}
    modules: dict[str, Mention] = {}
    hands_on = fills_in = False
    for number, line in _without_comments(text):
        for match in _IN_R.finditer(line):
            name = (match[1] or match[3]).strip("`")
            asks = re.search(rf"[\"']{re.escape(name)}[\"']\s*%in%", text) is not None
            reads.setdefault(name, Mention(name, number, asks))
        for match in _LIBRARY_IN_R.finditer(line):
            modules.setdefault(match[2], Mention(match[2], number, match[1] != "library"))
        hands_on = hands_on or _WHOLE_IN_R.search(line) is not None
        fills_in = fills_in or _FILLED_IN_R.search(line) is not None
    is_hidden = any(f"{quote}{name}{quote}" in text for name in (*VALUE_NAMES, "CANDLE_RESULT_FILE") for quote in "\"'")
    value = value_left(_values_set_in_r(text), is_hidden=is_hidden or "source(" in text)
    return ScriptReading(tuple(reads.values()), hands_on, fills_in, tuple(modules.values()), (), *value)


def _values_set_in_r(text: str) -> list[ValueSet]:
    """Return where an R script sets its value: in a function or `local`, `<-` sets another one.

    Brackets and a few words are looked at; quoted text and comments are passed over.
    """
    found: list[ValueSet] = []
    around: list[str] = []
    awaited, end = "", 0  # what the next bracket begins
    for token in re.finditer(_SYNTAX_OF_R, text, re.VERBOSE):
        if text[end : token.start()].strip():
            awaited = ""
        end = token.end()
        match token.lastgroup:
            case "function" | "local":
                awaited = token.lastgroup
            case "open":
                is_list = awaited == "function" and token[0] == "("
                around.append("parameters" if is_list else awaited or token[0])
                awaited = ""
            case "close":
                awaited = "function" if around and around.pop() == "parameters" else ""
            case "value" | "right":
                how = token["how"] or token["arrow"]
                if how == "=" and around and around[-1] in ("(", "[", "parameters"):
                    continue  # the name of an argument
                is_lost = not how.startswith(("<<", "->>")) and bool({awaited, *around} & {"function", "local"})
                is_constant = token["how"] is not None and _CONSTANT_OF_R.match(text, end) is not None
                found.append(ValueSet(text.count("\n", 0, token.start()) + 1, is_constant, is_lost))
    return found


def _of_bash(text: str) -> ScriptReading:
    reads: dict[str, Mention] = {}
    hands_on = starts_others = False
    for number, line in _without_comments(text):
        for match in _IN_BASH.finditer(line):
            reads.setdefault(match[2], Mention(match[2], number, "||" in line[match.end() :]))
        hands_on = hands_on or _WHOLE_IN_BASH.search(line) is not None or "CANDLE_PARAMS_FILE" in line
        starts_others = starts_others or re.search(r"(?:^|\s)(?:source|\.|eval|exec)\s+\S", line) is not None
        # A script that it starts may ask for others.
        hands_on = hands_on or re.search(r"(?:^|\s)(?:source|\.|bash|sh|python3?|Rscript)\s+\S", line) is not None
    may_leave_value = starts_others or any(name in text for name in (*VALUE_NAMES, "CANDLE_RESULT_FILE"))
    return ScriptReading(tuple(reads.values()), hands_on, leaves_value=None if may_leave_value else False)


def _without_comments(text: str) -> list[tuple[int, str]]:
    lines = enumerate(text.splitlines(), start=1)
    return [(number, re.sub(r"(^|\s)#.*", "", line)) for number, line in lines]
