"""`candle run-job`: what a job script runs on the cluster."""

from __future__ import annotations

from rich.console import Console

from candle_hpo.commands.screen import Screen
from candle_hpo.core.errors import ExitStatus
from candle_hpo.runner import cluster_job


def run_job(experiment: str, mark: str, retry_failed: bool, console: Console) -> ExitStatus:
    """Run an experiment's trials within the SLURM job that was submitted for it with this mark, on all its workers."""
    return cluster_job.run_job(experiment, mark, retry_failed, Screen(console))
