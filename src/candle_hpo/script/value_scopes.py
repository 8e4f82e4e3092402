"""Where an R script sets its value, by its text: for good, or in a function, whose variables are its own.

Reading a text is a guess: brackets and a few words are looked at, quoted text and comments are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from candle_hpo.script.words import ValueSet

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
