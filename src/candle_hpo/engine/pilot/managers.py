"""A manager on each node of a job: each is started by itself, watched, and started again when it has ended.

So a node that does not answer, is suspended, or is lost and comes back costs its own workers, for that time. Why a node
has no workers is the first thing that was said of it since it had them, and not what follows from that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from candle_hpo.core.errors import MachineError
from candle_hpo.core.news import PlacesChanged, StopAsked
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.engine.pilot.parsl_workers import LOST_AFTER_SECONDS, Connected
from candle_hpo.process.awake import AwakeClock

LONGEST_PAUSE = 60.0  # seconds between two tries at a node, which are longer each time
LIVED_LONG = 300.0  # seconds with workers, after which the next try counts as the first
NO_ANSWER_SECONDS = 60.0  # after which it is said that a manager has not been heard of
HOPELESS_SECONDS = 180.0  # without any worker, where all nodes have failed
SILENT_SECONDS = 600.0  # after which a manager that is not heard of is ended, and another is tried
_LOOK_SECONDS, _LOOK_SECONDS_AT_FIRST, _AT_FIRST = 1.0, 0.05, 60.0
_SAY_AGAIN_SECONDS = 5.0  # between two reports of new reasons alone
_MOST_NAMES, _MOST_REASONS = 3, 5
_NONE_LEFT = "all nodes are out of use"
_END_SECONDS = 5.0  # for all steps to end

_logger = logging.getLogger(__name__)

Announce = Callable[[PlacesChanged | StopAsked], None]


class RunningStep(Protocol):
    """What `step.Step` offers."""

    @property
    def status(self) -> int | None:
        """None as long as it runs; negative if that of the node may run on."""

    def cause(self) -> str:
        """Return why it ended, or what it said so far."""

    def end(self) -> None:
        """Ask it to end."""

    def wait(self, seconds: float) -> None:
        """Wait for its end."""


StartStep = Callable[[str, str, int], RunningStep]  # takes the node, the manager's name, the number of its workers


class _Node:
    """One node, with its manager; `workers` is how many it is to have, `places` how many take trials now."""

    def __init__(self, name: str, workers: int, start: StartStep) -> None:
        self.name, self.workers, self._start_step = name, workers, start
        self.places = 0
        self.cause = ""  # why it has no workers
        self.has_failed = self.is_excluded = False
        self.manager = ""
        self.step: RunningStep | None = None
        self.since = 0.0  # when its manager was started, came, or was lost
        self._tries = self._failures = 0
        self._next_try = 0.0

    def look(self, connected: Mapping[str, Connected], now: float) -> None:
        """Act on whether its manager is connected, and runs."""
        is_connected = self.manager in connected
        if self.step is None:
            # Not while an earlier manager is believed to live: its trials have not been given up yet.
            if not is_connected and not self.is_excluded and now >= self._next_try:
                self._start(now)
            return
        status = self.step.status
        if status is not None and (status >= 0 or not is_connected):
            self._ended(self.step.cause(), now)
        elif is_connected and not self.places and not self.is_excluded:
            self.places, self.since = connected[self.manager].workers, now
            self.cause, self.has_failed = "", False
        elif not is_connected and self.places:
            self.places, self.since = 0, now
            self._note(f"no sign of life for {LOST_AFTER_SECONDS} s")
        elif not is_connected and now - self.since > SILENT_SECONDS:
            self.step.end()
            self._ended(f"no answer for {SILENT_SECONDS:.0f} s", now)
        elif not is_connected and now - self.since > NO_ANSWER_SECONDS:
            self._note(self.step.cause() or f"no answer for {NO_ANSWER_SECONDS:.0f} s")

    @property
    def is_lacking(self) -> bool:
        """Whether it has no workers that it should have, and why is known."""
        return bool(self.cause and not self.places and not self.is_excluded)

    def exclude(self) -> None:
        """Let it have no more trials."""
        self.is_excluded = True
        self.places = 0

    @property
    def is_without_hope(self) -> bool:
        """Whether it will hardly have workers again, if no other node has any."""
        return self.is_excluded or self.has_failed

    def _start(self, now: float) -> None:
        self._tries += 1
        self.manager, self.since = f"{self.name}.{self._tries}", now
        try:
            self.step = self._start_step(self.name, self.manager, self.workers)
        except OSError as error:
            self._ended(f"srun cannot be run: {error}", now)

    def _ended(self, cause: str, now: float) -> None:
        if self.places and now - self.since > LIVED_LONG:
            self._failures = 0
        self._next_try = now + min(2.0**self._failures, LONGEST_PAUSE)
        self._failures = min(self._failures + 1, 10)
        self.has_failed, self.places, self.step = True, 0, None
        self._note(cause)

    def _note(self, cause: str) -> None:
        if cause != self.cause:
            _logger.warning("%s: %s", self.name, cause)
        self.cause = self.cause or cause


class NodesOfJob:
    """What is known of all nodes, and what is to be done; without a thread or a clock."""

    def __init__(self, workers_of_nodes: Mapping[str, int], start: StartStep, announce: Announce, now: float) -> None:
        self._nodes = {name: _Node(name, workers, start) for name, workers in workers_of_nodes.items()}
        self._announce = announce
        self._places, self._lacking = 0, ()  # type: int, tuple[str, ...]
        self._announced = self._last_there = now
        self._held: set[str] = set()

    def look(self, connected: Mapping[str, Connected], now: float) -> list[str]:
        """Act on which managers are connected; return those that are to be handed nothing more."""
        for node in self._nodes.values():
            node.look(connected, now)
        self._report(now)
        if self._places or any(each.tasks for each in connected.values()):
            self._last_there = now
        elif now - self._last_there > HOPELESS_SECONDS and all(node.is_without_hope for node in self._nodes.values()):
            self._announce(StopAsked(Stop(StopReason.NO_WORKERS, last="; ".join(self._reasons()) or _NONE_LEFT)))
            self._last_there = now
        # One that a node starts when it wakes, of an earlier try, is not the node's either.
        usable = {node.manager for node in self._nodes.values() if node.step is not None and not node.is_excluded}
        held = [name for name in connected if name not in usable and name not in self._held]
        self._held.update(held)
        return held

    def exclude(self, name: str) -> None:
        """Let a node have no more trials."""
        if name in self._nodes:
            self._nodes[name].exclude()

    def places(self) -> dict[str, int]:
        """Return how many places each node has now, as was announced or will be."""
        return {node.name: node.places for node in self._nodes.values()}

    def cause_of(self, manager: str) -> str:
        """Return why a manager has ended, as far as that is known."""
        node = self._nodes.get(manager.rpartition(".")[0])
        return node.cause if node is not None and node.manager == manager else ""

    @property
    def has_all(self) -> bool:
        """Whether each node has its workers, or is to have none."""
        return all(node.places or node.is_excluded for node in self._nodes.values())

    @property
    def steps(self) -> list[RunningStep]:
        """The steps that run."""
        return [node.step for node in self._nodes.values() if node.step is not None]

    def _report(self, now: float) -> None:
        places = sum(node.places for node in self._nodes.values())
        lacking = self._reasons()
        is_due = now - self._announced > _SAY_AGAIN_SECONDS
        if places != self._places or (lacking != self._lacking and is_due):
            self._places, self._lacking, self._announced = places, lacking, now
            self._announce(PlacesChanged(places, lacking))

    def _reasons(self) -> tuple[str, ...]:
        """Return why nodes have no workers, whether that was announced or not."""
        return _in_lines({node.name: node.cause for node in self._nodes.values() if node.is_lacking})


class Managers:
    """Keeps a manager on each node, in a thread; `is_over` is why there will be none any more, if so."""

    def __init__(
        self,
        workers_of_nodes: Mapping[str, int],
        start: StartStep,
        connected: Callable[[], Mapping[str, Connected]],
        hold: Callable[[str], None],
        announce: Announce,
    ) -> None:
        """Start them; `connected` asks which are there, `hold` leaves one with what it has."""
        self._connected, self._hold, self._announce = connected, hold, announce
        self._clock = AwakeClock()  # nodes are suspended together with this one, and not silent
        self._nodes = NodesOfJob(workers_of_nodes, start, announce, self._clock.now())
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self.is_over = ""
        self._thread = threading.Thread(target=self._run, name="managers", daemon=True)
        self._thread.start()

    def exclude(self, node: str) -> None:
        """Let a node have no more trials."""
        with self._lock:
            self._nodes.exclude(node)

    def places(self) -> dict[str, int]:
        """Return how many places each node has now."""
        with self._lock:
            return self._nodes.places()

    def cause_of(self, manager: str) -> str:
        """Return why a manager has ended, as far as that is known."""
        with self._lock:
            return self._nodes.cause_of(manager)

    def end(self) -> None:
        """End all of them, with what runs there."""
        self._ending.set()
        self._thread.join()
        for step in self._nodes.steps:
            step.end()
        latest = time.monotonic() + _END_SECONDS
        for step in self._nodes.steps:
            step.wait(max(0.1, latest - time.monotonic()))

    def _run(self) -> None:
        began = self._clock.now()
        try:
            while not self._ending.is_set():
                connected, now = self._connected(), self._clock.now()
                with self._lock:
                    held = self._nodes.look(connected, now)
                for manager in held:
                    self._hold(manager)
                is_first = now - began < _AT_FIRST and not self._nodes.has_all
                self._ending.wait(_LOOK_SECONDS_AT_FIRST if is_first else _LOOK_SECONDS)
        except MachineError as error:
            self._give_up(str(error))
        except Exception as error:
            _logger.exception("the nodes are watched no more")
            self._give_up(f"internal error: {error!r}")

    def _give_up(self, cause: str) -> None:
        self.is_over = cause
        self._announce(StopAsked(Stop(StopReason.NO_WORKERS, last=cause)))


def _in_lines(causes: Mapping[str, str]) -> tuple[str, ...]:
    """Return the causes with the names of their nodes: nodes of the same cause together, and a few of each."""
    nodes: dict[str, list[str]] = {}
    for name, cause in causes.items():
        nodes.setdefault(cause, []).append(name)
    lines = [f"{_names(names)}: {cause}" for cause, names in nodes.items()]
    more = sum(len(names) for names in list(nodes.values())[_MOST_REASONS:])
    return (*lines[:_MOST_REASONS], *([f"and {more:,} more nodes; see campaign.log"] if more else []))


def _names(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")
