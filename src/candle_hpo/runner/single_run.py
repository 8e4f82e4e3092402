"""The model once, now, here: `run_workflow=0`."""

from __future__ import annotations

import queue
import random
from concurrent.futures import Future
from pathlib import Path
from pprint import pformat

from candle_hpo.campaign import WAKE_SECONDS
from candle_hpo.core.errors import ExitStatus, MachineError
from candle_hpo.core.experiment import InputFile, Settings
from candle_hpo.core.paths import TrialPaths, single_run_paths
from candle_hpo.core.stopping import Stop, StopHow
from candle_hpo.core.trial import Attempt, Configuration, Hyperparameters, Outcome, Status, Trial
from candle_hpo.engine.devices import visible_gpus
from candle_hpo.engine.local import LocalPool
from candle_hpo.engine.workers import share_out
from candle_hpo.launch.command import model_command
from candle_hpo.launch.interpreter import Interpreter
from candle_hpo.launch.measuring.result import last_lines
from candle_hpo.launch.run import run_attempt
from candle_hpo.process.leftovers import adopt_orphans, end_all_orphans
from candle_hpo.report.words import duration, location, number
from candle_hpo.runner.listener import Say
from candle_hpo.runner.signals import STOP_SIGNALS, calling_on_signals
from candle_hpo.script.files_around_script import files_around_script


def drawn_seed(settings: Settings) -> int:
    """Return the experiment's seed; one that is drawn is recorded, so that it can be used again."""
    return random.SystemRandom().randrange(10**9) if settings.seed is None else settings.seed


def run_once(request: InputFile, interpreter: Interpreter, seed: int, say: Say) -> ExitStatus:
    """Run the model once with the default hyperparameters, in the folder where the user stands."""
    here = Path.cwd()
    paths = single_run_paths(here)
    settings = request.settings
    workforce = share_out(settings, visible_gpus(), 1)
    say(*workforce.notes, "Params:", pformat(request.default_model))
    if settings.dry_run:
        say(f"dry_run=1: {settings.model_script} was not run")
        return ExitStatus.ALL_WELL
    where = f" in {location(paths.run)}" if settings.needs_own_folder else ""
    say(f"Running {settings.model_script} once{where} ...")
    directory = None if settings.needs_own_folder else here
    outcome = run_trial_here(request, request.default_model, interpreter, seed, paths, directory)
    say(f"Output: {location(paths.output)}")
    return _conclude(outcome, settings.objective.name, paths.output, say)


def run_trial_here(
    request: InputFile,
    hyperparameters: Hyperparameters,
    interpreter: Interpreter,
    seed: int,
    paths: TrialPaths,
    directory: Path | None = None,
) -> Outcome:
    """Run the model once on this machine, in `directory`, or where a trial would run; a signal stops it.

    Raises `MachineError` where the machine does not let it begin.
    """
    settings = request.settings
    copied, _ = files_around_script(settings)
    worker = share_out(settings, visible_gpus(), 1).workers[0]
    model = model_command(settings, interpreter.path, seed, paths.run, templates=request.templates, copied=copied)
    adopt_orphans()
    try:
        paths.run.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise MachineError(f"{paths.run} cannot be made: {error.strerror}") from None
    attempt = Attempt(Trial(Configuration(1, paths.run.name, hyperparameters)))
    with LocalPool([worker]) as pool:
        # As in a campaign, signal handlers only put a word into a queue; this thread acts on it.
        arrivals: queue.SimpleQueue[Future[Outcome] | Stop] = queue.SimpleQueue()

        def run() -> Outcome:
            with pool.switch_of(attempt) as switch:
                return run_attempt(model, attempt, paths, worker.environment, switch, directory=directory)

        with calling_on_signals(arrivals.put, STOP_SIGNALS):
            pool.submit(run).add_done_callback(arrivals.put)
            arrival: Future[Outcome] | Stop | None = None
            while not isinstance(arrival, Future):
                try:
                    arrival = arrivals.get(timeout=WAKE_SECONDS)
                except queue.Empty:
                    continue
                if isinstance(arrival, Stop):
                    pool.stop(None, StopHow.INTERRUPT)
    end_all_orphans()
    try:
        return arrival.result()
    except OSError as error:
        raise MachineError(f"the model cannot be run in {directory or paths.run}: {error}") from None


def _conclude(outcome: Outcome, objective: str, output: Path, say: Say) -> ExitStatus:
    ended = f"{outcome.status.value.replace('_', ' ')} after {duration(outcome.seconds)}"
    value = outcome.value_of(objective)
    if value is not None:
        say(f"The model {ended}; {objective} = {number(value)}", *outcome.notes)
        return ExitStatus.ALL_WELL
    if outcome.status is Status.INTERRUPTED:
        say(f"The model was {ended}")
        return ExitStatus.INTERRUPTED
    say(*(f"  | {line}" for line in last_lines(output, 10)), f"The model {ended}: {outcome.reason}")
    return ExitStatus.TRIALS_FAILED
