"""Workers of a job that join a campaign which another job runs: where they find it, and their managers.

The campaign's job leaves its contact in the folder for its files and keys. Whoever joins starts a manager on each of
its own nodes, in its own steps, as the campaign's job does on its own; from there on, the campaign's engine has them.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from candle_hpo.core.news import PlacesChanged, StopAsked
from candle_hpo.engine.pilot.managers import Managers
from candle_hpo.engine.pilot.parsl_workers import GUEST, Connected, Contact
from candle_hpo.engine.pilot.step import Step, soft_limit_of_files

_TRIES, _LIVED_SHORTLY = 6, 60.0  # managers of a node, and seconds, after which none is tried any more
_CONTACT, _GUESTS = "contact.json", "guests"

_logger = logging.getLogger(__name__)


class Invitation(msgspec.Struct, frozen=True):
    """The contact of the campaign that runs in a job."""

    job: str
    contact: Contact


def invite(folder: Path, job: str, contact: Contact) -> None:
    """Let the workers of other jobs join, from this folder, which only the user can read. Raises `OSError`."""
    aside = folder / f"{_CONTACT}.new"
    aside.write_bytes(msgspec.json.encode(Invitation(job, contact)))
    aside.replace(folder / _CONTACT)


def invitations(experiment: Path) -> dict[Path, Invitation]:
    """Return the invitations that lie in an experiment's folder, by their files; one that is just going is none."""
    found: dict[Path, Invitation] = {}
    for file in experiment.glob(f"workers_*/{_CONTACT}"):
        with suppress(OSError, msgspec.MsgspecError):
            found[file] = msgspec.json.decode(file.read_bytes(), type=Invitation)
    return found


def guests(experiment: Path) -> set[str]:
    """Return the jobs that have joined a campaign of an experiment, and have not said that they left it."""
    with suppress(FileNotFoundError):
        return {file.name for file in (experiment / _GUESTS).iterdir()}
    return set()


def forget_guests(experiment: Path, jobs: Iterable[str] = ()) -> None:
    """Remove the signs of jobs that have joined and are known to have gone, and then the folder, if it is empty."""
    with suppress(OSError):
        for job in jobs:
            (experiment / _GUESTS / job).unlink(missing_ok=True)
        (experiment / _GUESTS).rmdir()


class Guests:
    """The managers on the nodes of this job, with the campaign that has invited them, until `leave`."""

    def __init__(
        self,
        invitation: Path,
        contact: Contact,
        job: str,
        workers_of_nodes: Mapping[str, int],
        seconds_left: Callable[[], float | None],
    ) -> None:
        """Start them; they take trials for so many seconds from then on. Raises `OSError` where it is withdrawn."""
        experiment, self._folder, self._contact, self._job = invitation.parents[1], invitation.parent, contact, job
        self._seconds_left = seconds_left
        self._steps: dict[str, tuple[Step, int]] = {}  # by the names of their managers
        self._starts: dict[str, list[float]] = {node: [] for node in workers_of_nodes}
        # The interchange takes a name that it knows for the manager that had it, and forgets what that was doing.
        self._token = secrets.token_hex(4)
        self._files = soft_limit_of_files()
        # Not in the leader's folder, which goes with it: the next leader waits for those who have not left.
        self._sign = experiment / _GUESTS / job
        self._sign.parent.mkdir(exist_ok=True)
        self._sign.touch()
        self._managers = Managers(workers_of_nodes, self._start, self._running, lambda _: None, _log)

    def _start(self, node: str, manager: str, workers: int) -> Step:
        name = f"{manager}-{self._token}{GUEST}{self._job}"
        seconds = self._seconds_left()
        if seconds is not None and seconds <= 0:
            raise OSError("the time of its job is nearly over")
        command = self._contact.manager(name, workers, seconds)
        step = Step(node, command, self._folder / f"{name}.err", self._files)
        self._steps[manager] = step, workers
        self._starts[node] = [*self._starts[node], time.monotonic()][-_TRIES:]
        return step

    def _running(self) -> dict[str, Connected]:
        """Return the managers that run: whether they are connected, only the campaign knows; else they end."""
        return {
            name: Connected(workers, 0) for name, (step, workers) in self._steps.copy().items() if step.status is None
        }

    @property
    def have_gone(self) -> bool:
        """Whether none runs any more, and none will."""
        seconds = self._seconds_left()
        return seconds is not None and seconds <= 0 and not self._running()

    def why_none_stays(self) -> str:
        """Return why no manager lives for long, on no node; "" where one does, or not many were tried yet."""
        soon = time.monotonic() - _TRIES * _LIVED_SHORTLY
        if all(len(starts) == _TRIES and starts[0] > soon for starts in self._starts.values()):
            return next(
                (cause for step, _ in reversed(self._steps.copy().values()) if (cause := step.cause())), "no reason"
            )
        return ""

    def leave(self) -> None:
        """End them, with what they run."""
        self._managers.end()
        forget_guests(self._sign.parents[1], [self._sign.name])


def _log(news: PlacesChanged | StopAsked) -> None:
    _logger.info("%s", news)
