"""An experiment as a SLURM job: submitting it from the login node, and running it within the job."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from candle_hpo.campaign import Campaign
from candle_hpo.core.errors import ExitStatus, InputError, MachineError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.sbatch_arguments import SbatchArgument, SbatchArgumentError, sbatch_arguments
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Status
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.site import ChosenSite, WorkerType, choose_site
from candle_hpo.engine.batch.slurm_environment import not_followed
from candle_hpo.engine.batch.slurm_text import (
    gpus_on_a_node,
    job_script,
    plan_allocation,
    sbatch_options,
    seconds_left,
    warning_seconds,
    with_arguments,
    workers_by_node,
)
from candle_hpo.engine.devices import GpuShare
from candle_hpo.engine.pilot.parsl_workers import log_faults, own_program
from candle_hpo.engine.pooled import PooledEngine
from candle_hpo.files import replace_file
from candle_hpo.launch.command import model_command
from candle_hpo.launch.measuring.outcome_file import collector
from candle_hpo.record.events import JobEnd, JobEnded, JobSubmitted
from candle_hpo.record.experiment import Claim, Experiment
from candle_hpo.record.folder import StoredExperiment
from candle_hpo.record.record import Record
from candle_hpo.report.words import count
from candle_hpo.runner.conclusion import conclude
from candle_hpo.runner.listener import Listener, Say
from candle_hpo.runner.liveness import look
from candle_hpo.runner.provenance import refuse_what_cannot_run
from candle_hpo.runner.search_assembly import campaign_of, search_of
from candle_hpo.runner.signals import calling_on_signals
from candle_hpo.script.surroundings import gpus_of_this_machine
from candle_hpo.user_environment import user_environment

_logger = logging.getLogger(__name__)

_SIGNALS = {
    signal.SIGUSR1: StopReason.WALLTIME,
    signal.SIGTERM: StopReason.JOB_CANCELLED,
    signal.SIGINT: StopReason.JOB_CANCELLED,
}
_RECORDING_SECONDS = 60.0  # for a submitted job to be recorded, on a slow file system
_OUT_OF_TIME = (StopReason.WALLTIME, StopReason.OUT_OF_TIME)


def uses_slurm(settings: Settings) -> bool:
    """Return whether the workflow of these settings goes to the cluster."""
    return settings.engine == "slurm" or (settings.engine == "auto" and slurm.slurm_is_here())


def job_script_of(paths: ExperimentPaths, settings: Settings, say: Say, *, retry_failed: bool = False) -> str:
    """Return the job script of an experiment on the site in use. Raises `InputError` for what the site lacks."""
    chosen = choose_site()
    worker = chosen.site.worker_type(settings.worker_type)
    share = GpuShare(settings.trials_per_gpu, settings.gpus_per_trial)
    arguments = _sbatch_arguments(chosen, settings)
    partition = next((each.value for each in reversed(arguments) if each.name == "--partition"), None)
    gpus = _gpus_per_node(worker, partition or settings.queue or worker.partition)
    if worker.gpu is not None and gpus is not None and gpus < share.gpus:
        raise InputError(f"gpus_per_trial: a node has {gpus} GPUs of this type; {share.gpus} for a trial are too many")
    allocation = plan_allocation(settings.nworkers, worker, gpus, share)
    if allocation.workers != settings.nworkers:
        say(
            f"{settings.nworkers} workers become {allocation.workers}: {allocation.nodes} nodes with "
            f"{allocation.gpus} GPUs each, all of them used",
        )
    if ignored := not_followed(user_environment()):
        say(f"{', '.join(ignored)}: not followed; custom_sbatch_args is for what sbatch is to be asked besides")
    name = re.sub(r"[^\w.-]", "_", Path(paths.root).name)
    options = sbatch_options(settings, worker, allocation, name)
    try:
        options, extra = with_arguments(options, arguments)
    except SbatchArgumentError as error:
        raise InputError(f"custom_sbatch_args: {error}") from None
    command = [*own_program("candle_hpo"), "run-job", str(paths.root)]
    return job_script(options, extra, [*command, "--retry-failed"] if retry_failed else command)


def submit_experiment(claim: Claim, say: Say, *, retry_failed: bool = False) -> None:
    """Submit a job for an experiment; with `retry_failed`, trials that failed in an earlier one are attempted again.

    The job may start at once: it then waits until the claim has ended. Raises `MachineError` with SLURM's own words
    where it refuses; a job that cannot be recorded is cancelled.
    """
    paths, record = claim.experiment.paths, claim.record
    script = job_script_of(paths, claim.experiment.settings, say, retry_failed=retry_failed)
    try:
        replace_file(paths.job_script, script.encode())
    except OSError as error:
        raise MachineError(f"{paths.root} cannot be written: {error}") from None
    job = slurm.submit(paths.job_script)
    try:
        record.append([JobSubmitted(time.time(), job)])
    except BaseException as error:
        try:
            slurm.cancel(job)
        except MachineError as refusal:
            raise slurm.NoAnswer(
                f"{error}; job {job}, which was submitted, could not be cancelled: {refusal}"
            ) from None
        raise
    say(f"JOB_ID={job}")


def record_end_of_last_job(claim: Claim) -> None:
    """Record that the last job of an experiment has ended, where that is not known yet.

    Raises `InputError` where it waits in the queue or is not over, `MachineError` where SLURM does not answer.
    """
    opened = claim.experiment
    job = look(opened.paths, opened.history).job
    if job is not None and job.ended is None:
        if not job.is_over:
            raise InputError(
                f"{opened.name} is job {job.id}, which is {job.slurm_state}; wait for it, or stop it with candle cancel"
            )
        how = JobEnd.FORGOTTEN if job.found is None else JobEnd.ENDED
        claim.record.append([JobEnded(time.time(), job.id, how, job.slurm_state)])


def _sbatch_arguments(chosen: ChosenSite, settings: Settings) -> list[SbatchArgument]:
    """Return the arguments that the site and the experiment add, which wins. Raises `InputError`."""
    found: list[SbatchArgument] = []
    of_both = {
        f"{chosen.file}: sbatch_args": chosen.site.sbatch_args,
        "custom_sbatch_args": settings.custom_sbatch_args,
    }
    for name, words in of_both.items():
        try:
            found += sbatch_arguments(words)
        except SbatchArgumentError as error:
            raise InputError(f"{name}: {error}") from None
    return found


def _gpus_per_node(worker: WorkerType, partition: str | None) -> int | None:
    if worker.gpu is None or worker.gpus_per_node is not None:
        return worker.gpus_per_node
    resources = slurm.node_resources()
    found = gpus_on_a_node(resources, worker.gpu, partition)
    if found is None:
        there = sorted(set(re.findall(r"gpu:([^:,()\s]+):\d", resources)))
        where = f"partition {partition}" if partition else "this cluster"
        raise InputError(
            f'worker_type: no node of {where} has a GPU that SLURM calls "{worker.gpu}"; '
            + (f"it knows {', '.join(there)}, and cpu" if there else "use cpu")
        )
    return found


def run_job(experiment: str, retry_failed: bool, listener: Listener) -> ExitStatus:
    """Run an experiment's trials within its SLURM job, on all its workers; called by the job script alone."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        raise InputError("candle run-job is for job scripts; use candle submit-job, or candle resume")
    opened = Experiment.open(experiment)
    refuse_what_cannot_run(opened.paths, opened.stored)
    signals = _HeardSignals()
    with calling_on_signals(signals.hear, _SIGNALS):
        # Whoever has submitted this job holds the experiment until SLURM has answered, and the job is recorded.
        patience = slurm.ANSWER_SECONDS + _RECORDING_SECONDS
        with opened.claim(slurm.job_has_ended, job=job, patience=patience) as claim:
            record, history = claim.record, claim.record.history
            if job not in history.jobs:  # whoever has submitted it died before that was recorded
                record.append([JobSubmitted(time.time(), job)])
            completed_before = history.counts[Status.COMPLETED]
            is_requeued = history.campaign is not None and history.campaign.job == job  # requeued
            retry_failed = retry_failed and not is_requeued
            stop = _run_campaign(job, opened.paths, opened.stored, record, signals, retry_failed, listener)
            status = conclude(history, opened.stored, opened.paths, stop, listener)
            if Stop(StopReason.JOB_CANCELLED) in signals.heard:
                return status  # it has not ended if SLURM requeues it
            is_cut_off = stop.reason in _OUT_OF_TIME if stop else history.counts[Status.INTERRUPTED] > 0
            if opened.settings.auto_resubmit and is_cut_off:
                _continue_in_a_next_job(claim, history.counts[Status.COMPLETED] - completed_before, listener.say)
            record.append([JobEnded(time.time(), job, JobEnd.CAMPAIGN_ENDED)])
    return status


class _HeardSignals:
    """What signals have asked of the job, before there is a campaign and after it too."""

    def __init__(self) -> None:
        self.heard: list[Stop] = []
        self._campaign: Campaign | None = None

    def hear(self, stop: Stop) -> None:
        """Remember a reason to stop, and let it be news; called by signal handlers."""
        self.heard.append(stop)
        if self._campaign is not None:
            self._campaign.stop(stop)

    def hand_to(self, campaign: Campaign) -> None:
        """Let a campaign know what was heard before it, and what will be."""
        self._campaign = campaign
        for stop in self.heard:
            campaign.stop(stop)


def _run_campaign(
    job: str,
    paths: ExperimentPaths,
    stored: StoredExperiment,
    record: Record,
    signals: _HeardSignals,
    retry_failed: bool,
    listener: Listener,
) -> Stop | None:
    """Run the campaign on the workers of this job; return why it stopped before its end, if it did."""
    from candle_hpo.engine.pilot.pool import ClusterPool  # only a job needs Parsl
    from candle_hpo.engine.pilot.worker import cluster_runner

    settings, site = stored.settings, choose_site().site
    nodes = workers_by_node(os.environ["SLURM_TASKS_PER_NODE"])
    listener.say(f"Job {job}: {count(sum(nodes), 'worker')} on {count(len(nodes), 'node')}")
    model = model_command(settings, stored.interpreter, stored.seed, paths.root, site.modules)
    has_gpu = site.worker_type(settings.worker_type).gpu is not None
    gpus = GpuShare(settings.trials_per_gpu, settings.gpus_per_trial) if has_gpu else None
    deadline = _deadline(job, settings)
    pool = ClusterPool(_workers_folder(paths), nodes)
    try:
        engine = PooledEngine(
            pool,
            cluster_runner(model, paths, pool.channel, gpus=gpus),
            sum(nodes),
            stop=pool.stop,
            exclude=pool.exclude,
            collect=collector(paths, settings.objective.name),
            job=job,
            deadline=deadline,
            gpus=_gpus_here(),
        )
        search = search_of(paths, stored)
        with listener.progress(record.history, stored) as progress:
            campaign = campaign_of(search, settings, engine, record, progress, retry_failed)
            signals.hand_to(campaign)
            return campaign.run()
    finally:
        pool.shutdown()


def _gpus_here() -> tuple[str, ...]:
    """Return the GPUs of this node, of which the login node knew nothing; none where they cannot be found out."""
    try:
        return gpus_of_this_machine()
    except MachineError as error:
        _logger.warning("GPUs cannot be asked for: %s", error)
        return ()


def _continue_in_a_next_job(claim: Claim, completed: int, say: Say) -> None:
    if completed:
        submit_experiment(claim, say)
        say(f"auto_resubmit=1: {count(completed, 'trial')} completed in this job; the next one continues")
    else:
        say("auto_resubmit=1: this job completed no trial; raise walltime, then candle resume")


def _deadline(job: str, settings: Settings) -> float:
    """Return until when trials can run (by `time.monotonic`): the job's end, less the time of the warning before it."""
    left: int | None = settings.walltime
    with suppress(MachineError):  # a busy controller; then the walltime that was asked for is as good
        left = next((seconds_left(found.left) for found in slurm.find_jobs([job])), left)
    end = time.monotonic() + (settings.walltime if left is None else left)
    return end - warning_seconds(settings.walltime)


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
        log_faults(stale)
        shutil.rmtree(stale, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=place))
