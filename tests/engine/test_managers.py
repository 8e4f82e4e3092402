"""A manager on each node: when it is started, what is said of nodes without workers, and when all hope is gone.

Steps are fakes here, and there is no clock; test_parsl_workers.py has real ones, on this machine, and
tests/system/slurm those of a cluster.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from candle_hpo.core.news import PlacesChanged, StopAsked
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.engine.pilot import managers
from candle_hpo.engine.pilot.managers import NodesOfJob
from candle_hpo.engine.pilot.parsl_workers import Connected
from candle_hpo.engine.pilot.step import first_cause


class FakeStep:
    def __init__(self) -> None:
        self.status: int | None = None
        self.words = ""
        self.is_ended = False

    def cause(self) -> str:
        return self.words

    def end(self) -> None:
        self.is_ended = True

    def wait(self, seconds: float) -> None: ...


class FakeJob:
    """Nodes of two workers each, whose managers connect and whose steps end as a test says."""

    def __init__(self, *names: str) -> None:
        self.steps: dict[str, FakeStep] = {}
        self.connected: dict[str, Connected] = {}
        self.news: list[PlacesChanged | StopAsked] = []
        self.now = 0.0
        self.nodes = NodesOfJob(dict.fromkeys(names, 2), self.start, self.news.append, self.now)

    def start(self, node: str, manager: str, workers: int) -> FakeStep:
        assert (manager.rpartition(".")[0], workers) == (node, 2)
        self.steps[manager] = FakeStep()
        return self.steps[manager]

    def come(self, *names: str) -> None:
        self.connected |= dict.fromkeys(names, Connected(2, 0))

    def fail(self, name: str, words: str, status: int = 1) -> None:
        self.steps[name].status, self.steps[name].words = status, words

    def look(self, seconds: float = 0.0) -> list[str]:
        """Look each second for so long, once at least; return the managers that are to have no more."""
        held = self.nodes.look(self.connected, self.now)
        for _ in range(int(seconds)):
            self.now += 1
            held += self.nodes.look(self.connected, self.now)
        return held


def test_each_node_counts_as_soon_as_its_manager_is_there() -> None:
    job = FakeJob("n1", "n2", "n3")
    job.look()
    assert list(job.steps) == ["n1.1", "n2.1", "n3.1"]
    assert job.news == []
    job.come("n2.1")
    job.look(1)
    job.come("n1.1", "n3.1")
    job.look(1)
    assert job.news == [PlacesChanged(2), PlacesChanged(6)]
    assert job.nodes.has_all
    job.look(1000)
    assert len(job.news) == 2


def test_a_node_that_does_not_answer_costs_its_own_workers_and_joins_late() -> None:
    job = FakeJob("n1", "n2")
    job.look()
    job.come("n1.1")
    job.look(1)
    job.fail("n2.1", "srun: error: Task launch for StepId=3.1 failed on node n2: Communication connection failure")
    job.look(10)
    reason = "n2: srun: error: Task launch for StepId=3.1 failed on node n2: Communication connection failure"
    assert job.news == [PlacesChanged(2), PlacesChanged(2, (reason,))]
    job.fail("n2.2", "srun: error: something that follows")
    job.look(10)
    assert job.news[-1] == PlacesChanged(2, (reason,)), "the first cause is kept"
    job.come("n2.3")
    job.look(1)
    assert job.news[-1] == PlacesChanged(4)


def test_it_is_tried_again_and_again_with_longer_pauses() -> None:
    job = FakeJob("n1", "n2")
    job.look()
    job.come("n1.1")
    began = []
    for number in range(1, 13):
        job.fail(f"n2.{number}", "no")
        while f"n2.{number + 1}" not in job.steps:
            job.look(1)
        began.append(job.now)
    pauses = [after - before for before, after in pairwise(began)]
    assert pauses == sorted(pauses)
    assert pauses[0] <= 4
    assert pauses[-1] == managers.LONGEST_PAUSE


def test_while_an_earlier_manager_is_believed_to_live_no_other_is_started() -> None:
    """Its trials are given up only when it is not: else two could run on the same GPU."""
    job = FakeJob("n1", "n2")
    job.come("n1.1", "n2.1")
    job.look(2)
    job.fail("n2.1", "srun: error: n2: task 0: Killed")
    assert job.look() == ["n2.1"]
    assert job.news[-1] == PlacesChanged(2, ("n2: srun: error: n2: task 0: Killed",))
    assert job.look(29) == []
    assert "n2.2" not in job.steps
    del job.connected["n2.1"]
    job.look(1)
    assert "n2.2" in job.steps


def test_a_manager_that_a_node_starts_late_is_handed_nothing() -> None:
    job = FakeJob("n1", "n2")
    job.come("n1.1")
    job.look(2)
    job.fail("n2.1", "srun: error: Socket timed out on send/recv operation")
    job.look(5)
    job.come("n2.1", "n2.2")
    assert job.look(5) == ["n2.1"]
    assert job.news[-1] == PlacesChanged(4)


def test_without_its_srun_a_node_counts_as_long_as_its_manager_is_there() -> None:
    job = FakeJob("n1")
    job.come("n1.1")
    job.look(2)
    job.fail("n1.1", "", status=-9)
    assert job.look(60) == []
    assert job.news == [PlacesChanged(2)]
    job.connected.clear()
    job.look(3)
    assert "n1.2" in job.steps


def test_a_node_that_was_suspended_comes_back() -> None:
    job = FakeJob("n1", "n2")
    job.come("n1.1", "n2.1")
    job.look(2)
    del job.connected["n2.1"]
    job.look(200)
    assert job.news[1:] == [PlacesChanged(2, ("n2: no sign of life for 30 s",))]
    assert "n2.2" not in job.steps, "its step runs on"
    job.fail("n2.1", "lost contact with the campaign")
    job.look(2)
    job.come("n2.2")
    job.look(1)
    assert job.news[-1] == PlacesChanged(4)


def test_a_manager_that_is_silent_for_long_is_ended_and_another_is_tried() -> None:
    job = FakeJob("n1", "n2")
    job.come("n1.1", "n2.1")
    job.look(2)
    del job.connected["n2.1"]
    job.look(599)
    assert not job.steps["n2.1"].is_ended
    job.look(3)
    assert job.steps["n2.1"].is_ended
    job.come("n2.1", "n2.2")
    assert job.look(1) == ["n2.1"], "the other one alone is the node's"
    assert job.news[-1] == PlacesChanged(4)


def test_an_excluded_node_does_not_count_and_is_not_started_again() -> None:
    job = FakeJob("n1", "n2")
    job.come("n1.1", "n2.1")
    job.look(2)
    job.nodes.exclude("n2")
    assert job.look(1) == ["n2.1"]
    assert job.news[-1] == PlacesChanged(2)
    job.fail("n2.1", "srun: error: n2: task 0: Killed")
    job.connected.pop("n2.1")
    job.look(500)
    assert "n2.2" not in job.steps
    assert job.news[-1] == PlacesChanged(2)


def test_what_is_not_answered_is_a_reason_after_a_minute() -> None:
    job = FakeJob("n1", "n2", "n3", "n4", "n5")
    job.look()
    job.steps["n5.1"].words = "srun: Job step creation temporarily disabled, retrying"
    job.look(50)
    assert job.news == []
    job.look(20)
    lines = ("n1, n2, n3 and 1 more: no answer for 60 s", "n5: srun: Job step creation temporarily disabled, retrying")
    assert job.news == [PlacesChanged(0, lines)]


def test_where_all_nodes_have_failed_for_three_minutes_the_campaign_stops_with_the_first_cause() -> None:
    job = FakeJob("n1", "n2")
    job.look()
    words = "srun: error: Unable to create step for job 7: Requested node configuration is not available"
    for _ in range(190):
        for name, step in job.steps.items():
            if step.status is None:
                job.fail(name, words)
        job.look(1)
    assert job.news == [
        PlacesChanged(0, (f"n1, n2: {words}",)),
        StopAsked(Stop(StopReason.NO_WORKERS, last=f"n1, n2: {words}")),
    ]


def test_it_says_what_it_heard_last_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reasons are announced every few seconds: here the campaign stops before that of the last node would be."""
    monkeypatch.setattr(managers, "HOPELESS_SECONDS", 5.0)
    job = FakeJob("n1", "n2")
    job.look()
    job.fail("n1.1", "no route")
    job.look(6)
    assert job.news == [PlacesChanged(0, ("n1: no route",))]
    job.fail("n2.1", "no such node")
    job.look(1)
    assert job.news[1:] == [StopAsked(Stop(StopReason.NO_WORKERS, last="n1: no route; n2: no such node"))]


def test_a_silent_node_is_waited_for_longer() -> None:
    job = FakeJob("n1")
    job.look(600)
    assert not any(isinstance(each, StopAsked) for each in job.news)
    job.look(5)
    assert job.news[-1] == StopAsked(Stop(StopReason.NO_WORKERS, last="n1: no answer for 60 s"))


def test_what_still_runs_on_an_excluded_node_may_end() -> None:
    job = FakeJob("n1")
    job.connected["n1.1"] = Connected(2, 1)
    job.look(2)
    job.nodes.exclude("n1")
    job.look(1000)
    assert job.news == [PlacesChanged(2), PlacesChanged(0)]
    job.connected["n1.1"] = Connected(2, 0)
    job.look(200)
    assert job.news[-1] == StopAsked(Stop(StopReason.NO_WORKERS, last="all nodes are out of use"))


def test_an_srun_that_cannot_be_run_is_a_reason() -> None:
    def refuse(*_: object) -> FakeStep:
        raise FileNotFoundError(2, "No such file or directory", "srun")

    news: list[object] = []
    nodes = NodesOfJob({"n1": 1}, refuse, news.append, 0.0)
    nodes.look({}, 6.0)
    (changed,) = news
    assert changed == PlacesChanged(0, ("n1: srun cannot be run: [Errno 2] No such file or directory: 'srun'",))


TRACEBACK = """Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
ModuleNotFoundError: No module named 'zmq'
srun: error: n3: task 0: Exited with exit code 1
"""


@pytest.mark.parametrize(
    ("said", "status", "cause"),
    [
        ("", None, ""),
        ("", 1, "srun: exit status 1, and not a word"),
        (TRACEBACK, 1, "ModuleNotFoundError: No module named 'zmq'"),
        (
            "cannot reach 10.0.0.7:54321\nsrun: error: n3: task 0: Exited with exit code 1\n",
            1,
            "cannot reach 10.0.0.7:54321",
        ),
        ("srun: error: n3: task 0: Killed\n", 137, "srun: error: n3: task 0: Killed"),
        (
            'manager: line 1: 26731 Killed                  "$@"\n'
            "/usr/lib/python3.11/multiprocessing/resource_tracker.py:224: UserWarning: There appear to be 6 leaked "
            "semaphores\n  warnings.warn('resource_tracker: There appear to be %d '\n"
            "srun: error: n1: task 0: Exited with exit code 137\n",
            137,
            "its manager: Killed",
        ),
        (
            "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.\n"
            "slurmstepd: error: *** STEP 4.2 ON n1 CANCELLED AT 2026-11-26T02:00:00 DUE TO NODE FAILURE, SEE SLURMCTLD "
            'LOG FOR DETAILS ***\nmanager: line 1: 26 Terminated          "$@"\nsrun: error: n1: task 0: Terminated\n',
            143,
            "slurmstepd: error: *** STEP 4.2 ON n1 CANCELLED AT 2026-11-26T02:00:00 DUE TO NODE FAILURE, SEE SLURMCTLD "
            "LOG FOR DETAILS ***",
        ),
        (
            "srun: error: Unable to create step for job 12: Invalid feature specification\n",
            1,
            "srun: error: Unable to create step for job 12: Invalid feature specification",
        ),
        (
            "srun: Job 5 step creation temporarily disabled, retrying (Requested nodes are busy)\n",
            None,
            "srun: Job 5 step creation temporarily disabled, retrying (Requested nodes are busy)",
        ),
        (
            "slurmstepd-n2: error: couldn't chdir to `/data/x': No such file or directory: going to /tmp instead\n"
            "srun: error: n2: task 0: Exited with exit code 127\n",
            127,
            "slurmstepd-n2: error: couldn't chdir to `/data/x': No such file or directory: going to /tmp instead",
        ),
    ],
)
def test_the_first_cause_is_what_is_shown(said: str, status: int | None, cause: str) -> None:
    assert first_cause(said, status) == cause
