"""Makes an input file for each script that is named, as `candle init --run` does, and runs its first trial.

A line of JSON for each: what was said, the file, and the trial. In its own process, since running a trial ends all
processes that have lost their parents.
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

from rich.console import Console

from candle_hpo.commands.init import init
from candle_hpo.core.errors import CandleError
from candle_hpo.core.paths import check_run_paths
from candle_hpo.inputfile.read import read_input_file
from candle_hpo.launch.interpreter import find_interpreter
from candle_hpo.runner.checklist import Checklist
from candle_hpo.runner.input_check import check_input_file
from candle_hpo.runner.search_assembly import first_sets
from candle_hpo.runner.single_run import run_trial_here


class Doubts(Checklist):
    """What `candle check` finds, and what it doubts."""

    def __init__(self) -> None:
        super().__init__(lambda *_: None)
        self.doubts: list[str] = []

    def note(self, text: str) -> None:
        self.doubts.append(text)


def made_and_tried(script: Path, given: list[str], changes: list[list[str]]) -> dict[str, object]:
    """Return what came of one script, with these changes to its file."""
    said, target = io.StringIO(), Path(f"{script.name}.in")
    target.unlink(missing_ok=True)
    try:
        status = init(script, given, target, True, Console(file=said, width=200))
    except CandleError as error:
        return {"error": str(error)}
    text = target.read_text()
    for before, after in changes:
        assert before in text, text
        text = text.replace(before, after)
    target.write_text(text)
    request = read_input_file(target)
    assert request.space is not None
    first = first_sets(request.space, request.settings, (), 1)[0].hyperparameters
    here, settings = check_run_paths(Path.cwd()), request.settings
    outcome = run_trial_here(request, first, find_interpreter(settings, ()), 1, here, here.run)
    findings = Doubts()
    check_input_file(target, (), False, findings)
    return {
        "status": status,
        "problems": list(map(str, [*findings.problems, *findings.refusals])),
        "doubts": findings.doubts,
        "said": said.getvalue(),
        "text": text,
        "notes": request.notes,
        "searched": request.space.names,
        "hyperparameters": first,
        "direction": settings.direction.value,
        "objective": settings.objective.name,
        "value": outcome.value_of(settings.objective.name),
        "reports": outcome.last_report is not None,
    }


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        name, given, changes = json.loads(argument)
        found = made_and_tried(Path(name), given, changes)
        os.write(1, json.dumps(found).encode() + b"\n")
