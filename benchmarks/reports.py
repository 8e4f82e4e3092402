"""What the reports of very many running trials cost their campaign, and how soon its verdict is back at a worker.

The workers and their trials are simulated: a few processes hold the workers' ends of the channel, real ones, and each
says once a second that its trial has measured something. There is no Parsl, no node and no model; how long it takes
until a report is found in a trial's folder (half a second at most) comes on top. The campaign is real, with its end of
the channel, its engine, its record, and a rule (`asha`) that looks at each report; which trials are stopped, and when,
is made up: each fifth, at steps all over the time. One that is stopped reports nothing more, as if it had ended.

    python benchmarks/reports.py [WORKERS [SECONDS]]
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from candle_hpo.campaign import Campaign
from candle_hpo.core.failures import FailurePolicy
from candle_hpo.core.objective import Direction, Objective
from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.core.stopping import StopHow
from candle_hpo.core.trial import Attempt, Outcome, Report, default_trial_id
from candle_hpo.engine.channel import Address, CampaignEnd, WorkerEnd
from candle_hpo.engine.open_files import allow_connections
from candle_hpo.engine.pooled import PooledEngine
from candle_hpo.record.record import Record
from candle_hpo.schedule.early_stopping import Asha, EarlyStopping
from candle_hpo.schedule.scheduler import FirstCome, Verdict, VerdictKind
from candle_hpo.search.grid import GridSearch

PROCESSES = 4
STOPPED = 5  # every so many trials, one
MOST_SHARE = 0.1  # of a core
MOST_SECONDS = 2.0  # until a verdict is there
LOSS = Objective(Direction.MINIMIZE, "loss")


class MadeUpVerdicts(EarlyStopping):
    """Lets a rule look at each report, and stops a trial at a step that its number says."""

    def __init__(self, seconds: int) -> None:
        super().__init__(FirstCome(), Asha(2), LOSS, min_steps=1, max_steps=1e6)
        self._seconds = seconds

    def judge(self, attempt: Attempt, report: Report, rung: float | None = None) -> Verdict:
        """Return the made-up verdict."""
        verdict = super().judge(attempt, report, rung)
        when, is_to_stop = divmod(attempt.trial.number, STOPPED)
        is_due = not is_to_stop and report.step >= 1 + when % max(1, self._seconds - int(MOST_SECONDS))
        return Verdict(VerdictKind.STOP if is_due else VerdictKind.UNHEEDED, verdict.rank, verdict.among)


class RunningUntilTheEnd(Executor):
    """Has workers elsewhere, whose trials run until all end."""

    def __init__(self) -> None:
        self._running: list[Future[Outcome]] = []

    def submit(self, *_: object, **__: object) -> Future[Outcome]:  # type: ignore[override]
        """Take a trial in."""
        future: Future[Outcome] = Future()
        self._running.append(future)
        return future

    def end(self) -> None:
        """Let all trials have ended, as stopped ones do."""
        for future in self._running:
            future.set_result(Outcome.stopped(StopHow.PURPOSE))


def simulate(address: Address, numbers: range, seconds: int, campaign: Connection) -> None:
    """Be the workers of these trials, and send how long each one's verdict took from the report that it is about."""
    allow_connections(len(numbers))
    reported, took = dict[int, float](), dict[int, float]()

    def stop(number: int, _how: StopHow) -> None:
        took.setdefault(number, time.monotonic() - reported[number])

    with ExitStack() as stack:
        workers = {
            number: stack.enter_context(
                WorkerEnd(address, f"n{number}:0").running(f"{default_trial_id(number)}/1", partial(stop, number))
            )
            for number in numbers
        }
        for worker in workers.values():
            worker.report(Report(0, {}))
        campaign.recv()
        began, said = time.monotonic(), 0
        while said < seconds * len(numbers):
            while said < min((time.monotonic() - began) * len(numbers), seconds * len(numbers)):
                number, step = numbers[said % len(numbers)], 1 + said // len(numbers)
                if number not in took:
                    reported[number] = time.monotonic()
                    workers[number].report(Report(step, {"loss": 1 / (number + step), "accuracy": 0.5}))
                said += 1
            time.sleep(0.005)
        time.sleep(MOST_SECONDS)  # for the last verdicts
    campaign.send(list(took.values()))


def measure(workers: int, seconds: int, record_file: Path) -> dict[str, float]:
    """Return what it took: a share of a core, and seconds."""
    allow_connections(workers)
    channel, pool = CampaignEnd(["127.0.0.1"]), RunningUntilTheEnd()
    connected: set[str] = set()
    channel.report_to(lambda run, _: connected.add(run))
    processes = min(PROCESSES, 1 + workers // 100)
    ends = []
    for first in range(1, processes + 1):
        ours, theirs = multiprocessing.Pipe()
        numbers = range(first, workers + 1, processes)
        arguments = channel.address, numbers, seconds, theirs
        multiprocessing.get_context("spawn").Process(target=simulate, args=arguments, daemon=True).start()
        ends.append(ours)
    while len(connected) < workers:
        time.sleep(0.1)

    def stop(attempt: Attempt | None, how: StopHow) -> None:
        if attempt is not None:
            channel.stop(attempt.name, how)

    engine = PooledEngine(pool, _nowhere, workers, stop)
    channel.report_to(engine.report)
    sets = [ParameterSet(default_trial_id(number), {"x": number}) for number in range(1, workers + 1)]
    record, search = Record(record_file, LOSS), GridSearch(GridSpace(("x",), sets))
    campaign = Campaign(search, engine, record, FailurePolicy(), scheduler=MadeUpVerdicts(seconds))
    found: dict[str, float] = {}

    def watch() -> None:
        while len(record.history.running) < workers:
            time.sleep(0.01)
        for end in ends:
            end.send("go")
        clock, began = time.process_time(), time.monotonic()
        time.sleep(seconds)
        found["share"] = (time.process_time() - clock) / (time.monotonic() - began)
        took = sorted(each for end in ends for each in end.recv())
        found["verdicts"], found["median"] = len(took), statistics.median(took)
        found["99th percentile"] = took[min(len(took) - 1, int(0.99 * len(took)))]
        pool.end()

    watching = threading.Thread(target=watch)
    watching.start()
    campaign.run()
    watching.join()
    channel.close()
    return found


def _nowhere(_: Attempt) -> Outcome:
    raise AssertionError("the trials are simulated")


def main() -> None:
    """Print the numbers, and whether they are within the bounds."""
    workers, seconds = (*map(int, sys.argv[1:]), *(1000, 30)[len(sys.argv) - 1 :])
    with tempfile.TemporaryDirectory() as folder:
        found = measure(workers, seconds, Path(folder) / "events.jsonl")
        megabytes = (Path(folder) / "events.jsonl").stat().st_size / 1e6
    load = os.getloadavg()[0]
    print(f"simulated: {workers:,} running trials, a report a second each, for {seconds} s (load {load:.0f})")
    print(f"the campaign's process: {100 * found['share']:.1f} % of a core (bound: {100 * MOST_SHARE:.0f} %)")
    print(f"{found['verdicts']:,.0f} verdicts reached their workers, after {found['median']:.2f} s (median)")
    print(f"and {found['99th percentile']:.2f} s (99th percentile; bound: {MOST_SECONDS:.0f} s)")
    print(f"the record has {megabytes:.1f} MB")
    sys.exit(found["share"] > MOST_SHARE or found["99th percentile"] > MOST_SECONDS)


if __name__ == "__main__":
    main()
