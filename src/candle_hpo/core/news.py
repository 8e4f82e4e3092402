"""What an engine is asked to do, and the news that it brings: the one way on which a campaign hears of anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from candle_hpo.core.stopping import Stop, StopHow
from candle_hpo.core.trial import Attempt, Outcome, Report


class Ended(NamedTuple):
    """An attempt ended."""

    attempt: Attempt
    outcome: Outcome


class Reported(NamedTuple):
    """An attempt has measured something on its way. News of it may be lost, and nothing depends on all of it."""

    attempt: Attempt
    report: Report


class Broke(NamedTuple):
    """An attempt ended with an error that is not the model's and not the machine's."""

    attempt: Attempt
    error: BaseException


class PlacesChanged(NamedTuple):
    """Workers came or went: from now on, so many attempts can run at a time.

    `lacking` is why there are no more, as far as that is known: a line for each reason, which names its nodes.
    """

    places: int
    lacking: tuple[str, ...] = ()


class StopAsked(NamedTuple):
    """Somebody asks the campaign to stop, or the engine itself: it will never have a place again."""

    stop: Stop


News = Ended | Reported | Broke | PlacesChanged | StopAsked


class Engine(Protocol):
    """Where attempts run. How many places there are is its first news."""

    @property
    def job(self) -> str:
        """The number of the batch system's job; empty outside of one."""

    @property
    def deadline(self) -> float | None:
        """When all places go (by `time.monotonic`); None where that is not known."""

    def renew_deadline(self) -> bool:
        """Find out again when all places go; return whether that is later than was known."""

    @property
    def nodes(self) -> int:
        """How many nodes there are, or will be."""

    @property
    def gpus(self) -> tuple[str, ...]:
        """The GPUs of the machine that runs the campaign, for the record."""

    def start(self, attempt: Attempt) -> None:
        """Start an attempt on a free place. Raises `MachineError` where there will never be one."""

    def stop(self, attempt: Attempt | None, how: StopHow) -> None:
        """End an attempt, or all of them (None), soon; all at once when called again for all.

        Their ends are news, and so are not waited for. Of one attempt, the first call counts; one that has ended, or
        runs where it cannot be reached, is left alone.
        """

    def ask_to_stop(self, stop: Stop) -> None:
        """Let this reason to stop be news. May be called by a signal handler."""

    def workers_on(self, node: str) -> int:
        """Return how many workers a node has; 0 where that is not known."""

    def hold(self, where: str, *, is_last: bool = False) -> bool:
        """Start nothing on a node, or on one of its workers (`n1:0`), until it is released.

        Return whether that can be, and leaves a place elsewhere, or may leave none for now (`is_last`); else nothing
        has changed.
        """

    def release(self, where: str) -> None:
        """Start attempts there again."""

    def exclude(self, where: str) -> None:
        """Start nothing there any more."""

    def collect(self, attempt: Attempt) -> Outcome | None:
        """Return how an attempt ended that no campaign lived to record; None where that is not known."""

    def news(self, timeout: float) -> Sequence[News]:
        """Return what has happened since the last call; wait so many seconds for something to happen."""
