"""The interpreters of this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def interpreters() -> list[str]:
    """Every Python from 3.7 on that this machine has, the one that runs the tests first."""
    found = {sys.version_info[:2]: sys.executable}
    for minor in range(7, 20):
        versions = sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python3"))
        for path in [shutil.which(f"python3.{minor}"), *map(str, versions)]:
            if path and (3, minor) not in found:
                asked = subprocess.run([path, "-c", "import sys; print(sys.version_info[1])"], capture_output=True)
                if asked.returncode == 0 and asked.stdout.strip() == str(minor).encode():
                    found[3, minor] = path
    return list(found.values())
