"""An experiment's folder: making it, finding it, reading back what it was made from."""

from __future__ import annotations

import getpass
import os
import platform
import shutil
import socket
import sys
import time
from pathlib import Path

import msgspec

from candle_hpo import __version__
from candle_hpo.core.errors import InputError, MachineError, RecordError
from candle_hpo.core.experiment import Experiment, Settings
from candle_hpo.core.paths import LAST_EXPERIMENT, ExperimentPaths, experiments_folder
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.files import replace_file


class Provenance(msgspec.Struct, frozen=True):
    """Where an experiment comes from: enough to run it again, and to tell what it was."""

    created: str
    candle: str
    python: str
    host: str
    user: str
    directory: str
    command: list[str]

    @classmethod
    def of_this_process(cls) -> Provenance:
        """Return the provenance of an experiment that this process makes now."""
        return cls(
            created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            candle=__version__,
            python=platform.python_version(),
            host=socket.gethostname(),
            user=_user(),
            directory=str(Path.cwd()),
            command=sys.argv,
        )


class StoredExperiment(msgspec.Struct, frozen=True):
    """`experiment.json`: what was submitted, as it was understood.

    `names` are the hyperparameters that the search space names, in the order of the input file; `total` is
    how many trials it makes. `interpreter` is the absolute path of what runs the model.
    """

    input_file: str
    settings: Settings
    default_model: Hyperparameters
    names: list[str]
    total: int
    seed: int
    interpreter: str
    provenance: Provenance
    version: int = 1


def create_experiment(
    directory: Path, experiment: Experiment, seed: int, interpreter: str
) -> tuple[ExperimentPaths, StoredExperiment]:
    """Make the folder of a new experiment below `directory` and point `last-candle-job` there at it.

    Raises `MachineError`, and leaves nothing behind, where it cannot be made.
    """
    if experiment.space is None:
        raise ValueError("an experiment without a search space has no folder")
    stored = StoredExperiment(
        input_file=experiment.input_file,
        settings=experiment.settings,
        default_model=experiment.default_model,
        names=list(experiment.space.names),
        total=len(experiment.space.sets),
        seed=seed,
        interpreter=interpreter,
        provenance=Provenance.of_this_process(),
    )
    root: Path | None = None
    try:
        root = _claim_folder(experiments_folder(directory))
        paths = ExperimentPaths(root)
        paths.runs.mkdir()
        shutil.copyfile(experiment.input_file, paths.input_file)
        encode = msgspec.json.Encoder().encode
        with paths.parameter_sets.open("wb") as sets:
            sets.writelines(encode({"id": one.id, **one.hyperparameters}) + b"\n" for one in experiment.space.sets)
        replace_file(paths.settings, msgspec.json.format(encode(stored), indent=2) + b"\n")
        _point_last_experiment(directory, root)
    except OSError as error:
        if root is not None:
            shutil.rmtree(root, ignore_errors=True)
        raise MachineError(
            f"the experiment's folder cannot be made below {experiments_folder(directory)}: {error.strerror}; "
            "submit from a folder where you may write and which has space"
        ) from None
    return paths, stored


def find_experiment(named: str | None, directory: Path) -> ExperimentPaths:
    """Return the experiment of this name (`X003`) or path; without one the last of `directory`.

    Raises `InputError` where there is none.
    """
    candidates = [directory / (named or LAST_EXPERIMENT)]
    if named:
        candidates.append(experiments_folder(directory) / named)
    for candidate in candidates:
        paths = ExperimentPaths(candidate.resolve())
        if paths.settings.is_file():
            return paths
    if not named:
        raise InputError(
            f'there is no experiment here (no "{LAST_EXPERIMENT}" in {directory}); '
            "name an experiment's folder, or go to where you ran candle submit-job"
        )
    known = sorted(path.name for path in experiments_folder(directory).glob("X*"))
    here = ("here are " + ", ".join(known[-10:])) if known else "there is none here"
    raise InputError(f"{named} is no experiment; {here}")


def read_experiment_settings(paths: ExperimentPaths) -> StoredExperiment:
    """Return what an experiment was made from; raise `RecordError` where that cannot be read."""
    try:
        return msgspec.json.decode(paths.settings.read_bytes(), type=StoredExperiment)
    except OSError as error:
        raise RecordError(f"{paths.settings} cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise RecordError(f"{paths.settings} is damaged, or of another version of candle: {error}") from None


def _claim_folder(experiments: Path) -> Path:
    """Make the next free of the folders X000, X001, …; two processes never get the same one."""
    experiments.mkdir(parents=True, exist_ok=True)
    taken = [int(path.name[1:]) for path in experiments.glob("X*") if path.name[1:].isdecimal()]
    number = max(taken, default=-1) + 1
    while True:
        folder = experiments / f"X{number:03d}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def _point_last_experiment(directory: Path, root: Path) -> None:
    link = directory / LAST_EXPERIMENT
    if link.exists() and not link.is_symlink():
        raise FileExistsError(17, f'"{LAST_EXPERIMENT}" is something of yours; rename it')
    aside = directory / f".{LAST_EXPERIMENT}-{os.getpid()}"
    aside.unlink(missing_ok=True)
    aside.symlink_to(os.path.relpath(root, directory))
    aside.replace(link)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return str(os.getuid())
