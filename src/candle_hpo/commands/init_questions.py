"""What `candle init` asks in a terminal; where there is none, the answers are those that it proposes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.text import Text

from candle_hpo.core.objective import Direction

T = TypeVar("T")


class Questions:
    """Asks on a console, until an answer is one. Raises `KeyboardInterrupt` where the input ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.can_ask = console.is_terminal and sys.stdin is not None and sys.stdin.isatty()

    def yes(self, question: str) -> bool:
        """Return whether the answer is yes; no where nobody can be asked."""
        words = {"": True, "y": True, "yes": True, "n": False, "no": False}
        return self.can_ask and self._ask(f"{question} [yes]", lambda text: words[text.lower()], "yes or no")

    def text(self, question: str) -> str:
        """Return what the user writes, which is something."""
        return self._ask(question, _something, "a value")

    def one(self, question: str, usual: int, most: int) -> int:
        """Return one of the numbers from 1 to `most`."""
        return self.several(question, [usual], most, exactly_one=True)[0]

    def several(self, question: str, usual: Sequence[int], most: int, *, exactly_one: bool = False) -> list[int]:
        """Return some of the numbers from 1 to `most`, at least one."""
        if not self.can_ask or most == 1:
            return list(usual)

        def read(text: str) -> list[int]:
            numbers = [int(word) for word in re.split(r"[\s,]+", text.strip(" ,"))] if text else list(usual)
            if not all(1 <= each <= most for each in numbers) or (exactly_one and len(numbers) != 1):
                raise ValueError
            return list(dict.fromkeys(numbers))

        shown = " ".join(map(str, usual))
        wanted = f"a number from 1 to {most}" if exactly_one else f"numbers from 1 to {most}, such as {shown}"
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
            except (KeyError, IndexError, ValueError):
                self._console.print(Text(f"  please answer with {wanted}, or leave with Ctrl-C"))


def _something(text: str) -> str:
    if not text:
        raise ValueError
    return text
