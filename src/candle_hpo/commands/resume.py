"""`candle resume`, and `restart_from_exp`: go on with an experiment, with what is not completed."""

from __future__ import annotations

from pathlib import Path

import msgspec
from rich.console import Console

from candle_hpo.commands.cluster_job import submit_experiment
from candle_hpo.commands.local_run import run_here
from candle_hpo.commands.screen import show
from candle_hpo.commands.search import trials_of
from candle_hpo.core.errors import ExitStatus, InputError, MachineError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Status
from candle_hpo.execution import scheduler
from candle_hpo.execution.slurm_text import JobState
from candle_hpo.model.interpreter import Interpreter
from candle_hpo.record.folder import (
    StoredExperiment,
    find_experiment,
    point_last_experiment,
    read_experiment_settings,
    read_jobs,
    read_search_space,
    write_experiment_settings,
)
from candle_hpo.record.history import History
from candle_hpo.record.lock import is_dead, read_holder
from candle_hpo.record.log import read_events
from candle_hpo.report.words import count


def resume(experiment: str | None, console: Console) -> ExitStatus:
    """Go on with an experiment as it was submitted."""
    paths = find_experiment(experiment, Path.cwd())
    return _go_on(paths, read_experiment_settings(paths), console)


def resume_with(experiment: str, settings: Settings, interpreter: Interpreter, console: Console) -> ExitStatus:
    """Go on with an experiment's sets, with other settings: more workers, another walltime, a mended script."""
    paths = find_experiment(experiment, Path.cwd())
    before = read_experiment_settings(paths)
    _refuse_if_it_runs(paths)
    if settings.workflow != before.settings.workflow:
        raise InputError(
            f'{paths.root.name} has workflow="{before.settings.workflow}", and this file "{settings.workflow}"; '
            "to go on with it, keep its workflow"
        )
    if settings.dry_run:
        show(console, f"dry_run=1: {paths.root.name} was not gone on with")
        return ExitStatus.ALL_WELL
    total = before.total if settings.workflow == "grid" else trials_of(read_search_space(paths), settings)
    changed = msgspec.structs.replace(before, settings=settings, interpreter=interpreter.path, total=total)
    try:
        write_experiment_settings(paths, changed)
    except OSError as error:
        raise MachineError(f"{paths.settings} cannot be written: {error.strerror}") from None
    try:
        return _go_on(paths, changed, console)
    except InputError:  # what the site or the scheduler does not take shall not stay with the experiment
        write_experiment_settings(paths, before)
        raise


def _go_on(paths: ExperimentPaths, stored: StoredExperiment, console: Console) -> ExitStatus:
    _refuse_if_it_runs(paths)
    history = History(stored.settings.direction, read_events(paths.record) if paths.record.exists() else ())
    left = stored.total - history.counts[Status.COMPLETED]
    if left == 0:
        show(console, f"{paths.root.name}: nothing is left to do, all {count(stored.total, 'trial')} are completed")
        return ExitStatus.ALL_WELL
    show(console, f"Going on with {paths.root.name}: {count(left, 'trial')} of {stored.total:,} left")
    point_last_experiment(Path.cwd(), paths)
    settings = stored.settings
    if settings.engine == "slurm" or (settings.engine == "auto" and scheduler.slurm_is_here()):
        submit_experiment(paths, settings, console, failed_too=True)
        return ExitStatus.ALL_WELL
    return run_here(paths, stored, console, failed_too=True)


def _refuse_if_it_runs(paths: ExperimentPaths) -> None:
    """Raise `InputError` where the experiment runs, or waits in the queue."""
    holder = read_holder(paths.lock)
    if holder is not None and not is_dead(holder, scheduler.job_has_ended):
        raise InputError(f"{paths.root.name} is being run by {holder}; wait for it, or stop it with candle cancel")
    jobs = read_jobs(paths)
    for job in scheduler.find_jobs([jobs[-1].id]) if jobs else ():
        if job.state is not JobState.ENDED:
            raise InputError(
                f"{paths.root.name} is job {job.id}, which is {job.slurm_state}; wait for it, "
                "or stop it with candle cancel"
            )
