"""Distinguishing a bad node from a bad script: a node that fails every trial at once, while others complete theirs."""

from __future__ import annotations

from dataclasses import dataclass, field

from candle_hpo.core.trial import Attempt, Outcome, Status

FAILURES_IN_A_ROW = 3
QUICK_SECONDS = 10.0


@dataclass
class _Node:
    """What is known of one node: how many trials it ended quickly without a value, in a row, and which have failed."""

    in_a_row: int = 0
    failed: list[Attempt] = field(default_factory=list)
    has_completed: bool = False


class NodeWatch:
    """Judges nodes by the outcomes of their trials.

    A node is bad when its last three trials failed, or could not begin, each within ten seconds, while another node
    has completed one: then the script works, and the node does not.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}

    def add(self, attempt: Attempt, outcome: Outcome) -> None:
        """Add one more outcome."""
        if outcome.place is None:
            return
        node = self._nodes.setdefault(outcome.place.node, _Node())
        if outcome.status in (Status.FAILED, Status.INTERRUPTED) and outcome.seconds < QUICK_SECONDS:
            node.in_a_row += 1
            if outcome.status is Status.FAILED:
                node.failed.append(attempt)
        else:
            node.in_a_row = 0
            node.failed.clear()
            node.has_completed |= outcome.status is Status.COMPLETED

    def pick_out(self) -> dict[str, list[Attempt]]:
        """Return the nodes that have turned out bad since the last call, with the attempts that they failed."""
        good = {name for name, node in self._nodes.items() if node.has_completed}
        bad = {
            name: node.failed
            for name, node in self._nodes.items()
            if node.in_a_row >= FAILURES_IN_A_ROW and good - {name}
        }
        for name in bad:
            del self._nodes[name]
        return bad
