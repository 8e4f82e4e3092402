"""The jobs of an experiment: submitting one, finding it again, recording how it ended.

What is about to be submitted is recorded before `sbatch` runs. So whatever that prints, and whoever is killed: the job
that has come of it is found by its mark, and no other is submitted while it may be there.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.job_text import Job, job_text, new_mark
from candle_hpo.files import replace_file
from candle_hpo.record.events import JobEnd, JobEnded, JobRefused, JobRequested, JobSubmitted
from candle_hpo.record.experiment import Claim
from candle_hpo.report.words import location
from candle_hpo.runner.listener import Say
from candle_hpo.runner.sighting import look, marked_job

FINDING_SECONDS = 60.0  # for a job to be in the queue of which `sbatch` did not hear whether it was taken
_SHORTEST_ANSWER_SECONDS = 15.0  # for `sbatch`, which else has twice as long, near the end of a job not so long
_ASK_AGAIN_SECONDS = 3.0
_LONGEST_PAUSE_SECONDS = 60.0
_TRYING_SECONDS = 600.0  # for a next job, while this one's nodes lie idle


def submit_job(claim: Claim, write_script: Callable[[str], str], clusters: str, say: Say, patience: float) -> None:
    """Submit a job for an experiment, or find the one that was submitted already and not recorded.

    `write_script` returns the job script with a mark. The job may start at once: it then waits until the claim has
    ended. Raises `MachineError` with SLURM's own words where it refuses, `NoAnswer` where it may have taken the job and
    does not show it in so many seconds; a job that cannot be recorded is cancelled.
    """
    paths, record = claim.experiment.paths, claim.record
    job = _resolve(claim)
    if job is None:
        mark = new_mark()
        try:
            replace_file(paths.job_script, write_script(mark).encode())
        except OSError as error:
            raise MachineError(f"{paths.root} cannot be written: {error}") from None
        record.append([JobRequested(time.time(), mark, clusters)])
        job = _submitted(claim, patience)
        try:
            record.append([JobSubmitted(time.time(), job, mark=mark)])
        except BaseException as error:
            try:
                slurm.cancel(job)
            except MachineError as refusal:
                raise slurm.NoAnswer(
                    f"{error}; job {job_text(job)}, which was submitted, could not be cancelled: {refusal}"
                ) from None
            raise
    say(f"JOB_ID={job}")


def continue_in_a_next_job(
    claim: Claim,
    job: str,
    submit: Callable[..., None],
    seconds: float,
    say: Say,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> bool:
    """Let another job continue an experiment, or this one, waiting again; return whether this one may run again.

    `sbatch` may be refused: for one job at a time is all that a user may have, on this node, or for a moment. This job
    is then requeued, which takes no other; where that is refused too, both are tried again, as long as this job lasts,
    ten minutes at most; who cancels it meanwhile gets no other. The refusal stays in the record.
    """
    deadline, pause = time.monotonic() + min(seconds, _TRYING_SECONDS), _ASK_AGAIN_SECONDS
    while not is_cancelled():
        try:
            submit(claim, say, patience=min(FINDING_SECONDS, seconds / 4))
            say("auto_resubmit=1: the next job continues")
            return False
        except MachineError as error:
            refusal = error
        if not isinstance(refusal, slurm.NoAnswer):
            try:
                slurm.requeue(job)
                say(f"auto_resubmit=1: {refusal}; so job {job_text(job)} waits in the queue again, and continues")
                return True
            except MachineError as error:
                refusal = MachineError(f"{refusal}; {error}")
        if time.monotonic() + pause >= deadline:
            name = claim.experiment.name
            say(f"auto_resubmit=1: no next job could be submitted: {refusal}; candle resume {name} continues it")
            return False
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    return True


def _submitted(claim: Claim, patience: float) -> str:
    """Run `sbatch`; return the job, looked up in the queue where `sbatch` failed or does not say it clearly."""
    paths, history = claim.experiment.paths, claim.record.history
    request = history.unresolved
    assert request is not None  # noqa: S101  # it was recorded just now
    try:
        return slurm.submit(paths.job_script, request.clusters, max(_SHORTEST_ANSWER_SECONDS, 2 * patience))
    except slurm.NotSent as error:
        claim.record.append([JobRefused(time.time(), request.mark, str(error))])
        raise
    except MachineError as error:
        may_come = isinstance(error, slurm.NoAnswer)
        try:
            found = _found_within(patience if may_come else 0, lambda: marked_job(paths, history))
        except MachineError as silence:
            raise _not_known(claim, f"{error}; {silence}") from None
        if found is not None:
            return found.id
        if may_come:
            raise _not_known(claim, f"{error}; the queue does not show it") from None
        claim.record.append([JobRefused(time.time(), request.mark, str(error))])
        raise


def _found_within(seconds: float, find: Callable[[], Job | None]) -> Job | None:
    """Return the job once it is found, None where it is not in so many seconds; raise where SLURM does not say."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = find()
            if found is not None or time.monotonic() >= deadline:
                return found
        except MachineError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_ASK_AGAIN_SECONDS)


def _not_known(claim: Claim, what: str) -> slurm.NoAnswer:
    name = claim.experiment.name
    return slurm.NoAnswer(
        f"{what}. Whether SLURM has taken the job is not known: candle status {name} shows it if it has, and candle "
        f"resume {name} submits it if not. {location(claim.experiment.paths.root)} is kept for it"
    )


def _resolve(claim: Claim) -> str | None:
    """Record what came of a submission that nobody lived to record; return the job that has not ended, if there is one.

    Raises `MachineError` where SLURM does not answer.
    """
    record = claim.record
    request = record.history.unresolved
    if request is None:
        return None
    found = marked_job(claim.experiment.paths, record.history)
    if found is None:
        reason = "who submitted it was ended meanwhile, and SLURM knows no such job"
        record.append([JobRefused(time.time(), request.mark, reason)])
        return None
    record.append([JobSubmitted(time.time(), found.id, mark=request.mark)])
    return None if found.has_ended else found.id


def record_ends_of_jobs(claim: Claim) -> None:
    """Record that the last jobs of an experiment have ended, where that is not known yet.

    Raises `InputError` where one waits in the queue or is not over, `MachineError` where SLURM does not answer.
    """
    opened = claim.experiment
    _resolve(claim)
    seen = look(opened.paths, opened.history)
    for job in (each for each in (seen.job, *seen.others) if each is not None and each.ended is None):
        if not job.is_over:
            raise InputError(
                f"{opened.name} is job {job_text(job.id)}, which is {job.slurm_state}; wait for it, or stop it with "
                "candle cancel"
            )
        how = JobEnd.FORGOTTEN if job.found is None else JobEnd.ENDED
        claim.record.append([JobEnded(time.time(), job.id, how, job.slurm_state)])
