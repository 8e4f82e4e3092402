"""How a trial is started: its command line and its environment."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from candle_hpo.core.experiment import Settings
from candle_hpo.core.paths import TrialPaths
from candle_hpo.core.trial import Trial

PYTHON_HOST = Path(__file__).parent / "hosts" / "python_host.py"

# What numerical libraries read to learn how many threads they may start.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

# The user's line runs in the shell that then becomes the model: what it exports, the model has.
_PREPARE_THEN_RUN = """eval "$1" || { status=$?
echo "candle: prepare ended with exit status $status" >&2
exit "$status"; }
shift
exec "$@"
"""


class ModelCommand(msgspec.Struct, frozen=True):
    """What every trial of an experiment has in common: how the model is run. Can be sent to a worker.

    `timeout` is in seconds; `seed` is the experiment's, from which each trial's is made.
    """

    command: tuple[str, ...]
    environment: dict[str, str]
    experiment: str
    seed: int
    timeout: int | None


def model_command(settings: Settings, interpreter: str, seed: int, experiment: Path) -> ModelCommand:
    """Return how the model of these settings is run."""
    command = (interpreter, *settings.extra_script_args, str(PYTHON_HOST), settings.model_script)
    if settings.prepare:
        command = ("bash", "-c", _PREPARE_THEN_RUN, "prepare", settings.prepare, *command)
    environment = {name: str(settings.nthreads) for name in THREAD_VARIABLES if name not in os.environ}
    if settings.supp_pythonpath:
        paths = [os.environ.get("PYTHONPATH"), settings.supp_pythonpath]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return ModelCommand(command, environment, str(experiment), seed, settings.trial_timeout)


def trial_environment(
    model: ModelCommand, trial: Trial, paths: TrialPaths, worker: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of a trial: the user's own, and what the model may want to know."""
    return {
        **os.environ,
        **model.environment,
        **worker,
        "CANDLE_TRIAL_ID": trial.id,
        "CANDLE_TRIAL_NUMBER": str(trial.number),
        "CANDLE_SEED": str(seed_of_trial(model.seed, trial.number)),
        "CANDLE_PARAMS_FILE": str(paths.hyperparameters),
        "CANDLE_RESULT_FILE": str(paths.reported),
        "CANDLE_EXPERIMENT_DIR": model.experiment,
        "CANDLE_CHECKPOINT_DIR": str(paths.checkpoint),
    }


def seed_of_trial(seed: int, number: int) -> int:
    """Return a trial's seed, from 0 to 2**31 - 1: the same for every attempt, unlike any other trial's."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
