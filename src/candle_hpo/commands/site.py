"""`candle site`: what candle knows of this cluster, and why."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from candle_hpo.commands.screen import show
from candle_hpo.engine.batch.site import choose_site


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
        "Another one: a TOML file in ~/.config/candle/sites/, or CANDLE_SITE=NAME",
    )
