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
from candle_hpo.model.modules import environment_with

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

    `modules` are loaded on the machine where the trial runs; `python_path` is added to what is `PYTHONPATH` then.
    `timeout` is in seconds; `seed` is the experiment's, from which each trial's is made.
    """

    command: tuple[str, ...]
    modules: tuple[str, ...]
    threads: int
    python_path: str
    experiment: str
    seed: int
    timeout: int | None


def modules_of(settings: Settings) -> tuple[str, ...]:
    """Return the environment modules around the model: those that supplement it, and the one with its interpreter."""
    return (*settings.supp_modules, *filter(None, [settings.exec_python_module]))


def model_command(
    settings: Settings, interpreter: str, seed: int, experiment: Path, site_modules: tuple[str, ...] = ()
) -> ModelCommand:
    """Return how the model of these settings is run; `site_modules` are loaded before the experiment's own."""
    command = (interpreter, *settings.extra_script_args, str(PYTHON_HOST), settings.model_script)
    if settings.prepare:
        command = ("bash", "-c", _PREPARE_THEN_RUN, "prepare", settings.prepare, *command)
    return ModelCommand(
        command=command,
        modules=(*site_modules, *modules_of(settings)),
        threads=settings.nthreads,
        python_path=settings.supp_pythonpath or "",
        experiment=str(experiment),
        seed=seed,
        timeout=settings.trial_timeout,
    )


def trial_environment(
    model: ModelCommand, trial: Trial, paths: TrialPaths, devices: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of a trial: the user's own, and what the model may want to know."""
    own = environment_with(model.modules)
    environment = {
        **dict.fromkeys(THREAD_VARIABLES, str(model.threads)),
        **own,
        **devices,
        "CANDLE_TRIAL_ID": trial.id,
        "CANDLE_TRIAL_NUMBER": str(trial.number),
        "CANDLE_SEED": str(seed_of_trial(model.seed, trial.number)),
        "CANDLE_PARAMS_FILE": str(paths.hyperparameters),
        "CANDLE_RESULT_FILE": str(paths.reported),
        "CANDLE_EXPERIMENT_DIR": model.experiment,
        "CANDLE_CHECKPOINT_DIR": str(paths.checkpoint),
    }
    if model.python_path:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [own.get("PYTHONPATH"), model.python_path]))
    return environment


def seed_of_trial(seed: int, number: int) -> int:
    """Return a trial's seed, from 0 to 2**31 - 1: the same for every attempt, unlike any other trial's."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
