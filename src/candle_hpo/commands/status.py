"""`candle status`: how far an experiment is."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from candle_hpo.core.errors import ExitStatus
from candle_hpo.record.folder import find_experiment, read_experiment_settings
from candle_hpo.record.history import History
from candle_hpo.record.log import read_events
from candle_hpo.report.summary import best_line, counts_line, failure_lines, running_lines
from candle_hpo.report.words import location


def status(experiment: str | None, console: Console) -> ExitStatus:
    """Show the state of an experiment: counts, running trials, the best so far, failures."""
    paths = find_experiment(experiment, Path.cwd())
    stored = read_experiment_settings(paths)
    history = History(stored.settings.direction, read_events(paths.record) if paths.record.exists() else ())
    lines = [
        f"Experiment {paths.root.name} of {location(Path(stored.input_file))}",
        state_line(history),
        counts_line(history, stored.total),
        best_line(history),
        *(f"  {line}" for line in running_lines(history, time.time())),
    ]
    for line in lines:
        console.print(Text(line), soft_wrap=True)
    for text in failure_lines(history, paths, lines_each=5):
        console.print(text, soft_wrap=True)
    console.print(Text(f"Folder: {location(paths.root)}", style="dim"), soft_wrap=True)
    return ExitStatus.ALL_WELL


def state_line(history: History) -> str:
    """Return what the experiment does: not begun, running (where, since when), ended, stopped, or dead."""
    campaign = history.campaign
    if campaign is None:
        return "It has not begun"
    if history.stopped is not None:
        ended = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(history.stopped.time))
        return f"Stopped at {ended} ({history.stopped.reason})" if history.stopped.reason else f"Ended at {ended}"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(campaign.time))
    where = f"process {campaign.process} on {campaign.host}"
    if campaign.host == socket.gethostname() and not _is_alive(campaign.process):
        return f"Interrupted: {where}, which ran it since {since}, is gone; what it had recorded is kept"
    return f"Running since {since}, as {where}"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return True
