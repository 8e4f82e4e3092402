"""R expressions, as text -> a tree of calls. Nothing is evaluated here; what the calls mean is for others to say."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from candle_hpo.inputfile.parameter_drafts import ParameterError
from candle_hpo.inputfile.sections import Line

if TYPE_CHECKING:
    from lark import Lark, Token
    from lark.exceptions import UnexpectedToken

MOST_CHARACTERS = 300_000  # of a description of parameters; more is a slip of the hand
DEEPEST = 60  # brackets, operators and functions within each other

_OPENERS = {"LPAR": ")", "LBRACE": "}", "LSQB": "]"}
_CLOSERS = ("RPAR", "RBRACE", "RSQB")
_UNFINISHED = ("PLUS", "MINUS", "TIMES", "DIVIDED", "POWER", "COLON", "SPECIAL", "COMPARISON", "AND", "OR", "NOT")
_QUOTES = ("\u201c", "\u201d", "\u201e", "\u2018", "\u2019", "\u201a")


@dataclass(frozen=True)
class Node:
    """One piece of an expression.

    `value` is the number, the text, the name, the function's or operator's name of a call (an unary minus is
    called "negative"), or the name of a function's argument, whose body is then the one argument of the node.
    """

    kind: Literal["number", "text", "name", "call", "function"]
    line: int
    value: str | float
    arguments: tuple[NamedNode, ...] = ()
    depth: int = 1

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The arguments without their names."""
        return tuple(argument.node for argument in self.arguments)

    def is_call(self, *names: str) -> bool:
        """Return whether this is a call of one of these functions or operators."""
        return self.kind == "call" and self.value in names

    def error(self, text: str) -> ParameterError:
        """Return an error that says what is wrong with this piece."""
        return ParameterError(self.line, text)


class NamedNode(NamedTuple):
    """An argument of a call, with its name where it has one."""

    name: str | None
    node: Node


def read_tokens(lines: Sequence[Line]) -> list[Token]:
    """Return the words and signs of these lines, with a newline after each, without comments.

    Raises `ParameterError` for far too long a text.
    """
    text = "".join(f"{line.text}\n" for line in lines)
    if len(text) > MOST_CHARACTERS:
        what = f"these are more than {MOST_CHARACTERS:,} characters; parameters are described in a few lines"
        raise ParameterError(lines[0].number, what)
    tokens = list(_parser().lex(text))
    for token in tokens:
        token.line = lines[line_of(token) - 1].number
    return tokens


def parse(tokens: Sequence[Token]) -> Node:
    """Return the tree of one expression; raise `ParameterError` where it is none that is understood."""
    from lark.exceptions import UnexpectedToken

    parser = _parser().parse_interactive("", start="expression")
    last = tokens[-1]
    try:
        for token in _without_newlines(tokens):
            parser.feed_token(token)
        node: Node = parser.feed_eof(last)  # type: ignore[no-untyped-call]
    except UnexpectedToken as error:
        raise ParameterError(line_of(error.token), _explained(error, last)) from None
    return node


def name_of(token: Token) -> str:
    """Return a name as it is meant: without backquotes, and without the package that it is from."""
    return str(token.value).strip("`").rpartition(":")[2]


def line_of(token: Token) -> int:
    """Return the line of the file that a word or sign stands in."""
    return token.line or 1


def _without_newlines(tokens: Iterable[Token]) -> Iterator[Token]:
    """Drop the newlines that mean nothing in R: all but those directly within braces, after a complete expression."""
    brackets: list[str] = []
    before = ""
    for token in tokens:
        if token.type in _OPENERS:
            brackets.append(token.type)
        elif token.type in _CLOSERS and brackets:
            brackets.pop()
        if token.type == "NEWLINE":
            if brackets[-1:] == ["LBRACE"] and before not in (*_UNFINISHED, "LBRACE"):
                yield token.update("_END")
            continue
        before = token.type
        yield token


def _explained(error: UnexpectedToken, last: Token) -> str:
    """Return what is wrong at a sign that cannot stand where it does."""
    token = error.token
    if token.type == "$END":
        return f'it ends too early, after "{last.value[:30]}"; is a bracket not closed?'
    shown = token.value[:30]
    if token.value[:1] in _QUOTES:
        return f"{token.value[:1]} is a typographic quote; write \" or '"
    if token.value in ("'", '"', "`"):
        return f"the quote {token.value} is not closed in its line; add one at the end of the text"
    if token.type == "_END" or set(error.expected) <= {"RBRACE", "_END"}:
        return "a function is one expression here, in one piece; put brackets around what continues on the next line"
    if token.type in ("NUMBER", "TEXT", "NAME") and "COMMA" in error.expected:
        return f'"{shown}" comes without a comma or an operator before it; add it'
    if token.type in _CLOSERS:
        return f'"{shown}" comes too early; something is missing before it'
    return f'"{shown}" cannot stand here; the manual page on the parameter space has what can'


@functools.cache
def _parser() -> Lark:
    from lark import Lark

    grammar = (Path(__file__).parent / "expression.lark").read_text(encoding="utf-8")
    return Lark(grammar, start=["expression", "other"], parser="lalr", lexer="basic", transformer=_builder())


def _builder() -> object:
    from lark import Transformer, v_args

    @v_args(inline=True)
    class Builder(Transformer):  # type: ignore[type-arg]
        """The actions of the grammar's rules, called while it parses, innermost first."""

        def number(self, token: Token) -> Node:
            text = token.value.removesuffix("L")
            value = float(int(text, 16)) if text[:2].lower() == "0x" else float(text)
            return Node("number", line_of(token), value)

        def text(self, token: Token) -> Node:
            return Node("text", line_of(token), unescaped(token.value[1:-1], line_of(token)))

        def name(self, token: Token) -> Node:
            return Node("name", line_of(token), name_of(token))

        def plain_argument(self, node: Node) -> NamedNode:
            return NamedNode(None, node)

        def named_argument(self, token: Token, node: Node) -> NamedNode:
            text = token.value[1:-1] if token.type == "TEXT" else name_of(token)
            return NamedNode(text, node)

        def call(self, token: Token, *arguments: NamedNode | None) -> Node:
            return _made("call", line_of(token), name_of(token), *(each for each in arguments if each is not None))

        def parameter(self, token: Token, default: Node | None = None) -> Node:
            if default is not None:
                raise ParameterError(line_of(token), "a function has one argument here, without a default value")
            return Node("name", line_of(token), name_of(token))

        def function(self, *parts: Node) -> Node:
            *parameters, body = parts
            if len(parameters) != 1:
                raise body.error("a function has one argument here, such as function(x) 2^x")
            return _made("function", body.line, parameters[0].value, NamedNode(None, body))

        def binary(self, left: Node, operator: Token, right: Node) -> Node:
            name = {"**": "^", "&&": "&", "||": "|"}.get(operator.value, operator.value)
            return _made("call", line_of(operator), name, NamedNode(None, left), NamedNode(None, right))

        def prefix(self, operator: Token, node: Node) -> Node:
            if operator.value == "+":
                return node
            name = "negative" if operator.value == "-" else operator.value
            return _made("call", line_of(operator), name, NamedNode(None, node))

    return Builder()


def _made(kind: Literal["call", "function"], line: int, value: str | float, *arguments: NamedNode) -> Node:
    depth = 1 + max((argument.node.depth for argument in arguments), default=0)
    if depth > DEEPEST:
        raise ParameterError(line, f"this is nested more than {DEEPEST} deep; say it more simply")
    return Node(kind, line, value, arguments, depth)


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


def unescaped(text: str, line: int) -> str:
    r"""Return the text that stands between R's quotes: `\n`, `\"`, `\x41`, `\u00e9` and their like replaced."""

    def replace(match: re.Match[str]) -> str:
        octal, code, sign = match.groups()
        if octal or code:
            number = int(octal, 8) if octal else int(code.strip("{}"), 16)
            if 0 < number < 0x110000 and not 0xD800 <= number < 0xE000:
                return chr(number)
        elif sign in "\\\"'`" or sign in _ESCAPES:
            return _ESCAPES.get(sign, sign)
        raise ParameterError(line, f"{match[0]} is not a valid escape in R; a backslash itself is written twice")

    pattern = r"\\(?:([0-7]{1,3})|(?:x|u|U)([0-9a-fA-F]{1,8}|\{[0-9a-fA-F]{1,8}\})|(.))"
    return re.sub(pattern, replace, text)
