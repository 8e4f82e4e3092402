"""`candle dashboard`: Optuna's dashboard on an experiment, for this machine alone, following what runs."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from contextlib import suppress
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from rich.console import Console

from candle_hpo.commands.screen import show
from candle_hpo.core.errors import MachineError, RecordError
from candle_hpo.record.experiment import Experiment
from candle_hpo.report.extras import need
from candle_hpo.report.space import known_sets
from candle_hpo.runner.liveness import CAMPAIGN_DIED, holder_of, state_of

ADDRESS = "127.0.0.1"
_UPDATE_SECONDS = 2.0
_LOOK_SECONDS = 20.0  # between two questions to the batch system
_PORTS_TRIED = 20


def dashboard(experiment: str | None, port: int, console: Console) -> None:
    """Serve the dashboard until Ctrl-C; nothing that is done in it reaches the experiment."""
    need("optuna_dashboard", "optuna-dashboard", "the dashboard")
    opened = Experiment.open(experiment)
    paths, stored = opened.paths, opened.stored
    import optuna
    from optuna_dashboard import wsgi

    from candle_hpo.report.dashboard_study import DashboardStudy

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    objective, known = stored.settings.objective, known_sets(paths, stored)
    study = DashboardStudy(paths, objective, stored.names, known, stored.settings.levels)
    next_look = 0.0

    def update() -> None:
        nonlocal next_look
        holder = holder_of(paths)
        study.update()
        if study.history.running and time.monotonic() >= next_look:
            next_look = time.monotonic() + _LOOK_SECONDS
            if state_of(paths, study.history, holder).is_abandoned:
                study.end_running(CAMPAIGN_DIED)

    update()
    server = _server(wsgi(study.storage), port)

    def follow() -> None:
        while True:
            time.sleep(_UPDATE_SECONDS)
            try:
                update()
            except RecordError as error:
                show(console, f"The dashboard shows what there was until now: {error}")
                return

    threading.Thread(target=follow, daemon=True).start()
    port = server.server_port
    show(
        console,
        f"{paths.root.name} on http://{ADDRESS}:{port}/dashboard/ ; Ctrl-C ends it",
        f"From another machine: ssh -L {port}:{ADDRESS}:{port} {socket.gethostname()}, and the same address",
    )
    with server, suppress(KeyboardInterrupt):
        server.serve_forever()


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing of each request."""


def _server(application: Any, port: int) -> WSGIServer:
    """Return a server at this port, or at the next one that is free."""
    for each in range(port, port + _PORTS_TRIED):
        try:
            return make_server(ADDRESS, each, application, server_class=_Server, handler_class=_QuietHandler)
        except OSError as error:
            refused = error
    raise MachineError(f"no port from {port} to {port + _PORTS_TRIED - 1} can be used: {refused.strerror}; try --port")
