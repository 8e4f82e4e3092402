"""Where an R or bash script sets its value, by its text: for good, or within a function or subshell of its own.

Reading a text is a guess. Both readers look at brackets and a few words, and pass over quoted text and comments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ValueSet:
    """A place that sets the value. `is_constant`: to a number or the like; `is_lost`: in a variable that goes away."""

    line: int
    is_constant: bool
    is_lost: bool


_R_SYNTAX = r"""
    (?P<skip> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` | \#[^\n]* )
  | (?P<function> \b function \b | \\ (?=\s*\() )
  | (?P<local> \b local \s* (?=\() )
  | (?P<value> (?<![\w.$@]) (?:{names}) (?![\w.]) (?:[$\[][^\n<=]*?)? \s* (?P<how> <<- | <- | =(?!=) ) )
  | (?P<right> (?P<arrow> ->> | -> ) \s* (?:{names}) \b )
  | (?P<open> [(\[{{] ) | (?P<close> [)\]}}] )
"""
_R_CONSTANT = re.compile(r"[ \t]*-?(?:\d[\w.+-]*|Inf|NaN|NULL|NA\w*|TRUE|FALSE)[ \t]*(?=$|[;#}\n])")


def values_set_in_r(text: str, names: Sequence[str]) -> list[ValueSet]:
    """Return where an R script sets a variable of these names: in a function or `local`, `<-` sets another one."""
    found: list[ValueSet] = []
    around: list[str] = []
    awaited, end = "", 0  # what the next bracket begins
    for token in re.finditer(_R_SYNTAX.format(names="|".join(names)), text, re.VERBOSE):
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
                is_constant = token["how"] is not None and _R_CONSTANT.match(text, end) is not None
                found.append(ValueSet(text.count("\n", 0, token.start()) + 1, is_constant, is_lost))
    return found


_BASH_SYNTAX = re.compile(
    r"""
    (?P<comment> (?<![^\s;|&(){}]) \#[^\n]* )
  | (?P<blank> [ \t]+ | \\\n )
  | (?P<definition> [\w.:-]+ \s* \(\s*\) )
  | (?P<open> \$\(\( | \(\( | [$<>=]?\( )
  | (?P<close> \)\) | \) )
  | (?P<end> \n | ;;?&? | && | \|\| )
  | (?P<pipe> \|&? | (?<![<>]) & (?![>&]) )
  | (?P<word> (?: "(?:\\.|[^"\\])*" | '[^']*' | `[^`]*` | \\. | [$<>=](?!\() | [^\s;|&()"'`\\$<>=] )+ | . )
""",
    re.VERBOSE | re.DOTALL,
)
_HERE_DOCUMENT = re.compile(r"(?<!<)<<-?\s*(['\"]?)(\w+)\1[^\n]*\n(?:.*\n)*?\s*\2[ \t]*(?=\n|$)")
_BASH_CONSTANT = re.compile(r"""(['"]?)(?:-?\d[\w.+-]*)?\1""")
_OPENING, _CLOSING = {"while", "until", "for", "if", "case", "select", "{"}, {"done", "fi", "esac", "}"}
_GOES_ON = {"do", "then", "else", "elif", "!", "time", "in"}
_SETS_VARIABLES = {"declare", "export", "for", "local", "mapfile", "printf", "read", "readarray", "readonly", "typeset"}


@dataclass
class _Frame:
    """Brackets or a compound command around: whether it runs in a subshell, and how much was found before it."""

    is_subshell: bool
    found_before: int
    is_bracket: bool


class _BashReader:
    """Reads the tokens of a bash script, with the compound commands around each."""

    def __init__(self, names: Sequence[str], last_pipe: bool) -> None:
        self.found: list[ValueSet] = []
        self._names, self._last_pipe = names, last_pipe
        self._around: list[_Frame] = []
        self._begins = True  # a command, with the next word
        self._command = ""
        self._behind_pipe = False
        self._closed: int | None = None  # how much was found before the compound command that has just ended

    def take(self, kind: str, text: str, line: int, is_followed_by_bracket: bool) -> None:
        """Take in one token."""
        closed, self._closed = self._closed, None
        match kind:
            case "comment" | "blank":
                self._closed = closed
            case "open":
                is_arithmetic = text.endswith("((") or text == "=("
                self._push(not is_arithmetic, is_bracket=True)
                self._begins = not is_arithmetic
            case "close":
                self._pop(is_bracket=True)
            case "end" | "definition":
                self._behind_pipe = self._behind_pipe and self._begins and text == "\n"
                self._begins = True
            case "pipe":
                if closed is not None:  # what is before a pipe, or in the background, runs in a subshell too
                    self.found[closed:] = [ValueSet(one.line, one.is_constant, True) for one in self.found[closed:]]
                self._begins, self._behind_pipe = True, text != "&" and not self._last_pipe
            case _:
                self._take_word(text, line, is_followed_by_bracket)

    def _take_word(self, word: str, line: int, is_followed_by_bracket: bool) -> None:
        name, equals, value = word.partition("=")
        if name.removesuffix("+") in self._names and (equals if self._begins else self._command in _SETS_VARIABLES):
            is_constant = bool(equals) and not is_followed_by_bracket and _BASH_CONSTANT.fullmatch(value) is not None
            is_lost = self._behind_pipe or any(frame.is_subshell for frame in self._around)
            self.found.append(ValueSet(line, is_constant and not name.endswith("+"), is_lost))
            return
        if self._begins and word in _CLOSING:
            self._pop(is_bracket=False)
        elif self._begins and word in _OPENING:
            self._push(self._behind_pipe, is_bracket=False)
            self._behind_pipe = False
            self._begins = word not in ("for", "case", "select")
            self._command = word
        elif self._begins:
            self._begins = word in _GOES_ON
            self._command = word

    def _push(self, is_subshell: bool, *, is_bracket: bool) -> None:
        self._around.append(_Frame(is_subshell, len(self.found), is_bracket))

    def _pop(self, *, is_bracket: bool) -> None:
        if self._around and self._around[-1].is_bracket == is_bracket:  # a pattern of `case` has a bracket of its own
            self._closed = self._around.pop().found_before
        self._begins = is_bracket and self._closed is None


def values_set_in_bash(text: str, names: Sequence[str]) -> list[ValueSet]:
    """Return where a bash script sets a variable of these names: lost is one in a subshell, such as behind a pipe."""
    reader = _BashReader(names, "lastpipe" in text)
    text = _HERE_DOCUMENT.sub(_blank_lines, text)
    line = 1
    for token in _BASH_SYNTAX.finditer(text):
        is_followed_by_bracket = text.startswith(("$(", "("), token.end())
        reader.take(token.lastgroup or "word", token[0], line, is_followed_by_bracket)
        line += token[0].count("\n")
    return reader.found


def _blank_lines(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")
