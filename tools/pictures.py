"""Makes the pictures of the documentation from a real run: `make pictures`; needs Chromium."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from candle_hpo.commands.watch import Watched
from candle_hpo.core.errors import InputError
from candle_hpo.record.experiment import Experiment
from candle_hpo.report.live_page import Frame, live_page

IMAGES = Path(__file__).parent.parent / "docs" / "images"
TEMPLATE = "bayesian"
WIDTH, HEIGHT = 110, 24  # of the live view, in characters
_PYTHON = Path(sys.executable)


def main() -> None:
    """Run a template, and take pictures of its live view and of its report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, "PATH": f"{_PYTHON.parent}{os.pathsep}{os.environ['PATH']}"}
        candle = [str(_PYTHON), "-m", "candle_hpo"]
        subprocess.run([*candle, "import-template", TEMPLATE], cwd=folder, env=environment, check=True)
        (input_file,) = folder.glob("*.in")
        run = subprocess.Popen([*candle, "submit-job", input_file.name], cwd=folder, env=environment)
        IMAGES.mkdir(exist_ok=True)
        (IMAGES / "watch.svg").write_text(live_view(folder), encoding="utf-8")
        run.wait(600)
        subprocess.run([*candle, "report", "--output", "report.html"], cwd=folder, env=environment, check=True)
        screenshot(folder / "report.html", IMAGES / "report.png")
    for picture in IMAGES.iterdir():
        print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")


def live_view(folder: Path) -> str:
    """Return the live view of the experiment that runs in a folder as SVG, when three of its five parts are done."""
    while True:
        try:
            opened = Experiment.open(None, folder)
            break
        except InputError:  # it has no folder yet
            time.sleep(0.2)
    watched = Watched(opened)
    stored = watched.stored
    while watched.history.ended < 0.6 * stored.total:
        time.sleep(0.1)
        watched.update()
    frame = Frame(WIDTH, HEIGHT, time.time(), f"{opened.name} of {Path(stored.input_file).name}", watched.state)
    console = Console(record=True, width=WIDTH, height=HEIGHT, file=io.StringIO(), force_terminal=True)
    console.print(live_page(watched.history, stored, watched.look_at_trials(frame)))
    # Without the fonts that rich would fetch from elsewhere.
    form = re.sub(r"@font-face \{\{.*?\}\}\n?", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = form.replace("Fira Code, monospace", "ui-monospace, DejaVu Sans Mono, monospace")
    return console.export_svg(title="candle watch", code_format=re.sub(r"<!--.*?-->\n?", "", form))


def screenshot(page: Path, picture: Path) -> None:
    """Take a picture of the upper part of a page."""
    browser = shutil.which("chromium")
    if browser is None:
        sys.exit("needs Chromium (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as profile:
        quietly = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
        size = ["--window-size=1240,1640", "--virtual-time-budget=5000"]
        command = [browser, *quietly, *size, f"--screenshot={picture}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    main()
