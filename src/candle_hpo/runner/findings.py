"""What `candle check` finds, whichever step finds it."""

from __future__ import annotations

from rich.console import Console

from candle_hpo.commands.screen import show
from candle_hpo.core.errors import CandleError, InputError, Problem


class Findings:
    """What is wrong, all of it, whichever step found it; what is right is shown as it is found."""

    def __init__(self, console: Console) -> None:
        self.problems: list[Problem | str] = []
        self.refusals: list[str] = []  # of the machine
        self.has_doubts = False
        self._console = console

    def right(self, text: str) -> None:
        """Show something that is right."""
        show(self._console, f"  ok    {text}")

    def note(self, text: str) -> None:
        """Tell something that is perhaps not as it was meant."""
        self.has_doubts = True
        self.tell(text)

    def tell(self, text: str) -> None:
        """Show something that is good to know."""
        show(self._console, f"  note  {text}")

    def take(self, error: CandleError) -> None:
        """Keep an error that ended a step."""
        if isinstance(error, InputError):
            self.problems += error.problems
        else:
            self.refusals.append(str(error))
