"""One attempt on a worker, from its hyperparameters to its outcome."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from candle_hpo.core.experiment import Language
from candle_hpo.core.file_template import NotWritable
from candle_hpo.core.paths import TrialPaths, folders_submitted_from
from candle_hpo.core.trial import Attempt, Failure, FailureKind, Outcome, Place, Report, Status, Trial
from candle_hpo.files import replace_file
from candle_hpo.launch.command import ModelCommand, trial_environment
from candle_hpo.launch.command_file import command_file
from candle_hpo.launch.handover.texts import as_json
from candle_hpo.launch.measuring.missing_file import hint_of_missing_file
from candle_hpo.launch.measuring.objective import Measurement
from candle_hpo.launch.measuring.outcome_file import write_outcome
from candle_hpo.launch.measuring.report_watch import ReportWatch
from candle_hpo.launch.measuring.result import last_lines, outcome_of
from candle_hpo.launch.prepare import note_on_prepare
from candle_hpo.launch.warm_host import WarmHost
from candle_hpo.launch.working_folder import WorkingFolder
from candle_hpo.process.group import Program, StopSwitch, nothing, run_process
from candle_hpo.process.leftovers import end_leftovers_of_trial
from candle_hpo.process.memory import MemoryWatch
from candle_hpo.script.version import ScriptWatch

_FAULTS_OF_THE_MODEL = {
    errno.ENOEXEC: "it is neither a program for this kind of machine nor a script that begins with #!",
    errno.E2BIG: "its hyperparameters are too long for a command line",
}
_LAST_WORDS = 10  # lines of a model's, in which a file may be called missing
_FAULTS_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)


def run_attempt(
    model: ModelCommand,
    attempt: Attempt,
    paths: TrialPaths,
    devices: Mapping[str, str],
    switch: StopSwitch,
    *,
    place: Place | None = None,
    directory: Path | None = None,
    warm: WarmHost | None = None,
    script: ScriptWatch | None = None,
    report: Callable[[Report], None] | None = None,
    when_it_lasts: Callable[[], None] = nothing,
) -> Outcome:
    """Run one attempt at a trial and return how it ended.

    The files of the trial lie in its run folder, which is the model's working directory too, unless
    `directory` names another. `devices` is what the environment of this worker adds: its GPUs; `place` is its
    own, for the record; `warm` is its warm host, for trials that need not start cold; `script` knows which version of
    the model script runs; `report` is called with what the trial reports on its way, by another thread until that has
    ended with its process; `when_it_lasts` is called where it has run for a moment. Raises `OSError` where the machine
    does not let the trial begin, or its outcome be written.
    """
    if not _make_run_folder(paths):
        _clear_earlier_attempt(attempt, paths)
    before = script.version() if script else ""
    where = directory or (paths.copy_of_script if model.copied else paths.run)
    try:
        folder, program = _make_ready(model, attempt.trial, paths, devices, where)
    except _CannotStart as error:
        failure = Failure(FailureKind.NOT_STARTED, str(error))
        failed = Outcome(Status.FAILED, failure=failure, place=place, script=before)
        return _leave_outcome(attempt, failed, paths, model.result.objective)
    watch = ReportWatch(model.result, where, paths, report)

    def lasts() -> None:
        watch.begin()
        when_it_lasts()

    try:
        outcome = _run_process(model, program._replace(when_it_lasts=lasts), paths, switch, warm, watch)
    finally:
        folder.clear()
    shared = folder.written_through_links()
    if shared and outcome.status is Status.COMPLETED:
        reason = f"{shared[0]} was written to while it ran, which all trials share (link); copy it in prepare instead"
        outcome = Outcome(Status.FAILED, failure=Failure(FailureKind.NO_VALUE, reason), seconds=outcome.seconds)
    after = script.version() if script else ""
    outcome = msgspec.structs.replace(
        outcome,
        place=place,
        notes=(*outcome.notes, *watch.notes, *_notes_on_start(model, paths, warm)),
        slow_imports=warm.take_slow_imports() if warm else (),
        script="-".join(dict.fromkeys(filter(None, (before, after)))),
        last_report=watch.last,
    )
    return _leave_outcome(attempt, outcome, paths, model.result.objective)


class _CannotStart(Exception):
    """A trial's hyperparameters leave it nothing to start; the text says why."""


def _make_ready(
    model: ModelCommand, trial: Trial, paths: TrialPaths, devices: Mapping[str, str], where: Path
) -> tuple[WorkingFolder, Program]:
    """Write what a trial finds in its folders; return its working directory, and what is run there."""
    values = trial.hyperparameters
    replace_file(paths.hyperparameters, as_json(values))
    for suffix, text in model.hyperparameters_in_its_language(values).items():
        replace_file(paths.hyperparameters.with_suffix(suffix), text)
    environment = trial_environment(model, trial, paths, devices, where)
    try:
        folder = WorkingFolder(where, Path(model.script).parent, model.copied, model.links, model.files(values))
        command = model.command_of(values, environment, where)
    except NotWritable as error:
        raise _CannotStart(f"it cannot be started: {error}") from None
    except KeyError as error:
        raise _CannotStart(
            f"the command line has {{{error.args[0]}}}, and this trial has no such hyperparameter"
        ) from None
    stdin = where / model.stdin if model.stdin else None
    program = Program(command, where, environment, paths.output, model.limits, stdin, model.shell)
    replace_file(paths.command, command_file(model, values, program, paths))
    return folder, program


def _notes_on_start(model: ModelCommand, paths: TrialPaths, warm: WarmHost | None) -> tuple[str, ...]:
    """Return what to know of how trials are started; a warm host says the same only once."""
    note = note_on_prepare(model.interpreter, paths, model.host) if model.prepare else ""
    if warm is None:
        return (note,) if note else ()
    warm.note(note)
    return warm.take_notes()


def _run_process(
    model: ModelCommand,
    program: Program,
    paths: TrialPaths,
    switch: StopSwitch,
    warm: WarmHost | None,
    watch: ReportWatch,
) -> Outcome:
    """Run the model's process, and return what came of it."""
    measurement = Measurement(model.result, program.directory, paths, model.how_to_report)
    watch.also_look = measurement.look
    memory = MemoryWatch()
    switch.expect(str(paths.hyperparameters))
    try:
        with watch:
            try:
                ended = (warm.run_process if warm else run_process)(program, switch)
                watch.is_finished = ended.status == 0 and not ended.timed_out and not ended.is_cut_off
            finally:  # where the host of the process was lost, too
                end_leftovers_of_trial(paths.hyperparameters)
    except OSError as error:
        fault = _fault_of_the_model(error, model)
        if fault is None:
            raise
        return Outcome(Status.FAILED, failure=Failure(FailureKind.NOT_STARTED, f"it cannot be started: {fault}"))
    if ended.printed_too_much and model.limits.output_bytes is not None:
        with contextlib.suppress(FileNotFoundError):  # the model has removed it
            os.truncate(paths.output, model.limits.output_bytes)
    if not model.result.is_printed:  # what it printed is not looked at
        ended = ended._replace(is_cut_off=False)
    so_far = measurement.metrics_so_far if model.takes_value_so_far else None
    outcome = outcome_of(ended, paths.output, measurement.metrics, memory.has_killed, so_far)
    watch.keep_less()  # all reports may have been needed until now
    return _with_advice(outcome, model, program.directory, paths) if outcome.status is Status.FAILED else outcome


def _with_advice(outcome: Outcome, model: ModelCommand, directory: Path, paths: TrialPaths) -> Outcome:
    """Return a failure with what its user can do about it; without its script, it is none of the model's."""
    script = Path(model.script)
    if not script.exists():
        reason = f"the model script {script} no longer exists; put it back"
        return msgspec.structs.replace(outcome, status=Status.INTERRUPTED, failure=Failure(FailureKind.MACHINE, reason))
    hint = ""
    if directory in (paths.run, paths.copy_of_script):
        advice = ["it is not copied for each trial, so name it, or its folder, in link"] if model.copied else []
        folders = (script.parent, *folders_submitted_from(Path(model.experiment)))
        hint = hint_of_missing_file(last_lines(paths.output, _LAST_WORDS), directory, script, folders, *advice)
    if not hint or outcome.failure is None:
        return outcome
    return msgspec.structs.replace(outcome, failure=Failure(outcome.failure.kind, f"{outcome.reason}; {hint}"))


def _fault_of_the_model(error: OSError, model: ModelCommand) -> str | None:
    """Return why a model cannot be started, where that is its own fault."""
    if error.errno == errno.ENOENT and model.host is Language.PROGRAM and Path(model.script).exists():
        if model.command[0] != model.script:
            return f"{model.command[0]}, with which model_command begins, is not there"
        return "the program that its first line (#!) names is not there"
    return _FAULTS_OF_THE_MODEL.get(error.errno or 0)


def _make_run_folder(paths: TrialPaths) -> bool:
    """Make the trial's folder in that of all trials, which must still be there; return whether it is new."""
    with contextlib.suppress(FileExistsError):
        paths.run.mkdir()
        return paths.output.parent == paths.run
    if paths.run.is_symlink():
        raise OSError(
            errno.ELOOP, "this is a link, which may lead anywhere; a trial's folder is its own", str(paths.run)
        )
    if not paths.run.is_dir():
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(paths.run))
    return False


def _clear_earlier_attempt(attempt: Attempt, paths: TrialPaths) -> None:
    """Keep nothing that could pass for a result of this attempt; keep the earlier output under its own name."""
    for stale in (
        paths.reported,
        paths.reports,
        paths.reports_unread,
        paths.reports_left_out,
        paths.result,
        paths.outcome,
    ):
        if stale.is_symlink() or not stale.is_dir():
            stale.unlink(missing_ok=True)
    if paths.output.parent == paths.run and paths.output.is_symlink():
        paths.output.unlink()
    if attempt.number > 1 and paths.output.exists():
        paths.output.replace(paths.output_of_attempt(attempt.number - 1))


def _leave_outcome(attempt: Attempt, outcome: Outcome, paths: TrialPaths, objective: str) -> Outcome:
    """Write the outcome into the trial's folder; what the model wrote under our names is kept under another.

    The record has the outcome in any case: where these files cannot be written, it says so, no more.
    """
    try:
        for mine in (paths.result, paths.outcome):
            if os.path.lexists(mine):
                mine.rename(mine.with_name(f"{mine.stem}.of_model{mine.suffix}"))
        value = outcome.value_of(objective)
        if value is not None:
            replace_file(paths.result, f"{value!r}\n".encode())
        write_outcome(paths, attempt, outcome)
    except OSError as error:
        what = f"its folder could not be written: {error}"
        if outcome.failure is None:
            return msgspec.structs.replace(outcome, notes=(*outcome.notes, f"{attempt.trial.id}: {what}"))
        # Where not even this can be written, a model that failed could write no more than that.
        is_faulty = outcome.status is Status.FAILED and error.errno in _FAULTS_OF_THE_DISK
        kind, status = (
            (FailureKind.MACHINE, Status.INTERRUPTED) if is_faulty else (outcome.failure.kind, outcome.status)
        )
        failure = Failure(kind, f"{outcome.reason}; {what}")
        return msgspec.structs.replace(outcome, status=status, failure=failure)
    return outcome
