"""Everything that can be known of an input file before anything is queued or run."""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from candle_hpo.core.errors import CandleError, InputError, MachineError, Problem
from candle_hpo.core.experiment import InputFile, Language, Settings
from candle_hpo.core.file_template import names_in
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.paths import ExperimentPaths, check_run_paths, experiments_folder
from candle_hpo.core.trial import Hyperparameters, Outcome
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.job_text import new_mark
from candle_hpo.engine.devices import visible_gpus
from candle_hpo.engine.workers import share_out
from candle_hpo.inputfile.read import Reading, read_what_can_be_read
from candle_hpo.launch.command import modules_of
from candle_hpo.launch.interpreter import Interpreter, find_interpreter
from candle_hpo.launch.measuring.result import last_lines
from candle_hpo.record.experiment import Experiment
from candle_hpo.record.folder import check_last_experiment
from candle_hpo.report.words import count, duration, location, number
from candle_hpo.runner.cluster_job import clusters_of, job_script_of, uses_slurm
from candle_hpo.runner.listener import Say
from candle_hpo.runner.provenance import site_modules
from candle_hpo.runner.restart import Restart, plan_restart
from candle_hpo.runner.script_check import ScriptCheck, names_given
from candle_hpo.runner.search_assembly import (
    check_of_stopping,
    check_search,
    configurations_of,
    earlier_results_of,
    first_sets,
    levels_text,
    notes_on_budget,
    trials_of,
)
from candle_hpo.runner.single_run import drawn_seed, run_trial_here
from candle_hpo.script.folder import files_around_script, notes_on_large_files

_LEAST_FREE = 1e9  # bytes
_FILES_OF_A_TRIAL = 6  # besides what the model writes


class Findings:
    """What is wrong, all of it, whichever step found it; what is right is shown as it is found."""

    def __init__(self, say: Say) -> None:
        self.problems: list[Problem | str] = []
        self.refusals: list[str] = []  # of the machine
        self.has_doubts = False
        self.say = say

    def right(self, text: str) -> None:
        """Show something that is right."""
        self.say(f"  ok    {text}")

    def note(self, text: str) -> None:
        """Report something that is perhaps not as it was meant."""
        self.has_doubts = True
        self.mention(text)

    def mention(self, text: str) -> None:
        """Show something that is good to know."""
        self.say(f"  note  {text}")

    @contextmanager
    def step(self) -> Iterator[None]:
        """Keep an error that ends the block; what comes behind it is looked at all the same."""
        try:
            yield
        except InputError as error:
            self.problems += error.problems
        except CandleError as error:
            self.refusals.append(str(error))


def check_input_file(input_file: Path, overrides: Sequence[str], run: bool, findings: Findings) -> None:
    """Look for everything that is wrong with an input file, its script and this machine; with `run`, run a trial."""
    reading = read_what_can_be_read(input_file, overrides=overrides)
    findings.problems += reading.problems
    if not reading.problems:
        findings.right(_what_it_asks(reading))
    for note in reading.input_file.notes if reading.input_file else ():
        findings.note(note)
    settings = reading.settings
    if settings is None:
        return
    seconds: float | None = None
    on_cluster = settings.run_workflow and uses_slurm(settings)
    restart = _check_restart(reading, settings, findings)
    trials = _number_of_trials(reading) if restart is None else restart.left
    interpreter = _check_script(reading, settings, restart, on_cluster, str(input_file), findings)
    _check_search(reading, settings, findings)
    _check_place(trials, findings)
    if on_cluster:
        _check_batch_system(settings, findings)
    if run and interpreter is not None and reading.input_file and not findings.problems and trials != 0:
        first = restart.first_left() if restart is not None else None
        templates = restart.stored.templates if restart is not None else reading.input_file.templates
        request = msgspec.structs.replace(reading.input_file, templates=templates)
        seconds = _run_one_trial(request, first, interpreter, findings)
    elif run:
        findings.note("no trial was run, because of what is wrong" if trials != 0 else "no trial was run: none is left")
    _show_cost(trials, settings, on_cluster, seconds, run, findings)


def _what_it_asks(reading: Reading) -> str:
    settings = reading.settings
    if settings is None or not settings.run_workflow:
        return "the input file; run_workflow=0: the model once, with the default hyperparameters"
    return f"the input file: {settings.workflow}, {_trials_text(reading)}"


def _check_script(
    reading: Reading,
    settings: Settings,
    restart: Restart | None,
    on_cluster: bool,
    input_file: str,
    findings: Findings,
) -> Interpreter | None:
    """Check the interpreter, the script's syntax, its hyperparameters and its imports; return the interpreter."""
    found: Interpreter | None = None
    with findings.step():
        modules = site_modules(on_cluster)
        found = find_interpreter(settings, (*modules, *modules_of(settings)))
        findings.right(f"{found.name} ({found.path})")
    if found is None and settings.host is Language.PROGRAM:
        return None
    with findings.step():
        copied, large = files_around_script(settings)
        if copied:
            findings.right(f'run_in="script": {count(len(copied), "file")} of {Path(settings.model_script).parent}')
        for note in notes_on_large_files(large):
            findings.note(note)
    with findings.step():
        script = ScriptCheck(settings)
        _check_hyperparameters(script, reading, settings, restart, input_file, findings)
        if found is None:
            return None
        wrong, notes = script.syntax(found, modules)
        notes += script.notes_on_imports(found, modules)
        findings.problems += wrong
        for note in notes:
            findings.note(note)
        if not (wrong or notes) and settings.host is not Language.PROGRAM:
            findings.right(f"{Path(settings.model_script).name}: its syntax, and what it imports")
        return found
    return None


def _check_hyperparameters(
    script: ScriptCheck,
    reading: Reading,
    settings: Settings,
    restart: Restart | None,
    input_file: str,
    findings: Findings,
) -> None:
    """Compare what a script reads with what it is given; of a file with mistakes, whatever it names counts as given."""
    name = Path(settings.model_script).name
    names = names_given(reading.default_model, reading.space)
    if restart is not None:
        names = list(dict.fromkeys([*restart.stored.default_model, *restart.stored.names]))
    elif reading.space is None and settings.run_workflow:
        return  # the sets are those of an earlier experiment, which could not be read
    stored = restart.stored if restart is not None else reading.input_file
    words = names_in(stored.templates if stored else ())
    if words:
        findings.right(f"the hyperparameters that are written into a file: {', '.join(n for n in names if n in words)}")
    words |= settings.asked_in_prepare
    names = [name for name in names if name not in words]
    if reading.problems:
        texts = (input_file, settings.default_model_file, settings.param_space_file)
        words = {
            word for text in texts if text for word in re.findall(r"[\w.]+", Path(text).read_text(errors="replace"))
        }
    found = script.compare(names, input_file, known=words)
    if found.seen and not reading.problems:
        findings.right(f"the hyperparameters that {name} reads: {', '.join(found.seen)}")
    if found.unclear and not reading.problems:
        findings.note(f"whether {name} reads {', '.join(found.unclear)} is not clear from its text")
    for note in found.notes:
        findings.note(note)


def _check_search(reading: Reading, settings: Settings, findings: Findings) -> None:
    """Check the search's sampler, the earlier results that it is to begin with, and its budget."""
    if isinstance(reading.space, ParametricSpace) and not reading.problems:
        with findings.step():
            check_search(settings)
            earlier = earlier_results_of(reading.space, settings, findings.say)
            for note in notes_on_budget(settings, configurations_of(reading.space, settings, earlier)):
                findings.note(note)


def _check_place(trials: int | None, findings: Findings) -> None:
    """Check that the experiment's folder can be made here, and that there is space for it."""
    here = Path.cwd()
    with findings.step():
        try:
            check_last_experiment(here)
            folder = experiments_folder(here)
            place = next(each for each in (folder, *folder.parents) if each.is_dir())
            if not os.access(place, os.W_OK | os.X_OK):
                raise MachineError(f"you may not write in {place}; submit from a folder where you may")
            free = shutil.disk_usage(place).free
            files = os.statvfs(place).f_favail
        except OSError as error:
            raise MachineError(f"{here} cannot be used: {error.strerror}") from None
        needed = _FILES_OF_A_TRIAL * (trials or 1)
        if 0 < files < needed:
            raise MachineError(f"{place}: {needed:,} files are needed at least, and there is room for {files:,}")
        if free < _LEAST_FREE:
            findings.note(f"only {free / 1e6:,.0f} MB are free in {place}; what the models write has to fit in")
        else:
            findings.right(
                f"{location(place) if place != here else here} can be written, {free / 1e9:,.1f} GB are free"
            )


def _check_batch_system(settings: Settings, findings: Findings) -> None:
    """Ask SLURM whether it would take the job, and when it would start."""
    with findings.step(), tempfile.TemporaryDirectory() as folder:
        paths = ExperimentPaths(Path(folder) / "check")
        paths.root.mkdir()
        paths.job_script.write_text(job_script_of(paths, settings, new_mark(), findings.say))
        answer = slurm.would_start(paths.job_script, clusters_of(settings))
        findings.right(f"SLURM would take the job: {' '.join(answer.removeprefix('sbatch: ').split())}")


def _number_of_trials(reading: Reading) -> int | None:
    """Return how many trials there will be; None where the input file does not say, or is wrong."""
    settings, space = reading.settings, reading.space
    if space is None or settings is None or settings.restart_from_exp or (reading.problems and not space.names):
        return None
    return trials_of(settings, configurations_of(space, settings))


def _trials_text(reading: Reading) -> str:
    trials, settings = _number_of_trials(reading), reading.settings
    if trials is None or settings is None or reading.space is None:
        return "what is left of an earlier experiment"
    levels = levels_text(settings, configurations_of(reading.space, settings))
    return count(trials, "trial") + (f" at most, {levels}" if levels else "")


def _first_set(request: InputFile) -> Hyperparameters:
    first = [] if request.space is None else first_sets(request.space, request.settings, (), 1)
    return first[0].hyperparameters if first else request.default_model


def _run_one_trial(
    request: InputFile,
    first: Hyperparameters | None,
    interpreter: Interpreter,
    findings: Findings,
) -> float | None:
    """Run the first set here, as a trial would be; return its duration in seconds, if it completed."""
    hyperparameters = _first_set(request) if first is None else first
    paths = check_run_paths(Path.cwd())
    findings.say(f"Running one trial here: {hyperparameters}")
    outcome: Outcome = run_trial_here(request, hyperparameters, interpreter, drawn_seed(request.settings), paths)
    value = outcome.value_of(request.settings.objective.name)
    if value is None:
        findings.say(*(f"  | {line}" for line in last_lines(paths.output, 10)))
        findings.problems.append(
            f"the trial {outcome.status.value.replace('_', ' ')} after {duration(outcome.seconds)}: {outcome.reason}; "
            f"all that it printed is in {location(paths.output)}"
        )
        return None
    findings.right(f"one trial: {number(value)} after {outcome.seconds:.1f} s ({location(paths.run)})")
    show = {"right": findings.right, "mention": findings.mention, "note": findings.note}
    for how, text in check_of_stopping(request.settings, outcome.last_report):
        show[how](text)
    return outcome.seconds


def _show_cost(
    trials: int | None, settings: Settings, on_cluster: bool, seconds: float | None, run: bool, findings: Findings
) -> None:
    """Say what the experiment would cost: for sure at most, and by the one trial, if there was one."""
    if not trials or not settings.run_workflow:
        return
    workers = settings.nworkers if on_cluster else len(share_out(settings, visible_gpus(), trials).workers)
    text = f"{count(trials, 'trial')} on {count(workers, 'worker')}"
    if on_cluster:
        most = workers * settings.walltime / 3600
        text += f"; at most {most:,.1f} worker-hours in a walltime of {duration(settings.walltime)}"
    if seconds is None:
        findings.mention(text if run else f"{text}; --run measures how long it takes (one real trial)")
        return
    if settings.levels is not None:
        findings.mention(f"{text}; this one was of the least {settings.levels.name}")
        return
    whole = math.ceil(trials / workers) * seconds
    hours = f"about {trials * seconds / 3600:,.2f} worker-hours, and {duration(whole)} in all"
    findings.mention(f"{text}; if all take as long as this first one, {hours}")
    if on_cluster and whole > settings.walltime:
        findings.note(
            f"that is longer than the walltime of {duration(settings.walltime)}: raise walltime or nworkers, or set "
            "auto_resubmit=1"
        )


def _check_restart(reading: Reading, settings: Settings, findings: Findings) -> Restart | None:
    """Look at the experiment that a file continues, and at what it makes of its sets; None where there is none."""
    if settings.restart_from_exp is None or not settings.run_workflow:
        return None
    restart: Restart | None = None
    with findings.step():
        earlier = Experiment.open(settings.restart_from_exp)
        if reading.input_file is not None:
            restart = plan_restart(reading.input_file, "", earlier)
    if restart is None:
        return None
    for note in restart.notes:
        findings.mention(note)
    total = restart.stored.trials(restart.earlier.history)
    left = f"{restart.earlier.name}: {count(restart.left, 'trial')} of {total:,} left to run"
    if restart.left:
        findings.right(left)
    else:
        findings.note(f"{left}: submitting this file runs nothing; add sets to it, or leave out restart_from_exp")
    return restart
