"""Everything that can be known of an input file before anything is queued or run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from candle_hpo.core.experiment import Language, Settings
from candle_hpo.core.file_template import names_in
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.inputfile.read import Reading, read_what_can_be_read
from candle_hpo.launch.command import modules_of
from candle_hpo.launch.interpreter import Interpreter, find_interpreter
from candle_hpo.record.experiment import Experiment
from candle_hpo.report.words import count
from candle_hpo.runner.checklist import Checklist
from candle_hpo.runner.import_check import notes_on_imports
from candle_hpo.runner.machine_check import check_batch_system, check_place, run_one_trial, show_cost
from candle_hpo.runner.provenance import site_modules
from candle_hpo.runner.restart import Restart, plan_restart
from candle_hpo.runner.script_check import ScriptCheck, names_given
from candle_hpo.runner.search_assembly import (
    check_search,
    configurations_of,
    earlier_results_of,
    levels_text,
    notes_on_budget,
    trials_of,
)
from candle_hpo.runner.submission import uses_slurm
from candle_hpo.script.files_around_script import files_around_script, notes_on_large_files


def check_input_file(input_file: Path, overrides: Sequence[str], run: bool, checklist: Checklist) -> None:
    """Look for everything that is wrong with an input file, its script and this machine; with `run`, run a trial."""
    reading = read_what_can_be_read(input_file, overrides=overrides)
    checklist.problems += reading.problems
    if not reading.problems:
        checklist.right(_what_it_asks(reading))
    for note in reading.input_file.notes if reading.input_file else ():
        checklist.note(note)
    settings = reading.settings
    if settings is None:
        return
    seconds: float | None = None
    on_cluster = settings.run_workflow and uses_slurm(settings)
    restart = _check_restart(reading, settings, checklist)
    trials = _number_of_trials(reading) if restart is None else restart.left
    interpreter = _check_script(reading, settings, restart, on_cluster, str(input_file), checklist)
    _check_search(reading, settings, checklist)
    check_place(trials, checklist)
    if on_cluster:
        check_batch_system(settings, checklist)
    if run and interpreter is not None and reading.input_file and not checklist.problems and trials != 0:
        first = restart.first_left() if restart is not None else None
        templates = restart.stored.templates if restart is not None else reading.input_file.templates
        request = msgspec.structs.replace(reading.input_file, templates=templates)
        seconds = run_one_trial(request, first, interpreter, checklist)
    elif run:
        checklist.note(
            "no trial was run, because of what is wrong" if trials != 0 else "no trial was run: none is left"
        )
    show_cost(trials, settings, on_cluster, seconds, run, checklist)


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
    checklist: Checklist,
) -> Interpreter | None:
    """Check the interpreter, the script's syntax, its hyperparameters and its imports; return the interpreter."""
    found: Interpreter | None = None
    with checklist.step():
        modules = site_modules(on_cluster)
        found = find_interpreter(settings, (*modules, *modules_of(settings)))
        checklist.right(f"{found.name} ({found.path})")
    if found is None and settings.host is Language.PROGRAM:
        return None
    with checklist.step():
        copied, large = files_around_script(settings)
        if copied:
            checklist.right(f'run_in="script": {count(len(copied), "file")} of {Path(settings.model_script).parent}')
        for note in notes_on_large_files(large):
            checklist.note(note)
    with checklist.step():
        script = ScriptCheck(settings)
        _check_hyperparameters(script, reading, settings, restart, input_file, checklist)
        if found is None:
            return None
        wrong, notes = script.syntax(found, modules)
        notes += notes_on_imports(script.reading, settings, found, modules)
        checklist.problems += wrong
        for note in notes:
            checklist.note(note)
        if not (wrong or notes) and settings.host is not Language.PROGRAM:
            checklist.right(f"{Path(settings.model_script).name}: its syntax, and what it imports")
        return found
    return None


def _check_hyperparameters(
    script: ScriptCheck,
    reading: Reading,
    settings: Settings,
    restart: Restart | None,
    input_file: str,
    checklist: Checklist,
) -> None:
    """Compare what a script reads with what it is given; of a file with mistakes, whatever it names counts as given."""
    name = Path(settings.model_script).name
    names = names_given(reading.default_model, reading.space)
    if restart is not None:
        names = list(dict.fromkeys([*restart.stored.default_model, *restart.stored.names]))
    elif reading.space is None and settings.run_workflow:
        return  # the sets are those of an earlier experiment, which could not be read
    stored = restart.stored if restart is not None else reading.input_file
    templates = stored.templates if stored else ()
    written = names_in(templates)
    if written:
        listed = ", ".join(name for name in names if name in written)
        checklist.right(f"the hyperparameters that are written into a file: {listed}")
    words = settings.handed_besides(templates)
    names = [name for name in names if name not in words]
    if reading.problems:
        texts = (input_file, settings.default_model_file, settings.param_space_file)
        words = {
            word for text in texts if text for word in re.findall(r"[\w.]+", Path(text).read_text(errors="replace"))
        }
    found = script.compare(names, input_file, known=words)
    if found.seen and not reading.problems:
        checklist.right(f"the hyperparameters that {name} reads: {', '.join(found.seen)}")
    if found.unclear and not reading.problems:
        checklist.note(f"whether {name} reads {', '.join(found.unclear)} is not clear from its text")
    on_names = () if reading.problems else script.notes_on_names(reading.default_model, reading.space)
    for note in (*on_names, *found.notes):
        checklist.note(note)


def _check_search(reading: Reading, settings: Settings, checklist: Checklist) -> None:
    """Check the search's sampler, the earlier results that it is to begin with, and its budget."""
    if isinstance(reading.space, ParametricSpace) and not reading.problems:
        with checklist.step():
            check_search(settings)
            earlier = earlier_results_of(reading.space, settings, checklist.say)
            for note in notes_on_budget(settings, configurations_of(reading.space, settings, earlier), len(earlier)):
                checklist.note(note)


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
    return count(trials, "trial") + (f" if none fails, {levels}" if levels else "")


def _check_restart(reading: Reading, settings: Settings, checklist: Checklist) -> Restart | None:
    """Look at the experiment that a file continues, and at what it makes of its sets; None where there is none."""
    if settings.restart_from_exp is None or not settings.run_workflow:
        return None
    restart: Restart | None = None
    with checklist.step():
        earlier = Experiment.open(settings.restart_from_exp)
        if reading.input_file is not None:
            restart = plan_restart(reading.input_file, "", earlier)
    if restart is None:
        return None
    for note in restart.notes:
        checklist.mention(note)
    total = restart.stored.trials(restart.earlier.history)
    left = f"{restart.earlier.name}: {count(restart.left, 'trial')} of {total:,} left to run"
    if restart.left:
        checklist.right(left)
    else:
        checklist.note(f"{left}: submitting this file runs nothing; add sets to it, or leave out restart_from_exp")
    return restart
