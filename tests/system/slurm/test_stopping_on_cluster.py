"""Trials on other nodes that are stopped by what they print: the wish arrives, and what it finds may save itself.

Whatever ends a node, a job or its campaign meanwhile, what was decided stands.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from candle_hpo.core.objective import Direction, Objective
from candle_hpo.core.trial import Status
from candle_hpo.record.events import AnyEvent, TrialFinished, TrialReported, TrialStarted, TrialStopAsked
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events
from candle_hpo.schedule.early_stopping import Asha, EarlyStopping
from candle_hpo.schedule.scheduler import FirstCome, VerdictKind
from conftest import Candle, WriteInput, gone
from support.slurm_cluster import SlurmCluster

# Prints its number as its loss, waits for what comes of that, and saves when it is asked to end.
SCRIPT = """
    import os, signal, sys, time

    def save(*_):
        os.makedirs(os.environ["CANDLE_CHECKPOINT_DIR"])
        with open(os.path.join(os.environ["CANDLE_CHECKPOINT_DIR"], "saved.txt"), "w") as file:
            file.write(str(time.time()))
        sys.exit(0)

    signal.signal(signal.SIGTERM, save)
    loss = hyperparams["loss"]
    for epoch in range(1, 4):
        print(f"epoch {epoch}: loss {loss}", flush=True)
        time.sleep(20 if epoch == 1 and loss > 2 else 0.3)
"""
CONTROL = """ngpus=6
gpu_type=k80
mem_per_cpu=1
walltime=00:05:00
stopping=asha
max_steps=3
reduction_factor=2
result_pattern='epoch (?P<epoch>[0-9]+): loss (?P<loss>[0-9.]+)'"""


@pytest.mark.newer_slurm
def test_a_bad_trial_on_another_node_is_stopped_at_once_and_saves_what_it_has(
    write_input: WriteInput, here: Path, candle: Candle, slurm: SlurmCluster
) -> None:
    sets = "\n".join(json.dumps({"loss": loss}) for loss in (1, 2, *range(3, 13)))
    path = write_input(SCRIPT, CONTROL, "y = 0", sets)
    done = candle("submit-job", path, **slurm.environment)
    assert done.returncode == 0, done.stderr
    slurm.wait_until_empty(150)
    experiment = here / "last-candle-job"
    events = list(read_events(experiment / "events.jsonl"))
    history = History(Objective(Direction.MINIMIZE, "loss"), events)
    assert history.best is not None
    assert history.best.value == 1
    assert history.failed == 0
    stopped = {
        number: row for number, row in history.trials.items() if row.outcome and row.outcome.status is Status.STOPPED
    }
    assert len(stopped) >= 6, (experiment / "job.out").read_text()
    asked = {each.number: each for each in events if isinstance(each, TrialStopAsked)}
    assert set(stopped) <= set(asked), "one that is asked may be at its end already"
    arrived = {}
    for number, row in stopped.items():
        assert row.outcome is not None
        assert row.outcome.last_report is not None
        assert row.outcome.last_report.step >= asked[number].step
        arrived[number] = float((experiment / "checkpoints" / row.trial.id / "saved.txt").read_text())
    nodes = {number: row.outcome.place.node for number, row in stopped.items() if row.outcome and row.outcome.place}
    job = slurm.run("scontrol", "show", "job", history.campaigns[0].started.job)
    elsewhere = {number for number, node in nodes.items() if f"BatchHost={node}\n" not in job}
    assert "BatchHost=" in job and elsewhere
    late = {number: round(arrived[number] - asked[number].time, 2) for number in elsewhere}  # seconds from the verdict
    # A machine that does other things may be late with any of them, and not with all.
    assert min(late.values()) < 2, late
    # One that reports before all others is judged by its second report.
    at_first = [row.outcome for number, row in stopped.items() if row.outcome and asked[number].step == 1]
    assert len(at_first) >= 6
    assert all(outcome.seconds < 20 for outcome in at_first)
    weighed = [each for each in events if isinstance(each, TrialReported)]
    assert len(weighed) >= len(history.trials)
    slurm.wait_until_nothing_runs(10)


LOSS = Objective(Direction.MINIMIZE, "loss")
# The first one is the best, and runs until it may end. The others report once they may, each worse than all before, and
# wait to be stopped; they and what they have started hear nothing of SIGTERM.
STUBBORN = """
    import os, signal, subprocess, time
    from pathlib import Path

    here, number = Path(os.environ["OF_THE_TEST"]), int(os.environ["CANDLE_TRIAL_NUMBER"])
    processes = [os.getpid()]
    if number > 1:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        endless = "trap '' TERM; while true; do sleep 1; done"
        processes.append(subprocess.Popen(["bash", "-c", endless], start_new_session=True).pid)
    Path("new").write_text(" ".join([os.environ["SLURMD_NODENAME"], *map(str, processes)]))
    os.replace("new", "processes")
    while str(number) not in (order := (here / "may_report").read_text().split()):
        time.sleep(0.1)
    loss = 1 + order.index(str(number))
    print("epoch 1: loss", loss, flush=True)
    while number > 1 or not (here / "may_end").exists():
        time.sleep(0.1)
    for epoch in (2, 3):
        print(f"epoch {epoch}: loss {loss}", flush=True)
"""


class Stubborn:
    """An experiment of twelve such trials on six workers, over several jobs."""

    def __init__(self, here: Path, candle: Candle, slurm: SlurmCluster) -> None:
        self.here, self.candle, self.slurm = here, candle, slurm
        self.folder = here / "last-candle-job"
        self.order: list[int] = []
        self.let_report(1)

    def run(self, *arguments: str | Path) -> None:
        done = self.candle(*arguments, **self.slurm.environment, OF_THE_TEST=str(self.here))
        assert done.returncode == 0, done.stderr

    def let_report(self, *numbers: int) -> None:
        """Let trials report, by their numbers."""
        self.order += numbers
        (self.here / "new").write_text(" ".join(map(str, self.order)))
        (self.here / "new").replace(self.here / "may_report")

    @property
    def events(self) -> list[AnyEvent]:
        record = self.folder / "events.jsonl"
        return list(read_events(record)) if record.exists() else []

    @property
    def history(self) -> History:
        return History(LOSS, self.events)

    def is_decided(self, number: int) -> bool:
        """Return whether a trial is to be stopped, or was."""
        return any(isinstance(event, TrialStopAsked) and event.number == number for event in self.events)

    def asked(self) -> list[int]:
        """Return the numbers of the trials that are to be stopped, and have not ended."""
        return sorted(self.history.stop_asked)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            output = self.folder / "job.out"
            shown = output.read_text() if output.exists() else ""
            assert time.monotonic() < deadline, f"{self.slurm.queue()}\n{shown}\n{self.history.trials}"
            time.sleep(0.1)

    def processes(self, number: int) -> tuple[str, list[int]]:
        """Return where a trial runs, and its processes."""
        node, *processes = (self.folder / f"run/hpset_{number:05d}/processes").read_text().split()
        return node, list(map(int, processes))

    def let_walltime_end(self) -> None:
        """Let the job have a limit that it reaches within a minute, and warn of it, as SLURM does."""
        self.wait_until(lambda: self._seconds_used() % 60 < 40)
        job = self.history.campaigns[-1].started.job
        self.slurm.run("scontrol", "update", f"JobId={job}", f"TimeLimit={self._seconds_used() // 60 + 1}")
        self.slurm.run("scancel", "--batch", "--signal=USR1", job)

    def _seconds_used(self) -> int:
        minutes, seconds = self.slurm.run("squeue", "--noheader", "--format=%M").strip().split(":")
        return 60 * int(minutes) + int(seconds)

    def end_of_job(self) -> None:
        self.slurm.wait_until_empty(90)
        self.slurm.wait_until_nothing_runs(30)


def test_what_was_decided_stands_when_a_node_a_campaign_and_jobs_end(
    write_input: WriteInput, here: Path, candle: Candle, slurm: SlurmCluster
) -> None:
    sets = "\n".join(json.dumps({"number": number}) for number in range(1, 13))
    path = write_input(STUBBORN, f"{CONTROL}\nretries=3", "y = 0", sets)
    its = Stubborn(here, candle, slurm)

    # A node is lost between the verdicts over its trials and their ends; then the walltime is over.
    its.run("submit-job", path)
    its.wait_until(lambda: any(isinstance(event, TrialReported) for event in its.events))  # the first trial's
    its.wait_until(lambda: len(list(its.folder.glob("run/*/processes"))) == 6)
    nodes = {number: its.processes(number)[0] for number in range(1, 7)}
    used = {slurm.run("squeue", "--noheader", "--format=%B").split()[0], nodes[1]}
    for number in sorted(range(2, 7), key=lambda number: nodes[number] not in used):
        its.let_report(number)
        its.wait_until(partial(its.is_decided, number))
    assert number in its.asked()
    assert nodes[number] not in used
    slurm.signal_jobs_on(nodes[number], signal.SIGKILL)
    its.wait_until(lambda: its.history.counts[Status.STOPPED] == 5)
    its.wait_until(lambda: len(its.history.running) == 6)
    its.let_walltime_end()
    its.end_of_job()
    assert its.history.counts == {Status.STOPPED: 5, Status.INTERRUPTED: 6}
    assert "(the walltime is nearly over)" in (its.folder / "job.out").read_text()

    # The campaign is killed between verdicts and ends.
    its.run("resume")
    its.wait_until(lambda: len(its.history.campaigns) == 2 and len(its.history.running) == 6)
    its.let_report(7, 8)
    its.wait_until(lambda: its.asked() == [7, 8])
    assert its.history.counts[Status.STOPPED] == 5
    ran = [its.processes(number)[1] for number in (1, *range(7, 12))]
    os.kill(its.history.campaigns[-1].started.process, signal.SIGKILL)
    slurm.wait_until_empty(90)

    # Its trials have ended with it. The job of the next one is cancelled; a last one runs to the end.
    its.run("resume")
    its.wait_until(lambda: len(its.history.campaigns) == 3 and len(its.history.running) == 5)
    left = [process for processes in ran for process in processes if not gone(process)]
    assert not left, subprocess.run(["ps", "-fp", ",".join(map(str, left))], capture_output=True, text=True).stdout
    its.let_report(9, 10)
    its.wait_until(lambda: its.history.counts[Status.STOPPED] + len(its.asked()) == 9)
    its.run("cancel")
    its.end_of_job()
    its.let_report(11, 12)
    (here / "may_end").touch()
    its.run("resume")
    its.end_of_job()

    history, events = its.history, its.events
    assert history.counts == {Status.COMPLETED: 1, Status.STOPPED: 11}
    assert history.best is history.trials[1]
    assert history.trials[1].attempt.number == 4
    assert len(history.jobs) == len(history.campaigns) == 4
    assert_decisions_follow_from_the_record(events)


def assert_decisions_follow_from_the_record(events: list[AnyEvent]) -> None:
    """Let a rule judge what was weighed, as a campaign that resumes does: it decides as it was decided."""
    rule = EarlyStopping(FirstCome(), Asha(2), LOSS, max_steps=3)
    attempts = {attempt.name: attempt for attempt in (e.begun for e in events if isinstance(e, TrialStarted))}
    asked = {(each.number, each.attempt, each.step) for each in events if isinstance(each, TrialStopAsked)}
    decided: set[int] = set()
    for event in events:
        match event:
            case TrialStarted():
                assert event.number not in decided, "it was stopped, and is attempted again"
            case TrialReported():
                attempt = attempts[f"hpset_{event.number:05d}/{event.attempt}"]
                verdict = rule.judge(attempt, event.report)
                assert (verdict.rank, verdict.among) == (event.rank, event.among), event
                is_asked = (event.number, event.attempt, event.report.step) in asked
                assert (verdict.kind is VerdictKind.STOP) == is_asked, event
            case TrialStopAsked():
                decided.add(event.number)
            case TrialFinished():
                rule.ended(attempts[f"hpset_{event.number:05d}/{event.attempt}"], event.outcome)
    assert len(decided) == 11
