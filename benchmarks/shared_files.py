"""What reports cost the file system that a cluster's nodes share: calls on files of an experiment, by running trials.

A real campaign of this machine is followed by strace, while some trials, warm ones in Python, report once a second;
only calls of the time when all of them run are counted. Those on files of trials are given for one trial; a cluster's
worker makes the same, on its own node. What a call costs a server depends on the file system: a read of a file that is
open and was written on the same node is answered there, but NFS may first ask whether the file has changed, for each
file at most every three seconds (`acregmin`). What has to reach the server counts in full: files that are opened,
looked for, renamed, removed, and data that is synced.

    python benchmarks/shared_files.py [TRIALS [SECONDS]]
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

RUNNING = 1000  # trials that the sums are for
MOST = 200.0  # calls a second that have to reach the server
WAYS = {
    "candle_report": ("candle_report(1.0, step=step, accuracy=0.5)", ""),
    "result_pattern": (
        'print(f"epoch {step} loss 1.0", flush=True)',
        "result_pattern='epoch (?P<epoch>[0-9]+) loss (?P<loss>[0-9.]+)'",
    ),
    "result_file": (
        'print(step, 1.0, sep=",", file=open("log.csv", "a"))',
        "result_file=log.csv\nresult_key=loss\nprepare='echo step,loss > log.csv'",
    ),
}
MODEL = "import time\nfor step in range(1, 1_000_000):\n    {report}\n    time.sleep(1)\n"
INPUT = """&control
  model_script="{folder}/model.py"
  workflow="grid"
  engine="local"
  nworkers={trials}
  stopping="asha"
  min_steps=1
  max_steps=1000000
  {control}
/
&param_space
{sets}
/
"""
_CALL = re.compile(r"\d+\s+(?P<time>[\d.]+) (?P<name>\w+)\((?P<arguments>.*)")
_PLACE = re.compile(r'(?:<(?P<open>/[^>]*)>)?(?:, )?(?:"(?P<path>[^"]*)")?')
KINDS = {
    "read": "reads of open files",
    "pread64": "reads of open files",
    "write": "writes to open files",
    "pwrite64": "writes to open files",
}
WITHIN_THE_NODE = ("lseek", "fcntl", "ioctl", "dup", "dup2", "dup3", "close", "mmap", "fadvise64", "poll", "epoll_ctl")
OTHERS = "what has to reach the server"


def calls(trace: Path, folder: Path, begin: float, end: float) -> Iterator[tuple[str, Path, str]]:
    """Yield the kind, file and name of each call on files in a folder within these times."""
    with trace.open(errors="replace") as lines:
        for line in lines:
            call = _CALL.match(line)
            if call is None or not begin <= float(call["time"]) < end or call["name"] in WITHIN_THE_NODE:
                continue
            place = _PLACE.search(
                call["arguments"], call["arguments"].find("<") if "<" in call["arguments"][:20] else 0
            )
            within = call["name"] not in KINDS and place and place["path"]  # else that is data
            path = Path((place and place["open"]) or "/", within or "")
            if path.is_relative_to(folder):
                yield KINDS.get(call["name"], OTHERS), path, call["name"]


def measure(way: str, trials: int, seconds: float) -> dict[str, Counter[str]]:
    """Return how many calls of each kind there were, on files of trials and on others, with their names."""
    report, control = WAYS[way]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "model.py").write_text(MODEL.format(report=report))
        sets = "\n".join(f'{{"x": {number}}}' for number in range(trials))
        (folder / "x.in").write_text(INPUT.format(folder=folder, trials=trials, control=control, sets=sets))
        trace = folder / "trace"
        strace = ["strace", "-f", "-qq", "-y", "-ttt", "-s", "512", "-e", "trace=%file,%desc", "-o", str(trace)]
        command = [*strace, sys.executable, "-m", "candle_hpo", "submit-job", "x.in"]
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
        ) as process:
            runs = folder / "candle_generated_files/experiments/X000/run"
            while len(list(runs.glob("*/reports.jsonl"))) < trials:
                if process.poll() is not None:
                    raise RuntimeError(f"candle ended with {process.returncode}")
                time.sleep(0.5)
            time.sleep(5)  # until what happens once has happened
            begin = time.time()
            time.sleep(seconds)
            os.killpg(process.pid, signal.SIGINT)  # strace itself does not heed it
        found: dict[str, Counter[str]] = {"trials": Counter(), "others": Counter()}
        for kind, path, called in calls(trace, folder / "candle_generated_files", begin, begin + seconds):
            of = "trials" if path.is_relative_to(runs) and path != runs else "others"
            found[of][kind] += 1
            found[of][f"  {called}"] += kind == OTHERS
        return found


def main() -> None:
    """Print the numbers, and whether they are within the bound."""
    if shutil.which("strace") is None:
        sys.exit("this needs strace")
    trials, seconds = (*map(int, sys.argv[1:]), *(8, 60)[len(sys.argv) - 1 :])
    is_too_much = False
    for way in WAYS:
        found = measure(way, trials, seconds)
        print(f"{way}: {trials} trials, a report a second each, for {seconds} s; calls a second")
        for of, by in (("a trial", trials), ("the campaign", 1)):
            counts = found["trials" if of == "a trial" else "others"]
            shown = (f"{kind} {amount / seconds / by:.2f}" for kind, amount in sorted(counts.items()) if amount)
            print(f"  {of}: {', '.join(shown)}")
        whole = {
            kind: RUNNING * found["trials"][kind] / seconds / trials + found["others"][kind] / seconds
            for kind in (*dict.fromkeys(KINDS.values()), OTHERS)
        }
        print(f"  {RUNNING:,} trials: " + ", ".join(f"{kind} {amount:,.0f}" for kind, amount in whole.items()))
        is_too_much |= way != "result_file" and whole[OTHERS] > MOST
    sys.exit(is_too_much)


if __name__ == "__main__":
    main()
