"""Thousands of short trials that end in every way there is: the counts must add up, and nothing be left behind.

    .venv/bin/python benchmarks/soak.py --trials 5000 --workers 8

Prints the figures of docs/reliability.md, and ends with status 1 where something is lost or leaked. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from candle_hpo.core.objective import Direction, Objective
from candle_hpo.core.trial import Status
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events

# How a trial ends, how often of a thousand, and what is recorded of it.
ENDS: dict[str, tuple[int, Status]] = {
    "completes": (800, Status.COMPLETED),
    "completes and leaves a child": (30, Status.COMPLETED),
    "completes and leaves a daemon": (30, Status.COMPLETED),
    "exits with 3": (30, Status.FAILED),
    "leaves nothing": (25, Status.FAILED),
    "reports no number": (25, Status.FAILED),
    "crashes": (20, Status.FAILED),
    "is killed": (15, Status.FAILED),
    "says it was refused memory": (10, Status.OUT_OF_MEMORY),
    "says that the disk is full": (5, Status.INTERRUPTED),
    "hangs": (5, Status.TIMED_OUT),
    "hangs with a daemon": (3, Status.TIMED_OUT),
    "prints for ever": (2, Status.FAILED),
}

MODEL = r"""#!/bin/bash
how=$(cut -d'"' -f4 params.json | tail -2 | tr -d '\n{}')
case $how in
  completes*) echo "$CANDLE_TRIAL_NUMBER" > "$CANDLE_RESULT_FILE" ;;&
  *child) sleep 600 & ;;
  *daemon) setsid sleep 600 & ;;&
  hangs*) exec sleep 600 ;;
  "exits with 3") exit 3 ;;
  "reports no number") echo nan > "$CANDLE_RESULT_FILE" ;;
  crashes) kill -SEGV $$ ;;
  "is killed") kill -KILL $$ ;;
  *memory) echo "MemoryError" >&2; exit 1 ;;
  *full) echo "OSError: [Errno 28] No space left on device" >&2; exit 1 ;;
  prints*) exec yes ;;
esac
exit 0
"""

INPUT = """&control
model_script=model
workflow=grid
engine=local
nworkers={workers}
trial_timeout=00:00:02
max_output=1
max_failures=0
/
&param_space
{sets}
/
"""


def main() -> int:
    """Run the soak; return 1 where something is lost or leaked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="candle_soak_"))
    weights = [often for often, _ in ENDS.values()]
    ends = random.Random(asked.seed).choices(list(ENDS), weights, k=asked.trials)
    (folder / "model").write_text(MODEL)
    (folder / "model").chmod(0o755)
    sets = "\n".join(json.dumps({"how": how}) for how in ends)
    (folder / "x.in").write_text(INPUT.format(workers=asked.workers, sets=sets))
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "candle_hpo", "submit-job", "x.in"], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    samples = watch(process, folder)
    seconds = time.monotonic() - began
    wrong = judge(folder, ends, process.returncode)
    print(f"{asked.trials} trials, {asked.workers} workers, {seconds:.0f} s, seed {asked.seed}: {folder}")
    third = len(samples) // 3
    early, late = (
        {name: max(s[name] for s in part) for name in samples[0]} for part in (samples[:third], samples[-third:])
    )
    for name in ("trials", "open files", "threads", "children", "zombies", "kilobytes"):
        print(f"  {name}: at most {early[name]} in the first third of the time, {late[name]} in the last")
    for name in ("open files", "threads", "zombies"):
        if late[name] > early[name] + 3:  # as many as may be there just when one looks
            wrong.append(f"{name} have grown")
    per_trial = 1024 * (late["kilobytes"] - early["kilobytes"]) / max(1, late["trials"] - early["trials"])
    print(f"  memory: {per_trial:.0f} bytes more for each trial, whose history is kept")
    if per_trial > 20_000:
        wrong.append("memory has grown by more than the history")
    print("\n".join(f"WRONG: {what}" for what in wrong) or "  all counts add up, nothing is left")
    return 1 if wrong else 0


def watch(process: subprocess.Popen[str], folder: Path) -> list[dict[str, int]]:
    """Return what the process holds, twice a second until its last trial has ended."""
    samples: list[dict[str, int]] = []
    record = folder / "last-candle-job" / "events.jsonl"
    proc = Path("/proc") / str(process.pid)
    while process.poll() is None:
        try:
            ended = record.read_bytes().count(b"TrialFinished") if record.exists() else 0
            status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
            children = [
                (Path("/proc") / pid / "stat").read_text().rpartition(")")[2].split()[0]
                for task in (proc / "task").iterdir()
                for pid in (task / "children").read_text().split()
            ]
            sample = {
                "trials": ended,
                "open files": len(list((proc / "fd").iterdir())),
                "threads": int(status["Threads"]),
                "children": len(children),
                "zombies": children.count("Z"),
                "kilobytes": int(status["VmRSS"].split()[0]),
            }
            if ended and b"CampaignStopped" not in record.read_bytes()[-500:]:
                samples.append(sample)
        except (OSError, KeyError):
            pass  # what was looked at has ended in between
        time.sleep(0.5)
    return samples


def judge(folder: Path, ends: list[str], status: int) -> list[str]:
    """Return what is not as it should be: counts of outcomes, and processes that are left."""
    wrong: list[str] = []
    history = History(Objective(Direction.MINIMIZE), read_events(folder / "last-candle-job" / "events.jsonl"))
    expected = Counter(ENDS[how][1] for how in ends)
    print("  " + ", ".join(f"{history.counts[each]} {each.value}" for each in Status))
    if history.counts != expected:
        wrong.append(f"counts are {history.counts}, not {expected}")
    for number, row in history.trials.items():
        if row.outcome is None or row.outcome.status is not ENDS[ends[number - 1]][1]:
            wrong.append(f"trial {number}, which {ends[number - 1]}, is recorded as {row.outcome}")
        elif row.value is not None and row.value != number:
            wrong.append(f"trial {number} has the value {row.value}")
    if status != 3:  # some trials were the machine's fault
        wrong.append(f"the exit status is {status}")
    marker = os.fsencode(f"CANDLE_EXPERIMENT_DIR={folder}")
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker in path.read_bytes():
                wrong.append(f"process {path.parent.name} is left")
        except OSError:
            continue
    return wrong


if __name__ == "__main__":
    sys.exit(main())
