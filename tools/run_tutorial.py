"""Runs the commands of docs/tutorial.md, each shown before it runs, in a new folder below exercise/."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def commands_of(page: Path) -> list[str]:
    """Return the commands of a page: the lines of its `console` blocks that begin with "$ "."""
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def run_tutorial(directory: Path) -> int:
    """Run the tutorial's commands in `directory` up to the first that fails; return its exit status."""
    for command in commands_of(ROOT / "docs" / "tutorial.md"):
        print(f"\n\033[1m$ {command}\033[0m" if sys.stdout.isatty() else f"\n$ {command}", flush=True)
        status = subprocess.run(["bash", "-c", command], cwd=directory, check=False).returncode
        if status != 0:
            return status
    return 0


if __name__ == "__main__":
    folder = ROOT / "exercise" / datetime.datetime.now().strftime("%Y-%m-%d_%H%M%S")
    folder.mkdir(parents=True)
    print(f"The exercise of docs/tutorial.md, in {folder}")
    sys.exit(run_tutorial(folder))
