"""What waits to be started: trials that are attempted again, and before them or after, what a search proposes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from candle_hpo.core.attempts import Attempts
from candle_hpo.core.trial import Attempt, Configuration, Outcome, Report, Trial

_AGAIN = Outcome.interrupted("it is attempted again")


class Search(Protocol):
    """Proposes sets of hyperparameters and observes what came of them."""

    def propose(self, number: int, running: int) -> Configuration | None:
        """Return the configuration of this number to run while so many others do; None: there is none now.

        `number` is the least, from 1, that none has.
        """

    def observe(self, trial: Trial, seen: Report | Outcome) -> None:
        """Observe what a trial has measured on its way, or how it ended, perhaps in an earlier campaign.

        Of reports, these are the ones that a decision was made by; of a trial, those of its last attempt. One that was
        interrupted runs again, or may: what was known of it before is void.
        """


class Waiting:
    """The attempts that may start next; `is_known` returns whether a number is that of a trial which was started."""

    def __init__(self, search: Search, again: Attempts, is_known: Callable[[int], bool]) -> None:
        self._search, self._again, self._is_known = search, again, is_known
        self._next_number = 1
        self._proposed: list[Attempt] = []  # and not begun

    def attempts(self, running: int, look_ahead: int) -> Sequence[Attempt]:
        """Return what to choose from while so many run: a trial that is attempted again, or else new ones.

        Of new ones there are one and `look_ahead` more, as far as the search has them.
        """
        again = self._again.first()
        if again is not None:
            return (again,)
        while len(self._proposed) <= look_ahead:
            while self._is_known(self._next_number):  # a damaged record may lack some in between
                self._next_number += 1
            proposed = self._search.propose(self._next_number, running + len(self._proposed))
            if proposed is None:
                break
            self._proposed.append(Attempt(Trial(proposed)))
            self._next_number += 1
        return self._proposed

    def begin(self, chosen: Attempt) -> None:
        """Let one of them wait no more; the search hears that a trial which it may have seen fail runs again."""
        if chosen.number > 1:
            self._again.begin()
            self._search.observe(chosen.trial, _AGAIN)
        else:
            self._proposed.remove(chosen)
