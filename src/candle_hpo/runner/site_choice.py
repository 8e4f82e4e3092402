"""Where a workflow runs, and what the site gives it there."""

from __future__ import annotations

from candle_hpo.core.experiment import Settings
from candle_hpo.engine.batch.site import choose_site
from candle_hpo.engine.batch.slurm import slurm_is_here


def uses_slurm(settings: Settings) -> bool:
    """Return whether the workflow of these settings goes to the cluster."""
    return settings.engine == "slurm" or (settings.engine == "auto" and slurm_is_here())


def site_modules(on_cluster: bool) -> tuple[str, ...]:
    """Return the environment modules that every model needs where it runs."""
    return choose_site().site.modules if on_cluster else ()
