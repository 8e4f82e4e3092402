"""Values of `&control`, read as bash reads the right side of an assignment.

Variables and commands are expanded, `~` too; quotes may be left out, even around blanks. What bash would
take for the end of the assignment (`;`, `|`, …) is an error rather than text or a command.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping

_TYPOGRAPHIC_QUOTES = ("\u201c", "\u201d", "\u201e", "\u2018", "\u2019", "\u201a")
_OPERATORS = ";&|<>()"
_ESCAPABLE_IN_QUOTES = '$`"\\'
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_BACKQUOTED = re.compile(r"`(?:\\.|[^`\\])*`", re.DOTALL)
_CLOSERS = {"(": ")", "{": "}"}


class ShellValueError(ValueError):
    """A value that bash would not read, or whose command failed."""


def run_bash(expansion: str) -> str:
    """Return what bash makes of an expansion such as `$(git rev-parse HEAD)` or `${USER:-nobody}`.

    It reads no BASH_ENV, whose output would be part of the value.
    Raises `ShellValueError` where bash is missing or the command fails.
    """
    # A failing command in an assignment gives the assignment its exit status; inside printf it is lost.
    script = f'value="{expansion}" || exit\nprintf %s "$value"'
    environment = {name: value for name, value in os.environ.items() if name not in ("BASH_ENV", "SHELLOPTS")}
    try:
        done = subprocess.run(
            ["bash", "-c", script], env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        raise ShellValueError(f"bash could not be started for {expansion}: {error}") from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        reason = f" ({said[-1]})" if said else ""
        raise ShellValueError(f"{expansion} ended with exit status {done.returncode}{reason}; try it in bash")
    return done.stdout.decode(errors="replace")


class ShellReader:
    """Reads values with one environment and one way to run bash."""

    def __init__(self, environment: Mapping[str, str] = os.environ, bash: Callable[[str], str] = run_bash) -> None:
        self._environment = environment
        self._bash = bash

    def read(self, text: str) -> str:
        """Return the value that `text`, the right side of `name = value`, stands for.

        Raises `ShellValueError`.
        """
        if text[:1] in _TYPOGRAPHIC_QUOTES:
            raise ShellValueError(f"{text[0]} is a typographic quote; write \" or '")
        parts: list[str] = []
        at = 0
        kept = 0  # how many parts trailing white space must not eat: those from quotes and expansions
        if text.startswith("~"):
            at = min((text.find(end) for end in "/ \t" if end in text), default=len(text))
            parts.append(os.path.expanduser(text[:at]))  # noqa: PTH111  # pathlib raises for an unknown user
        while at < len(text):
            character = text[at]
            if character == "#" and (at == 0 or text[at - 1] in " \t"):
                break
            if character in "'\"":
                value, at = self._single(text, at) if character == "'" else self._double(text, at)
                parts.append(value)
                kept = len(parts)
            elif character == "\\":
                parts.append(text[at + 1 : at + 2])
                kept = len(parts)
                at += 2
            elif character in "$`":
                value, at = self._expansion(text, at)
                parts.append(value)
                kept = len(parts)
            elif character in _OPERATORS:
                raise ShellValueError(f'"{character}" has a special meaning in bash; put the value in quotes')
            else:
                parts.append(character)
                at += 1
        return "".join(parts[:kept]) + "".join(parts[kept:]).rstrip()

    def _single(self, text: str, start: int) -> tuple[str, int]:
        end = text.find("'", start + 1)
        if end < 0:
            raise ShellValueError("the quote ' is not closed; add one at the end of the value")
        return text[start + 1 : end], end + 1

    def _double(self, text: str, start: int) -> tuple[str, int]:
        parts: list[str] = []
        at = start + 1
        while at < len(text):
            character = text[at]
            if character == '"':
                return "".join(parts), at + 1
            if character == "\\" and text[at + 1 : at + 2] in tuple(_ESCAPABLE_IN_QUOTES):
                parts.append(text[at + 1])
                at += 2
            elif character in "$`":
                value, at = self._expansion(text, at)
                parts.append(value)
            else:
                parts.append(character)
                at += 1
        raise ShellValueError('the quote " is not closed; add one at the end of the value')

    def _expansion(self, text: str, start: int) -> tuple[str, int]:
        """Return what the `$…` or backquoted command that begins at `start` stands for, and where it ends."""
        opener = text[start + 1 : start + 2]
        if text[start] == "`":
            quoted = _BACKQUOTED.match(text, start)
            if quoted is None:
                raise ShellValueError("the backquote ` is not closed; add one at the end of the command")
            return self._bash(quoted[0]), quoted.end()
        if opener in _CLOSERS:
            end = _end_of_brackets(text, start + 1)
            name = text[start + 2 : end - 1]
            if opener == "{" and _NAME.fullmatch(name):
                return self._variable(name), end
            return self._bash(text[start:end]), end
        variable = _NAME.match(text, start + 1)
        return (self._variable(variable[0]), variable.end()) if variable else ("$", start + 1)

    def _variable(self, name: str) -> str:
        try:
            return self._environment[name]
        except KeyError:
            raise ShellValueError(
                f"the environment variable {name} is not set; set it, or write '$' in single quotes"
            ) from None


def _end_of_brackets(text: str, start: int) -> int:
    """Return where the bracket that opens at `start` is closed, past quotes and brackets within."""
    opener = text[start]
    depth, at, quote = 0, start, ""
    while at < len(text):
        character = text[at]
        if character == "\\" and quote != "'":
            at += 1
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == opener:
            depth += 1
        elif character == _CLOSERS[opener]:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    raise ShellValueError(f'"${opener}" is not closed; add "{_CLOSERS[opener]}"')
