"""What can be seen of an experiment besides its record: its lock, and its jobs by what the batch system says."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from candle_hpo.core.errors import MachineError
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.job_text import Job, JobState
from candle_hpo.record.events import JobEnded
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.history import History
from candle_hpo.record.history_entries import JobHistory
from candle_hpo.record.holder import Holder, Life, life_of, read_holder
from candle_hpo.record.lock import LEASE_SECONDS, quiet_seconds


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
        return _life_has_ended(found[number]) if number in found else None

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
        return _life_has_ended(found[0]) if found else None

    return has_ended


def _life_has_ended(job: Job) -> bool | None:
    """Return whether no process of a job can be there any more; None for one that was requeued, and waits.

    Its first node may be lost, and that process with it, or only out of sight: then the lock says more.
    """
    return None if job.state is JobState.PENDING else job.has_ended


def _mark_of(job: str, history: History) -> str:
    return history.jobs[job].mark if job in history.jobs else ""
