"""An experiment within its SLURM job: the campaign there, what signals ask of it, and whether another job continues."""

from __future__ import annotations

import logging
import math
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from candle_hpo.core.errors import ExitStatus, InputError, MachineError
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.sbatch_arguments import value_of
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Status
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.job_text import EndBySlurm, end_by_slurm, job_id, seconds_of_signal
from candle_hpo.engine.devices import GpuShare
from candle_hpo.engine.pilot.guests import invite
from candle_hpo.engine.pilot.parsl_workers import log_faults
from candle_hpo.engine.pooled import PooledEngine
from candle_hpo.launch.command import model_command
from candle_hpo.launch.measuring.outcome_file import collector
from candle_hpo.record.events import JobEnd, JobEnded, JobSubmitted
from candle_hpo.record.experiment import Claim, Experiment
from candle_hpo.record.history import History
from candle_hpo.report.words import count
from candle_hpo.runner.conclusion import conclude
from candle_hpo.runner.heard_signals import HeardSignals
from candle_hpo.runner.job_clock import JobClock
from candle_hpo.runner.jobs import FINDING_SECONDS, continue_in_a_next_job
from candle_hpo.runner.listener import Listener, Say
from candle_hpo.runner.provenance import refuse_what_cannot_run
from candle_hpo.runner.search_assembly import campaign_of, search_of
from candle_hpo.runner.several_jobs import (
    dismiss_others,
    fill_up,
    is_final,
    others_are_there,
    run_as_one_of_several,
    stopping_in_time,
    workers_of_nodes,
)
from candle_hpo.runner.sighting import job_has_ended
from candle_hpo.runner.signals import calling_on_signals
from candle_hpo.runner.submission import sbatch_arguments_of, site_of, submit_experiment
from candle_hpo.script.surroundings import gpus_of_this_machine

_logger = logging.getLogger(__name__)

_SIGNALS = {
    signal.SIGUSR1: StopReason.WALLTIME,
    signal.SIGTERM: StopReason.JOB_CANCELLED,
    signal.SIGINT: StopReason.JOB_CANCELLED,
}
_MOST_ENDS_OF_JOBS = 3  # by which one trial is interrupted while the same job leads
_LAST_BYTES = 20_000
_RECORDING_SECONDS = 60.0  # for a submitted job to be recorded, on a slow file system
# After these, the experiment continues in a next job, where it does so by itself.
_CONTINUED = (StopReason.WALLTIME, StopReason.OUT_OF_TIME, StopReason.PREEMPTED, StopReason.JOB_CANCELLED)


def run_job(experiment: str, mark: str, retry_failed: bool, listener: Listener) -> ExitStatus:
    """Run an experiment's trials within its SLURM job, on all its workers; called by the job script alone.

    Raises `InputError` where the folder is another experiment's by now than that which the job was submitted for.
    """
    number = os.environ.get("SLURM_JOB_ID")
    if number is None:
        raise InputError("candle run-job is for job scripts; use candle submit-job, or candle resume")
    opened = Experiment.open(experiment)
    request = opened.history.requests.get(mark)
    if request is None:
        raise InputError(
            f"{opened.paths.root} is not the experiment that job {number} was submitted for; it runs nothing"
        )
    job = job_id(number, os.environ.get("SLURM_CLUSTER_NAME", "") if request.clusters else "")
    refuse_what_cannot_run(opened.paths, opened.stored)
    arguments = sbatch_arguments_of(opened.settings, site_of(opened.stored))
    clock = JobClock(job, opened.settings.walltime, seconds_of_signal(value_of(arguments, "--signal")))
    signals = HeardSignals(clock, is_continued=opened.settings.auto_resubmit)
    lead = partial(_lead, job, mark, signals, retry_failed, listener)
    with calling_on_signals(signals.hear, _SIGNALS):
        if opened.settings.jobs > 1:
            clock.ask()
            return run_as_one_of_several(opened, job, signals, lead, listener.say)
        # Whoever has submitted this job holds the experiment until SLURM has answered, and the job is recorded.
        patience = slurm.ANSWER_SECONDS + FINDING_SECONDS + _RECORDING_SECONDS
        with opened.claim(job_has_ended(opened), job=job, patience=patience) as claim:
            return lead(claim)


def _lead(
    job: str, mark: str, signals: HeardSignals, retry_failed: bool, listener: Listener, claim: Claim
) -> ExitStatus:
    """Run the campaign in this job, and let another one continue where that is to be."""
    opened, record, history = claim.experiment, claim.record, claim.record.history
    if job not in history.jobs:  # whoever has submitted it died before that was recorded
        record.append([JobSubmitted(time.time(), job, mark=mark)])
    are_several, completed_before = opened.settings.jobs > 1, history.counts[Status.COMPLETED]
    signals.clock.ask()
    if are_several and not signals.heard:
        fill_up(claim, job, lambda missing: submit_experiment(claim, listener.say, jobs=missing), listener.say)
    try:
        stop = _run_campaign(job, claim, signals, retry_failed, listener)
    except BaseException:
        if are_several:
            dismiss_others(claim, job, listener.say)
        raise
    status = conclude(history, opened.stored, opened.paths, stop, listener)
    if are_several and is_final(stop):
        record.append([JobEnded(time.time(), job, JobEnd.CAMPAIGN_ENDED)])
        dismiss_others(claim, job, listener.say)
        return status
    if are_several and others_are_there(claim, job):
        record.append([JobEnded(time.time(), job, JobEnd.CAMPAIGN_ENDED)])
        listener.say("Another of its jobs leads from here on")
        return status
    completed = history.counts[Status.COMPLETED] - completed_before
    if not _may_run_again(claim, job, stop, completed, signals, listener.say):
        record.append([JobEnded(time.time(), job, JobEnd.CAMPAIGN_ENDED)])
    return status


def _is_retried(history: History, job: str) -> Callable[[int], bool]:
    """Return what says of a trial's number whether it had failed before this job was submitted, and not since then.

    So what has failed is attempted again once, in whichever campaigns, of jobs that were submitted together, or of one
    that was requeued.
    """
    since = next((each.started.time for each in history.campaigns[history.jobs[job].campaigns_before :]), math.inf)
    ended = {each.attempt.trial.number: each.ended for each in history.attempts}
    return lambda number: ended.get(number, 0.0) < since


def _may_run_again(claim: Claim, job: str, stop: Stop | None, completed: int, signals: HeardSignals, say: Say) -> bool:
    """Let another job continue, where that is to be and there is reason to; return whether this very job may do so.

    That is so where it waits in the queue again, and where it is ended from outside: SLURM may requeue it.
    """
    history, is_continued = claim.record.history, claim.experiment.settings.auto_resubmit
    is_cancelled, end = _end_from_outside(job, signals)
    if is_cancelled or (end and not is_continued):
        return True
    is_cut_off = stop.reason in _CONTINUED if stop else history.counts[Status.INTERRUPTED] > 0
    if not is_continued or not is_cut_off:
        return False
    is_preempted = Stop(StopReason.PREEMPTED) in signals.heard or end not in (None, EndBySlurm.TIME_LIMIT)
    if not completed and not is_preempted:
        say("auto_resubmit=1: this job completed no trial; raise walltime, then candle resume")
        return False
    seconds = signals.clock.seconds_left
    return continue_in_a_next_job(
        claim, job, submit_experiment, seconds, say, lambda: _end_from_outside(job, signals)[0]
    )


def _end_from_outside(job: str, signals: HeardSignals) -> tuple[bool, EndBySlurm | None]:
    """Return whether somebody has cancelled the job, and else why SLURM ends it, if it does."""
    if Stop(StopReason.JOB_CANCELLED) not in signals.heard:
        return False, None
    end = end_by_slurm(job, _end_of_standard_error())
    return end is None, end


def _end_of_standard_error() -> str:
    """Return the last lines that the job's batch step, this process, and SLURM itself have written there."""
    try:
        with open("/proc/self/fd/2", "rb") as output:  # noqa: PTH123  # no path: it may have another name by now
            output.seek(max(0, os.fstat(output.fileno()).st_size - _LAST_BYTES))
            return output.read().decode(errors="replace")
    except OSError as error:
        _logger.warning("what SLURM says of the end of this job cannot be read: %s", error)
        return ""


def _run_campaign(job: str, claim: Claim, signals: HeardSignals, retry_failed: bool, listener: Listener) -> Stop | None:
    """Run the campaign on the workers of this job; return why it stopped before its end, if it did."""
    from candle_hpo.engine.pilot.pool import ClusterPool  # only a job needs Parsl
    from candle_hpo.engine.pilot.worker import cluster_runner

    paths, stored, record = claim.experiment.paths, claim.experiment.stored, claim.record
    settings, site = stored.settings, site_of(stored).site
    nodes = workers_of_nodes()
    guests = (settings.jobs - 1) * settings.workers_of_a_job
    listener.say(f"Job {job}: {count(sum(nodes.values()), 'worker')} on {count(len(nodes), 'node')}")
    model = model_command(
        settings,
        stored.interpreter,
        stored.seed,
        paths.root,
        site.modules,
        templates=stored.templates,
        copied=stored.copied,
    )
    has_gpu = site.worker_type(settings.worker_type).gpu is not None
    gpus = GpuShare(settings.trials_per_gpu, settings.gpus_per_trial) if has_gpu else None
    folder = _workers_folder(paths)
    pool = ClusterPool(folder, nodes, guests)
    try:
        engine = PooledEngine(
            pool,
            cluster_runner(model, paths, pool.channel, gpus=gpus),
            places=0,
            stop=pool.stop,
            exclude=pool.exclude,
            collect=collector(paths, settings.objective.name),
            job=job,
            gpus=_gpus_here(),
            clock=None if guests else signals.clock,  # with others, places remain when this job ends
            nodes=len(nodes),
            withhold=pool.withhold,
            workers_on=pool.workers_on,
        )
        pool.start_workers(engine.announce, engine.report)
        if guests:
            invite(folder, job, pool.contact)
        # A job of several that ends interrupts what it runs: that is nobody's fault, and happens a few times at most.
        settings = replace(settings, retries=settings.retries + min(settings.jobs - 1, _MOST_ENDS_OF_JOBS))
        search = search_of(paths, stored)
        with listener.progress(record.history, stored) as progress:
            campaign = campaign_of(
                search, settings, engine, record, progress, retry_failed, _is_retried(record.history, job)
            )
            signals.hand_to(campaign)
            with stopping_in_time(signals) if guests else nullcontext():
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


def _workers_folder(paths: ExperimentPaths) -> Path:
    """Make the folder where the worker pool keeps its files and keys, readable by the user alone.

    What a killed job of this experiment has left there goes.
    """
    for stale in paths.root.glob("workers_*"):
        log_faults(stale)
        shutil.rmtree(stale, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix="workers_", dir=paths.root))
