"""`candle report`: an experiment as one page for a browser, or as figures for a paper."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from candle_hpo.commands.screen import show
from candle_hpo.core.errors import InputError, MachineError, nearest
from candle_hpo.files import replace_file
from candle_hpo.record.experiment import Experiment
from candle_hpo.report.words import count, location
from candle_hpo.runner.liveness import replay_now

FORMATS = ("html", "png", "svg")


def report(experiment: str | None, kind: str, output: Path | None, console: Console) -> None:
    """Write an experiment's page, or its figures, from its record."""
    if kind not in FORMATS:
        raise InputError(f'"{kind}" is not a format of a report; ' + nearest(kind, FORMATS))
    opened = Experiment.open(experiment)
    opened.refuse_unless_started("report")
    paths, stored, replayed = opened.paths, opened.stored, replay_now(opened)
    if kind != "html":
        from candle_hpo.report.figures import figures_of  # vl-convert, which takes a moment

        figures, folder = figures_of(paths, replayed, stored.names, kind), output or paths.figures
        for name, data in figures.items():
            _write(folder / f"{name}.{kind}", data)
        show(console, f"{count(len(figures), 'figure')} in {location(folder)}: {', '.join(figures)}")
        return
    from candle_hpo.report.page.render import report_page

    target = output or paths.report
    _write(target, report_page(paths, stored, replayed).encode())
    ended, total = replayed.ended, stored.trials(replayed)
    still = f" ({count(total - ended, 'trial')} more to come)" if ended < total else ""
    size = target.stat().st_size / 1e6
    show(console, f"{count(ended, 'trial')}{still} in {location(target)}, {size:.1f} MB; open it in a browser")


def _write(target: Path, data: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, data)
    except OSError as error:
        raise MachineError(f"{target} cannot be written: {error.strerror}; name another place with --output") from None
