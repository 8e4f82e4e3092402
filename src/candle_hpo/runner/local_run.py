"""Running an experiment on this machine, from its beginning or from where it stopped."""

from __future__ import annotations

from candle_hpo.core.errors import ExitStatus
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.stopping import Stop
from candle_hpo.engine.devices import visible_gpus
from candle_hpo.engine.local import LocalPool, local_runner
from candle_hpo.engine.open_files import allow_open_files
from candle_hpo.engine.pooled import PooledEngine
from candle_hpo.engine.workers import share_out
from candle_hpo.launch.command import model_command
from candle_hpo.launch.measuring.outcome_file import collector
from candle_hpo.process.leftovers import adopt_orphans, end_all_orphans, end_leftovers_of_experiment
from candle_hpo.record.experiment import Claim
from candle_hpo.record.history import History
from candle_hpo.report.words import count, location
from candle_hpo.runner.conclusion import conclude
from candle_hpo.runner.listener import Listener, Say
from candle_hpo.runner.search_assembly import campaign_of, search_of
from candle_hpo.runner.signals import STOP_SIGNALS, calling_on_signals


def run_here(claim: Claim, listener: Listener, *, retry_failed: bool = False) -> ExitStatus:
    """Run what is left of an experiment on this machine, and say what came of it.

    With `retry_failed`, trials that failed before are attempted again.
    """
    paths, stored, settings = claim.experiment.paths, claim.experiment.stored, claim.experiment.settings
    workforce = share_out(settings, visible_gpus(), stored.total)
    workers = workforce.workers
    listener.say(
        *workforce.notes,
        f"Experiment {paths.root.name}: {count(stored.trials(claim.experiment.history), 'trial')}, "
        f"{len(workers)} at a time",
        f"Folder: {location(paths.root)}",
    )
    try:
        allow_open_files(len(workers))
        adopt_orphans()
        record = claim.record
        _end_leftovers(paths, record.history, listener.say)
        pool = LocalPool(workers)
        model = model_command(
            settings, stored.interpreter, stored.seed, paths.root, templates=stored.templates, copied=stored.copied
        )
        engine = PooledEngine(
            pool,
            local_runner(pool, model, paths),
            len(workers),
            pool.stop,
            collect=collector(paths, settings.objective.name),
            gpus=stored.latest.gpus,
        )
        pool.report_to(engine.report)
        search = search_of(paths, stored)
        with pool, listener.progress(record.history, stored) as progress:
            campaign = campaign_of(search, stored.settings, engine, record, progress, retry_failed)

            def stop(why: Stop) -> None:
                progress.stopping = True
                campaign.stop(why)

            with calling_on_signals(stop, STOP_SIGNALS):
                stopped = campaign.run()
    finally:
        end_all_orphans()
    return conclude(record.history, stored, paths, stopped, listener)


def _end_leftovers(paths: ExperimentPaths, history: History, say: Say) -> None:
    """End the processes of an earlier campaign that was killed: they would write where the next attempts do."""
    ended = end_leftovers_of_experiment(paths.root) if history.campaign is not None else 0
    if ended:
        say(
            f"Of an earlier campaign, which was killed, {ended:,} of its trials' processes ran still; ended now",
        )
