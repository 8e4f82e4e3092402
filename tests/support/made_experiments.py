"""Experiments that were never run: records written with the real writer, of what a search might have come to."""

from __future__ import annotations

import heapq
import math
import random
import sys
from pathlib import Path

import msgspec

from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE, Direction, Objective
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import (
    Failure,
    FailureKind,
    Hyperparameters,
    Metrics,
    Outcome,
    Place,
    Report,
    Status,
    default_trial_id,
)
from candle_hpo.record.events import (
    AnyEvent,
    CampaignStarted,
    CampaignStopped,
    TrialFinished,
    TrialReported,
    TrialStarted,
)
from candle_hpo.record.folder import Provenance, StoredExperiment, write_experiment_settings
from candle_hpo.record.holder import Holder
from candle_hpo.record.record import Record
from support.attempts import attempt_at

CONDITIONAL = ["learning_rate", "batch_size", "optimizer", "momentum", "dense", "batch_norm", "activation"]
BEGAN = 1_790_000_000.0  # seconds since 1970
HOSTILE = '</script><b>bold</b> & "ü"'


def make_experiment(
    root: Path,
    trials: int,
    *,
    workers: int = 4,
    direction: Direction = Direction.MINIMIZE,
    running: int = 0,
    seed: int = 0,
    steps: int = 0,
) -> ExperimentPaths:
    """Make an experiment with a hyperparameter that some trials lack, lists, null, and failures of several kinds.

    The last `running` trials have not ended, and the campaign then has not either. With `steps`, trials report at each
    of so many, and most are stopped before; those that run have reached the middle.
    """
    root.mkdir(parents=True)
    paths = ExperimentPaths(root)
    paths.runs.mkdir()
    paths.input_file.write_text("&control\n  workflow=random\n/\n", encoding="utf-8")
    settings = Settings(
        model_script=str(root / "model.py"), workflow="random", nworkers=workers, direction=direction, seed=17
    )
    stored = StoredExperiment(
        input_file=str(root.parent / "made.in"),
        settings=settings,
        default_model={"epochs": 5},
        names=CONDITIONAL,
        total=trials,
        seed=17,
        interpreter=sys.executable,
        provenance=Provenance.of_this_process(),
    )
    write_experiment_settings(paths, stored)
    record = Record(paths.record, Objective(direction))
    events = _events(trials, workers, direction, running, random.Random(seed))
    record.append(_with_reports(paths, events, steps, direction, random.Random(seed)) if steps else events)
    record.close()
    if running:  # somebody runs it, as far as others can see
        paths.lock.write_bytes(msgspec.json.encode(Holder.of_this_process("")))
    return paths


def _events(trials: int, workers: int, direction: Direction, running: int, draw: random.Random) -> list[AnyEvent]:
    timed: list[tuple[float, int, AnyEvent]] = []
    free = [(BEGAN + 0.1 * slot, slot) for slot in range(workers)]
    for number in range(1, trials + 1):
        began, slot = heapq.heappop(free)
        attempt = attempt_at(number, _hyperparameters(draw))
        outcome = _outcome(attempt.trial.hyperparameters, direction, Place(f"cn{slot // 4:04d}", slot % 4), draw)
        ended = began + outcome.seconds
        timed.append((began, 1, TrialStarted.of(attempt, began)))
        if number <= trials - running:
            timed.append((ended, 0, TrialFinished.of(attempt, outcome, ended)))
            heapq.heappush(free, (ended + 0.05, slot))
        else:
            heapq.heappush(free, (began + 0.05, slot))
    timed.sort(key=lambda event: event[:2])
    events: list[AnyEvent] = [CampaignStarted(BEGAN, "cn0000", 4711, workers, "123"), *(event for *_, event in timed)]
    return events if running else [*events, CampaignStopped(timed[-1][0])]


def _with_reports(
    paths: ExperimentPaths, events: list[AnyEvent], steps: int, direction: Direction, draw: random.Random
) -> list[AnyEvent]:
    """Return events in which trials report, and write what they report; of those that completed, most are stopped."""
    found: list[AnyEvent] = []
    ended = {event.number: event for event in events if isinstance(event, TrialFinished)}
    sign = 1 if direction is Direction.MINIMIZE else -1
    for event in events:
        if isinstance(event, TrialStarted):
            found += [event, *_reports(paths, event, ended.get(event.number), steps, sign, draw)]
            continue
        if isinstance(event, TrialFinished) and event.outcome.status is Status.COMPLETED:
            lines = paths.trial(default_trial_id(event.number)).reports.read_text().splitlines()
            last = msgspec.json.decode(lines[-1])
            report = Report(last.pop("step"), last)
            is_whole = report.step == steps
            outcome = (
                event.outcome
                if is_whole
                else Outcome(Status.STOPPED, seconds=event.outcome.seconds / 4, place=event.outcome.place)
            )
            found.append(
                TrialFinished(event.time, event.number, 1, msgspec.structs.replace(outcome, last_report=report))
            )
        else:
            found.append(event)
    return found


def _reports(
    paths: ExperimentPaths,
    started: TrialStarted,
    ended: TrialFinished | None,
    steps: int,
    sign: int,
    draw: random.Random,
) -> list[AnyEvent]:
    """Write a trial's reports, down to its value or a rung; return what was weighed of them."""
    outcome = ended.outcome if ended else None
    value = draw.uniform(0.3, 8.0) * sign if outcome is None else outcome.value_of(THE_VALUE)
    if value is None:
        return []
    rungs = [3**k for k in range(20) if 3**k < steps]
    last = steps // 2 if outcome is None else steps if draw.random() < 0.3 else draw.choice(rungs)
    amount = draw.uniform(0.5, 4.0) * sign
    values = [value + amount * math.exp(-4 * step / steps) - amount * math.exp(-4) for step in range(1, last + 1)]
    folder = paths.trial(started.id).run
    folder.mkdir()
    lines = ({"step": step, THE_VALUE: each, "accuracy": 0.5} for step, each in enumerate(values, start=1))
    paths.trial(started.id).reports.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return [
        TrialReported(started.time, started.number, 1, Report(step, {THE_VALUE: values[step - 1]}), step % 7 + 1, 14)
        for step in rungs
        if step <= last
    ]


def _hyperparameters(draw: random.Random) -> Hyperparameters:
    values: Hyperparameters = {
        "learning_rate": 10 ** draw.uniform(-5, -1),
        "batch_size": 2 ** draw.randint(4, 10),
        "optimizer": draw.choice(["adam", "sgd", "rmsprop"]),
        "dense": draw.choice([[128], [128, 64], [256, 128, 64], None]),
        "batch_norm": draw.random() < 0.5,
        "activation": draw.choice(["relu", "tanh", HOSTILE]),
        "epochs": 5,
    }
    if values["optimizer"] == "sgd":
        values["momentum"] = draw.uniform(0.0, 0.99)
    return values


def _outcome(values: Hyperparameters, direction: Direction, place: Place, draw: random.Random) -> Outcome:
    seconds = draw.lognormvariate(4, 0.5)
    rate, size, chance = values["learning_rate"], values["batch_size"], draw.random()
    assert isinstance(rate, float)
    assert isinstance(size, int)
    if rate > 0.03 and chance < 0.5:
        return Outcome(
            Status.FAILED,
            {},
            Failure(FailureKind.NO_VALUE, "val_to_return is nan, not a finite number"),
            seconds,
            place,
        )
    if size == 1024 and chance < 0.4:
        return Outcome(
            Status.OUT_OF_MEMORY,
            {},
            Failure(FailureKind.MEMORY, "it needed more memory than it had"),
            seconds / 4,
            place,
        )
    if chance > 0.99:
        return Outcome(
            Status.TIMED_OUT, {}, Failure(FailureKind.TIME, "it ran longer than trial_timeout"), seconds * 4, place
        )
    value = (math.log10(rate) + 3) ** 2 + 0.1 * math.log2(size) + draw.gauss(0, 0.1)
    value *= 1000 if chance > 0.97 else 1
    value = value if direction is Direction.MINIMIZE else -value
    metrics: Metrics = {THE_VALUE: value, "accuracy": 1 / (1 + abs(value)), "note": "fine"}
    return Outcome(Status.COMPLETED, metrics, None, seconds, place)
