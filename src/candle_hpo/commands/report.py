"""`candle report`: an experiment as one page for a browser, or as figures for a paper."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from rich.console import Console

from candle_hpo.commands.formats import format_called
from candle_hpo.commands.screen import show
from candle_hpo.core.errors import ExitStatus, MachineError
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.files import replace_file
from candle_hpo.record.experiment import Experiment
from candle_hpo.report.words import count, location
from candle_hpo.runner.liveness import replay_now


class ReportFormat(str, Enum):
    """How the report is given."""

    HTML = "html"
    PNG = "png"
    SVG = "svg"


def report(experiment: str | None, format_name: str, output: Path | None, console: Console) -> ExitStatus:
    """Write an experiment's page, or its figures, from its record."""
    kind = format_called(format_name, ReportFormat, "a report")
    opened = Experiment.open(experiment)
    opened.refuse_unless_started("report")
    paths, stored, replayed = opened.paths, opened.stored, replay_now(opened)
    if kind is not ReportFormat.HTML:
        from candle_hpo.report.figures import figures_of  # matplotlib, which not everybody has

        return _write_figures(paths, output, kind, figures_of(paths, replayed, stored.names, kind.value), console)
    from candle_hpo.report.page.render import report_page

    target = output or paths.report
    _write(target, report_page(paths, stored, replayed).encode())
    ended = replayed.ended
    still = f" ({count(stored.total - ended, 'trial')} more to come)" if ended < stored.total else ""
    size = target.stat().st_size / 1e6
    show(console, f"{count(ended, 'trial')}{still} in {location(target)}, {size:.1f} MB; open it in a browser")
    return ExitStatus.ALL_WELL


def _write_figures(
    paths: ExperimentPaths, output: Path | None, kind: ReportFormat, figures: dict[str, bytes], console: Console
) -> ExitStatus:
    folder = output or paths.figures
    for name, data in figures.items():
        _write(folder / f"{name}.{kind.value}", data)
    show(console, f"{count(len(figures), 'figure')} in {location(folder)}: {', '.join(figures)}")
    return ExitStatus.ALL_WELL


def _write(target: Path, data: bytes) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target, data)
    except OSError as error:
        raise MachineError(f"{target} cannot be written: {error.strerror}; name another place with --output") from None
