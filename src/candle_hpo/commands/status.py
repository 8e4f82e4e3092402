"""`candle status`: how far an experiment is."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from candle_hpo.commands.screen import show
from candle_hpo.core.errors import ExitStatus, MachineError
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.slurm_text import Job, JobState
from candle_hpo.launch.preload import cold_start_note
from candle_hpo.record.events import CampaignStarted
from candle_hpo.record.folder import find_experiment, read_experiment_settings, read_jobs
from candle_hpo.record.history import History
from candle_hpo.record.holder import is_dead, read_holder
from candle_hpo.record.lock import LEASE_SECONDS, quiet_seconds
from candle_hpo.report.replay import replay_now
from candle_hpo.report.script_versions import environment_lines, script_version_lines
from candle_hpo.report.summary import best_line, counts_line, failure_lines, note_lines, running_lines, stop_text
from candle_hpo.report.words import count, duration, location


def status(experiment: str | None, console: Console) -> ExitStatus:
    """Show the state of an experiment: where it runs, counts, running trials, the best so far, failures."""
    paths = find_experiment(experiment, Path.cwd())
    stored = read_experiment_settings(paths)
    history = replay_now(paths, stored.settings.direction, slurm.job_has_ended)
    state = state_of(paths, history)
    show(
        console,
        f"Experiment {paths.root.name} of {location(Path(stored.input_file))}",
        state,
        counts_line(history, stored.total),
        best_line(history, stored.names),
        *(f"  {line}" for line in running_lines(history, stored.names, time.time())),
        *(f"Node {excluded.node} is out of use: {excluded.reason}" for excluded in history.excluded),
        *failure_lines(history, paths, lines_each=5),
        *script_version_lines(history, stored),
        *environment_lines(stored),
        *cold_start_note(stored.settings),
        *note_lines(history, stored.total),
        f"Folder: {location(paths.root)}",
    )
    return ExitStatus.ALL_WELL


def state_of(paths: ExperimentPaths, history: History) -> str:
    """Return what the experiment does now; what a dead campaign left running counts as interrupted from here on."""
    jobs, campaign = read_jobs(paths), history.campaign
    job: Job | None = None
    if jobs:
        try:
            found = slurm.find_jobs([jobs[-1].id])
        except MachineError as error:
            return f"Job {jobs[-1].id}, of which SLURM does not tell just now: {error}"
        job = found[0] if found else None
        if (waiting := _of_a_job_without_a_campaign(paths, jobs[-1].id, job, campaign)) is not None:
            return waiting
    if campaign is None:
        return "It has not begun"
    if history.stopped is not None:
        ended = _clock(history.stopped.time)
        stop = history.stopped.stop
        if stop is None:
            return f"Ended at {ended}"
        return f"Stopped at {ended}: {stop_text(stop)}; candle resume {paths.root.name} goes on"
    since, where = _clock(campaign.time), f"process {campaign.process} on {campaign.host}"
    holder = read_holder(paths.lock)
    if holder is not None and not is_dead(holder, lambda number: job is None or job.id != number or _is_over(job)):
        if job is not None and holder.job == job.id:
            return f"Running since {since} as job {job.id} on {job.nodes}, {job.left} left"
        running = f"Running since {since} with {count(campaign.workers, 'worker')}, as {where}"
        quiet = quiet_seconds(paths.lock)
        if quiet < LEASE_SECONDS:
            return running
        return f"{running}; no sign of life of it for {duration(quiet)}, candle resume {paths.root.name} finds out"
    history.end_running("its campaign died")
    if campaign.job:
        where = f"job {campaign.job} ({'gone' if job is None else job.slurm_state})"
    return f"Interrupted: {where}, which ran it since {since}, is no more; candle resume {paths.root.name} goes on"


def _of_a_job_without_a_campaign(
    paths: ExperimentPaths, number: str, job: Job | None, campaign: CampaignStarted | None
) -> str | None:
    """Return how the last job is if it has run no campaign, yet or ever; None if it has, or if one ran here since."""
    if job is not None and job.state is JobState.PENDING:
        start = f", expected to start at {job.start}" if job.start not in ("", "N/A") else ""
        return f"Waiting in the queue as job {number} ({job.reason}){start}"
    if campaign is not None and (campaign.job == number or not campaign.job):
        return None
    if job is not None and not _is_over(job):
        return f"Job {number} is starting its workers on {job.nodes}"
    return f"Job {number} {_how_it_ended(job)}, before any trial ran; see {location(paths.job_output)}"


def _is_over(job: Job | None) -> bool:
    return job is None or job.state is JobState.ENDED


def _how_it_ended(job: Job | None) -> str:
    return "is gone" if job is None else f"ended ({job.slurm_state})"


def _clock(seconds: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (OverflowError, OSError, ValueError):
        return "a time that no clock shows"
