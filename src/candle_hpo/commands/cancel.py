"""`candle cancel`: stop an experiment, on the cluster or on this machine; what was done is kept."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from rich.console import Console

from candle_hpo.commands.screen import show
from candle_hpo.core.errors import ExitStatus, InputError, MachineError
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.slurm_text import JobState
from candle_hpo.record.folder import find_experiment, read_jobs
from candle_hpo.record.holder import is_dead, read_holder, this_place


def cancel(experiment: str | None, console: Console) -> ExitStatus:
    """Cancel an experiment's job, or ask the process that runs it here to stop."""
    paths = find_experiment(experiment, Path.cwd())
    jobs = read_jobs(paths)
    for job in slurm.find_jobs([jobs[-1].id]) if jobs else ():
        if job.state in (JobState.PENDING, JobState.RUNNING):
            slurm.cancel(job.id)
            show(console, f"{paths.root.name}: job {job.id} is cancelled; candle resume {paths.root.name} goes on")
            return ExitStatus.ALL_WELL
    holder = read_holder(paths.lock)
    if holder is None or is_dead(holder, slurm.job_has_ended):
        raise InputError(f"{paths.root.name} does not run; candle status tells how it is")
    if holder.place != this_place():
        raise InputError(f"{paths.root.name} is being run by {holder}; cancel it on that host")
    try:
        os.kill(holder.process, signal.SIGTERM)
    except OSError as error:
        raise MachineError(f"process {holder.process} cannot be stopped: {error.strerror}") from None
    show(
        console,
        f"{paths.root.name}: process {holder.process} is stopping; candle resume {paths.root.name} goes on",
    )
    return ExitStatus.ALL_WELL
