"""What can be known of this machine and of the batch system before anything is queued, and one real trial."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from pathlib import Path

from candle_hpo.core.errors import MachineError
from candle_hpo.core.experiment import InputFile, Settings
from candle_hpo.core.paths import ExperimentPaths, check_run_paths, experiments_folder
from candle_hpo.core.trial import Hyperparameters, Outcome
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.job_text import new_mark
from candle_hpo.engine.batch.site import choose_site
from candle_hpo.engine.devices import usable_cpus, visible_gpus
from candle_hpo.engine.workers import share_out
from candle_hpo.launch.interpreter import Interpreter
from candle_hpo.launch.measuring.result import last_lines
from candle_hpo.record.folder import check_last_experiment
from candle_hpo.report import words
from candle_hpo.report.curves import WHOLE_BYTES, last_points
from candle_hpo.report.words import count, duration, location, number
from candle_hpo.runner.checklist import Checklist
from candle_hpo.runner.search_assembly import check_of_stopping, first_sets
from candle_hpo.runner.single_run import drawn_seed, run_trial_here
from candle_hpo.runner.submission import clusters_of, job_script_of

_LEAST_FREE = 1e9  # bytes
FILES_OF_A_TRIAL = 7  # with its folder, besides what the model writes


def check_place(trials: int | None, checklist: Checklist) -> None:
    """Check that the experiment's folder can be made here, and that there is space for it."""
    here = Path.cwd()
    with checklist.step():
        try:
            check_last_experiment(here)
            folder = experiments_folder(here)
            place = next(each for each in (folder, *folder.parents) if each.is_dir())
            if not os.access(place, os.W_OK | os.X_OK):
                raise MachineError(f"you may not write in {place}; submit from a folder where you may")
            free = shutil.disk_usage(place).free
            files = os.statvfs(place).f_favail
        except OSError as error:
            raise MachineError(f"{here} cannot be used: {error.strerror}") from None
        needed = FILES_OF_A_TRIAL * (trials or 1)
        if 0 < files < needed:
            raise MachineError(f"{place}: {needed:,} files are needed at least, and there is room for {files:,}")
        if free < _LEAST_FREE:
            checklist.note(f"only {free / 1e6:,.0f} MB are free in {place}; what the models write has to fit in")
        else:
            checklist.right(
                f"{location(place) if place != here else here} can be written, {free / 1e9:,.1f} GB are free"
            )


def check_batch_system(settings: Settings, checklist: Checklist) -> None:
    """Ask SLURM whether it would take the job, and when it would start."""
    with checklist.step(), tempfile.TemporaryDirectory() as folder:
        paths = ExperimentPaths(Path(folder) / "check")
        paths.root.mkdir()
        chosen = choose_site()
        paths.job_script.write_text(job_script_of(paths, settings, chosen, new_mark(), checklist.say))
        answer = slurm.would_start(paths.job_script, clusters_of(settings, chosen))
        checklist.right(f"SLURM would take the job: {' '.join(answer.removeprefix('sbatch: ').split())}")


def _first_set(request: InputFile) -> Hyperparameters:
    first = [] if request.space is None else first_sets(request.space, request.settings, (), 1)
    return first[0].hyperparameters if first else request.default_model


def run_one_trial(
    request: InputFile,
    first: Hyperparameters | None,
    interpreter: Interpreter,
    checklist: Checklist,
) -> float | None:
    """Run the first set here, as a trial would be; return its duration in seconds, if it completed."""
    hyperparameters = _first_set(request) if first is None else first
    paths = check_run_paths(Path.cwd())
    checklist.say(f"Running one trial here: {words.hyperparameters(hyperparameters, ())}")
    outcome: Outcome = run_trial_here(request, hyperparameters, interpreter, drawn_seed(request.settings), paths)
    value = outcome.value_of(request.settings.objective.name)
    if value is None:
        checklist.say(*(f"  | {line}" for line in last_lines(paths.output, 10)))
        checklist.problems.append(
            f"the trial {outcome.status.value.replace('_', ' ')} after {duration(outcome.seconds)}: {outcome.reason}; "
            f"all that it printed is in {location(paths.output)}"
        )
        return None
    checklist.right(f"one trial: {number(value)} after {outcome.seconds:.1f} s ({location(paths.run)})")
    show = {"right": checklist.right, "mention": checklist.mention, "note": checklist.note}
    points = last_points(paths.reports, request.settings.objective, WHOLE_BYTES)
    for how, text in check_of_stopping(request.settings, outcome.last_report, points):
        show[how](text)
    return outcome.seconds


def show_cost(
    trials: int | None, settings: Settings, on_cluster: bool, seconds: float | None, run: bool, checklist: Checklist
) -> None:
    """Say what the experiment would cost: for sure at most, and by the one trial, if there was one."""
    if not trials or not settings.run_workflow:
        return
    workers = settings.nworkers if on_cluster else len(share_out(settings, visible_gpus(), trials).workers)
    text = f"{count(trials, 'trial')} on {count(workers, 'worker')}"
    if not on_cluster and workers > usable_cpus():
        cpus = count(usable_cpus(), "CPU")
        checklist.mention(f"{workers} trials at a time share {cpus}: where each keeps one busy, they take longer")
    if on_cluster:
        most = workers * settings.walltime / 3600
        text += f"; at most {most:,.1f} worker-hours in a walltime of {duration(settings.walltime)}"
    if seconds is None:
        checklist.mention(text if run else f"{text}; --run measures how long it takes (one real trial)")
        return
    if settings.levels is not None:
        checklist.mention(f"{text}; this one was of the least {settings.levels.name}")
        return
    whole = math.ceil(trials / workers) * seconds
    hours = f"about {trials * seconds / 3600:,.2f} worker-hours, and {duration(whole)} in all"
    checklist.mention(f"{text}; if all take as long as this first one, {hours}")
    if on_cluster and whole > settings.walltime:
        checklist.note(
            f"that is longer than the walltime of {duration(settings.walltime)}: raise walltime or nworkers, or set "
            "auto_resubmit=1"
        )
