"""candle: hyperparameter optimization for scientists who have a model script and a cluster."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import candle_hpo.user_environment  # noqa: F401  # before any library changes what it keeps

if TYPE_CHECKING:
    from candle_hpo.api import LoadedExperiment, LoadedTrial

__version__ = "0.1.0"
__all__ = ["LoadedExperiment", "LoadedTrial", "__version__", "load"]

logging.getLogger(__name__).addHandler(logging.NullHandler())  # nothing is printed where there is no campaign.log


def load(experiment: str | os.PathLike[str] = "last-candle-job") -> LoadedExperiment:
    """Read an experiment's trials: `candle_hpo.load("last-candle-job").to_dataframe()`.

    `experiment` is its folder, a link to it, or its name such as `X003` below the current folder. `LoadedExperiment`
    describes what is returned. Raises `candle_hpo.core.errors.CandleError` with a message that says what is wrong.
    """
    from candle_hpo.api import load_experiment  # so that `import candle_hpo` costs nothing

    return load_experiment(experiment)


def __getattr__(name: str) -> object:
    if name in ("LoadedExperiment", "LoadedTrial"):
        from candle_hpo import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
