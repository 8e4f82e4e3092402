"""Makes docs/command-reference.md from the command line itself, so that it is always true: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from candle_hpo.cli import app

PAGE = Path(__file__).parent.parent / "docs" / "command-reference.md"
_HEAD = """# Command reference

All commands with all that they take, as `candle COMMAND --help` says it; [Commands](commands.md) explains them.
This page is made from the code by `make docs`.

"""


def reference() -> str:
    """Return the page."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return _HEAD + "\n".join(_section(name, each) for name, each in commands.items() if not each.hidden)


def _section(name: str, command: Any) -> str:
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    given = [_metavar(each) if each.required else f"[{_metavar(each)}]" for each in shown if _is_argument(each)]
    needed = [f"{each.opts[0]} {_metavar(each)}" for each in shown if each.required and not _is_argument(each)]
    options = ["[OPTIONS]"] if any(not each.required and not _is_argument(each) for each in shown) else []
    usage = " ".join(["candle", name, *options, *given, *needed])
    rows = "".join(f"| {_name(each)} | {_help(each)} |\n" for each in shown)
    table = f"\n| | |\n| --- | --- |\n{rows}" if rows else ""
    return f"## `candle {name}`\n\n{command.help}\n\n```\n{usage}\n```\n{table}"


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _name(parameter: Any) -> str:
    if _is_argument(parameter):
        return f"`{_metavar(parameter)}`"
    names = ", ".join(f"`{each}`" for each in parameter.opts)
    # A bar would end the cell of the table, within code too.
    return names if parameter.is_flag else names + f" `{_metavar(parameter)}`".replace("|", r"\|")


def _help(parameter: Any) -> str:
    text = str(parameter.help or "").replace("|", r"\|")
    default = parameter.show_default
    return f"{text} Default: {default}." if isinstance(default, str) else text


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(reference(), encoding="utf-8")
    else:
        sys.stdout.write(reference())
