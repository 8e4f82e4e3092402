"""What `candle init` learns of a script from the machine: what one run with its defaults shows."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from candle_hpo.core.experiment import InputFile, Language, Settings
from candle_hpo.core.objective import Direction
from candle_hpo.core.paths import TrialPaths, init_run_paths
from candle_hpo.core.trial import FailureKind, Outcome, Status
from candle_hpo.draft.bare_prints import named_by_text
from candle_hpo.draft.candle_models import is_model_of_candle
from candle_hpo.draft.objectives import Candidate, printed_candidates, with_name, worth_showing
from candle_hpo.draft.plan import Remedy, Workers
from candle_hpo.engine.batch.site import choose_site
from candle_hpo.engine.devices import usable_cpus, visible_gpus
from candle_hpo.inputfile.read import read_input_file
from candle_hpo.launch.command import modules_of
from candle_hpo.launch.interpreter import find_interpreter
from candle_hpo.launch.measuring.printed_text import as_read
from candle_hpo.launch.measuring.result_pattern import ResultPattern
from candle_hpo.report.words import count
from candle_hpo.runner.measured_files import MeasuredFiles, with_steps
from candle_hpo.runner.neighbours import remedy_of
from candle_hpo.runner.single_run import drawn_seed, run_trial_here
from candle_hpo.runner.submission import uses_slurm
from candle_hpo.script.reading import ScriptFile, read_script

MOST_SECONDS = 600  # of the run with its defaults
_MOST_READ = 4_000_000  # bytes of the output
_END_OF_OUTPUT = 300_000  # characters, in which repeated measurements are counted
_MOST_WORKERS = 8  # where nobody knows how much memory a trial takes


class Ran(msgspec.Struct, frozen=True):
    """One run of a script with its defaults: how it ended, its folder, and what may be the objective.

    Where it failed, `remedy` is what may help, if anything is known.
    """

    outcome: Outcome
    paths: TrialPaths
    candidates: tuple[Candidate, ...] = ()
    remedy: Remedy | None = None


def as_input_file(text: str) -> InputFile:
    """Return the text of an input file as it is understood. Raises `InputError`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "draft.in"
        file.write_text(text, encoding="utf-8")
        return read_input_file(file)


def run_with_defaults(request: InputFile, script: ScriptFile) -> Ran:
    """Run a script once with its defaults, as a trial would be, and look at what it printed and wrote.

    It is ended after `MOST_SECONDS`, and what there is by then is looked at. Raises `KeyboardInterrupt` where a signal
    has stopped it.
    """
    paths = init_run_paths(Path.cwd())
    shutil.rmtree(paths.run, ignore_errors=True)  # of an earlier one
    settings = msgspec.structs.replace(request.settings, trial_timeout=MOST_SECONDS)
    interpreter = find_interpreter(settings, modules_of(settings))
    request = msgspec.structs.replace(request, settings=settings)
    where = paths.copy_of_script if settings.run_in == "script" else paths.run
    outcome = run_trial_here(request, request.default_model, interpreter, drawn_seed(settings), paths)
    if outcome.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    if has_failed(outcome):
        return Ran(outcome, paths, remedy=remedy_of(paths, where, settings))
    named = named_by_text(script.text, script.language)
    return Ran(outcome, paths, tuple(_candidates(paths, where, set(request.default_model), named)))


def leaves_its_value(script: ScriptFile) -> bool:
    """Return whether a script leaves its value in one of candle's own ways, by its text."""
    if script.language is Language.PROGRAM:
        return False
    of_candle = script.language is Language.PYTHON and is_model_of_candle(script.text)
    leaves = read_script(script.text, script.language).leaves_value
    return bool(leaves) or "CANDLE_RESULT_FILE" in script.text or of_candle


def workers_of_this_machine(settings: Settings) -> Workers:
    """Return how many trials run at a time, by this machine's CPUs and GPUs, or a start for its cluster."""
    if uses_slurm(settings):
        site = choose_site()
        kinds = ", ".join(site.site.worker_types) or "cpu, or a type of GPU"
        return Workers(
            4,
            f"at a time, in a job on the cluster ({site.name})",
            ('walltime="01:00:00"', f'# worker_type="cpu"   # {kinds}'),
        )
    gpus = len(visible_gpus())
    if gpus:
        return Workers(
            gpus, f"at a time, each with one of the {gpus} GPUs" if gpus > 1 else "at a time, on the one GPU"
        )
    cpus = usable_cpus()
    return Workers(min(cpus, _MOST_WORKERS), f"at a time; this machine has {count(cpus, 'CPU')}")


def has_failed(outcome: Outcome) -> bool:
    """Return whether a run ended as a failure does; where the value lies, nobody has said yet."""
    if outcome.status in (Status.COMPLETED, Status.TIMED_OUT):
        return False
    return outcome.failure is None or outcome.failure.kind is not FailureKind.NO_VALUE


def _candidates(
    paths: TrialPaths, where: Path, names: Collection[str], named: tuple[str, Direction] | None
) -> Iterator[Candidate]:
    """Yield what may be the objective, and is found again by its keywords, the likeliest first.

    `where` is the working directory, in which a script leaves its files.
    What is printed without a name is what the script's text has `named`, if that says it.
    """
    with paths.output.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - _MOST_READ))
        text = as_read(file.read())
    found = [with_name(each, *named) if named and each.is_bare else each for each in printed_candidates(text)]
    files = MeasuredFiles(where)
    found += files.candidates()
    found = worth_showing(sorted(found, key=lambda each: -each.worth), names)
    seen = set()
    for candidate in found:
        if candidate.file:
            confirmed = files.confirmed(candidate)
        else:
            confirmed = _confirmed_in_output(candidate, paths.output, text[-_END_OF_OUTPUT:])
        if confirmed is not None and (source := (confirmed.patterns, confirmed.file, confirmed.key)) not in seen:
            seen.add(source)
            yield confirmed


def _confirmed_in_output(candidate: Candidate, output: Path, end: str) -> Candidate | None:
    """Return a candidate with the pattern that finds its number, as a trial will; None where none does."""
    for pattern in candidate.patterns:
        try:
            result = ResultPattern(pattern)
            is_same = result.find(output).value == candidate.value
        except ValueError:
            continue
        if is_same:
            found = [each for each in result.occurrences(end, 0) if not each.refused]
            steps = [float(at) if each.step is None else each.step for at, each in enumerate(found)]
            with_others = len(found) > candidate.times  # numbers of other lines among them: no series
            return with_steps(msgspec.structs.replace(candidate, patterns=(pattern,)), [] if with_others else steps)
    return None
