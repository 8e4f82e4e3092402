"""Whether an experiment runs, waits or has ended: judged here alone, by its record, its lock and its last job."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from candle_hpo.core.errors import MachineError
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.job_text import Job, JobState, job_text, release_command, time_left
from candle_hpo.record.events import CampaignStarted, JobEnded
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.history import History
from candle_hpo.record.history_entries import JobHistory
from candle_hpo.record.holder import Holder, Life, life_of, read_holder
from candle_hpo.record.lock import LEASE_SECONDS, quiet_seconds
from candle_hpo.report.summary import stop_text
from candle_hpo.report.words import count, duration, location

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


class LastJob(NamedTuple):
    """The last job of an experiment: what SLURM knows of it, and the end that the record has.

    SLURM is not asked of a job that has ended by the record; of one that it was asked of, None is that it does not know
    it: it has forgotten it, or that number is another's job.
    """

    id: str
    found: Job | None
    ended: JobEnded | None = None

    @property
    def is_over(self) -> bool:
        """Whether it runs nothing any more."""
        return self.ended is not None or self.found is None or self.found.state is JobState.ENDED

    @property
    def slurm_state(self) -> str:
        """SLURM's word for how it is, or how it ended; "" where that is not known."""
        if self.found is not None:
            return self.found.slurm_state
        return "" if self.ended is None else self.ended.state


class Sighting(NamedTuple):
    """What can be seen of an experiment besides its record; `life` is that of the holder, if there is one.

    `job` is the one that counts, where there are several: the one that leads, or else may soon; `others` are those
    besides of whose end the record knows nothing.
    """

    holder: Holder | None
    life: Life | None
    job: LastJob | None
    others: tuple[LastJob, ...] = ()

    @property
    def is_held(self) -> bool:
        """Whether a process runs it, as far as is known: one elsewhere that gives no sign of life may live."""
        return self.life in (Life.ALIVE, Life.UNKNOWN)

    @property
    def has_job(self) -> bool:
        """Whether its last job waits, runs or is just ending."""
        return self.job is not None and not self.job.is_over


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


def look(paths: ExperimentPaths, history: History) -> Sighting:
    """Look at an experiment's lock and its jobs; SLURM is asked once, and only of jobs that may still run it.

    Raises `MachineError` where SLURM does not answer, or the lock cannot be read.
    """
    last, holder = history.job, read_holder(paths.lock)
    if history.unresolved is not None and (submitted := marked_job(paths, history)) is not None:
        last = JobHistory(submitted.id, mark=history.unresolved.mark)
    jobs = {each.id: each for each in (*history.jobs.values(), last) if each is not None and not each.ended}
    asked = {each.id: each.mark for each in jobs.values()}
    if holder is not None and holder.job:
        asked.setdefault(holder.job, _mark_of(holder.job, history))
    answer = slurm.find_jobs(list(asked)) if asked else []
    script = str(paths.job_script)
    found = {each.id: each for each in answer if each.id in asked and each.is_of(asked[each.id], script)}

    def has_ended(number: str) -> bool | None:
        return found[number].has_ended if number in found else None

    life = None if holder is None else life_of(holder, has_ended)
    if holder is not None and holder.job and life is Life.UNKNOWN and quiet_seconds(paths.lock) > LEASE_SECONDS:
        life = Life.DEAD  # neither SLURM nor its lock knows of it
    if last is not None:
        jobs.setdefault(last.id, last)
    return Sighting(
        holder, life, *_by_weight([LastJob(each.id, found.get(each.id), each.ended) for each in jobs.values()], history)
    )


def _by_weight(jobs: list[LastJob], history: History) -> tuple[LastJob | None, tuple[LastJob, ...]]:
    """Return the job that counts, and the others: one that leads, or runs, or waits comes first, and else the last."""
    leader = history.campaign.job if history.campaign is not None and history.stopped is None else ""
    waits = (JobState.PENDING, JobState.ENDED)

    def weight(place: int) -> tuple[bool, bool, bool, int]:
        job = jobs[place]
        runs = job.found is not None and job.found.state not in waits
        return not job.is_over, job.id == leader, runs, place

    order = sorted(range(len(jobs)), key=weight, reverse=True)
    return (jobs[order[0]] if order else None), tuple(jobs[place] for place in sorted(order[1:]))


def marked_job(paths: ExperimentPaths, history: History) -> Job | None:
    """Return the job of the submission of which nobody recorded what came of it; None where SLURM knows none.

    Raises `MachineError` where it does not answer.
    """
    request = history.unresolved
    if request is None:
        return None
    unknown = [each for each in slurm.own_jobs(request.clusters) if each.id not in history.jobs]
    of_it = [each for each in unknown if each.is_of(request.mark, str(paths.job_script))]
    return min(of_it, key=lambda each: each.has_ended is True, default=None)


def job_has_ended(opened: Experiment) -> Callable[[str], bool | None]:
    """Return what says of a job of this experiment whether it is over; None: SLURM does not know, or is silent."""

    def has_ended(job: str) -> bool | None:
        mark, script = _mark_of(job, opened.history), str(opened.paths.job_script)
        try:
            found = [each for each in slurm.find_jobs([job]) if each.id == job and each.is_of(mark, script)]
        except MachineError:  # which has been logged
            return None
        return found[0].has_ended if found else None

    return has_ended


def _mark_of(job: str, history: History) -> str:
    return history.jobs[job].mark if job in history.jobs else ""


class State(NamedTuple):
    """How an experiment is now, and a line that says so; `liveness` is None where that cannot be known just now."""

    liveness: Liveness | None
    text: str
    has_job: bool = False

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
    return State(now, _text(now, paths, history, seen), seen.has_job)


def holder_of(paths: ExperimentPaths) -> Holder | None:
    """Return who holds an experiment; None where nobody does, or a lock is just being written."""
    try:
        return read_holder(paths.lock)
    except MachineError:
        return None


def settle(paths: ExperimentPaths, history: History, holder_before: Holder | None) -> State:
    """Return how an experiment is; what a lost campaign left running counts as interrupted from here on."""
    state = state_of(paths, history, holder_before)
    if state.liveness is Liveness.LOST:
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
