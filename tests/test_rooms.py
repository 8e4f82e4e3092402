"""The rooms of the house, and which may know what: docs/architecture.md."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import candle_hpo

SOURCE = Path(candle_hpo.__file__).parent

# A room may import from the rooms on its right. `files`, `user_environment` and `core` are the ground for all.
MAY_IMPORT = {
    "__main__": {"cli", "user_environment"},
    "cli": {"commands", "core"},
    "api": {"runner", "report", "record", "core"},
    "commands": {"runner", "draft", "report", "engine", "inputfile", "launch", "script", "record", "files", "core"},
    "runner": {
        "draft", "report", "campaign", "engine", "search", "schedule", "inputfile", "launch", "script", "process",
        "record", "files", "user_environment", "core",
    },
    "draft": {"launch", "script", "core"},
    "report": {"record", "launch", "core"},
    "campaign": {"record", "schedule", "core"},
    "engine": {"launch", "script", "process", "user_environment", "core"},
    "search": {"core"},
    "schedule": {"core"},
    "launch": {"script", "process", "files", "core"},
    "script": {"process", "files", "core"},
    "process": {"user_environment", "core"},
    "inputfile": {"files", "core"},
    "record": {"files", "core"},
    "files": set(),
    "user_environment": set(),
    "core": set(),
}  # fmt: skip

# What a room must not know of the world, as modules that would give it away.
PROCESSES = {"subprocess", "multiprocessing", "signal", "psutil"}
FILES = {"os", "shutil", "tempfile"}
CLOCKS = {"time", "datetime"}
MUST_NOT_IMPORT = {
    "core": PROCESSES | FILES | CLOCKS | {"rich", "sys"},
    "search": PROCESSES | FILES | CLOCKS | {"pathlib", "rich"},
    "schedule": PROCESSES | FILES | CLOCKS | {"pathlib", "rich"},
    "record": PROCESSES - {"psutil"} | {"rich"},  # it asks whether the holder of a lock lives
    "launch": {"rich"},
    "script": {"rich"},
    "draft": PROCESSES | FILES | CLOCKS | {"rich", "sys"},
    "process": {"rich"},
    "engine": {"rich"},
    "campaign": PROCESSES | {"rich"},
    "runner": {"rich"},
    "report": PROCESSES | {"concurrent"},
    "inputfile": {"rich", "multiprocessing"},
}


def modules() -> list[Path]:
    found = [path for path in SOURCE.rglob("*.py") if "templates" not in path.parts]
    assert len(found) > 30
    return found


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def imports_of(path: Path) -> Iterator[str]:
    """Yield the full name of every module that is imported, within functions too."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down_only(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    for name in imports_of(path):
        if name.startswith("candle_hpo.") and name != "candle_hpo.__version__":
            other = name.split(".")[1]
            assert other == room or other in MAY_IMPORT[room], f"{room} must not import {name}"
        else:
            top = name.split(".")[0]
            assert name == "candle_hpo.__version__" or top not in MUST_NOT_IMPORT.get(room, set()), (
                f"{room} must not know {name}"
            )


def test_a_room_may_import_nothing_that_it_does_without() -> None:
    used: dict[str, set[str]] = {room: set() for room in MAY_IMPORT}
    for path in modules():
        names = [name for name in imports_of(path) if name.startswith("candle_hpo.")]
        used.setdefault(room_of(path), set()).update(name.split(".")[1] for name in names)
    assert {room: others - used[room] for room, others in MAY_IMPORT.items() if others - used[room]} == {}


# What prints: the verbs, what runs in the interpreter of the user, and our program on each node.
PRINTS = ("cli.py", "commands", "launch/hosts", "engine/pilot/parsl_programs.py")
STREAMS = {"stdin", "stdout", "stderr", "__stdout__", "__stderr__"}


def prints(node: ast.AST) -> bool:
    """Return whether this writes on a terminal, or would let its user do so."""
    match node:
        case ast.Call(func=ast.Name("print" | "input") | ast.Attribute(attr="print" | "secho")):
            return True
        case ast.Call(func=ast.Attribute(ast.Name("os"), "write"), args=[ast.Constant(1 | 2), *_]):
            return True
        case ast.Attribute(ast.Name("sys"), attr):
            return attr in STREAMS
        case ast.ImportFrom(module="rich" | "rich.live" | "typer"):
            return True
        case ast.ImportFrom(module="rich.console"):
            return any(alias.name == "Console" for alias in node.names)
    return False


def test_verbs_alone_print() -> None:
    found = {
        f"{name}: {ast.unparse(node)}"
        for path in modules()
        if not (name := path.relative_to(SOURCE).as_posix()).startswith(PRINTS)
        for node in nodes_of(path)
        if prints(node)
    }
    assert not found, f"a function below the verbs returns what is to be said: {found}"


@pytest.mark.parametrize("path", sorted((SOURCE / "launch" / "hosts").glob("[a-z]*.py")), ids=lambda path: path.name)
def test_a_model_host_needs_the_standard_library_alone(path: Path) -> None:
    standard = {name.split(".")[0] for name in imports_of(path)}
    assert standard <= set(sys.stdlib_module_names)


def test_only_the_adapter_knows_optuna() -> None:
    inner = {path for path in (SOURCE / "search").rglob("*.py") if path.parent.name != "optuna"}
    assert {path for path in inner if any(name.split(".")[0] == "optuna" for name in imports_of(path))} == set()
    of_gp = {name for path in (SOURCE / "search" / "gp").rglob("*.py") for name in imports_of(path)}
    assert {name for name in of_gp if name.startswith("candle_hpo.") and ".search.gp." not in name} == set()


def test_the_dialect_of_r_knows_drafts_and_lines_alone() -> None:
    dialect = SOURCE / "inputfile" / "paramhelpers"
    of_ours = {name for path in dialect.glob("*.py") for name in imports_of(path) if name.startswith("candle_hpo.")}
    others = {name.rpartition(".")[0] for name in of_ours if not name.startswith("candle_hpo.core.")}
    assert {name for name in others if "paramhelpers" not in name} == {
        "candle_hpo.inputfile.parameter_drafts",
        "candle_hpo.inputfile.sections",
    }


OF_TRIALS = {"result.last_lines", "result.lines_that_explain", "report_watch.Series", "reports.report_in_line"}


def test_report_reads_of_the_trials_only_their_output_and_reports() -> None:
    for path in (SOURCE / "report").rglob("*.py"):
        of_launch = [name for name in imports_of(path) if name.startswith("candle_hpo.launch")]
        assert set(of_launch) <= {f"candle_hpo.launch.measuring.{name}" for name in OF_TRIALS}


def test_the_command_line_starts_without_what_only_some_verbs_need() -> None:
    command = [sys.executable, "-c", "import candle_hpo.cli, sys; print(*sys.modules)"]
    imported = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "candle_hpo.cli" in imported
    assert not {"numpy", "optuna", "parsl", "psutil", "scipy"} & set(imported)


def test_an_experiment_on_one_machine_starts_without_what_only_a_cluster_or_a_search_needs() -> None:
    command = [sys.executable, "-c", "import candle_hpo.commands.submit_job, sys; print(*sys.modules)"]
    imported = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "candle_hpo.runner.local_run" in imported
    assert not {"asyncio", "numpy", "optuna", "parsl", "scipy", "yaml", "zmq"} & set(imported)
