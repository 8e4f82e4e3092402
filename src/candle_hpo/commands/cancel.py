"""`candle cancel`: stop an experiment, on the cluster or on this machine; what was done is kept."""

from __future__ import annotations

import os
import signal

from rich.console import Console

from candle_hpo.commands.screen import show
from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.job_text import JobState, job_text
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.holder import this_place
from candle_hpo.runner.sighting import look


def cancel(experiment: str | None, console: Console) -> None:
    """Cancel an experiment's jobs, or ask the process that runs it here to stop."""
    opened = Experiment.open(experiment)
    name, seen = opened.name, look(opened.paths, opened.history)
    holder = seen.holder
    found = [job.found for job in (*seen.others, seen.job) if job is not None and job.found is not None]
    jobs = [job for job in found if job.state in (JobState.PENDING, JobState.RUNNING)]
    if jobs:
        jobs.sort(key=lambda job: job.state is JobState.RUNNING)  # none that waits is to take the place of another
        for job in jobs:
            slurm.cancel(job.id)
        named = ", ".join(job_text(job.id) for job in jobs)
        are = f"job {named} is" if len(jobs) == 1 else f"jobs {named} are"
        show(console, f"{name}: {are} cancelled; candle resume {name} continues it")
        return
    if holder is None or not seen.is_held:
        raise InputError(f"{name} is not running; see candle status")
    if holder.place != this_place():
        raise InputError(f"{name} is being run by {holder}; cancel it on that host")
    try:
        os.kill(holder.process, signal.SIGTERM)
    except OSError as error:
        raise MachineError(f"process {holder.process} cannot be stopped: {error.strerror}") from None
    show(console, f"{name}: process {holder.process} is stopping; candle resume {name} continues it")
