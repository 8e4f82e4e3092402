"""An experiment's folder: making it, finding it, reading back what it was made from."""

from __future__ import annotations

import getpass
import itertools
import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from candle_hpo import __version__
from candle_hpo.core.errors import InputError, MachineError, RecordError
from candle_hpo.core.experiment import InputFile, Settings
from candle_hpo.core.file_template import FileTemplate
from candle_hpo.core.parameters import ParametricSpace
from candle_hpo.core.paths import LAST_EXPERIMENT, ExperimentPaths, experiments_folder
from candle_hpo.core.provenance import Surroundings
from candle_hpo.core.site import ChosenSite
from candle_hpo.core.space import GridSpace, ParameterSet
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.files import replace_file, replacing
from candle_hpo.record.history import History
from candle_hpo.record.stored_sets import StoredSets

Read = TypeVar("Read")


class Provenance(Surroundings, frozen=True, kw_only=True):
    """Where an experiment comes from, or how it was resumed: enough to run it again, and to know what it was.

    `candle` and `python` are the versions of candle and of its own interpreter, `interpreter` that of the script's.
    """

    created: str
    candle: str
    python: str
    host: str
    user: str
    directory: str
    command: list[str]

    @classmethod
    def of_this_process(cls, found: Surroundings = Surroundings()) -> Provenance:  # noqa: B008  # it is frozen
        """Return the provenance of an experiment that this process makes, or resumes, now, with what was found out."""
        return cls(
            **{name: getattr(found, name) for name in Surroundings.__struct_fields__},
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

    `names` are the hyperparameters that the search space names, in the order of the input file, and the one of
    `fidelity`; `total` is how many configurations it makes: so many trials, or, with `fidelity`, more. `interpreter` is
    the absolute path of what runs the model. `default_model` has the values of the first submission, and what later
    ones have added; where those changed values, `later_defaults` has theirs.
    `templates` are the script's files in which hyperparameters are written, as they were submitted;
    `copied` are the files of its folder that each trial gets a copy of (`run_in="script"`).
    `site` is the cluster that it was submitted or resumed on, if it was on one: its jobs use that, whatever their
    nodes are called. `provenance` is that of its submission; `resumed` has one for each time that somebody resumed it.
    """

    input_file: str
    settings: Settings
    default_model: Hyperparameters
    names: list[str]
    total: int
    seed: int
    interpreter: str
    provenance: Provenance
    later_defaults: list[Hyperparameters] = []
    version: int = 1
    resumed: tuple[Provenance, ...] = ()
    templates: tuple[FileTemplate, ...] = ()
    copied: tuple[str, ...] = ()
    site: ChosenSite | None = None

    def trials(self, history: History) -> int:
        """Return how many trials there are in all, the promotions that may follow from the record's included."""
        levels = self.settings.levels
        return self.total if levels is None else sum(levels.trials(self.total, history.levels))

    @property
    def latest(self) -> Provenance:
        """The provenance of the submission or, if there was one, of the last resumption."""
        return self.resumed[-1] if self.resumed else self.provenance


def create_experiment(
    directory: Path,
    request: InputFile,
    total: int,
    seed: int,
    interpreter: str,
    found: Surroundings = Surroundings(),  # noqa: B008  # it is frozen
    copied: tuple[str, ...] = (),
    site: ChosenSite | None = None,
) -> tuple[ExperimentPaths, StoredExperiment]:
    """Make the folder of a new experiment of `total` configurations below `directory`; `found` is what they run with.

    Raises `MachineError`, and leaves nothing behind, where it cannot be made.
    """
    if request.space is None:
        raise ValueError("an experiment without a search space has no folder")
    stored = StoredExperiment(
        input_file=request.path,
        settings=request.settings,
        default_model=request.default_model,
        names=list(dict.fromkeys([*request.space.names, *_name_of_fidelity(request.settings)])),
        total=total,
        seed=seed,
        interpreter=interpreter,
        provenance=Provenance.of_this_process(found),
        templates=request.templates,
        copied=copied,
        site=site,
    )
    root: Path | None = None
    try:
        root = _claim_folder(experiments_folder(directory))
        paths = ExperimentPaths(root)
        paths.runs.mkdir()
        replace_file(paths.input_file, request.text.encode(), synced=True)
        _write_space(paths, request.space)
        write_experiment_settings(paths, stored)
    except BaseException as error:
        if root is not None:
            shutil.rmtree(root, ignore_errors=True)
        if not isinstance(error, OSError | UnicodeError):
            raise
        raise MachineError(
            f"the experiment's folder cannot be made below {experiments_folder(directory)}: {error}; "
            "submit from a folder where you may write, which has space, and whose name is UTF-8"
        ) from None
    return paths, stored


def _name_of_fidelity(settings: Settings) -> list[str]:
    return [] if settings.fidelity is None else [settings.fidelity.name]


def _write_space(paths: ExperimentPaths, space: GridSpace | ParametricSpace) -> None:
    if isinstance(space, ParametricSpace):
        replace_file(paths.search_space, msgspec.json.encode(space) + b"\n", synced=True)
        return
    with replacing(paths.parameter_sets, synced=True) as sets:
        sets.writelines(map(_line_of, space.sets))


def write_experiment_settings(paths: ExperimentPaths, stored: StoredExperiment) -> None:
    """Put `experiment.json` in place. Raises `OSError`."""
    replace_file(paths.settings, msgspec.json.format(msgspec.json.encode(stored), indent=2) + b"\n", synced=True)


def discard_experiment(paths: ExperimentPaths) -> None:
    """Remove an experiment that came to nothing before it began."""
    shutil.rmtree(paths.root, ignore_errors=True)


def check_last_experiment(directory: Path) -> None:
    """Raise `MachineError` where `last-candle-job` is something of the user's, and must stay."""
    link = directory / LAST_EXPERIMENT
    if link.exists() and not link.is_symlink():
        raise MachineError(f'"{LAST_EXPERIMENT}" is something of yours, not a link of candle; rename it')


def point_last_experiment(directory: Path, paths: ExperimentPaths) -> None:
    """Make `last-candle-job` in `directory` lead to this experiment. Raises `MachineError`."""
    check_last_experiment(directory)
    link = directory / LAST_EXPERIMENT
    aside = directory / f".{LAST_EXPERIMENT}-{os.getpid()}"
    try:
        aside.unlink(missing_ok=True)
        aside.symlink_to(os.path.relpath(paths.root, directory))
        aside.replace(link)
    except OSError as error:
        raise MachineError(f"{link} cannot be made: {error.strerror}") from None


def read_parameter_sets(paths: ExperimentPaths, stored: StoredExperiment) -> GridSpace:
    """Return the search space of a grid as it was stored. Raises `RecordError`."""
    return GridSpace(tuple(stored.names), StoredSets(paths.parameter_sets, stored.total, stored.default_model))


def add_sets(paths: ExperimentPaths, stored: StoredExperiment, added: Sequence[ParameterSet]) -> None:
    """Put sets behind those of a grid; they count from the moment when `experiment.json` has the larger total.

    Raises `OSError`.
    """
    with paths.parameter_sets.open("rb") as there, replacing(paths.parameter_sets, synced=True) as sets:
        sets.writelines(itertools.islice(there, stored.total))
        sets.writelines(map(_line_of, added))


def _line_of(one: ParameterSet) -> bytes:
    return msgspec.json.encode({"id": one.id, **one.hyperparameters}) + b"\n"


def read_search_space(paths: ExperimentPaths) -> ParametricSpace:
    """Return the search space of a `bayesian` or `random` experiment as it was stored. Raises `RecordError`."""
    return _read(paths.search_space, ParametricSpace)


def find_experiment(named: str | None, directory: Path) -> ExperimentPaths:
    """Return the experiment of this name (`X003`) or path; without one the last of `directory`.

    Raises `InputError` where there is none.
    """
    if named:
        place = directory / named
        candidates = [place, experiments_folder(directory) / named, place / LAST_EXPERIMENT]
    else:
        candidates = [directory / LAST_EXPERIMENT, directory]
    for candidate in candidates:
        try:
            paths = ExperimentPaths(candidate.resolve())
            if paths.settings.is_file():
                return paths
        except (OSError, RuntimeError):  # a name that is too long, a link to itself, a folder of somebody else
            continue
    if not named:
        raise InputError(
            f'there is no experiment here (no "{LAST_EXPERIMENT}" in {directory}); go to where you submitted one, or '
            "name its folder (a single run, with run_workflow=0, is none)"
        )
    known = sorted(path.name for path in experiments_folder(directory).glob("X*"))
    here = ("here are " + ", ".join(known[-10:])) if known else "there is none here"
    raise InputError(f"{named} is not an experiment; {here}")


def read_experiment_settings(paths: ExperimentPaths) -> StoredExperiment:
    """Return what an experiment was made from; raise `RecordError` where that cannot be read."""
    return _read(paths.settings, StoredExperiment)


def _read(path: Path, kind: type[Read]) -> Read:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(f"{path} is damaged, or of another version of candle: {error}") from None


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


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return str(os.getuid())
