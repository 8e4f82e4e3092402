"""Whether an experiment runs, waits or has ended: judged here alone, by its record and what is seen of it."""

from __future__ import annotations

import time
from enum import Enum
from typing import NamedTuple

from candle_hpo.core.errors import MachineError
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.engine.batch.job_text import JobState, job_text, release_command, time_left
from candle_hpo.record.events import CampaignStarted
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.history import History
from candle_hpo.record.holder import Holder, read_holder
from candle_hpo.record.lock import LEASE_SECONDS, quiet_seconds
from candle_hpo.report.summary import stop_text
from candle_hpo.report.words import count, duration, location
from candle_hpo.runner.sighting import LastJob, Sighting, look

_MOST_JOBS = 4  # of those that are named

CAMPAIGN_DIED = "its campaign died"  # why a trial that it ran has ended


class Liveness(Enum):
    """What an experiment does now.

    `lost` is one that nothing runs although it has not ended: its process or its job died. `stopped` ended before its
    time and said why; `done` had nothing left to do.
    """

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    LOST = "lost"
    STOPPED = "stopped"
    DONE = "done"


def liveness(history: History, seen: Sighting) -> Liveness:
    """Return what an experiment does, by its record and what was seen of it at that time."""
    campaign, job = history.campaign, seen.job
    if job is not None and job.found is not None and job.found.state is JobState.PENDING:
        return Liveness.QUEUED
    if job is not None and _is_yet_to_run(job, campaign):
        return Liveness.LOST if job.is_over and not seen.is_held else Liveness.STARTING
    if campaign is None:
        return Liveness.STARTING
    if history.stopped is not None:
        return Liveness.DONE if history.stopped.stop is None else Liveness.STOPPED
    return Liveness.RUNNING if seen.is_held else Liveness.LOST


def _is_yet_to_run(job: LastJob, campaign: CampaignStarted | None) -> bool:
    """Return whether a job was submitted for what no campaign, or another one, has run so far."""
    return campaign is None or (job.ended is None and campaign.job != job.id)


class State(NamedTuple):
    """How an experiment is now, and a line that says so; `liveness` is None where that cannot be known just now.

    What the record has as running is interrupted where `is_abandoned`: who ran it is dead, even if a job is to come.
    """

    liveness: Liveness | None
    text: str
    has_job: bool = False
    is_abandoned: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing runs it, and nothing will of its own accord."""
        return self.liveness in (Liveness.LOST, Liveness.STOPPED, Liveness.DONE) and not self.has_job


def state_of(paths: ExperimentPaths, history: History, holder_before: Holder | None) -> State:
    """Return how an experiment is; `holder_before` held it before the history was read.

    A campaign may have begun since: so an experiment is lost only if its holder is still the same.
    """
    try:
        seen = look(paths, history)
    except MachineError as error:  # a file that is just being written, a batch system that does not answer
        return State(None, f"Status unknown just now: {error}")
    now = liveness(history, seen)
    if now is Liveness.LOST and history.running and seen.holder != holder_before:
        now = Liveness.RUNNING
    is_to_come = now in (Liveness.QUEUED, Liveness.STARTING) and not seen.is_held and seen.holder == holder_before
    return State(now, _text(now, paths, history, seen), seen.has_job, now is Liveness.LOST or is_to_come)


def holder_of(paths: ExperimentPaths) -> Holder | None:
    """Return who holds an experiment; None where nobody does, or a lock is just being written."""
    try:
        return read_holder(paths.lock)
    except MachineError:
        return None


def settle(paths: ExperimentPaths, history: History, holder_before: Holder | None) -> State:
    """Return how an experiment is; what a lost campaign left running counts as interrupted from here on."""
    state = state_of(paths, history, holder_before)
    if state.is_abandoned:
        history.end_running(CAMPAIGN_DIED)
    return state


def replay_now(experiment: Experiment) -> History:
    """Return what the record adds up to now; what a lost campaign left running counts as interrupted."""
    holder = holder_of(experiment.paths)
    if experiment.history.running:
        settle(experiment.paths, experiment.history, holder)
    return experiment.history


def _text(now: Liveness, paths: ExperimentPaths, history: History, seen: Sighting) -> str:
    name, job, campaign, stopped = paths.root.name, seen.job, history.campaign, history.stopped
    match now:
        case Liveness.QUEUED if job is not None and job.found is not None:
            start = f", expected to start at {job.found.start}" if job.found.start not in ("", "N/A") else ""
            reason = "" if job.found.reason in ("", "None") else f" ({job.found.reason})"
            held = f"; it is held until {release_command(job.id)}" if job.found.is_held else ""
            return f"Waiting in the queue as job {job_text(job.id)}{reason}{start}{held}{_others_text(seen)}"
        case Liveness.STARTING if job is not None and job.found is not None and not job.is_over:
            return f"Job {job_text(job.id)} is starting its workers on {job.found.nodes}"
        case Liveness.DONE if stopped is not None:
            return f"Ended at {_clock(stopped.time)}"
        case Liveness.STOPPED if stopped is not None and stopped.stop is not None:
            said, where = f"Stopped at {_clock(stopped.time)}: {stop_text(stopped.stop)}", ""
            runs = job is not None and job.found is not None and job.found.state is JobState.RUNNING
            refused = "" if history.refused is None else history.refused.reason
            if job is not None and runs and refused:
                tries = f"job {job_text(job.id)} tries again as long as it lasts, ten minutes at most"
                return f"{said}; no next job yet: {refused}; {tries}"
            if job is not None and runs:  # it is about to end, or was requeued and begins again
                return f"{said}; job {job_text(job.id)} is {job.slurm_state}"
            if refused:
                said, where = f"{said}; there is no next job: {refused}", ", where you may submit,"
            return f"{said}; candle resume {name}{where} continues it"
        case Liveness.RUNNING if campaign is not None:
            return _running(name, campaign, paths, seen, history)
        case Liveness.LOST if job is not None and _is_yet_to_run(job, campaign):
            how = f"ended ({job.slurm_state})" if job.slurm_state else "is not known to SLURM any more"
            see = f"; see {location(paths.job_output)}" if paths.job_output.exists() else ""
            return f"Job {job_text(job.id)} {how}, before any trial ran{see}"
        case Liveness.LOST if campaign is not None:
            where = f"process {campaign.process} on {campaign.host}"
            if campaign.job:
                where = f"job {job_text(campaign.job)} ({job.slurm_state if job and job.slurm_state else 'gone'})"
            since = _clock(campaign.time)
            return f"Interrupted: {where}, which ran it since {since}, is gone; candle resume {name} continues it"
    if campaign is not None:
        return f"It is being started by {seen.holder}"
    if history.unresolved is not None and seen.holder is None and not seen.has_job:
        return f"Whether its job was submitted is not known, and SLURM shows none; candle resume {name} submits one"
    return "It has not begun"


def _running(name: str, campaign: CampaignStarted, paths: ExperimentPaths, seen: Sighting, history: History) -> str:
    since, job = _clock(campaign.time), seen.job
    if job is not None and job.found is not None and campaign.job == job.id:
        left = "which is ending" if time_left(job.found.left) is None else f"{job.found.left} left"
        where = f"job {job_text(job.id)} on {job.found.nodes}, {left}"
        if job.found.slurm_state in ("SUSPENDED", "STOPPED"):
            return f"SLURM has suspended {where}; it continues when SLURM resumes it"
        where += _others_text(seen)
        if history.places > 0:
            return f"Running since {since} as {where}"
        if history.lacking:
            return f"Waiting for workers, as {where}: {'; '.join(history.lacking)}"
        return f"Starting its workers, as {where}"
    where = f"process {campaign.process} on {campaign.host}"
    running = f"Running since {since} with {count(history.places, 'worker')}, as {where}"
    quiet = quiet_seconds(paths.lock)
    if quiet < LEASE_SECONDS:
        return running
    return f"{running}; no sign of life from it for {duration(quiet)}, candle resume {name} finds out"


def _others_text(seen: Sighting) -> str:
    """Return what the other jobs do, where there are some that are not over."""
    there = [job.found for job in seen.others if job.found is not None and not job.is_over]
    joined = [job for job in there if job.state is not JobState.PENDING]
    waiting = [job for job in there if job.state is JobState.PENDING]
    text = ""
    if joined:
        text += f"; with it {', '.join(f'job {job_text(job.id)} on {job.nodes}' for job in joined[:_MOST_JOBS])}"
        text += f" and {len(joined) - _MOST_JOBS} more" if len(joined) > _MOST_JOBS else ""
    if waiting:
        reasons = dict.fromkeys(job.reason for job in waiting if job.reason not in ("", "None"))
        why = f" ({', '.join(reasons)})" if reasons else ""
        text += f"; {count(len(waiting), 'job')} more in the queue{why}"
    return text


def _clock(seconds: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (OverflowError, OSError, ValueError):
        return "a time that no clock shows"
