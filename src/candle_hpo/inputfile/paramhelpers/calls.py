"""A text of ParamHelpers -> its calls of make…Param, one by one, past everything that may stand around them.

What cannot be read of one parameter does not keep the next ones from being read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from candle_hpo.inputfile.parameter_drafts import ParameterError
from candle_hpo.inputfile.paramhelpers.syntax import Node, line_of, name_of, parse, read_tokens
from candle_hpo.inputfile.sections import Findings, Line

if TYPE_CHECKING:
    from lark import Token

_MAKER = re.compile(r"make\w*", re.IGNORECASE)
_LOADERS = ("library", "require", "suppressPackageStartupMessages", "suppressMessages")
_SET = "makeparamset"


def read_calls(lines: Sequence[Line], findings: Findings) -> list[Node]:
    """Return the calls of make…Param in a text; what else stands there, and is not understood, goes to `findings`."""
    try:
        tokens = read_tokens(lines)
    except ParameterError as error:
        findings.wrong(error.line, str(error))
        return []
    return _Reader(tokens, {line.number: line.text for line in lines}, findings).calls()


class _Reader:
    """Goes through the tokens from parameter to parameter; `_open` are the brackets around them."""

    def __init__(self, tokens: Sequence[Token], texts: dict[int, str], findings: Findings) -> None:
        self._tokens = tokens
        self._texts = texts
        self._findings = findings
        self._at = 0
        self._open: list[Token] = []
        self._sets = 0
        self._reported = 0  # the last line of which something was said

    def calls(self) -> list[Node]:
        found: list[Node] = []
        while self._at < len(self._tokens):
            if self._is_parameter(self._at):
                node = self._parameter()
                if node is not None:
                    found.append(node)
            else:
                self._between()
        for token in self._open:
            self._report(token, f'{token.value}( is not closed; add ")" at the end')
        return found

    def _parameter(self) -> Node | None:
        """Read the parameter that begins here, and go behind it."""
        start = self._at
        end = self._end_of_brackets(start + 1)
        name = self._tokens[start]
        if end is None:
            self._at = self._find(start + 1, lambda *_: False)
            self._report(name, f'{name.value}( is not closed; add ")" at its end')
            return None
        self._at = end
        try:
            return parse(self._tokens[start:end])
        except ParameterError as error:
            self._findings.wrong(error.line, str(error))
            return None

    def _between(self) -> None:
        """Go past one thing that may stand around parameters; report anything else."""
        token = self._tokens[self._at]
        if token.type in ("NEWLINE", "COMMA", "_END"):
            self._at += 1
        elif token.type == "RPAR" and self._open:
            self._open.pop()
            self._at += 1
        elif self._is_call(self._at, _SET):
            self._begin_set(token)
        elif (
            token.type == "NAME"
            and self._is_call(self._at + 2, _SET)
            and self._type(self._at + 1) in ("ASSIGN", "EQUAL")
        ):
            self._at += 2
        elif self._open and self._is_call(self._at, "list", "c"):
            self._open.append(token)
            self._at += 2
        elif self._open and token.type == "NAME" and name_of(token) == "params" and self._type(self._at + 1) == "EQUAL":
            self._at += 2
        elif self._is_call(self._at, *map(str.lower, _LOADERS)) and (end := self._end_of_brackets(self._at + 1)):
            self._at = end
        else:
            self._stray(token)

    def _begin_set(self, token: Token) -> None:
        self._sets += 1
        if self._sets == 2:
            self._report(token, "there is a second makeParamSet(; write all parameters in one")
        self._open.append(token)
        self._at += 2

    def _stray(self, token: Token) -> None:
        """Report what cannot stand here, once a line, and go to the next thing that can."""
        shown = self._texts[line_of(token)][:40]
        name = name_of(token) if token.type == "NAME" else ""
        if self._open and name in ("forbidden", "keys") and self._type(self._at + 1) == "EQUAL":
            self._report(token, f"{name} is not understood; say with requires in a parameter when it is active")
            self._at = self._end_of_argument(self._at)
            return
        if token.type == "RPAR":
            self._report(token, 'this ")" closes nothing; remove it')
        elif line_of(token) != self._reported and self._sets_follow():
            self._report(token, f'"{shown}": a set of parameters begins with param.set <- makeParamSet(')
        elif line_of(token) != self._reported:
            self._report(
                token, f'"{shown}" is not understood here; parameters are make…Param(…), perhaps in makeParamSet(…)'
            )
        self._at = self._end_of_stray(self._at + 1)

    def _end_of_stray(self, at: int) -> int:
        """Return where something may stand again: at a parameter, a bracket that closes, or the next line."""

        def is_end(at: int, depth: int) -> bool:
            kind = self._type(at)
            return self._is_call(at, _SET) or kind == "NEWLINE" or (kind == "RPAR" and depth == 0)

        return self._find(at, is_end)

    def _sets_follow(self) -> bool:
        """Return whether a makeParamSet( follows in this line."""
        end = self._find(self._at, lambda at, _: self._type(at) == "NEWLINE" or self._is_call(at, _SET))
        return self._is_call(end, _SET)

    def _end_of_argument(self, at: int) -> int:
        """Return where the argument that begins here ends: at a comma or a bracket of the call around it."""
        return self._find(at, lambda at, depth: depth == 0 and self._type(at) in ("COMMA", "RPAR"))

    def _end_of_brackets(self, at: int) -> int | None:
        """Return the place behind the bracket that closes the one here; None where a parameter begins before."""
        end = self._find(at + 1, lambda at, depth: depth == 0 and self._type(at) == "RPAR")
        return end + 1 if self._type(end) == "RPAR" else None

    def _find(self, at: int, is_end: Callable[[int, int], bool]) -> int:
        """Return the next place where a parameter begins, or that `is_end`, by its depth in brackets."""
        depth = 0
        while at < len(self._tokens) and not (self._is_parameter(at) or is_end(at, depth)):
            depth += {"LPAR": 1, "RPAR": -1}.get(self._type(at), 0)
            at += 1
        return at

    def _is_parameter(self, at: int) -> bool:
        if self._type(at) != "NAME" or self._type(at + 1) != "LPAR":
            return False
        name = name_of(self._tokens[at])
        return _MAKER.fullmatch(name) is not None and name.lower() != _SET

    def _is_call(self, at: int, *names: str) -> bool:
        """Return whether a call of one of these functions, in small letters, begins here."""
        is_call = self._type(at) == "NAME" and self._type(at + 1) == "LPAR"
        return is_call and name_of(self._tokens[at]).lower() in names

    def _type(self, at: int) -> str:
        return self._tokens[at].type if at < len(self._tokens) else ""

    def _report(self, token: Token, text: str) -> None:
        self._reported = line_of(token)
        self._findings.wrong(self._reported, text)
