"""The command line: arguments in; messages and an exit status out.

What a command needs is imported when it runs, so that `candle --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from candle_hpo import __version__
from candle_hpo.core.errors import CandleError, ExitStatus, InputError

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    help="Hyperparameter optimization for your own model script, on this machine or on a cluster.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ExperimentArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="EXP-DIR",
        help="The experiment: its folder, or its name such as X003.",
        show_default="the last one",
    ),
]
OverridesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEYWORD=VALUE",
        help="Take this in place of what &control says; may be repeated.",
        show_default=False,
    ),
]


@app.command("submit-job")
def submit_job(
    input_file: Annotated[Path, typer.Argument(metavar="INPUT-FILE", help="The input file.")],
    overrides: OverridesOption = None,
) -> None:
    """Run the experiment of an input file."""
    from candle_hpo.commands.submit_job import submit_job as command

    _exit(command(input_file, overrides or (), _console()))


@app.command("init")
def init(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="The model script, in any language.")],
    given: Annotated[
        list[str] | None,
        typer.Argument(metavar="[-- ARGUMENT...]", help="What it is usually given, behind --."),
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Run it once, to find its objective.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.in", help="The input file.", show_default="SCRIPT.in")
    ] = None,
) -> None:
    """Write an input file for a script, from what it can be given."""
    from candle_hpo.commands.init import init as command

    _exit(command(script, given or [], output, run, _console()))


@app.command("check")
def check(
    input_file: Annotated[Path, typer.Argument(metavar="INPUT-FILE", help="The input file.")],
    overrides: OverridesOption = None,
    run: Annotated[bool, typer.Option("--run", help="Run one real trial here, too.")] = False,
) -> None:
    """Look for all that could go wrong, before anything is submitted."""
    from candle_hpo.commands.check import check as command

    command(input_file, overrides or (), run, _console())


@app.command("import-template")
def import_template(
    name: Annotated[str, typer.Argument(metavar="NAME", help="grid, bayesian, vae, r or bash.")],
) -> None:
    """Copy a working example here."""
    from candle_hpo.commands.import_template import import_template as command

    command(name, _console())


@app.command("generate-grid")
def generate_grid(
    lists: Annotated[
        list[str],
        typer.Argument(metavar="LIST...", help="\"['epochs',np.arange(2,11,2)]\", one a hyperparameter."),
    ],
    into: Annotated[
        Path | None,
        typer.Option(metavar="FILE.in", help="Put the grid into this input file's section &param_space."),
    ] = None,
) -> None:
    """Write all combinations of some values."""
    from candle_hpo.commands.generate_grid import generate_grid as command

    command(lists, into, _console())


@app.command("status")
def status(experiment: ExperimentArgument = None) -> None:
    """Show how far an experiment is."""
    from candle_hpo.commands.status import status as command

    command(experiment, _console())


@app.command("watch")
def watch(experiment: ExperimentArgument = None) -> None:
    """Follow an experiment while it runs; q leaves."""
    from candle_hpo.commands.watch import watch as command

    command(experiment, _console())


@app.command("aggregate-results")
def aggregate_results(
    experiment: ExperimentArgument = None,
    result_format: Annotated[
        str | None,
        typer.Argument(metavar="RESULT-FORMAT", help="A printf format such as %07.3f.", show_default="every digit"),
    ] = None,
    kind: Annotated[
        str,
        typer.Option("--format", metavar="csv|json|table", help="A CSV or JSON file, or a table on the screen."),
    ] = "csv",
) -> None:
    """Gather all results in one table."""
    from candle_hpo.commands.aggregate_results import aggregate_results as command

    command(experiment, result_format, kind, _console())


@app.command("logs")
def logs(
    names: Annotated[list[str], typer.Argument(metavar="[EXP-DIR] TRIAL", help="The trial: its id, or its number.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Continue while the trial runs.")] = False,
    attempt: Annotated[
        int | None, typer.Option(metavar="N", help="An earlier attempt at it.", show_default="the last one")
    ] = None,
) -> None:
    """Show what a trial printed."""
    from candle_hpo.commands.logs import logs as command

    command(names, follow, attempt)


@app.command("report")
def report(
    experiment: ExperimentArgument = None,
    kind: Annotated[
        str, typer.Option("--format", metavar="html|png|svg", help="One page for a browser, or figures for print.")
    ] = "html",
    output: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The page's file, or the figures' folder.")
    ] = None,
) -> None:
    """Make one page of everything, for any browser."""
    from candle_hpo.commands.report import report as command

    command(experiment, kind, output, _console())


@app.command("export")
def export(
    to: Annotated[str, typer.Option("--to", metavar="csv|json|parquet|optuna", help="For which program.")],
    experiment: ExperimentArgument = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write it.")] = None,
) -> None:
    """Write all trials in a format of other programs."""
    from candle_hpo.commands.export import export as command

    command(experiment, to, output, _console())


@app.command("dashboard")
def dashboard(
    experiment: ExperimentArgument = None,
    port: Annotated[int, typer.Option(min=1, max=65515, help="Where the browser finds it.")] = 8080,
) -> None:
    """Serve Optuna's dashboard on an experiment, here alone."""
    from candle_hpo.commands.dashboard import dashboard as command

    command(experiment, port, _console())


@app.command("resume")
def resume(
    experiment: ExperimentArgument = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Attempt trials that the model failed again, too.")
    ] = False,
) -> None:
    """Resume an experiment: run what was interrupted or never started."""
    from candle_hpo.commands.resume import resume as command

    _exit(command(experiment, retry_failed, _console()))


@app.command("cancel")
def cancel(experiment: ExperimentArgument = None) -> None:
    """Stop an experiment; what was done is kept."""
    from candle_hpo.commands.cancel import cancel as command

    command(experiment, _console())


@app.command("site")
def site(
    new: Annotated[bool, typer.Option("--new", help="Ask SLURM, and write a site file for you to look over.")] = False,
) -> None:
    """Show what candle knows of this cluster."""
    from candle_hpo.commands.site import new_site, site

    (new_site if new else site)(_console())


@app.command("doctor")
def doctor(experiment: ExperimentArgument = None) -> None:
    """Collect in one file what others need to know to help you."""
    from candle_hpo.commands.doctor import doctor as command

    command(experiment, _console())


@app.command("run-job", hidden=True)
def run_job(experiment: str, mark: str, retry_failed: bool = False) -> None:
    """Run an experiment within its SLURM job; for job scripts."""
    from candle_hpo.commands.run_job import run_job as command

    _exit(command(experiment, mark, retry_failed, _console()))


@app.command("help", hidden=True)
def help_command(context: typer.Context) -> None:
    """Show the commands."""
    if context.parent is not None:
        typer.echo(context.parent.get_help())


@app.callback(invoke_without_command=True)
def candle(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Hyperparameter optimization for your own model script, on this machine or on a cluster."""
    if version:
        typer.echo(f"candle {__version__}")
        raise typer.Exit


def main() -> NoReturn:
    """Run the command line; every error becomes a message and an exit status, here alone."""
    status = _run()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # a closed pipe; Python would complain about it again
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1 if stream is sys.stdout else 2)
    sys.exit(status)


def _run() -> int:
    try:
        app()
    except CandleError as error:
        _say(str(error) if isinstance(error, InputError) else f"candle: {error}")
        return error.exit_status
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else ExitStatus.ALL_WELL
    except OSError as error:
        _say(f"candle: system error: {error}")
        return ExitStatus.SYSTEM_ERROR
    except Exception as error:
        if os.environ.get("CANDLE_TRACEBACK"):
            raise
        _say(
            f"candle: internal error: {error!r}; set CANDLE_TRACEBACK=1 to see where, and report it "
            "with the file that candle doctor writes"
        )
        return ExitStatus.SYSTEM_ERROR
    return ExitStatus.ALL_WELL


def _say(message: str) -> None:
    from candle_hpo.commands.screen import open_screen, show

    if sys.stderr is not None:  # else nobody listens; the exit status says it too
        show(open_screen(sys.stderr), *message.split("\n"))


def _console() -> Console:
    from candle_hpo.commands.screen import open_screen

    return open_screen()


def _exit(status: ExitStatus) -> None:
    raise typer.Exit(status)
