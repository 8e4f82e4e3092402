"""`candle resume`, and `restart_from_exp`: go on with an experiment, with what is not completed."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from candle_hpo.commands.screen import Screen
from candle_hpo.core.errors import CandleError, ExitStatus, InputError, MachineError
from candle_hpo.core.experiment import Experiment
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.slurm_text import JobState
from candle_hpo.launch.interpreter import Interpreter
from candle_hpo.record.folder import (
    StoredExperiment,
    add_sets,
    find_experiment,
    point_last_experiment,
    read_experiment_settings,
    read_jobs,
    write_experiment_settings,
)
from candle_hpo.record.history import History
from candle_hpo.record.lock import ExperimentLock
from candle_hpo.record.log import read_events
from candle_hpo.report.words import count, location
from candle_hpo.runner.cluster_job import submit_experiment
from candle_hpo.runner.local_run import run_here
from candle_hpo.runner.moved_files import refuse_what_cannot_run
from candle_hpo.runner.provenance import note_resumption
from candle_hpo.runner.restart import plan_restart
from candle_hpo.runner.search_assembly import check_search
from candle_hpo.runner.site_choice import uses_slurm


def resume(experiment: str | None, retry_failed: bool, console: Console) -> ExitStatus:
    """Go on with an experiment as it was submitted: with what was interrupted or never begun.

    What the model failed is attempted again with `retry_failed`, or where the keyword of that name says so.
    """
    screen = Screen(console)
    paths = find_experiment(experiment, Path.cwd())
    stored = read_experiment_settings(paths)
    screen.say(*_note_on_a_changed_file(paths, stored))
    return _go_on(paths, stored, screen, failed_too=retry_failed or stored.settings.retry_failed > 0)


def _note_on_a_changed_file(paths: ExperimentPaths, stored: StoredExperiment) -> list[str]:
    """Return what to know where the input file is another than the one that was submitted."""
    try:
        is_as_submitted = Path(stored.input_file).read_bytes() == paths.input_file.read_bytes()
    except OSError:  # moved away, which is no matter here
        return []
    if is_as_submitted:
        return []
    return [
        f"{location(Path(stored.input_file))} has changed since; this continues it as it was submitted "
        f"(to continue it as it is now, add restart_from_exp={paths.root.name} to it, and submit it)"
    ]


def resume_with(experiment: Experiment, interpreter: Interpreter, screen: Screen) -> ExitStatus:
    """Go on with an earlier experiment, with other settings (more workers, another script), and the sets that are new.

    All that is not completed is attempted again: the reason of a failure may be gone with the settings that were.
    """
    restart = plan_restart(experiment, interpreter.path, Path.cwd())
    paths, before = restart.paths, restart.before
    _refuse_if_it_runs(paths, screen)
    if experiment.settings.dry_run:
        screen.say(*restart.notes, f"dry_run=1: {paths.root.name} was not continued")
        return ExitStatus.ALL_WELL
    check_search(experiment.settings)
    screen.say(*restart.notes)
    try:
        if restart.added:
            add_sets(paths, before, restart.added)
        write_experiment_settings(paths, restart.stored)
    except OSError as error:
        raise MachineError(f"{paths.root} cannot be written: {error.strerror}") from None
    try:
        return _go_on(paths, restart.stored, screen, failed_too=True)
    except slurm.NoAnswer:  # it may have been submitted
        raise
    except CandleError:  # what the site or the batch system does not take shall not stay with the experiment
        write_experiment_settings(paths, before)
        raise


def _go_on(paths: ExperimentPaths, stored: StoredExperiment, screen: Screen, *, failed_too: bool) -> ExitStatus:
    _refuse_if_it_runs(paths, screen)
    refuse_what_cannot_run(paths, stored)
    history = History(stored.settings.direction, read_events(paths.record) if paths.record.exists() else ())
    failed = history.failed
    left = history.left(stored.total) + (failed if failed_too else 0)
    if left <= 0 and failed:
        screen.say(
            f"{paths.root.name}: nothing is left to do, {failed:,} of {count(stored.total, 'trial')} have failed; "
            f"mend the model script, then candle resume {paths.root.name} --retry-failed attempts them again",
        )
        return ExitStatus.TRIALS_FAILED
    if left <= 0:
        screen.say(f"{paths.root.name}: nothing is left to do, all {count(stored.total, 'trial')} are completed")
        return ExitStatus.ALL_WELL
    not_again = f"; the {failed:,} that failed are not attempted again (--retry-failed does)" if failed else ""
    not_again = "" if failed_too else not_again
    screen.say(f"Going on with {paths.root.name}: {count(left, 'trial')} of {stored.total:,} left{not_again}")
    point_last_experiment(Path.cwd(), paths)
    settings = stored.settings
    on_cluster = uses_slurm(settings)
    stored = note_resumption(paths, stored, on_cluster, screen.say)
    if on_cluster:
        submit_experiment(paths, settings, screen.say, failed_too=failed_too)
        return ExitStatus.ALL_WELL
    return run_here(paths, stored, screen, failed_too=failed_too)


def _refuse_if_it_runs(paths: ExperimentPaths, screen: Screen) -> None:
    """Raise `InputError` where the experiment runs, or waits in the queue; remove the lock of a dead campaign."""
    if paths.lock.exists():
        ExperimentLock(paths.lock, "", slurm.job_has_ended, screen.say).release()
    jobs = read_jobs(paths)
    for job in slurm.find_jobs([jobs[-1].id]) if jobs else ():
        if job.state is not JobState.ENDED:
            raise InputError(
                f"{paths.root.name} is job {job.id}, which is {job.slurm_state}; wait for it, "
                "or stop it with candle cancel"
            )
