"""Several workers that share a warm host, as threads of one process, for tests."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

from candle_hpo.core.experiment import Settings
from candle_hpo.core.objective import THE_VALUE
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.core.trial import Outcome, default_trial_id
from candle_hpo.launch.command import model_command
from candle_hpo.launch.run import run_attempt
from candle_hpo.launch.shared_host import SharedHost
from candle_hpo.launch.warm_host import WarmHost
from candle_hpo.process.group import StopSwitch
from support.attempts import attempt_at

# The branch that has forked this process, the host of that, and the keeper of that.
PARENTS = """
import os
def parent(process): return int(open(f"/proc/{process}/stat").read().rpartition(")")[2].split()[1])
branch = os.getppid(); host = parent(branch); keeper = parent(host)
print(branch, host, keeper, flush=True)
val_to_return = 1
"""


class Workers:
    """Several workers in threads of this process, which share a host; each runs the trials that it is given."""

    def __init__(
        self, here: Path, count: int, name: str = "shared", python: str = sys.executable, **settings: object
    ) -> None:
        self.script, self.paths = here / "model.py", ExperimentPaths(here / "X000")
        self.paths.runs.mkdir(parents=True, exist_ok=True)
        self.installed = here / "site-packages"
        self.installed.mkdir(exist_ok=True)
        given = Settings(
            model_script=str(self.script),
            workflow="grid",
            supp_pythonpath=str(self.installed),
            **settings,  # type: ignore[arg-type]
        )
        self.model = model_command(given, python, seed=5, experiment=self.paths.root)
        self.shared = SharedHost(f"{name} {here}")
        self.warm = [WarmHost(self.model, self.shared) for _ in range(count)]
        self.switches = [StopSwitch(grace=0.3) for _ in range(count)]
        self.devices: list[dict[str, str]] = [{} for _ in range(count)]
        self.before: list[Callable[[], object]] = [lambda: None for _ in range(count)]
        self.notes: list[str] = []
        self._number = 0

    def install(self, name: str, text: str) -> None:
        (self.installed / f"{name}.py").write_text(text)

    def start(self, worker: int) -> tuple[threading.Thread, list[Outcome | OSError], int]:
        """Begin a trial on a worker; return what waits for it, where its outcome will be, and its number."""
        self._number += 1
        number, found = self._number, list[Outcome | OSError]()

        def run() -> None:
            self.before[worker]()
            attempt, paths = attempt_at(number), self.paths.trial(default_trial_id(number))
            try:
                outcome = run_attempt(
                    self.model, attempt, paths, self.devices[worker], self.switches[worker], warm=self.warm[worker]
                )
                self.notes += outcome.notes
                found.append(outcome)
            except OSError as error:
                found.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread, found, number

    def run(self, *workers: int) -> list[str]:
        """Run a trial on each of these workers (all), at once; return what they printed."""
        begun = [self.start(worker) for worker in workers or range(len(self.warm))]
        printed = []
        for thread, found, number in begun:
            thread.join(timeout=120)
            printed.append(self.output(number))
            assert isinstance(found[0], Outcome) and found[0].value_of(THE_VALUE) == 1, (found, printed)
        return printed

    def output(self, number: int) -> str:
        path = self.paths.trial(default_trial_id(number)).output
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        for each in self.warm:
            each.close()
        self.shared.close()
