"""`candle import-template`: a working input file and its model script to begin with."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from rich.console import Console

from candle_hpo.commands.screen import show
from candle_hpo.core.errors import InputError, MachineError


def template_names() -> list[str]:
    """Return the names of all templates."""
    return sorted(entry.name for entry in files("candle_hpo.templates").iterdir() if entry.name[0] not in "_.")


def import_template(name: str, console: Console) -> None:
    """Copy a template's files to where the user stands; overwrite nothing."""
    if name not in template_names():
        raise InputError(f'there is no template "{name}"; valid are ' + ", ".join(template_names()))
    sources = [entry for entry in (files("candle_hpo.templates") / name).iterdir() if entry.is_file()]
    here = Path.cwd()
    there_already = sorted(entry.name for entry in sources if (here / entry.name).exists())
    if there_already:
        listed = " and ".join(there_already)
        raise InputError(f"{listed} exists here already; nothing was copied; move it away, or use another folder")
    for entry in sorted(sources, key=lambda entry: entry.name):
        try:
            with (here / entry.name).open("xb") as file:
                file.write(entry.read_bytes())
        except OSError as error:
            raise MachineError(f"{here / entry.name} cannot be written: {error.strerror}") from None
        show(console, entry.name)
