"""An experiment in several jobs: the first that starts leads, each later one joins with its workers.

Who leads has the claim, as ever. The others look at its lock, and at the invitation that it leaves in the experiment's
folder; they try to claim when the lock is gone, or gives no sign of life and nothing says that its holder lives.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from candle_hpo.core.errors import CandleError, ExitStatus, MachineError
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.stopping import Stop, StopReason
from candle_hpo.core.trial import Status
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.job_text import JobState, job_text
from candle_hpo.engine.batch.slurm_text import workers_by_node
from candle_hpo.engine.pilot.guests import Guests, forget_guests, guests, invitations
from candle_hpo.engine.pilot.parsl_workers import LOST_AFTER_SECONDS
from candle_hpo.record.events import JobEnd, JobEnded
from candle_hpo.record.experiment import Claim, Experiment
from candle_hpo.record.holder import Life, life_of, read_holder
from candle_hpo.record.lock import SIGN_SECONDS, Held
from candle_hpo.report.summary import stop_text
from candle_hpo.report.words import count
from candle_hpo.runner.heard_signals import HeardSignals
from candle_hpo.runner.listener import Say
from candle_hpo.runner.sighting import job_has_ended, look

_LOOK_SECONDS = 1.0
_SILENT_SECONDS = 3 * SIGN_SECONDS  # without a sign of life of the leader, after which the batch system is asked
_NO_MORE_TRIALS_SECONDS = 30.0  # before the end of a job, in which no trial is started on its workers

# With these, one leader stops, and another continues. Any other reason ends the experiment for all its jobs.
_OF_ONE_JOB = (StopReason.WALLTIME, StopReason.PREEMPTED, StopReason.JOB_CANCELLED, StopReason.NO_WORKERS)

_logger = logging.getLogger(__name__)


def workers_of_nodes() -> dict[str, int]:
    """Return the nodes of this job, with the number of their workers."""
    names = slurm.node_names(os.environ["SLURM_JOB_NODELIST"])
    return dict(zip(names, workers_by_node(os.environ["SLURM_TASKS_PER_NODE"]), strict=True))


def is_final(stop: Stop | None) -> bool:
    """Return whether a campaign that stopped so leaves nothing to the other jobs."""
    return stop is None or stop.reason not in _OF_ONE_JOB


def run_as_one_of_several(
    opened: Experiment, job: str, signals: HeardSignals, lead: Callable[[Claim], ExitStatus], say: Say
) -> ExitStatus:
    """Lead if nobody does, else join whoever does, until there is nothing left, or this job is about to end."""
    leader, is_gone = _Leader(opened.paths, job), False
    while not signals.heard and _seconds_left(signals) > 0:
        if is_gone or leader.may_be_gone():
            vars(opened).pop("history", None)  # others may have been submitted since it was read
            with suppress(Held), opened.claim(job_has_ended(opened), job=job) as claim:
                stopped = claim.record.history.stopped
                if stopped is not None and _is_done(claim, job):
                    why = "nothing is left to do" if stopped.stop is None else stop_text(stopped.stop)
                    say(f"Job {job_text(job)} is not needed: {why}")
                    return ExitStatus.ALL_WELL
                _wait_for_guests_of_others(opened.paths, job, signals)
                return lead(claim)
        found, is_gone = leader.invitation(), False
        if found is not None:
            try:
                is_gone = _join(found, leader, signals, say)
            except _NoneStays as error:
                say(f"Job {job_text(job)} ends, for its workers do not stay with the job that leads: {error}")
                return ExitStatus.SYSTEM_ERROR
        time.sleep(0 if is_gone else _LOOK_SECONDS)
    return ExitStatus.ALL_WELL


def _is_over(signals: HeardSignals) -> bool:
    deadline = signals.clock.deadline
    return deadline is not None and time.monotonic() >= deadline and not signals.clock.renew()


def _seconds_left(signals: HeardSignals) -> float:
    """Return for how long trials may be started on this job's workers; infinite where its time has no limit."""
    deadline = signals.clock.deadline
    if deadline is None:
        return math.inf
    left = deadline - _NO_MORE_TRIALS_SECONDS - time.monotonic()
    return _seconds_left(signals) if left <= 0 and signals.clock.renew() else left


def _is_done(claim: Claim, job: str) -> bool:
    """Return whether the campaign has ended, for good, since this job was submitted."""
    history = claim.record.history
    known = history.jobs.get(job)
    has_run = known is not None and len(history.campaigns) > known.campaigns_before
    return has_run and history.stopped is not None and is_final(history.stopped.stop)


class _NoneStays(Exception):
    """No worker of this job stays with the one that leads; the text says why."""


class _Leader:
    """What another `job` sees of the one that leads: its lock, and its invitation."""

    def __init__(self, paths: ExperimentPaths, job: str) -> None:
        self.paths, self.job = paths, job
        self._seen: tuple[int, int] | None = None  # file of the lock, and its last sign of life
        self._since = time.monotonic()

    def may_be_gone(self) -> bool:
        """Return whether nobody holds the lock, or its holder gives no sign of life, and nothing says that it lives.

        Only then is the batch system asked, and again after a while.
        """
        try:
            with self.paths.lock.open("rb") as file:  # opened, since NFS answers from its memory otherwise
                status = os.fstat(file.fileno())
        except FileNotFoundError:
            return True
        except OSError as error:  # a file system that is out of order for a while says nothing of others
            _logger.warning("the lock cannot be looked at: %s", error.strerror)
            return False
        seen = status.st_ino, status.st_mtime_ns
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        if time.monotonic() - self._since <= _SILENT_SECONDS:
            return False
        self._since = time.monotonic()
        with suppress(CandleError):
            holder = read_holder(self.paths.lock)
            return holder is None or life_of(holder, job_has_ended(Experiment(self.paths)), self.job) is not Life.ALIVE
        return False

    def invitation(self) -> Path | None:
        """Return the file by which the job that holds the lock invites others; None while it does not."""
        with suppress(MachineError):
            holder = read_holder(self.paths.lock)
            if holder is not None and holder.job and holder.job != self.job:
                found = invitations(self.paths.root)
                return next((file for file, each in found.items() if each.job == holder.job), None)
        return None


def _join(invitation: Path, leader: _Leader, signals: HeardSignals, say: Say) -> bool:
    """Lend this job's workers to the one that leads, until that withdraws its invitation or this job has to end.

    Return whether the leader may be gone. Raises `_NoneStays`.
    """
    found = invitations(leader.paths.root).get(invitation)
    if found is None:
        return False
    nodes = workers_of_nodes()

    def seconds_left() -> float | None:
        left = _seconds_left(signals)
        return None if math.isinf(left) else left

    try:
        there = Guests(invitation, found.contact, leader.job, nodes, seconds_left)
    except FileNotFoundError:  # it has just been withdrawn
        return False
    workers = f"{count(sum(nodes.values()), 'worker')} on {count(len(nodes), 'node')}"
    say(f"Job {job_text(leader.job)} joins job {job_text(found.job)}, with {workers}")
    try:
        while not (signals.heard or there.have_gone or _is_over(signals) or _is_withdrawn(invitation)):
            if leader.may_be_gone():
                return True
            if why := there.why_none_stays():
                raise _NoneStays(why)
            time.sleep(_LOOK_SECONDS)
        return False
    finally:
        there.leave()


def _is_withdrawn(invitation: Path) -> bool:
    """Return whether the file of an invitation is gone, as far as can be seen."""
    try:
        invitation.stat()
    except OSError as error:
        return error.errno in (errno.ENOENT, errno.ESTALE)
    return False


def _wait_for_guests_of_others(paths: ExperimentPaths, job: str, signals: HeardSignals) -> None:
    """Wait until all workers that joined an earlier leader have ended, and with them the trials that they ran.

    Those that cannot end them any more have lost their contact, and end by themselves.
    """
    deadline = time.monotonic() + LOST_AFTER_SECONDS
    while (others := guests(paths.root) - {job}) and time.monotonic() < deadline and not signals.heard:
        time.sleep(_LOOK_SECONDS / 2)
    forget_guests(paths.root, others)


@contextmanager
def stopping_in_time(signals: HeardSignals) -> Iterator[None]:
    """Stop the campaign when this job has to end; others continue."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_SECONDS):
            if _is_over(signals):
                signals.end(Stop(StopReason.WALLTIME))
                return

    thread = threading.Thread(target=watch, name="walltime", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def fill_up(claim: Claim, job: str, submit: Callable[[int], None], say: Say) -> None:
    """Submit as many jobs as are missing, where an experiment continues by itself; those that have ended are recorded.

    Where nothing has completed since this one was submitted, more of them would not help. Where SLURM or the site
    refuses, it runs on with those that there are.
    """
    opened, record = claim.experiment, claim.record
    if record.history.counts[Status.COMPLETED] <= record.history.jobs[job].completed_before:
        return
    try:
        seen = look(opened.paths, record.history)
        jobs = [each for each in (seen.job, *seen.others) if each is not None and each.id != job and not each.ended]
        over = [each for each in jobs if each.is_over]
        record.append([JobEnded(time.time(), each.id, JobEnd.ENDED, each.slurm_state) for each in over])
        missing = opened.settings.jobs - 1 - (len(jobs) - len(over))
        if opened.settings.auto_resubmit and missing > 0:
            submit(missing)
    except CandleError as error:
        say(f"auto_resubmit=1: no more jobs could be submitted: {error}")


def others_are_there(claim: Claim, job: str) -> bool:
    """Return whether another job of the experiment runs, or waits; not where SLURM does not say."""
    try:
        seen = look(claim.experiment.paths, claim.record.history)
    except MachineError:
        return False
    return any(each is not None and each.id != job and not each.is_over for each in (seen.job, *seen.others))


def dismiss_others(claim: Claim, job: str, say: Say) -> None:
    """Cancel the jobs that wait to join: there is nothing left for them. Those that have joined end by themselves."""
    record, known = claim.record, claim.record.history.jobs
    others = [each.id for each in known.values() if each.ended is None and each.id != job]
    script = str(claim.experiment.paths.job_script)
    try:
        there = slurm.find_jobs(others) if others else []
        for found in [each for each in there if each.id in others and each.is_of(known[each.id].mark, script)]:
            if found.state is JobState.PENDING:
                slurm.cancel(found.id)
                say(f"Job {job_text(found.id)} is not needed any more, and cancelled")
        record.append([JobEnded(time.time(), each, JobEnd.CAMPAIGN_ENDED) for each in others])
    except MachineError as error:
        say(f"Jobs that are not needed any more could not be cancelled, and end as they start: {error}")
