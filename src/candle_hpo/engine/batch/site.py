"""Sites: what candle has to know of a cluster, as data, one TOML file each."""

from __future__ import annotations

import fnmatch
import os
import socket
from importlib.resources import files
from pathlib import Path

import msgspec

from candle_hpo.core.errors import InputError, Problem, nearest


class WorkerType(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a kind of worker is on a cluster.

    `gpu` is the GPU's name in SLURM's generic resources; None: the worker has none. `gpus_per_node` is how
    many a node has at most; None: SLURM is asked.
    """

    partition: str | None = None
    gpu: str | None = None
    gpus_per_node: int | None = None


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One cluster. `hosts` are patterns of the names of its machines, by which it is recognized.

    `modules` are environment modules that every model needs there; `sbatch_args` are arguments of every job.
    """

    description: str = ""
    hosts: tuple[str, ...] = ()
    worker_types: dict[str, WorkerType] = {}
    modules: tuple[str, ...] = ()
    sbatch_args: tuple[str, ...] = ()

    def worker_type(self, name: str | None) -> WorkerType:
        """Return the kind of worker that an experiment asks for; the default is `cpu`.

        A site that lists no kinds knows them all: any name but `cpu` is that of a GPU. Names may be in any case. Raises
        `InputError` for a name that the site does not have.
        """
        name = name or "cpu"
        found = {each.lower(): each for each in self.worker_types}.get(name.lower())
        if found is not None:
            return self.worker_types[found]
        if self.worker_types:
            raise InputError(f'worker_type: this site has no "{name}"; ' + nearest(name, self.worker_types))
        return WorkerType(gpu=None if name == "cpu" else name)


class ChosenSite(msgspec.Struct, frozen=True):
    """A site, its name and file, and why it is the one in use."""

    name: str
    file: str
    reason: str
    site: Site


def choose_site(environment: dict[str, str] | None = None, host: str | None = None) -> ChosenSite:
    """Return the site in use.

    `$CANDLE_SITE` names it (a name, or a file); else the user's own files come first, then those that candle
    brings: the first that knows this machine's name; else `generic`. Raises `InputError` for a name that is
    not there and a file that is not right.
    """
    environment = dict(os.environ) if environment is None else environment
    host = socket.gethostname() if host is None else host
    known = _site_files(environment)
    named = environment.get("CANDLE_SITE")
    if named:
        file = known.get(named) or (Path(named) if Path(named).suffix == ".toml" else None)
        if file is None or not file.is_file():
            raise InputError(f'$CANDLE_SITE is "{named}"; ' + nearest(named, known))
        return ChosenSite(file.stem, str(file), "$CANDLE_SITE names it", read_site(file))
    for name, file in known.items():
        site = read_site(file)
        for pattern in site.hosts:
            if fnmatch.fnmatch(host, pattern):
                return ChosenSite(name, str(file), f"this machine is {host}, as its hosts are ({pattern})", site)
    file = known["generic"]
    return ChosenSite("generic", str(file), f"no site knows this machine ({host})", read_site(file))


def read_site(file: Path) -> Site:
    """Return the site that a file describes; raise `InputError` where it is not right."""
    try:
        return msgspec.toml.decode(file.read_bytes(), type=Site)
    except OSError as error:
        raise InputError(Problem(str(file), 0, f"the site cannot be read: {error.strerror}")) from None
    except msgspec.MsgspecError as error:
        raise InputError(
            Problem(str(file), 0, f"the site is not right: {error}; compare it with generic.toml")
        ) from None


def _site_files(environment: dict[str, str]) -> dict[str, Path]:
    """Return the files of all sites by name: the user's own first, which hide ours of the same name."""
    home = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '~')}/.config"
    own = sorted(Path(home).expanduser().glob("candle/sites/*.toml"))
    ours = sorted(Path(str(files("candle_hpo"))).glob("sites/*.toml"))
    found: dict[str, Path] = {}
    for file in (*own, *ours):
        found.setdefault(file.stem, file)
    return found
