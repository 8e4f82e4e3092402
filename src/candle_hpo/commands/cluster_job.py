"""An experiment as a SLURM job: submitting it from the login node, and running it within the job."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from candle_hpo.campaign import OUT_OF_TIME, Campaign, Engine
from candle_hpo.commands.conclusion import conclude
from candle_hpo.commands.screen import show
from candle_hpo.commands.signals import calling_on_signals
from candle_hpo.core.errors import ExitStatus, InputError, MachineError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Status
from candle_hpo.execution import scheduler
from candle_hpo.execution.site import WorkerType, choose_site
from candle_hpo.execution.slurm_text import (
    gpus_on_a_node,
    job_script,
    plan_allocation,
    sbatch_options,
    seconds_left,
    workers_by_node,
)
from candle_hpo.files import replace_file
from candle_hpo.model.command import model_command
from candle_hpo.record.folder import add_job, find_experiment, read_experiment_settings, read_parameter_sets
from candle_hpo.record.lock import ExperimentLock
from candle_hpo.record.record import Record
from candle_hpo.report.progress import Progress
from candle_hpo.report.words import count
from candle_hpo.search.grid import GridSearch

WALLTIME = "the walltime is nearly over"
_SIGNALS = {signal.SIGUSR1: WALLTIME, signal.SIGTERM: "the job was cancelled", signal.SIGINT: "Ctrl-C"}


def job_script_of(paths: ExperimentPaths, settings: Settings, console: Console) -> str:
    """Return the job script of an experiment on the site in use. Raises `InputError` for what the site lacks."""
    site = choose_site().site
    worker = site.worker_type(settings.worker_type)
    allocation = plan_allocation(settings.nworkers, worker, _gpus_per_node(worker, settings))
    if allocation.workers != settings.nworkers:
        show(
            console,
            f"{settings.nworkers} workers become {allocation.workers}: {allocation.nodes} nodes with "
            f"{allocation.per_node} GPUs each, all of them used",
        )
    name = re.sub(r"[^\w.-]", "_", Path(paths.root).name)
    options = sbatch_options(settings, worker, allocation, name)
    command = [sys.executable, "-m", "candle_hpo", "run-job", str(paths.root)]
    return job_script(options, (*site.sbatch_args, *settings.custom_sbatch_args), command)


def submit_experiment(paths: ExperimentPaths, settings: Settings, console: Console) -> None:
    """Submit an experiment's job. Raises `MachineError` with SLURM's own words where it refuses."""
    script = job_script_of(paths, settings, console)
    try:
        replace_file(paths.job_script, script.encode())
        job = scheduler.submit(paths.job_script)
        add_job(paths, job)
    except OSError as error:
        raise MachineError(f"{paths.job_script} cannot be written: {error.strerror}") from None
    show(console, f"JOB_ID={job}")


def _gpus_per_node(worker: WorkerType, settings: Settings) -> int | None:
    if worker.gpu is None or worker.gpus_per_node is not None:
        return worker.gpus_per_node
    partition = settings.queue or worker.partition
    resources = scheduler.node_resources()
    found = gpus_on_a_node(resources, worker.gpu, partition)
    if found is None:
        there = sorted(set(re.findall(r"gpu:([^:,()\s]+):\d", resources)))
        where = f"partition {partition}" if partition else "this cluster"
        raise InputError(
            f'worker_type: no node of {where} has a GPU that SLURM calls "{worker.gpu}"; '
            + (f"it knows {', '.join(there)}, and cpu" if there else "use cpu")
        )
    return found


def run_job(experiment: str, console: Console) -> ExitStatus:
    """Run an experiment's trials within its SLURM job, on all its workers; called by the job script alone."""
    from candle_hpo.execution.cluster import ClusterPool, cluster_runner

    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        raise InputError("candle run-job is for job scripts; use candle submit-job, or candle resume")
    paths = find_experiment(experiment, Path.cwd())
    stored = read_experiment_settings(paths)
    settings = stored.settings
    nodes = workers_by_node(os.environ["SLURM_TASKS_PER_NODE"])
    show(console, f"Job {job}: {count(sum(nodes), 'worker')} on {count(len(nodes), 'node')}")
    lock = ExperimentLock(paths.lock, job, scheduler.job_has_ended)
    try:
        record = Record(paths.record, settings.direction)
        completed_before = record.history.counts[Status.COMPLETED]
        model = model_command(settings, stored.interpreter, stored.seed, paths.root, choose_site().site.modules)
        pool = ClusterPool(_workers_folder(paths), nodes)
        try:
            engine = Engine(
                pool,
                cluster_runner(model, paths),
                workers=sum(nodes),
                stop=pool.stop,
                exclude=pool.exclude,
                job=job,
                deadline=_deadline(job),
            )
            progress = Progress(record.history, stored.names, stored.total, sum(nodes), console)
            search = GridSearch(read_parameter_sets(paths, stored))
            campaign = Campaign(search, engine, record, settings.retries, progress.update)
            with calling_on_signals(campaign.stop, _SIGNALS), progress:
                stopped = campaign.run()
        finally:
            pool.shutdown()
        record.close()
    finally:
        lock.release()
    status = conclude(record.history, stored, paths, stopped, console)
    if settings.auto_resubmit and stopped in (WALLTIME, OUT_OF_TIME):
        _go_on_in_a_next_job(paths, settings, record.history.counts[Status.COMPLETED] - completed_before, console)
    return status


def _go_on_in_a_next_job(paths: ExperimentPaths, settings: Settings, completed: int, console: Console) -> None:
    if completed:
        submit_experiment(paths, settings, console)
        show(console, f"auto_resubmit=1: {count(completed, 'trial')} completed in this job; the next one goes on")
    else:
        show(console, "auto_resubmit=1: this job completed no trial; raise walltime, then candle resume")


def _deadline(job: str) -> float | None:
    """Return when this job ends (seconds since 1970); None where SLURM sets no limit."""
    found = scheduler.find_jobs([job])
    left = seconds_left(found[0].left) if found else None
    return None if left is None else time.time() + left


def _workers_folder(paths: ExperimentPaths) -> Path:
    """Make the folder where the worker pool keeps its files and keys, readable by the user alone.

    It lies with the experiment, or, if Parsl's shell scripts cannot name that, in the user's home. What a killed job of
    this experiment has left there goes.
    """
    place, prefix = paths.root, "workers_"
    if not re.fullmatch(r"[\w./+=:@,-]+", str(place), re.ASCII):
        place = Path.home() / ".cache" / "candle"
        prefix += hashlib.sha256(str(paths.root).encode()).hexdigest()[:16] + "_"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for stale in place.glob(f"{prefix}*"):
        shutil.rmtree(stale, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=place))
