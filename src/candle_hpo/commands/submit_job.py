"""`candle submit-job`: run what an input file asks for: the model once, or the workflow, here or on the cluster."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from candle_hpo.commands.cluster_job import job_script_of, submit_experiment
from candle_hpo.commands.earlier import notes_on_the_last
from candle_hpo.commands.local_run import run_here
from candle_hpo.commands.resume import resume_with
from candle_hpo.commands.screen import show
from candle_hpo.commands.script_check import notes_before_submission
from candle_hpo.commands.search import first_sets, trials_of
from candle_hpo.commands.single_run import run_once
from candle_hpo.core.errors import CandleError, ExitStatus, InputError, MachineError
from candle_hpo.core.experiment import Experiment, Settings
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.paths import ExperimentPaths, experiments_folder
from candle_hpo.core.space import GridSpace
from candle_hpo.execution.devices import visible_gpus
from candle_hpo.execution.scheduler import NoAnswer, slurm_is_here
from candle_hpo.execution.site import choose_site
from candle_hpo.execution.workers import share_out
from candle_hpo.inputfile.read import read_experiment
from candle_hpo.model.command import modules_of
from candle_hpo.model.interpreter import Interpreter, find_interpreter
from candle_hpo.record.earlier_results import EarlierValue, find_earlier_results, write_earlier_results
from candle_hpo.record.folder import (
    check_last_experiment,
    create_experiment,
    discard_experiment,
    point_last_experiment,
)
from candle_hpo.report.words import count, location

_ONLY_ON_A_CLUSTER = ("queue", "project", "custom_sbatch_args", "auto_resubmit")


def submit_job(input_file: Path, console: Console) -> ExitStatus:
    """Read an input file and run what it asks for, or submit it to the cluster."""
    console.print(Text(f'Submitting the CANDLE input file "{input_file}"...'), soft_wrap=True)
    experiment = read_experiment(input_file)
    settings = experiment.settings
    on_cluster = settings.run_workflow and uses_slurm(settings)
    site_modules = choose_site().site.modules if on_cluster else ()
    modules = (*site_modules, *modules_of(settings))
    interpreter = find_interpreter(settings, modules)
    show(console, f"{interpreter.name} ({interpreter.path})", *experiment.notes)
    show(console, *notes_before_submission(experiment, interpreter, modules))
    if settings.restart_from_exp and settings.run_workflow:
        return resume_with(settings.restart_from_exp, settings, interpreter, console)
    if experiment.space is None:
        return run_once(experiment, interpreter, drawn_seed(settings), console)
    earlier = _earlier_results(experiment.space, settings, console)
    if not on_cluster:
        useless = [name for name in _ONLY_ON_A_CLUSTER if getattr(settings, name)]
        show(console, *([f"{', '.join(useless)}: no effect on this machine, only on a cluster"] if useless else []))
    if settings.dry_run:
        return _show_plan(experiment, experiment.space, on_cluster, console)
    return _run_workflow(experiment, experiment.space, earlier, interpreter, on_cluster, console)


def uses_slurm(settings: Settings) -> bool:
    """Tell whether the workflow of these settings goes to the cluster."""
    return settings.engine == "slurm" or (settings.engine == "auto" and slurm_is_here())


def drawn_seed(settings: Settings) -> int:
    """Return the experiment's seed; one that is drawn is recorded, so that it can be used again."""
    return random.SystemRandom().randrange(10**9) if settings.seed is None else settings.seed


def _earlier_results(
    space: GridSpace | ParametricSpace, settings: Settings, console: Console
) -> Sequence[EarlierValue]:
    """Return the results that the search is to begin with (`warm_start`), as far as they are of its space.

    Raises `InputError` where there are none, and `MachineError` where the sampler lacks its package: before anything is
    made.
    """
    if isinstance(space, GridSpace):
        return ()
    from candle_hpo.search.parametric import earlier_result
    from candle_hpo.search.samplers import check_sampler

    check_sampler(settings.sampler)
    if settings.warm_start is None or settings.workflow == "random":
        return ()
    found = find_earlier_results(settings.warm_start, Path.cwd())
    fitting = [each for each in found.values if earlier_result(space, each.hyperparameters, each.value)]
    if not fitting:
        raise InputError(
            f"warm_start: none of the {len(found.values)} results in {found.source} is of this search space "
            f"(parameters: {', '.join(space.names)}); name an experiment with the same parameters, within these bounds"
        )
    show(
        console,
        f"warm_start: the search knows {len(fitting)} of {count(len(found.values), 'result')} in {found.source}",
    )
    return fitting


def _run_workflow(
    experiment: Experiment,
    space: GridSpace | ParametricSpace,
    earlier: Sequence[EarlierValue],
    interpreter: Interpreter,
    on_cluster: bool,
    console: Console,
) -> ExitStatus:
    """Make the experiment's folder, and hand it to the engine; one that the machine refuses leaves no folder."""
    here = Path.cwd()
    check_last_experiment(here)
    show(console, *notes_on_the_last(here, experiment.text))
    total = trials_of(space, experiment.settings)
    paths, stored = create_experiment(here, experiment, total, drawn_seed(experiment.settings), interpreter.path)
    try:
        write_earlier_results(paths, earlier)
    except OSError as error:
        discard_experiment(paths)
        raise MachineError(f"{paths.earlier_results} cannot be written: {error.strerror}") from None
    if on_cluster:
        try:
            submit_experiment(paths, stored.settings, console)
        except NoAnswer as error:
            raise MachineError(f"{error}; look with squeue whether {location(paths.root)} was submitted") from None
        except CandleError:
            discard_experiment(paths)
            raise
    point_last_experiment(here, paths)
    if on_cluster:
        show(console, "Input file submitted successfully", "How it is: candle status")
        return ExitStatus.ALL_WELL
    return run_here(paths, stored, console)


def _show_plan(
    experiment: Experiment, space: GridSpace | ParametricSpace, on_cluster: bool, console: Console
) -> ExitStatus:
    """Show what would be run."""
    settings = experiment.settings
    total = trials_of(space, settings)
    show(
        console,
        f"Model script: {settings.model_script}",
        f"{count(total, 'trial')}, {settings.nworkers} at a time, {settings.direction.value}",
        "First sets:",
        *(f"  {one.id} {one.hyperparameters}" for one in first_sets(space, settings, 3)),
    )
    if on_cluster:
        paths = ExperimentPaths(experiments_folder(Path.cwd()) / "X…")
        show(console, "Job script:", *(f"  {line}" for line in job_script_of(paths, settings, console).splitlines()))
    else:
        show(console, *share_out(settings, visible_gpus(), total).notes)
    show(console, "dry_run=1: nothing was run")
    return ExitStatus.ALL_WELL
