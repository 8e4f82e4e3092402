"""`candle submit-job`: run what an input file asks for: the model once, or the workflow, here or on the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from candle_hpo.commands.resume import resume_with
from candle_hpo.commands.screen import Screen
from candle_hpo.core.errors import CandleError, ExitStatus, InputError, MachineError
from candle_hpo.core.experiment import InputFile
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.paths import ExperimentPaths, experiments_folder
from candle_hpo.core.space import ParameterSet
from candle_hpo.engine.batch.job_text import new_mark
from candle_hpo.engine.batch.site import choose_site
from candle_hpo.engine.batch.slurm import NoAnswer
from candle_hpo.engine.devices import visible_gpus
from candle_hpo.engine.workers import share_out
from candle_hpo.inputfile.read import read_input_file
from candle_hpo.launch.command import modules_of
from candle_hpo.launch.interpreter import Interpreter, find_interpreter
from candle_hpo.launch.preload import cold_start_note
from candle_hpo.record.earlier_results import EarlierResult, write_earlier_results
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.folder import (
    check_last_experiment,
    create_experiment,
    discard_experiment,
    point_last_experiment,
)
from candle_hpo.report.words import count
from candle_hpo.runner.local_run import run_here
from candle_hpo.runner.provenance import find_surroundings, keep_the_script, site_modules
from candle_hpo.runner.script_check import notes_before_submission
from candle_hpo.runner.search_assembly import (
    check_search,
    configurations_of,
    earlier_results_of,
    first_sets,
    levels_text,
    notes_on_budget,
    trials_of,
)
from candle_hpo.runner.sighting import job_has_ended, look
from candle_hpo.runner.single_run import drawn_seed, run_once
from candle_hpo.runner.submission import job_script_of, submit_experiment, uses_slurm
from candle_hpo.script.files_around_script import files_around_script, notes_on_large_files

_ONLY_ON_A_CLUSTER = ("queue", "project", "custom_sbatch_args", "auto_resubmit")


def submit_job(input_file: Path, overrides: Sequence[str], console: Console) -> ExitStatus:
    """Read an input file and run what it asks for, or submit it to the cluster."""
    screen = Screen(console)
    screen.say(f'Submitting the CANDLE input file "{input_file}"...')
    request = read_input_file(input_file, overrides=overrides)
    settings = request.settings
    on_cluster = settings.run_workflow and uses_slurm(settings)
    of_site = site_modules(on_cluster)
    interpreter = find_interpreter(settings, (*of_site, *modules_of(settings)))
    screen.say(f"{interpreter.name} ({interpreter.path})", *request.notes)
    screen.say(*notes_before_submission(request, interpreter, of_site))
    if settings.restart_from_exp and settings.run_workflow:
        return resume_with(request, interpreter, screen)
    if request.space is None:
        return run_once(request, interpreter, drawn_seed(settings), screen.say)
    screen.say(*cold_start_note(settings))
    check_search(settings)
    earlier: Sequence[EarlierResult] = ()
    if isinstance(request.space, ParametricSpace):
        earlier = earlier_results_of(request.space, settings, screen.say)
    total = configurations_of(request.space, settings, earlier)
    screen.say(*notes_on_budget(settings, total, len(earlier)))
    if total == 0:
        raise InputError(f"{input_file}: nothing is left to try: warm_start knows every point of this search space")
    if not on_cluster:
        useless = [name for name in _ONLY_ON_A_CLUSTER if getattr(settings, name)]
        useless += ["jobs"] if settings.jobs > 1 else []
        screen.say(*([f"{', '.join(useless)}: no effect on this machine, only on a cluster"] if useless else []))
    if settings.dry_run:
        return _show_plan(request, total, first_sets(request.space, settings, earlier, 3), on_cluster, screen)
    return _run_workflow(request, total, earlier, interpreter, on_cluster, screen)


def _run_workflow(
    request: InputFile,
    total: int,
    earlier: Sequence[EarlierResult],
    interpreter: Interpreter,
    on_cluster: bool,
    screen: Screen,
) -> ExitStatus:
    """Make the experiment's folder, and hand it to the engine; one that cannot be started leaves no folder."""
    here = Path.cwd()
    check_last_experiment(here)
    screen.say(*_notes_on_the_last(here, request.text))
    copied, large = files_around_script(request.settings)
    screen.say(*notes_on_large_files(large))
    seed, varied = drawn_seed(request.settings), request.space.names if request.space is not None else ()
    handed = request.settings.handed_besides(request.templates)
    varied = tuple(name for name in varied if name not in handed)
    found = find_surroundings(request.settings, interpreter.path, on_cluster, request.default_model, varied)
    site = choose_site() if on_cluster else None
    paths, _ = create_experiment(here, request, total, seed, interpreter.path, found, copied, site)
    keep_the_script(request.settings, found.script, paths.script, screen.say)
    try:
        write_earlier_results(paths, earlier)
    except OSError as error:
        discard_experiment(paths)
        raise MachineError(f"{paths.earlier_results} cannot be written: {error.strerror}") from None
    opened = Experiment(paths)
    if on_cluster:
        try:
            with opened.claim(job_has_ended(opened)) as claim:
                submit_experiment(claim, screen.say, jobs=request.settings.jobs)
        except NoAnswer:  # a job of it may come: nobody else gets the name of its folder
            point_last_experiment(here, paths)
            raise
        except CandleError:
            discard_experiment(paths)
            raise
    point_last_experiment(here, paths)
    if on_cluster:
        screen.say("Input file submitted successfully", "Status: candle status")
        return ExitStatus.ALL_WELL
    with opened.claim(job_has_ended(opened), screen.say) as claim:
        return run_here(claim, screen)


def _notes_on_the_last(directory: Path, text: str) -> list[str]:
    """Return how to resume the last experiment of a folder, where its input file is this text and it is not done.

    Nothing is asked: who submits may be a script.
    """
    try:
        last = Experiment.open(None, directory)
        return _how_to_resume(last) if last.paths.input_file.read_bytes() == text.encode() else []
    except InputError:  # there is none
        return []
    except (OSError, MachineError) as error:
        return [f"The last experiment here cannot be read: {error}"]


def _how_to_resume(last: Experiment) -> list[str]:
    name, seen = last.name, look(last.paths, last.history)
    if seen.is_held or seen.has_job:
        return [f"{name} has the same input file and runs, or waits; candle status {name} shows it. This is a new one"]
    total = last.stored.trials(last.history)
    left = last.history.left(total)
    if not left:
        return []
    return [
        f"{name} has the same input file, and of its {count(total, 'trial')} {left:,} were interrupted or "
        f"never started: candle resume {name} continues it. This is a new experiment"
    ]


def _show_plan(
    request: InputFile, total: int, first: Sequence[ParameterSet], on_cluster: bool, screen: Screen
) -> ExitStatus:
    """Show what would be run."""
    settings = request.settings
    in_jobs = f" in {settings.jobs} jobs" if on_cluster and settings.jobs > 1 else ""
    at_a_time = settings.workers_of_a_job * settings.jobs if in_jobs else settings.nworkers
    is_drawn = settings.seed is None and settings.workflow != "grid"
    screen.say(
        f"Model script: {settings.model_script}",
        f"{count(trials_of(settings, total), 'trial')}, {at_a_time} at a time{in_jobs}, {settings.direction.value}",
        *filter(None, [levels_text(settings, total)]),
        "First sets, for instance:" if is_drawn else "First sets:",
        *(f"  {one.id} {one.hyperparameters}" for one in first),
    )
    if on_cluster:
        paths = ExperimentPaths(experiments_folder(Path.cwd()) / "X…")
        screen.say("Job script:")
        screen.copy(
            *(
                f"  {line}"
                for line in job_script_of(paths, settings, choose_site(), new_mark(), screen.say).splitlines()
            ),
        )
    else:
        screen.say(*share_out(settings, visible_gpus(), total).notes)
    screen.say("dry_run=1: nothing was run")
    return ExitStatus.ALL_WELL
