"""Trials on other nodes that are stopped by what they print: the wish arrives, and what it finds may save itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from candle_hpo.core.objective import Direction, Objective
from candle_hpo.core.trial import Status
from candle_hpo.record.events import TrialReported, TrialStopAsked
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events
from conftest import Candle, WriteInput
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
    late = {number: round(at - asked[number].time, 2) for number, at in arrived.items()}  # seconds from the verdict
    (here / "late.json").write_text(json.dumps(late))
    assert {row.outcome.place.node for row in stopped.values() if row.outcome and row.outcome.place} - {"n1"}
    # One that reports before all others is judged by its second report.
    at_first = [row.outcome for number, row in stopped.items() if row.outcome and asked[number].step == 1]
    assert len(at_first) >= 6
    assert all(outcome.seconds < 20 for outcome in at_first)
    weighed = [each for each in events if isinstance(each, TrialReported)]
    assert len(weighed) >= len(history.trials)
    slurm.wait_until_nothing_runs(10)
