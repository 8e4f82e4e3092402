"""Scripts whose output goes through another program: the last line is there when the script has ended.

    .venv/bin/python benchmarks/last_lines.py --trials 400 --workers 4

Runs each script so often, beside a busy loop on each CPU, and prints how many trials had the value that was printed
last (right), an earlier one (stale), or none (failed). Ends with status 1 unless all are right.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from candle_hpo.core.objective import Direction, Objective
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events

# Name -> suffix, script; each prints `loss: 1` to `loss: 200`.
SCRIPTS = {
    "without another program": ("sh", "for i in $(seq 200); do echo loss: $i; done"),
    "| tee": ("sh", "{ for i in $(seq 200); do echo loss: $i; done; } | tee train.log"),
    "exec > >(tee -a train.log)": (
        "sh",
        "exec > >(tee -a train.log) 2>&1; for i in $(seq 200); do echo loss: $i; done",
    ),
    "exec > >(while read ...)": (
        "sh",
        'exec > >(while IFS= read -r line; do echo "$(date +%T) $line"; done) 2>&1\n'
        "for i in 1 2 3 4; do echo loss: $i; sleep 0.03; done; echo loss: 200",
    ),
    "Python's os.dup2 to tee": (
        "py",
        "import os, subprocess\n"
        "tee = subprocess.Popen(['tee', '-a', 'train.log'], stdin=subprocess.PIPE)\n"
        "os.dup2(tee.stdin.fileno(), 1)\n"
        "for i in range(1, 201): print('loss:', i, flush=True)\n",
    ),
}

INPUT = """&control
model_script=model.{suffix}
workflow=grid
engine=local
nworkers={workers}
result_pattern="loss: ([0-9]+)"
max_failures=0
/
&param_space
{sets}
/
"""


def main() -> int:
    """Run each script; return 1 where a value is not the last one printed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--workers", type=int, default=4)
    asked = parser.parse_args()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        counts = [run(name, *script, asked.trials, asked.workers) for name, script in SCRIPTS.items()]
    finally:
        for each in busy:
            each.kill()
            each.wait()
    return int(any(count["right"] != asked.trials for count in counts))


def run(name: str, suffix: str, script: str, trials: int, workers: int) -> Counter[str]:
    """Run a script so often, and print what its trials came to."""
    folder = Path(tempfile.mkdtemp(prefix="candle_last_lines_"))
    (folder / f"model.{suffix}").write_text(script)
    sets = "\n".join(f'{{"x": {number}}}' for number in range(trials))
    (folder / "x.in").write_text(INPUT.format(suffix=suffix, workers=workers, sets=sets))
    began = time.monotonic()
    command = [sys.executable, "-m", "candle_hpo", "submit-job", "x.in"]
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False)
    seconds = time.monotonic() - began
    history = History(Objective(Direction.MINIMIZE), read_events(folder / "last-candle-job" / "events.jsonl"))
    values = [row.value for row in history.trials.values() if row.outcome]
    counts = Counter("right" if value == 200 else "failed" if value is None else "stale" for value in values)
    print(
        f"{name:28} {counts['right']:4} right {counts['stale']:4} stale {counts['failed']:4} failed "
        f"{1000 * seconds / trials:6.0f} ms a trial",
        flush=True,
    )
    return counts


if __name__ == "__main__":
    raise SystemExit(main())
