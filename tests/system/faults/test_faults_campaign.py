"""The campaign killed at random moments: nothing that completed is lost, repeated or recorded twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.trial import Outcome, Status
from candle_hpo.record.events import TrialFinished
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events
from conftest import Candle, WriteInput

TRIALS = 200
KILLS = 50

# Notes each attempt when it begins, in one append; the value is that of its trial and of no other.
NOTED = """#!/bin/sh
echo "$CANDLE_TRIAL_NUMBER" >> "$CANDLE_EXPERIMENT_DIR/began"
sleep 0.$((CANDLE_TRIAL_NUMBER % 10 + 10))
echo "$CANDLE_TRIAL_NUMBER" > "$CANDLE_RESULT_FILE"
"""


def completed_in_folders(root: Path) -> set[int]:
    """Return the trials whose worker has left that they are completed."""
    found: set[int] = set()
    for path in root.glob("run/*/outcome.json"):
        ended = json.loads(path.read_text())  # whole, at every moment
        if ended["outcome"]["status"] == "completed":
            found.add(ended["number"])
    return found


def begun(root: Path) -> Counter[int]:
    path = root / "began"
    return Counter(map(int, path.read_text().split())) if path.exists() else Counter()


def test_killed_at_50_random_moments_nothing_is_lost_or_repeated(write_input: WriteInput, here: Path) -> None:
    path = write_input(
        "", "nworkers=4\nretries=0", "", "\n".join(json.dumps({"x": number}) for number in range(1, TRIALS + 1))
    )
    path.write_text(path.read_text().replace("model.py", "model"))
    (here / "model").write_text(NOTED)
    (here / "model").chmod(0o755)
    seed = random.SystemRandom().randrange(10**9)
    moments = random.Random(seed)
    root = here / "candle_generated_files" / "experiments" / "X000"
    kills, done = 0, set[int]()
    arguments = ["submit-job", "x.in"]
    while True:
        before = begun(root)
        process = subprocess.Popen(
            [sys.executable, "-m", "candle_hpo", *arguments], cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        if kills < KILLS:
            # By how far it has come, not by the clock of a busy machine; some are killed while they start. (The first
            # one has to live until there is an experiment.)
            wait_for_the_record_to_grow(root, process, lines=moments.randint(0 if kills else 1, 9))
            time.sleep(moments.uniform(0, 0.05))
            process.kill()
            kills += process.wait() == -signal.SIGKILL
        stdout, stderr = process.communicate(timeout=60)
        again = {number for number in done if begun(root)[number] > before[number]}
        assert not again, f"seed {seed}, kill {kills}: completed, and attempted again: {sorted(again)}"
        done = completed_in_folders(root)
        if process.returncode != -signal.SIGKILL:
            assert process.returncode == 0, (seed, kills, stdout, stderr)
            if kills >= KILLS or b"nothing is left to do" in stdout:
                break
        arguments = ["resume", "X000"]
    assert kills == KILLS, f"seed {seed}: only {kills} kills before all was done"
    events = list(read_events(root / "events.jsonl"))
    ends = Counter(
        event.number
        for event in events
        if isinstance(event, TrialFinished) and event.outcome.value_of(THE_VALUE) is not None
    )
    assert ends == Counter(range(1, TRIALS + 1)), f"seed {seed}"
    history = History(Objective(Direction.MINIMIZE), events)
    values = {number: row.value for number, row in history.trials.items() if row.outcome}
    assert values == {number: float(number) for number in range(1, TRIALS + 1)}
    assert not (root / "campaign.lock").exists()


def wait_for_the_record_to_grow(root: Path, process: subprocess.Popen[bytes], lines: int) -> None:
    record = root / "events.jsonl"

    def length() -> int:
        return record.read_bytes().count(b"\n") if record.exists() else 0

    before = length()
    deadline = time.monotonic() + 30
    while process.poll() is None and length() < before + lines:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_what_had_ended_and_was_not_recorded_is_collected(write_input: WriteInput, here: Path, candle: Candle) -> None:
    """The record is cut off before the ends of all trials, as a kill at that moment leaves it."""
    assert candle("submit-job", write_input(control="nworkers=4")).returncode == 0
    root = here / "last-candle-job"
    record = root / "events.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    starts = [line for line in lines if b"TrialFinished" not in line and b"CampaignStopped" not in line]
    record.write_bytes(b"".join(starts))
    stale = root / "run" / "hpset_00002" / "outcome.json"
    stale.write_text(stale.read_text().replace('"attempt":1', '"attempt":7'))
    torn = root / "run" / "hpset_00003" / "outcome.json"
    torn.write_text(torn.read_text()[:40])
    before = {path: path.stat().st_mtime_ns for path in root.glob("run/*/params.json")}

    resumed = candle("resume")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    ran = {path.parent.name for path, time_ns in before.items() if path.stat().st_mtime_ns != time_ns}
    assert ran == {"hpset_00002", "hpset_00003"}
    history = History(Objective(Direction.MINIMIZE), read_events(record))
    assert history.counts == {Status.COMPLETED: 4}
    outcome = history.trials[1].outcome
    assert outcome is not None
    stored = json.loads((root / "run" / "hpset_00001" / "outcome.json").read_text())
    assert msgspec.convert(stored["outcome"], Outcome) == outcome
    assert [history.trials[number].attempt.number for number in range(1, 5)] == [1, 2, 2, 1]


def test_a_model_continues_from_its_checkpoint(write_input: WriteInput, here: Path, candle: Candle) -> None:
    script = """
        import os, pathlib, time
        folder = pathlib.Path(os.environ["CANDLE_CHECKPOINT_DIR"])
        folder.mkdir(parents=True, exist_ok=True)
        epochs = len(list(folder.iterdir()))
        resumed_at = epochs
        while epochs < 6:
            (folder / str(epochs)).touch()
            epochs += 1
            if resumed_at == 0 and epochs == 3:
                time.sleep(600)
        val_to_return = resumed_at
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "candle_hpo", "submit-job", write_input(script, param_space='{"x": 1}').name],
        cwd=here,
        stdout=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while not (here / "last-candle-job" / "checkpoints" / "hpset_00001" / "2").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    resumed = candle("resume")
    assert resumed.returncode == 0, resumed.stdout
    assert "best (minimize): 3 by hpset_00001" in resumed.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_second_campaign_is_refused_and_a_killed_one_is_followed(
    write_input: WriteInput, here: Path, candle: Candle
) -> None:
    path = write_input("import time; time.sleep(600)", param_space='{"x": 1}')
    process = subprocess.Popen([sys.executable, "-m", "candle_hpo", "submit-job", path.name], cwd=here)
    deadline = time.monotonic() + 30
    while not list(here.glob("last-candle-job/run/*/subprocess_out_and_err.txt")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = candle("resume")
    assert second.returncode == 2
    assert f"X000 is being run by process {process.pid} on {os.uname().nodename}, since 20" in second.stderr
    process.kill()
    process.wait()
    (here / "model.py").write_text("val_to_return = 1")
    resumed = candle("resume")
    assert resumed.returncode == 0
    assert "waiting" not in resumed.stdout + resumed.stderr


def test_a_broken_script_stops_early_and_a_fixed_one_completes_all(
    write_input: WriteInput, here: Path, candle: Candle
) -> None:
    sets = "\n".join(json.dumps({"x": number}) for number in range(30))
    path = write_input("def load():\n    import numbre  # a slip of the hand\nload()", "nworkers=2", "", sets)
    done = candle("submit-job", path)
    assert done.returncode == 1
    assert "Stopped: too many failures: the first 1" in done.stdout
    assert "ModuleNotFoundError: No module named 'numbre'" in done.stdout
    assert "candle resume X000 continues it; candle resume X000 --retry-failed attempts the 1" in done.stdout
    failed = History(Objective(Direction.MINIMIZE), read_events(here / "last-candle-job" / "events.jsonl")).counts[
        Status.FAILED
    ]
    assert 10 <= failed <= 12
    (here / "model.py").write_text("val_to_return = 1")
    resumed = candle("resume")
    assert resumed.returncode == 1
    assert f"the {failed} that failed are not attempted again (--retry-failed does)" in resumed.stdout
    assert f"30 trials: {30 - failed} completed, {failed} failed" in resumed.stdout
    again = candle("resume", "--retry-failed")
    assert again.returncode == 0, again.stdout
    assert "30 trials: 30 completed" in again.stdout


@pytest.mark.parametrize(("control", "completed", "status"), [("retry_failed=1", 3, 0), ("retry_failed=0", 2, 1)])
def test_a_flaky_model(
    control: str, completed: int, status: int, write_input: WriteInput, here: Path, candle: Candle
) -> None:
    script = """
        import os
        first = not os.path.exists("tried")
        open("tried", "w").close()
        assert not (first and hyperparams["x"] == 2)
        val_to_return = 1
    """
    done = candle("submit-job", write_input(script, control, "", '{"x": 1}\n{"x": 2}\n{"x": 3}'))
    assert done.returncode == status
    assert f"3 trials: {completed} completed" in done.stdout


def test_a_number_of_failures_that_the_user_sets(write_input: WriteInput, here: Path, candle: Candle) -> None:
    sets = "\n".join(json.dumps({"x": number}) for number in range(20))
    script = "assert hyperparams['x'] % 2; val_to_return = 1"
    done = candle("submit-job", write_input(script, "max_failures=3", "", sets))
    assert done.returncode == 1
    assert "20 trials: 2 completed, 3 failed, 15 not started" in done.stdout
    assert "Stopped: too many failures: 3 trials have failed, and max_failures=3" in done.stdout
