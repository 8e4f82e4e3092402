"""`candle resume`, and `restart_from_exp`: run what an experiment has not completed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from rich.console import Console

from candle_hpo.commands.screen import Screen
from candle_hpo.core.errors import CandleError, ExitStatus, MachineError
from candle_hpo.core.experiment import InputFile
from candle_hpo.core.trial import Status
from candle_hpo.engine.batch import slurm
from candle_hpo.launch.interpreter import Interpreter
from candle_hpo.record.experiment import Claim, Experiment
from candle_hpo.record.folder import point_last_experiment
from candle_hpo.report.words import count, location
from candle_hpo.runner.jobs import record_ends_of_jobs
from candle_hpo.runner.local_run import run_here
from candle_hpo.runner.provenance import note_resumption, refuse_what_cannot_run
from candle_hpo.runner.restart import plan_restart
from candle_hpo.runner.search_assembly import check_search
from candle_hpo.runner.sighting import job_has_ended
from candle_hpo.runner.submission import submit_experiment, uses_slurm


def resume(experiment: str | None, retry_failed: bool, console: Console) -> ExitStatus:
    """Resume an experiment as it was submitted: run what was interrupted or never started.

    What the model failed is attempted again with `retry_failed`, or where the keyword of that name says so.
    """
    screen, opened = Screen(console), Experiment.open(experiment)
    with opened.claim(job_has_ended(opened), screen.say) as claim:
        record_ends_of_jobs(claim)
        screen.say(*_notes_on_changed_files(opened))
        return _resume_rest(claim, screen, retry_failed=retry_failed or opened.settings.retry_failed > 0)


def _notes_on_changed_files(opened: Experiment) -> list[str]:
    """Return what to know where files that were read at the submission are others now."""
    changed: list[str] = []
    with suppress(OSError):  # moved away, which does not matter here
        if Path(opened.stored.input_file).read_bytes() != opened.paths.input_file.read_bytes():
            changed.append(opened.stored.input_file)
    for template in opened.stored.templates:
        with suppress(OSError):
            if not template.is_of(Path(template.path).read_bytes()):
                changed.append(template.path)
    if not changed:
        return []
    listed, have = ", ".join(location(Path(each)) for each in changed), "has" if len(changed) == 1 else "have"
    them, are = ("it", "it is") if len(changed) == 1 else ("them", "they are")
    return [
        f"{listed} {have} changed since; this continues {opened.name} with {them} as submitted "
        f"(to continue with {them} as {are} now, add restart_from_exp={opened.name} to the input file, and submit it)"
    ]


def resume_with(request: InputFile, interpreter: Interpreter, screen: Screen) -> ExitStatus:
    """Resume an earlier experiment, with other settings (more workers, another script), and the sets that are new.

    All that is not completed is attempted again: the reason of a failure may be gone with the settings that were.
    """
    earlier = Experiment.open(request.settings.restart_from_exp)
    with earlier.claim(job_has_ended(earlier), screen.say) as claim:
        restart = plan_restart(request, interpreter.path, earlier)
        record_ends_of_jobs(claim)
        if request.settings.dry_run:
            screen.say(*restart.notes, f"dry_run=1: {earlier.name} was not continued")
            return ExitStatus.ALL_WELL
        check_search(request.settings)
        screen.say(*restart.notes)
        begun = len(earlier.history.campaigns)
        try:
            claim.keep(restart.stored, restart.added)
        except OSError as error:
            raise MachineError(f"{earlier.paths.root} cannot be written: {error.strerror}") from None
        try:
            return _resume_rest(claim, screen, retry_failed=True)
        except slurm.NoAnswer:  # it may have been submitted
            raise
        except CandleError:
            # What the site or the batch system does not take shall not stay with the experiment; but what has begun to
            # run, the record knows.
            if len(earlier.history.campaigns) == begun:
                with suppress(OSError):  # the first error is the one to report
                    claim.keep(restart.before)
            raise


def _resume_rest(claim: Claim, screen: Screen, *, retry_failed: bool) -> ExitStatus:
    opened = claim.experiment
    name, total = opened.name, opened.stored.trials(opened.history)
    refuse_what_cannot_run(opened.paths, opened.stored)
    failed = opened.history.failed
    left = opened.history.left(total) + (failed if retry_failed else 0)
    if left <= 0 and failed:
        screen.say(
            f"{name}: nothing is left to do, {failed:,} of {count(total, 'trial')} have failed; fix the model script, "
            f"then candle resume {name} --retry-failed attempts them again"
        )
        return ExitStatus.TRIALS_FAILED
    if left <= 0:
        ways = "completed or stopped" if opened.history.counts[Status.STOPPED] else "completed"
        screen.say(f"{name}: nothing is left to do, all {count(total, 'trial')} are {ways}")
        return ExitStatus.ALL_WELL
    not_again = f"; the {failed:,} that failed are not attempted again (--retry-failed does)" if failed else ""
    not_again = "" if retry_failed else not_again
    screen.say(f"Resuming {name}: {count(left, 'trial')} of {total:,} left{not_again}")
    point_last_experiment(Path.cwd(), opened.paths)
    on_cluster = uses_slurm(opened.settings)
    note_resumption(claim, on_cluster, screen.say)
    if on_cluster:
        submit_experiment(claim, screen.say, retry_failed=retry_failed, jobs=opened.settings.jobs)
        return ExitStatus.ALL_WELL
    return run_here(claim, screen, retry_failed=retry_failed)
