"""An experiment as a SLURM job, seen from the login node: what it asks `sbatch` for, and its submission."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.sbatch_arguments import SbatchArgument, SbatchArgumentError, sbatch_arguments, value_of
from candle_hpo.core.site import ChosenSite
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.job_text import with_mark
from candle_hpo.engine.batch.layout import Allocation
from candle_hpo.engine.batch.site import choose_site
from candle_hpo.engine.batch.slurm_environment import not_followed
from candle_hpo.engine.batch.slurm_text import job_script, sbatch_options, with_arguments
from candle_hpo.engine.pilot.parsl_workers import own_program
from candle_hpo.record.experiment import Claim
from candle_hpo.record.folder import StoredExperiment
from candle_hpo.runner.gpu_layout import gpu_layout
from candle_hpo.runner.jobs import FINDING_SECONDS, submit_job
from candle_hpo.runner.listener import Say
from candle_hpo.user_environment import user_environment


def uses_slurm(settings: Settings) -> bool:
    """Return whether the workflow of these settings goes to the cluster."""
    return settings.engine == "slurm" or (settings.engine == "auto" and slurm.slurm_is_here())


def job_script_of(
    paths: ExperimentPaths, settings: Settings, chosen: ChosenSite, mark: str, say: Say, *, retry_failed: bool = False
) -> str:
    """Return the job script of an experiment on its site. Raises `InputError` for what the site lacks."""
    worker = chosen.site.worker_type(settings.worker_type)
    arguments = sbatch_arguments_of(settings, chosen)
    settings = replace(settings, nworkers=settings.workers_of_a_job)
    allocation = Allocation(settings.nworkers)
    if worker.gpu is not None:
        partition = value_of(arguments, "--partition") or settings.queue or worker.partition
        clusters = clusters_of(settings, chosen)
        worker, allocation = gpu_layout(worker, worker.gpu, settings, partition, clusters, arguments, say)
    if allocation.workers != settings.nworkers:
        say(
            f"{settings.nworkers} workers become {allocation.workers}: {allocation.nodes} nodes with "
            f"{allocation.gpus} GPUs each, all of them used",
        )
    if ignored := not_followed(user_environment()):
        say(f"{', '.join(ignored)}: not followed; custom_sbatch_args is for what sbatch is to be asked besides")
    options = sbatch_options(settings, worker, allocation, str(paths.root))
    try:
        options, extra = with_arguments(options, arguments)
    except SbatchArgumentError as error:
        raise InputError(f"custom_sbatch_args: {error}") from None
    command = [*own_program("candle_hpo"), "run-job", str(paths.root), mark]
    return job_script(options, with_mark(extra, mark), [*command, "--retry-failed"] if retry_failed else command)


def site_of(stored: StoredExperiment) -> ChosenSite:
    """Return the site that was in use when an experiment was submitted or resumed; a job's node may show another."""
    return stored.site or choose_site()


def clusters_of(settings: Settings, chosen: ChosenSite) -> str:
    """Return the clusters to which an experiment's jobs are to go; "" for the one of this machine."""
    environment = user_environment()
    named = value_of(sbatch_arguments_of(settings, chosen), "--clusters")
    return named or environment.get("SBATCH_CLUSTERS") or environment.get("SLURM_CLUSTERS") or ""


def submit_experiment(
    claim: Claim, say: Say, *, retry_failed: bool = False, patience: float = FINDING_SECONDS, jobs: int = 1
) -> None:
    """Submit jobs for an experiment; with `retry_failed`, trials that failed in an earlier one are attempted again.

    Raises `MachineError`, or `NoAnswer`, as `submit_job` does, for the first; with fewer than all, it runs, too.
    """
    paths, settings, chosen = claim.experiment.paths, claim.experiment.settings, site_of(claim.experiment.stored)
    each, wanted = settings.workers_of_a_job, settings.nworkers
    if each * settings.jobs != wanted:
        say(f"{wanted} workers become {each * settings.jobs}: {settings.jobs} jobs of {each} each")
    for number in range(jobs):
        try:
            submit_job(
                claim,
                partial(_script, paths, settings, chosen, say if number == 0 else _say_nothing, retry_failed),
                clusters_of(settings, chosen),
                say,
                patience,
            )
        except MachineError as error:
            if number == 0:
                raise
            say(f"{number} of {jobs} jobs were submitted, and run all trials; no more, for: {error}")
            return


def _script(
    paths: ExperimentPaths, settings: Settings, chosen: ChosenSite, say: Say, retry_failed: bool, mark: str
) -> str:
    return job_script_of(paths, settings, chosen, mark, say, retry_failed=retry_failed)


def _say_nothing(*_lines: str) -> None:
    """Say nothing again: what was said of the first job holds for all."""


def sbatch_arguments_of(settings: Settings, chosen: ChosenSite) -> list[SbatchArgument]:
    """Return the arguments that the site and the experiment add, which wins. Raises `InputError`."""
    found: list[SbatchArgument] = []
    of_both = {
        f"{chosen.file}: sbatch_args": chosen.site.sbatch_args,
        "custom_sbatch_args": settings.custom_sbatch_args,
    }
    for name, words in of_both.items():
        try:
            found += sbatch_arguments(words)
        except SbatchArgumentError as error:
            raise InputError(f"{name}: {error}") from None
    return found
