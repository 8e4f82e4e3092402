"""What `candle init` asks in a terminal; where there is none, the answers are those that it proposes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from candle_hpo.commands.screen import show
from candle_hpo.core.objective import Direction
from candle_hpo.core.spelling import misspelling_of

T = TypeVar("T")


class NotAnAnswer(ValueError):
    """What was answered is none of what was asked for; its text says why."""


class Questions:
    """Asks on a console, until an answer is one. Raises `KeyboardInterrupt` where the input ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.can_ask = console.is_terminal and sys.stdin is not None and sys.stdin.isatty()

    def yes(self, question: str) -> bool:
        """Return whether the answer is yes; no where nobody can be asked."""
        words = {"": True, "y": True, "yes": True, "n": False, "no": False}
        return self.can_ask and self._ask(f"{question} [yes]", lambda text: words[text.lower()], "yes or no")

    def text(self, question: str, wrong_with: Callable[[str], str]) -> str:
        """Return what the user writes, which is something, and with which nothing is wrong."""

        def read(text: str) -> str:
            if not text:
                raise ValueError
            if problem := wrong_with(text):
                raise NotAnAnswer(problem)
            return text

        return self._ask(question, read, "a value")

    def one(self, question: str, names: Sequence[str]) -> int:
        """Return the number of one of the names, counted from 1; either may be written, and the first is usual."""
        return self.several(question, [1], names, exactly_one=True)[0]

    def several(
        self, question: str, usual: Sequence[int], names: Sequence[str], *, exactly_one: bool = False
    ) -> list[int]:
        """Return the numbers of some of the names, counted from 1, at least one."""
        most = len(names)
        if not self.can_ask or most == 1:
            return list(usual)

        def read(text: str) -> list[int]:
            numbers = numbers_of(text, names) if text else list(usual)
            if beyond := [each for each in numbers if not 1 <= each <= most]:
                raise NotAnAnswer(f'"{beyond[0]}" is none of these numbers')
            if not numbers or (exactly_one and len(numbers) != 1):
                raise ValueError
            return numbers

        shown = " ".join(map(str, usual))
        wanted = f"a number from 1 to {most}, or a name" if exactly_one else f"numbers from 1 to {most}, or names"
        return self._ask(f"{question} [{shown}]", read, wanted)

    def direction(self, name: str) -> Direction | None:
        """Return which end of an objective is the better one; None where nobody can be asked."""
        if not self.can_ask:
            return None
        words = {"": Direction.MINIMIZE, "minimize": Direction.MINIMIZE, "maximize": Direction.MAXIMIZE}
        question = f"Should {name} be minimized or maximized? [minimize]"
        return self._ask(question, lambda text: words[text.lower()], "minimize or maximize")

    def _ask(self, question: str, read: Callable[[str], T], wanted: str) -> T:
        while True:
            self._console.print(Text(f"{question} "), end="")
            try:
                answer = sys.stdin.readline()
            except UnicodeDecodeError:
                answer = "?\n"
            if not answer:
                self._console.print()
                raise KeyboardInterrupt
            try:
                return read(answer.strip())
            except NotAnAnswer as error:
                show(self._console, f"  {error}; please answer with {wanted}, or leave with Ctrl-C")
            except (KeyError, IndexError, ValueError):
                show(self._console, f"  please answer with {wanted}, or leave with Ctrl-C")


def numbers_of(text: str, names: Sequence[str]) -> list[int]:
    """Return the numbers in an answer, in which names from a list may stand for theirs; `all` is each of them.

    The beginning of a name is enough where no other begins so. Raises `NotAnAnswer` for what is neither.
    """
    if text.lower() == "all" and "all" not in names:
        return list(range(1, len(names) + 1))
    if any(text.lower() == name.lower() for name in names):  # names may have blanks
        return [_number_of(text, names)]
    words = [word for piece in text.split(",") for word in _words(piece.strip(), names)]
    return list(dict.fromkeys(_number_of(word, names) for word in words))


def _words(piece: str, names: Sequence[str]) -> list[str]:
    return [piece] if any(piece.lower() == name.lower() for name in names) else piece.split()


def _number_of(word: str, names: Sequence[str]) -> int:
    if word.isdecimal():
        return int(word)
    same = [at for at, name in enumerate(names, start=1) if name.lower() == word.lower()]
    alike = same[:1] or [at for at, name in enumerate(names, start=1) if name.lower().startswith(word.lower())]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise NotAnAnswer(f'"{word}" begins {" and ".join(names[at - 1] for at in alike)}')
    near = misspelling_of(word, names)
    raise NotAnAnswer(f'"{word}" is none of these' + (f'; did you mean "{near}"?' if near else ""))
