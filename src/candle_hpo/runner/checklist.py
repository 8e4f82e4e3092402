"""What a check has found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from candle_hpo.core.errors import CandleError, InputError, Problem
from candle_hpo.runner.listener import Say


class Checklist:
    """What is wrong, all of it, whichever step found it; what is right is shown as it is found."""

    def __init__(self, say: Say) -> None:
        self.problems: list[Problem | str] = []
        self.refusals: list[str] = []  # of the machine
        self.has_doubts = False
        self.say = say

    def right(self, text: str) -> None:
        """Show something that is right."""
        self.say(f"  ok    {text}")

    def note(self, text: str) -> None:
        """Report something that is perhaps not as it was meant."""
        self.has_doubts = True
        self.mention(text)

    def mention(self, text: str) -> None:
        """Show something that is good to know."""
        self.say(f"  note  {text}")

    @contextmanager
    def step(self) -> Iterator[None]:
        """Keep an error that ends the block; what comes behind it is looked at all the same."""
        try:
            yield
        except InputError as error:
            self.problems += error.problems
        except CandleError as error:
            self.refusals.append(str(error))
