"""Trials that are forked from a warm host, and the same from their beginning, for tests that compare the two."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

from candle_hpo.core.experiment import Settings
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Outcome, default_trial_id
from candle_hpo.launch.command import model_command
from candle_hpo.launch.run import run_attempt
from candle_hpo.launch.warm_host import WarmHost
from candle_hpo.process.group import StopSwitch
from support.attempts import attempt_at


class Trials:
    """Runs trials of one script on one worker, in the folder of an experiment."""

    def __init__(self, here: Path, name: str, script: str = "", **settings: object) -> None:
        self.script = here / "model.py"
        self.paths = ExperimentPaths(here / name)
        self.paths.runs.mkdir(parents=True)
        self.switch = StopSwitch(grace=0.3)
        self.installed = here / "site-packages"
        self.installed.mkdir(exist_ok=True)
        self.write(script)
        control = Settings(
            model_script=str(self.script),
            workflow="grid",
            supp_pythonpath=str(self.installed),
            **settings,  # type: ignore[arg-type]
        )
        self.model = model_command(control, sys.executable, seed=5, experiment=self.paths.root)
        self.host = WarmHost(self.model)
        self.notes: list[str] = []
        self.devices: dict[str, str] = {}
        self.number = 0

    def write(self, script: str) -> None:
        """Change the script, as its user may between two trials."""
        self.script.write_text(textwrap.dedent(script), encoding="utf-8")

    def run(self, script: str | None = None, **hyperparameters: object) -> Outcome:
        """Run one trial, of this script if it is given."""
        if script is not None:
            self.write(script)
        self.number += 1
        attempt, paths = attempt_at(self.number, hyperparameters), self.paths.trial(default_trial_id(self.number))
        outcome = run_attempt(self.model, attempt, paths, self.devices, self.switch, warm=self.host)
        self.notes += outcome.notes
        return outcome

    @property
    def folder(self) -> Path:
        """The run folder of the last trial."""
        return self.paths.trial(default_trial_id(self.number)).run

    @property
    def output(self) -> str:
        """What the last trial printed, with no name of this experiment and no address in it."""
        text = self.paths.trial(default_trial_id(self.number)).output.read_text(encoding="utf-8", errors="replace")
        text = text.replace(str(self.folder), "RUN").replace(str(self.paths.root), "EXPERIMENT")
        return re.sub(r"0x[0-9a-f]{6,}", "0x", text)
