"""What reports cost the file system that a cluster's nodes share: calls on files of an experiment, by running trials.

A real campaign of this machine is followed by strace, while some trials, warm ones in Python, report once a second; it
is made to believe that its folder is one that nodes share. Only calls of the time when all trials run are counted, and
none of their scripts' own. Those on files of trials are given for one trial; a cluster's worker makes the same, on its
own node. What a call costs a server depends on the file system: a read of a file that is open and was written on the
same node is answered there, but NFS may first ask whether the file has changed, for each file at most every three
seconds (`acregmin`). What has to reach the server counts in full: files that are opened, looked for, renamed, removed,
folders that are read, and data that is synced.

    python benchmarks/shared_files.py [TRIALS [SECONDS]]  # half an hour
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
UNTIL_USUAL = 40  # seconds, in which files that are not there yet are looked for more often
NOTHING = "pass"
MOST = 200.0  # calls a second that have to reach the server
WAYS = {
    "candle_report": ("candle_report(1.0, step=step, accuracy=0.5)", ""),
    "result_pattern": (
        'print(f"epoch {step} loss 1.0", flush=True)',
        "result_pattern='epoch (?P<epoch>[0-9]+) loss (?P<loss>[0-9.]+)'",
    ),
    "result_file, a table": (
        'print(step, 1.0, sep=",", file=log, flush=True)',
        "result_file=log.csv\nresult_key=loss",
        'log = open("log.csv", "w"); print("step,loss", file=log)',
    ),
    "result_file, lines of JSON": (
        """print(f'{{"step": {step}, "loss": 1.0}}', file=log, flush=True)""",
        "result_file=log.jsonl\nresult_key=loss",
        'log = open("log.jsonl", "w")',
    ),
    "result_file, JSON written again": (
        """open("log.json", "w").write(f'{{"step": {step}, "loss": 1.0}}')""",
        "result_file=log.json\nresult_key=loss",
    ),
    "result_file, JSON replaced": (
        """open("aside", "w").write(f'{{"step": {step}, "loss": 1.0}}'); os.replace("aside", "log.json")""",
        "result_file=log.json\nresult_key=loss",
    ),
    "result_file, JSON in folders": (
        """place = f"checkpoint-{step // 20}"; os.makedirs(place, exist_ok=True); """
        """open(f"{place}/state.json", "w").write(f'{{"h": [{{"step": {step}, "loss": 1.0}}]}}')""",
        "result_file=checkpoint-*/state.json\nresult_key=h[*].loss",
    ),
    "result_file, event files": (
        "log.buffer.write(event(step)); log.flush()",
        "result_file=*tfevents*\nresult_key=loss",
        'log = open("events.out.tfevents.1", "w")',
    ),
    "result_file that never comes": (NOTHING, "result_file=log.json\nresult_key=loss"),
    "nothing": (NOTHING, ""),
}
MODEL = """
import os, struct, time
from candle_hpo.launch.measuring.event_file import checksum
def record(data):
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", checksum(length)) + data + struct.pack("<I", checksum(data))
def event(step):
    value = b"\\x0a\\x04loss\\x15" + struct.pack("<f", 1.0)
    summary = b"\\x0a" + bytes([len(value)]) + value
    number = bytes([step % 128 | 128, step // 128 % 128]) if step > 127 else bytes([step])
    return record(b"\\x10" + number + b"\\x2a" + bytes([len(summary)]) + summary)
{begin}
for step in range(1, 10_000):
    {report}
    time.sleep(1)
"""
SHARED = """
import runpy
from candle_hpo.launch.measuring import looks
looks.is_of_this_machine = lambda _: False
runpy.run_module("candle_hpo", run_name="__main__")
"""
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
_CALL = re.compile(r"(?P<thread>\d+)\s+(?P<time>[\d.]+) (?P<name>\w+)\((?P<arguments>.*)")
_PLACE = re.compile(r'(?:<(?P<open>/[^>]*)>)?(?:, )?(?:"(?P<path>[^"]*)")?')
KINDS = {
    "read": "reads of open files",
    "pread64": "reads of open files",
    "write": "writes to open files",
    "pwrite64": "writes to open files",
}
WITHIN_THE_NODE = ("lseek", "fcntl", "ioctl", "dup", "dup2", "dup3", "close", "mmap", "fadvise64", "poll", "epoll_ctl")
OTHERS = "what has to reach the server"


def threads_of(strace: int) -> set[str]:
    """Return the numbers of the threads of the campaign that is followed."""
    (campaign,) = Path(f"/proc/{strace}/task/{strace}/children").read_text().split()
    return {path.name for path in Path(f"/proc/{campaign}/task").iterdir()}


def calls(trace: Path, folder: Path, own: set[str], begin: float, end: float) -> Iterator[tuple[str, Path, str]]:
    """Yield the kind, file and name of each call of these threads on files in a folder within these times."""
    with trace.open(errors="replace") as lines:
        for line in lines:
            call = _CALL.match(line)
            if (
                call is None
                or call["thread"] not in own
                or not begin <= float(call["time"]) < end
                or call["name"] in WITHIN_THE_NODE
            ):
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
    report, control, *begin = WAYS[way]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "model.py").write_text(MODEL.format(report=report, begin="".join(begin)))
        sets = "\n".join(f'{{"x": {number}}}' for number in range(trials))
        (folder / "x.in").write_text(INPUT.format(folder=folder, trials=trials, control=control, sets=sets))
        trace = folder / "trace"
        strace = ["strace", "-f", "-qq", "-y", "-ttt", "-s", "512", "-e", "trace=%file,%desc", "-o", str(trace)]
        command = [*strace, sys.executable, "-c", SHARED, "submit-job", "x.in"]
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        with subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
        ) as process:
            runs = folder / "candle_generated_files/experiments/X000/run"
            begun = "reports.jsonl" if report != NOTHING else "subprocess_out_and_err.txt"
            while len(list(runs.glob(f"*/{begun}"))) < trials:
                if process.poll() is not None:
                    raise RuntimeError(f"candle ended with {process.returncode}")
                time.sleep(0.5)
            time.sleep(UNTIL_USUAL)
            started, begins = time.time(), threads_of(process.pid)
            time.sleep(seconds)
            own = begins | threads_of(process.pid)
            os.killpg(process.pid, signal.SIGINT)  # strace itself does not heed it
        found: dict[str, Counter[str]] = {"trials": Counter(), "others": Counter()}
        for kind, path, called in calls(trace, folder / "candle_generated_files", own, started, started + seconds):
            of = "trials" if path.is_relative_to(runs) and path != runs else "others"
            found[of][kind] += 1
            found[of][f"  {called}"] += kind == OTHERS
        return found


def main() -> None:
    """Print the numbers, and whether they are within the bound."""
    if shutil.which("strace") is None:
        sys.exit("this needs strace")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored in the background, by candle, too
    trials, least = (*map(int, sys.argv[1:]), *(4, 40)[len(sys.argv) - 1 :])
    is_too_much = False
    for way, (_, control, *_) in WAYS.items():
        seconds = least * 4 if "*" in control else least  # else a search more or less counts for much
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
        is_too_much |= whole[OTHERS] > MOST
    sys.exit(is_too_much)


if __name__ == "__main__":
    main()
