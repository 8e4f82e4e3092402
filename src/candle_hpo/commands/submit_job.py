"""`candle submit-job`: run what an input file asks for."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pprint import pformat
from types import FrameType

from rich.console import Console
from rich.text import Text

from candle_hpo.campaign import Campaign
from candle_hpo.core.errors import ExitStatus, MachineError
from candle_hpo.core.experiment import Experiment
from candle_hpo.core.paths import ExperimentPaths, single_run_paths
from candle_hpo.core.space import GridSpace
from candle_hpo.core.trial import Status, Trial
from candle_hpo.execution.devices import visible_gpus
from candle_hpo.execution.local import LocalPool, local_runner
from candle_hpo.execution.workers import Workforce, share_out
from candle_hpo.inputfile.read import read_experiment
from candle_hpo.model.command import model_command
from candle_hpo.model.interpreter import Interpreter, find_python
from candle_hpo.model.process import StopSwitch
from candle_hpo.model.result import last_lines
from candle_hpo.model.run import run_trial
from candle_hpo.record.folder import StoredExperiment, create_experiment
from candle_hpo.record.history import History
from candle_hpo.record.record import Record
from candle_hpo.report.progress import Progress
from candle_hpo.report.results import as_table, result_rows
from candle_hpo.report.summary import best_line, counts_line, failure_lines
from candle_hpo.report.words import count, duration, location, number
from candle_hpo.search.grid import GridSearch

_SHOWN_OF_THE_BEST = 5


def submit_job(input_file: Path, console: Console) -> ExitStatus:
    """Read an input file and run it here: the model once, or the whole workflow."""
    console.print(Text(f'Submitting the CANDLE input file "{input_file}"...'), soft_wrap=True)
    experiment = read_experiment(input_file)
    interpreter = find_python(experiment.settings)
    workforce = share_out(experiment.settings, visible_gpus())
    _show(console, f"{interpreter.name} ({interpreter.path})", *workforce.notes, *experiment.notes)
    if experiment.space is None:
        return _run_once(experiment, interpreter, workforce, console)
    if experiment.settings.dry_run:
        return _show_plan(experiment, experiment.space, workforce, console)
    return _run_workflow(experiment, experiment.space, interpreter, workforce, console)


def _run_once(
    experiment: Experiment, interpreter: Interpreter, workforce: Workforce, console: Console
) -> ExitStatus:
    """Run the model once with the default model, in the folder where the user stands."""
    here = Path.cwd()
    paths = single_run_paths(here)
    seed = _seed(experiment)
    model = model_command(experiment.settings, interpreter.path, seed, paths.run)
    _show(
        console,
        "Params:",
        pformat(experiment.default_model),
        f"Running {experiment.settings.model_script} once ...",
    )
    if experiment.settings.dry_run:
        _show(console, "dry_run=1: nothing was run")
        return ExitStatus.ALL_WELL
    switch = StopSwitch()
    trial = Trial(0, "single_run", experiment.default_model)
    try:
        with stopping_on_signals(lambda _: switch.stop()):
            outcome = run_trial(model, trial, paths, workforce.workers[0].environment, switch, directory=here)
    except OSError as error:
        raise MachineError(f"the model cannot be run in {here}: {error}") from None
    finally:
        switch.close()
    ended = f"{outcome.status.value.replace('_', ' ')} after {duration(outcome.seconds)}"
    _show(console, f"Output: {location(paths.output)}")
    if outcome.value is not None:
        _show(console, f"The model {ended}; val_to_return = {number(outcome.value)}")
        return ExitStatus.ALL_WELL
    if outcome.status is Status.INTERRUPTED:
        _show(console, f"The model was {ended}")
        return ExitStatus.INTERRUPTED
    _show(console, *(f"  | {line}" for line in last_lines(paths.output, 10)))
    _show(console, f"The model {ended}: {outcome.reason}")
    return ExitStatus.TRIALS_FAILED


def _show_plan(experiment: Experiment, space: GridSpace, workforce: Workforce, console: Console) -> ExitStatus:
    """Show what would be run."""
    settings = experiment.settings
    _show(
        console,
        f"Model script: {settings.model_script}",
        f"{count(len(space.sets), 'trial')}, {len(workforce.workers)} at a time, {settings.direction.value}",
        "First sets:",
        *(f"  {one.id} {one.hyperparameters}" for one in space.sets[:3]),
        "dry_run=1: nothing was run",
    )
    return ExitStatus.ALL_WELL


def _run_workflow(
    experiment: Experiment, space: GridSpace, interpreter: Interpreter, workforce: Workforce, console: Console
) -> ExitStatus:
    """Run all trials of an experiment in a new folder, and say what came of them."""
    settings, workers = experiment.settings, workforce.workers
    paths, stored = create_experiment(Path.cwd(), experiment, _seed(experiment), interpreter.path)
    _show(
        console,
        f"Experiment {paths.root.name}: {count(stored.total, 'trial')}, {len(workers)} at a time",
        f"Folder: {location(paths.root)}",
    )
    record = Record(paths.record, settings.direction)
    pool = LocalPool(workers)
    model = model_command(settings, interpreter.path, stored.seed, paths.root)
    progress = Progress(record.history, stored.total, len(workers), console)
    campaign = Campaign(
        GridSearch(space),
        pool,
        local_runner(pool, model, paths),
        record,
        workers=len(workers),
        retries=settings.retries,
        stop_pool=pool.stop,
        watch=progress.update,
        watch_seconds=progress.seconds_between_updates,
    )
    try:
        with pool, progress, stopping_on_signals(campaign.stop):
            stopped = campaign.run()
    finally:
        record.close()
    return _summarize(record.history, stored, paths, stopped, console)


def _summarize(
    history: History, stored: StoredExperiment, paths: ExperimentPaths, stopped: str, console: Console
) -> ExitStatus:
    """Show what came of an experiment; return the exit status that says so."""
    rows = [row for row in result_rows(history) if row.outcome and row.outcome.value is not None]
    if rows:
        console.print()
        console.print(as_table(rows[:_SHOWN_OF_THE_BEST], stored.names, None, history.direction))
    console.print()
    _show(console, counts_line(history, stored.total), best_line(history))
    for line in failure_lines(history, paths):
        console.print(line, soft_wrap=True)
    _show(
        console,
        f"Each trial's folder: {location(paths.runs)}",
        "Table of all results: candle aggregate-results",
    )
    if stopped:
        _show(console, f"Stopped ({stopped}): what was done is kept")
        return ExitStatus.INTERRUPTED
    if history.counts[Status.INTERRUPTED]:
        return ExitStatus.MACHINE_REFUSED
    return ExitStatus.TRIALS_FAILED if history.not_completed else ExitStatus.ALL_WELL


@contextmanager
def stopping_on_signals(stop: Callable[[str], None]) -> Iterator[None]:
    """Call `stop` with the reason on Ctrl-C and SIGTERM, instead of dying of them, within the block."""

    def handle(number: int, _frame: FrameType | None) -> None:
        stop("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    earlier = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, earlier, strict=True):
            signal.signal(number, handler)


def _seed(experiment: Experiment) -> int:
    """Return the experiment's seed; one that is drawn is recorded, so that it can be used again."""
    seed = experiment.settings.seed
    return random.SystemRandom().randrange(10**9) if seed is None else seed


def _show(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(Text(line), soft_wrap=True)
