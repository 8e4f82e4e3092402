"""What `candle doctor` says of an experiment: how it is and what went wrong, and nothing that a model printed.

Neither is anything in it that may hold a secret: hyperparameters, texts among the settings, the words of a failure,
which may quote the model's output. What the job printed quotes it, too: so its own lines are left out.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from candle_hpo.core.experiment import Settings
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.history_entries import JobHistory
from candle_hpo.report.summary import counts_line
from candle_hpo.runner.liveness import holder_of, state_of

_MOST_LINES, _MOST_ERRORS, _MOST_CAMPAIGNS, _MOST_BYTES = 50, 10, 10, 1_000_000

# Settings that are texts and show nothing but how trials are run.
_SHOWN = {
    "workflow", "worker_type", "dl_backend", "preload", "queue", "project", "supp_modules", "exec_python_module",
    "exec_r_module", "hyperparams_as", "sampler", "proposals", "engine", "direction",
}  # fmt: skip
_SHOWN_OPTIONS = re.compile(
    r"--?(A|account|C|constraint|c|cpus-per-task|exclude|exclusive|G|gpus|gres|licenses|mem|mem-per-cpu|N|nodes|n|ntasks"
    r"|ntasks-per-node|p|partition|q|qos|reservation|t|time|w|nodelist)\b.*",
    re.DOTALL,
)
_OF_THE_MACHINE = re.compile(
    r"(srun|slurmstepd|sbatch|candle|bash|\S*slurm_script)\b.*|Traceback .*|  File .*|Job \d+: .*|\w*Error\b.*"
)
_ENTRY = re.compile(r"\S+Z (\w+) .*")


def experiment_questions(experiment: Experiment) -> dict[str, Callable[[], list[str]]]:
    """Return the sections about an experiment, each as what has its lines."""
    return {
        "Experiment": lambda: _state(experiment),
        "Settings": lambda: _settings(experiment),
        "Last errors": lambda: _last_errors(experiment),
        "campaign.log": lambda: _end_of_log(experiment.paths.log),
        "job.out": lambda: _job_output(experiment.paths.job_output),
    }


def _state(experiment: Experiment) -> list[str]:
    stored, holder = experiment.stored, holder_of(experiment.paths)
    history = experiment.history
    kinds = Counter(
        (row.outcome.status.value, row.outcome.failure.kind.value)
        for row in history.with_failure
        if row.outcome is not None and row.outcome.failure is not None
    )
    nodes = Counter(attempt.outcome.place.node for attempt in history.attempts if attempt.outcome.place)
    stop = history.stopped.stop if history.stopped else None
    made = stored.provenance
    return [
        f"{experiment.name}: {counts_line(history, stored.trials(history))}",
        state_of(experiment.paths, history, holder).text,
        *(f"{amount:,} {status}: {kind}" for (status, kind), amount in kinds.most_common()),
        *([f"stopped: {stop.reason.value}"] if stop else []),
        *(f"no workers on {reason}" for reason in history.lacking),
        *(f"{each.kind} {each.node} is out of use: {each.reason}" for each in history.excluded),
        "attempts on nodes: " + ", ".join(f"{node or 'unknown'} {amount:,}" for node, amount in nodes.most_common(20)),
        *(
            f"campaign of {_time(each.started.time)} to {_time(each.ended)} on {each.started.host}, "
            f"{max(places for _, places in each.places)} workers, job {each.started.job or 'none'}"
            for each in history.campaigns[-_MOST_CAMPAIGNS:]
        ),
        "jobs: " + (", ".join(map(_job, history.jobs.values())) or "none"),
        f"submitted {made.created} on {made.host} with candle {made.candle}, Python {made.python}, for "
        f"{made.interpreter or stored.interpreter}",
        *(f"unknown then: {each}" for each in made.unknown),
    ]


def _job(job: JobHistory) -> str:
    return f"{job.id} ({job.ended.state or job.ended.how.value})" if job.ended else job.id


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _settings(experiment: Experiment) -> list[str]:
    """Return the settings that differ from their defaults; those that are free texts by their names alone."""
    settings, lines = experiment.settings, []
    for field in msgspec.structs.fields(Settings):
        value = getattr(settings, field.name)
        if value == field.default or value in ((), None):
            continue
        if field.name == "custom_sbatch_args":
            value = [each if _SHOWN_OPTIONS.fullmatch(each) else f"{each.partition('=')[0][:20]}…" for each in value]
        elif not isinstance(value, bool | int | float) and field.name not in _SHOWN:
            value = "(set, not shown)"
        lines.append(f"{field.name}: {msgspec.json.encode(value).decode()}")
    return [f"a model in {settings.language.value}; {len(lines)} settings differ from their defaults", *lines]


def _last_errors(experiment: Experiment) -> list[str]:
    earlier = experiment.paths.log.with_name(f"{experiment.paths.log.name}.1")
    lines = [line for path in (earlier, experiment.paths.log) if path.exists() for line in _log(path)]
    entries: list[list[str]] = []
    for line in lines:
        entry = _ENTRY.fullmatch(line)
        if entry is not None:
            entries.append([line] if entry[1] in ("WARNING", "ERROR", "CRITICAL") else [])
        elif entries and entries[-1]:
            entries[-1].append(line)  # of its traceback
    faults = [entry for entry in entries if entry][-_MOST_ERRORS:]
    return [line for entry in reversed(faults) for line in entry] or ["none in campaign.log"]


def _log(path: Path) -> list[str]:
    """Return the end of a log, without what is there for debugging alone: that may show hyperparameters."""
    return [line for line in _end_of(path) if not (entry := _ENTRY.fullmatch(line)) or entry[1] != "DEBUG"]


def _end_of_log(path: Path) -> list[str]:
    if not path.exists():
        return ["none: no campaign has written one"]
    lines = _log(path)
    return [f"{len(lines):,} lines in all", *lines[-_MOST_LINES:]]


def _job_output(path: Path) -> list[str]:
    if not path.exists():
        return ["none: it has no job, or that has not begun"]
    lines = _end_of(path)
    shown = [line for line in lines if _OF_THE_MACHINE.fullmatch(line)][-_MOST_LINES:]
    return [f"{len(shown)} of its last {len(lines)} lines are of the machine", *shown]


def _end_of(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _MOST_BYTES))
        return file.read().decode(errors="replace").splitlines()
