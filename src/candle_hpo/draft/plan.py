"""What was found of a script → what its first input file is made of."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Language
from candle_hpo.core.objective import Direction
from candle_hpo.core.trial import Outcome
from candle_hpo.draft.objectives import Candidate
from candle_hpo.draft.options import OWN_TEXT, Options, Way
from candle_hpo.draft.ranges import range_of, to_search, with_usual_value
from candle_hpo.draft.starts import Start
from candle_hpo.draft.text import Draft, quoted

TRIALS = 25
_STARTS = {
    Language.PYTHON: "{python} {script}",
    Language.R: "Rscript {script}",
    Language.BASH: "bash {script}",
    Language.PROGRAM: "{script}",
}
_BY = {
    "--help": "the options that its --help shows",
    OWN_TEXT: "what stands in its text, of which each trial has a copy",
}
_STEPS_TO_STOP = 3  # with fewer reports, there is nothing to stop early


class Workers(msgspec.Struct, frozen=True):
    """How many trials run at a time, with the reason; on a cluster, with further lines of `&control`."""

    number: int
    reason: str
    lines: tuple[str, ...] = ()


def with_usual_values(options: Options) -> Options:
    """Return the options with usual values where a script does not run without any, and shows none."""
    found = (with_usual_value(each) if each.is_required else each for each in options.found)
    return msgspec.structs.replace(options, found=tuple(found))


def first_draft(script: Path, here: Path, options: Options, workers: Workers, start: Start) -> Draft:
    """Return the draft of a script's input file, without an objective. Raises `InputError` where nothing can vary.

    `start` is what starts the script, where that is not its interpreter alone.
    """
    ranges = tuple(found for each in options.found if (found := range_of(with_usual_value(each))) is not None)
    if not ranges:
        names = ", ".join(each.option or each.name for each in options.found)
        raise InputError(
            f"{script.name}: of what it can be given ({names}), nothing has a range that could be proposed; write the "
            "input file by hand (docs/input-file.md)"
        )
    # Of what a text sets, much is of the data: what its name does not show to be a hyperparameter is not switched on.
    likely = [each for each in ranges if each.is_known or options.by != OWN_TEXT] or ranges
    model_command = start.command
    if options.way is Way.ENVIRONMENT:
        variables = [f"{each.name}={{{each.name}}}" for each in options.found if each.default is not None]
        model_command = " ".join(["env", *variables, _STARTS[Language.of(script.name)]])
    return Draft(
        script=_written(script, here),
        options=options,
        ranges=ranges,
        searched=tuple(to_search(likely)),
        model_command=model_command,
        why_command=start.reason,
        workers=(workers.number, workers.reason),
        budget=(TRIALS, "trials in all"),
        cluster=workers.lines,
        source=f"{script.name} gets its values by {_BY.get(options.by, options.by)}",
    )


def without_objective(draft: Draft, *, leaves_value: bool, reason: str = "") -> Draft:
    """Return the draft of a script that was not run, or whose run showed nothing: what is missing, it says."""
    if leaves_value:
        return msgspec.structs.replace(draft, value_comment=_LEAVES_VALUE)
    return msgspec.structs.replace(draft, why_none=reason, value_comment="")


_LEAVES_VALUE = "the value is what the script leaves in val_to_return"


def with_score(draft: Draft, score: Candidate, direction: Direction | None) -> Draft:
    """Return the draft of a script that was not run, and of which it is known where its score will be."""
    return msgspec.structs.replace(
        draft, objective=score, direction=direction, value_comment=f"{score.name}, which improvelib writes"
    )


class Remedy(msgspec.Struct, frozen=True):
    """What may help a script that has failed: a keyword with its value, and why."""

    keyword: str
    value: str
    reason: str


def with_remedy(draft: Draft, remedy: Remedy) -> Draft:
    """Return the draft with a remedy beside those that it has."""
    match remedy.keyword:
        case "link":
            return msgspec.structs.replace(draft, links=(*draft.links, remedy.value))
        case "run_in":
            return msgspec.structs.replace(draft, run_in=(remedy.value, remedy.reason))
    before = f"{draft.prepare}; " if draft.prepare else ""
    return msgspec.structs.replace(draft, prepare=f"{before}{remedy.value}")


def with_measured(
    draft: Draft,
    outcome: Outcome,
    chosen: Candidate | None,
    others: Sequence[Candidate],
    direction: Direction | None,
) -> Draft:
    """Return the draft with what one run has shown: an objective, or None where the script leaves its value itself."""
    reports = 0
    if chosen is not None:
        reports = chosen.times
    elif outcome.last_report is not None:
        reports = math.floor(outcome.last_report.step)
    seconds = max(1.0, outcome.seconds) * math.ceil(draft.budget[0] / draft.workers[0])
    value = "" if chosen is None else f"{chosen.name}, {chosen.value:.6g} in one run with the values below"
    return msgspec.structs.replace(
        draft,
        objective=chosen,
        others=tuple(others),
        direction=direction,
        value_comment=_LEAVES_VALUE if chosen is None else value,
        reports_each=reports if reports >= _STEPS_TO_STOP else 0,
        budget=(draft.budget[0], f"trials in all; about {_time(seconds)}"),
        cluster=tuple(_walltime(2 * seconds) if each.startswith("walltime") else each for each in draft.cluster),
    )


def _walltime(seconds: float) -> str:
    """Return a walltime of so many seconds, in whole quarters of an hour."""
    quarters = math.ceil(seconds / 900)
    return f'walltime="{quarters // 4:02}:{quarters % 4 * 15:02}:00"'


def _time(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "less than 1 s"


def _written(script: Path, here: Path) -> str:
    """Return a script's path as a value of `&control`: from where the user stands, if it is there."""
    path = script if script.is_absolute() else here / script
    if path.is_relative_to(here):
        inside = path.relative_to(here).as_posix()
        if not re.search(r"[$`\"\\]", inside):
            return f'"$(pwd)/{inside}"'
    return quoted(str(path))
