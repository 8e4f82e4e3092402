"""What the campaign itself costs: processor time and memory a trial, replay, and how fast the commands answer.

The pool is faked (every trial ends at once, with a value); the loop, the search and the synced record are real. Each
size has its own process.

    python benchmarks/campaign_cost.py     writes its part of docs/performance.md
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path

from candle_hpo.campaign import Campaign
from candle_hpo.core.failures import FailurePolicy
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.core.trial import Attempt, Failure, FailureKind, Metrics, Outcome, Place, Status, default_trial_id
from candle_hpo.engine.pooled import PooledEngine
from candle_hpo.record.record import Record
from candle_hpo.schedule.scheduler import LongestFirst
from candle_hpo.search.grid import GridSearch
from performance_page import write_part

SIZES = (1_000, 10_000, 100_000)
WORKERS = 8
RUNS = 5

INPUT = """
&control
  model_script="model.sh"
  workflow="grid"
  nworkers=2
/
&default_model
  epochs = 20
/
&param_space
  {"x": 1}
/
"""


class EndedAtOnce(Executor):
    """Ends what it was given when it is asked to: `WORKERS` trials at a time."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Future[Outcome], Attempt]] = []

    def submit(self, _: Callable[..., Outcome], /, *args: object, **__: object) -> Future[Outcome]:  # type: ignore[override]
        """Take a trial in."""
        (attempt,) = args
        assert isinstance(attempt, Attempt)
        future: Future[Outcome] = Future()
        self._waiting.append((future, attempt))
        return future

    def end(self) -> None:
        """End all trials that wait."""
        waiting, self._waiting = self._waiting, []
        for future, attempt in waiting:
            metrics: Metrics = {THE_VALUE: float(attempt.trial.number % 97)}
            future.set_result(Outcome(Status.COMPLETED, metrics, seconds=0.1, place=Place("node1", 1)))


def run_campaign(count: int, record_file: Path) -> None:
    """Run a campaign of so many trials; print what it took as JSON."""
    sets = [
        ParameterSet(default_trial_id(number), {"x": number, "rate": number / 7, "kind": "relu", "epochs": 20})
        for number in range(1, count + 1)
    ]
    record, pool = Record(record_file, Objective(Direction.MINIMIZE)), EndedAtOnce()
    began, clock = time.process_time(), time.perf_counter()
    engine = PooledEngine(
        pool,
        lambda _: Outcome(Status.FAILED, failure=Failure(FailureKind.NO_VALUE, "broken")),
        WORKERS,
        lambda *_: None,
    )
    Campaign(
        GridSearch(GridSpace(("x", "rate", "kind"), sets)),
        engine,
        record,
        FailurePolicy(),
        pool.end,
        scheduler=LongestFirst(),
    ).run()
    spent, lasted = time.process_time() - began, time.perf_counter() - clock
    assert record.history.counts == {Status.COMPLETED: count}
    clock = time.perf_counter()
    Record(record_file, Objective(Direction.MINIMIZE))
    replay = time.perf_counter() - clock
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([1000 * spent / count, 1000 * lasted / count, replay, memory]))


def latency(*arguments: str, directory: Path) -> float:
    """Return the median time of a command, in seconds."""
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "candle_hpo", *arguments], cwd=directory, capture_output=True, check=True)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def tables() -> str:
    """Return the tables of the page."""
    lines = [
        f"`python benchmarks/campaign_cost.py`: {WORKERS} workers, a faked pool, a real record; {os.cpu_count()} "
        f"cores, {platform.system()}, Python {platform.python_version()}.",
        "",
        "| trials | ms of processor time a trial | ms a trial, syncs included | replay, s | memory, MB |",
        "| --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        for count in SIZES:
            file = here / f"{count}.jsonl"
            done = subprocess.run(
                [sys.executable, __file__, str(count), str(file)], capture_output=True, text=True, check=True
            )
            spent, lasted, replay, memory = json.loads(done.stdout)
            lines.append(f"| {count:,} | {spent:.3f} | {lasted:.3f} | {replay:.2f} | {memory:.0f} |")
        (here / "model.sh").write_text("val_to_return=1\n")
        (here / "x.in").write_text(INPUT)
        subprocess.run(
            [sys.executable, "-m", "candle_hpo", "submit-job", "x.in"], cwd=here, capture_output=True, check=True
        )
        (here / "10000.jsonl").replace(here / "last-candle-job" / "events.jsonl")
        commands = {"candle --help": ["--help"], "candle status, 10,000 trials": ["status"]}
        commands["candle aggregate-results, 10,000 trials"] = ["aggregate-results"]
        lines += ["", "| command | seconds (median of 5) |", "| --- | --- |"]
        lines += [f"| `{name}` | {latency(*words, directory=here):.2f} |" for name, words in commands.items()]
    return "\n".join(lines)


def main() -> None:
    """Run one campaign, as this program's own process, or write the page."""
    if len(sys.argv) == 3:
        run_campaign(int(sys.argv[1]), Path(sys.argv[2]))
        return
    write_part("campaign", tables())


if __name__ == "__main__":
    main()
