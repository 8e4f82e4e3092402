"""Sites: what candle has to know of a cluster, as data, one TOML file each."""

from __future__ import annotations

import msgspec

from candle_hpo.core.errors import InputError, nearest


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
