"""Whether what fails is the fault of where it ran: a node, or one worker of it, decided by outcomes alone.

A script may fail with many of its sets, at once and in a row, on machines that are sound. So a row of failures makes
a node no more than suspected, and what counts is what becomes of the same trial elsewhere.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from candle_hpo.core.trial import Attempt, FailureKind, Outcome, Place, Status

FEWEST_FAILURES = 3  # in a row, for a suspicion
UNLIKELY = 1e-6  # the chance of such a row where nothing is wrong, from which on there is a suspicion
UNLIKELY_AT_FIRST = 0.001  # the same while nothing has ended elsewhere: ten failures in a row
UNLIKELY_WHEN_IDLE = 0.01  # the same while workers have nothing else to do than to look into it
HELD_SECONDS, LONGEST_HELD_SECONDS = 60.0, 300.0  # at most: for the first time; twice as long each time, up to this
_LONGEST_SAID = 200  # characters of what the last failure said
WEIGHT_OF_THE_MACHINE = 4  # so many failures does one count for that a machine is known to cause

# What libraries and the system say where the machine is at fault. It hastens a suspicion, and proves nothing.
_WORDS_OF_THE_MACHINE = re.compile(
    r"ECC error|no CUDA-capable device|No CUDA GPUs are available|CUDA-capable device\(s\) is/are busy"
    r"|CUDA driver version is insufficient|CUDA_ERROR_(NO_DEVICE|ECC|SYSTEM|INVALID_DEVICE|UNKNOWN)|No HIP GPUs"
    r"|hipErrorNoDevice|GPU is lost|fallen off the bus|(Could not|Failed to) initialize NVML|NVIDIA-SMI has failed"
    r"|Exec format error|not a program for this kind of machine|neither a program for this kind|Illegal instruction"
    r"|SIGILL|SIGBUS|error while loading shared libraries|GLIBC\w* not found|Input/output error|Stale file handle"
    r"|Transport endpoint is not connected|Cannot allocate memory|No space left on device|Read-only file system"
)


class Suspected(NamedTuple):
    """Hand nothing to this place for now, and attempt one of these trials, which it failed, elsewhere."""

    where: str
    failed: list[Attempt]  # the latest first


class Released(NamedTuple):
    """Hand trials to this place again."""

    where: str


class OutOfUse(NamedTuple):
    """Hand nothing more to this place; `reason` is for people."""

    where: str
    reason: str


class Excused(NamedTuple):
    """These attempts failed where others may not: they do not count, and are made again."""

    failed: list[Attempt]


Verdict = Suspected | Released | OutOfUse | Excused


class _Ended(NamedTuple):
    """How many trials ended, and how many of them without a value."""

    all: int = 0
    failed: int = 0


@dataclass
class _Part:
    """A node or a worker of it: its row of failures, since a trial completed there.

    `failed` are the attempts of the row that may be its fault; `in_a_row` and `weight` count those since it was last
    cleared, `elsewhere` what had ended elsewhere before the first of these.
    """

    failed: dict[int, Attempt] = field(default_factory=dict)
    slots: set[str] = field(default_factory=set)
    in_a_row: int = 0
    weight: int = 0
    elsewhere: _Ended | None = None
    is_suspected: bool = False
    proof: str = ""
    said: str = ""  # by the last of the failures

    def clear(self) -> None:
        """Begin to count again."""
        self.in_a_row = self.weight = 0
        self.elsewhere, self.is_suspected, self.proof = None, False, ""


class NodeWatch:
    """Judges nodes, and single workers of them, by the outcomes of their trials.

    One is suspected when so many trials failed there in a row as would be unlikely, by what ended elsewhere meanwhile.
    It is then held: it gets nothing, and one of these trials is attempted elsewhere. If that fails too, it is cleared.
    If it completes there, the suspect gets trials again, and the next one that fails there takes it out of use; one
    that completes clears it. Where nobody knows after a minute, it gets trials again, too, until the next one fails.

    `workers_on` returns how many workers a node has; 0 where nothing can be withheld from it, so that it is not judged.
    """

    def __init__(self, workers_on: Callable[[str], int]) -> None:
        self._workers_on = workers_on
        self._parts: dict[str, _Part] = defaultdict(_Part)
        self._ended: dict[str, _Ended] = defaultdict(_Ended)  # on each node and worker, and in all ("")
        self._failed_on: dict[int, set[str]] = defaultdict(set)  # by the number of a trial
        self._held: dict[str, float] = {}  # until when
        self._hold_seconds: dict[str, float] = defaultdict(lambda: HELD_SECONDS)  # the next time
        self._touched: dict[str, None] = {}
        self._verdicts: list[Verdict] = []
        self.out_of_use: set[str] = set()

    def add(self, attempt: Attempt, outcome: Outcome) -> None:
        """Add how an attempt ended."""
        is_stopped = outcome.failure is not None and outcome.failure.kind is FailureKind.STOPPED
        place = outcome.place
        if place is None or is_stopped or not self._workers_on(place.node):
            return
        names = (place.node, str(place))
        has_failed = outcome.failure is not None
        before = {name: self._elsewhere(name) for name in names}
        for name in ("", *names):
            ended = self._ended[name]
            self._ended[name] = _Ended(ended.all + 1, ended.failed + has_failed)
        self._learn_of_others(attempt, outcome, place, names)
        for name in names:
            if has_failed:
                self._add_failure(name, attempt, outcome, before[name])
            else:
                self._add_success(name)

    def judge(self, now: float, *, is_idle: bool = False) -> list[Verdict]:
        """Return what follows from the outcomes since the last call, at this moment (in seconds, by any clock).

        `is_idle`: workers are free, and nothing waits for them.
        """
        for name in list(self._parts if is_idle else self._touched):
            if self._may_be_suspected(name, is_idle=is_idle):
                part = self._parts[name]
                part.is_suspected, part.in_a_row = True, max(part.in_a_row, len(part.failed))
                if part.proof:
                    self._excuse(name)
                else:
                    self._held[name] = now + self._hold_seconds[name]
                    self._verdicts.append(Suspected(name, [*reversed(part.failed.values())]))
        self._touched.clear()
        for name in [name for name, until in self._held.items() if now >= until]:
            self._hold_seconds[name] = min(2 * self._hold_seconds[name], LONGEST_HELD_SECONDS)
            self._release(name)
        verdicts, self._verdicts = self._verdicts, []
        return verdicts

    def dismiss(self, where: str) -> None:
        """Drop the suspicion of a place that cannot be held: there is no other one."""
        self._parts[where].clear()
        self._forget_failed(where)
        del self._held[where]

    def _learn_of_others(self, attempt: Attempt, outcome: Outcome, place: Place, names: Iterable[str]) -> None:
        """See what this outcome shows of those on which the same trial failed before."""
        number = attempt.trial.number
        for name in self._failed_on.get(number, set()).difference(names):
            part = self._parts[name]
            part.failed.pop(number, None)
            if outcome.failure is None:
                part.proof = f"{attempt.trial.id}, one of them, did not fail on {place}"
                if part.is_suspected:
                    self._release(name)
                    self._excuse(name)
            elif part.is_suspected and not part.proof:
                part.clear()
                self._release(name)
        self._failed_on[number].intersection_update(names)
        if not self._failed_on[number]:
            del self._failed_on[number]

    def _release(self, name: str) -> None:
        if self._held.pop(name, None) is not None:
            self._verdicts.append(Released(name))

    def _excuse(self, name: str) -> None:
        """Let all that a part has failed be made again: one of them works elsewhere, and so may the others."""
        if failed := [*self._parts[name].failed.values()]:
            self._verdicts.append(Excused(failed))
            self._forget_failed(name)

    def _forget_failed(self, name: str) -> None:
        for number in self._parts[name].failed:
            self._failed_on[number].discard(name)
            if not self._failed_on[number]:
                del self._failed_on[number]
        self._parts[name].failed.clear()

    def _add_failure(self, name: str, attempt: Attempt, outcome: Outcome, elsewhere: _Ended) -> None:
        part, place = self._parts[name], outcome.place
        assert place is not None  # noqa: S101  # else nothing is judged
        is_beyond_doubt = part.is_suspected and bool(part.proof)
        part.failed[attempt.trial.number] = attempt
        self._failed_on[attempt.trial.number].add(name)
        part.in_a_row += 1
        part.weight += WEIGHT_OF_THE_MACHINE if _is_of_the_machine(outcome) else 1
        part.slots.add(str(place))
        part.said = outcome.reason
        part.elsewhere = part.elsewhere or elsewhere
        self._touched[name] = None
        if is_beyond_doubt and not self.out_of_use.intersection((name, place.node)):
            self.out_of_use.add(name)
            self._verdicts.append(OutOfUse(name, self._reason(name)))
        if name in self.out_of_use:
            self._excuse(name)

    def _add_success(self, name: str) -> None:
        if name not in self._parts:
            return
        self._release(name)
        self._forget_failed(name)
        del self._parts[name]

    def _elsewhere(self, name: str) -> _Ended:
        whole, own = self._ended[""], self._ended[name]
        return _Ended(whole.all - own.all, whole.failed - own.failed)

    def _meanwhile(self, name: str) -> _Ended:
        """Return what has ended elsewhere since the first failure of a row."""
        before, now = self._parts[name].elsewhere or _Ended(), self._elsewhere(name)
        return _Ended(now.all - before.all, now.failed - before.failed)

    def _may_be_suspected(self, name: str, *, is_idle: bool) -> bool:
        """Return whether a row of failures is too long for chance, by the share of failures elsewhere.

        That is the share meanwhile, or in all where that is more; both as Laplace's rule of succession has it, by which
        it is one half where nothing has ended elsewhere. When idle, what a part was cleared of counts again, but for
        the trials that failed elsewhere too.
        """
        part = self._parts.get(name)
        if part is None or not part.failed:
            return False
        least = len(part.failed) if is_idle else 0
        in_a_row, weight = max(part.in_a_row, least), max(part.weight, least)
        node, _, slot = name.partition(":")
        if in_a_row < FEWEST_FAILURES or {node, name} & (self._held.keys() | self.out_of_use):
            return False
        is_whole = self._workers_on(node) == 1 or len(part.slots) > 1
        if bool(slot) == is_whole:  # of a node with one worker that is judged, and else what its failures are of
            return False
        counts = (self._meanwhile(name), self._elsewhere(name))
        share = max((each.failed + 1) / (each.all + 2) for each in counts)
        unlikely = UNLIKELY if counts[1].all else UNLIKELY_AT_FIRST
        return share**weight <= (UNLIKELY_WHEN_IDLE if is_idle else unlikely)

    def _reason(self, name: str) -> str:
        part, meanwhile = self._parts[name], self._meanwhile(name)
        others = f", while {meanwhile.all - meanwhile.failed:,} of {meanwhile.all:,} elsewhere did not"
        said = part.said if len(part.said) <= _LONGEST_SAID else f"{part.said[:_LONGEST_SAID]} …"
        return (
            f"{part.in_a_row:,} trials failed there one after the other{others}; {part.proof}. The last failure: {said}"
        )


def _is_of_the_machine(outcome: Outcome) -> bool:
    return outcome.status is Status.INTERRUPTED or _WORDS_OF_THE_MACHINE.search(outcome.reason) is not None
