"""A page in a real browser (Chromium, without a screen): what it becomes, what it complains of, how it looks."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

# Nothing of the browser's own goes to any host; a page that asks for one finds that in its log.
_QUIETLY = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--enable-logging=stderr",
    "--v=0",
)


@dataclass(frozen=True)
class Seen:
    """A page after its scripts ran: its elements as HTML, and what the browser's console says."""

    html: str
    console: list[str]

    def count(self, pattern: str) -> int:
        """Return how often a pattern is found in the page."""
        return len(re.findall(pattern, self.html))


def find_browser() -> str | None:
    """Return the browser that is there, if there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def open_page(address: str, *, width: int = 1280, milliseconds: int = 8000) -> Seen:
    """Return what a page is once its scripts have run for so long, by the page's own clock."""
    browser = find_browser()
    assert browser is not None
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                browser,
                *_QUIETLY,
                f"--user-data-dir={profile}",
                f"--window-size={width},1200",
                f"--virtual-time-budget={milliseconds}",
                "--dump-dom",
                address,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Seen(done.stdout, console)


def page_address(path: Path) -> str:
    """Return the address of a page that lies in a file."""
    return path.resolve().as_uri()
