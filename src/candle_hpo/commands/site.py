"""`candle site`: what candle knows of this cluster, and why; with `--new`, what SLURM says of it, as a file."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from rich.console import Console

from candle_hpo.commands.screen import show
from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.engine.batch import slurm
from candle_hpo.engine.batch.new_site import new_site as text_of_new_site
from candle_hpo.engine.batch.site import choose_site, folder_of_own_sites
from candle_hpo.files import replace_file


def site(console: Console) -> None:
    """Show the site in use, how it was chosen, and its file."""
    chosen = choose_site()
    show(
        console,
        f"Site: {chosen.name} ({chosen.site.description})" if chosen.site.description else f"Site: {chosen.name}",
        f"Chosen because {chosen.reason}",
        f"File: {chosen.file}",
        "",
        *Path(chosen.file).read_text(encoding="utf-8").splitlines(),
        "",
        "Another one: a TOML file in ~/.config/candle/sites/, which candle site --new writes, or CANDLE_SITE=NAME",
    )


def new_site(console: Console) -> None:
    """Write a file of the user's own for this cluster, from what SLURM says of it, and show it."""
    cluster = slurm.cluster_name()
    file = folder_of_own_sites(os.environ) / f"{cluster}.toml"
    if os.path.lexists(file):
        raise InputError(f"{file} is there already, and is kept; move it away for a new one")
    text = text_of_new_site(cluster, socket.gethostname(), slurm.nodes(), slurm.partitions())
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, text.encode())
    except OSError as error:
        raise MachineError(f"{file} cannot be written: {error.strerror}") from None
    chosen = choose_site()
    here = "It is in use here from now on" if chosen.file == str(file) else f"In use here is {chosen.file}"
    show(console, *text.splitlines(), "", f"Written to {file}. {here}; change what is wrong")
