"""`candle run-job`: what a job script runs on the cluster."""

from __future__ import annotations

from rich.console import Console

from candle_hpo.commands.screen import Screen
from candle_hpo.core.errors import ExitStatus
from candle_hpo.runner import cluster_job


def run_job(experiment: str, retry_failed: bool, console: Console) -> ExitStatus:
    """Run an experiment's trials within its SLURM job, on all its workers."""
    return cluster_job.run_job(experiment, retry_failed, Screen(console))
