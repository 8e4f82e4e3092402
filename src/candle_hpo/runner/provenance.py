"""What an experiment is run with: found out when it is submitted or resumed, and kept in its folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from candle_hpo.core.experiment import Settings
from candle_hpo.core.provenance import ScriptState, Surroundings
from candle_hpo.launch.command import modules_of
from candle_hpo.record.experiment import Claim
from candle_hpo.record.folder import Provenance
from candle_hpo.report.script_versions import changes_text, what_changed
from candle_hpo.report.words import location
from candle_hpo.runner.listener import Say
from candle_hpo.runner.site_choice import site_modules
from candle_hpo.script.surroundings import surroundings
from candle_hpo.script.version import ScriptWatch, keep_script


def find_surroundings(settings: Settings, interpreter: str, on_cluster: bool) -> Surroundings:
    """Return what the script of these settings is run with, as far as this machine shows."""
    script = ScriptWatch(settings.model_script, settings.language)
    return surroundings(settings, interpreter, (*site_modules(on_cluster), *modules_of(settings)), script)


def keep_the_script(settings: Settings, state: ScriptState | None, folder: Path, say: Say) -> None:
    """Keep a copy of the script; where that cannot be done, say so, and continue."""
    if state is None:
        return
    try:
        say(*keep_script(settings.model_script, state, folder))
    except OSError as error:
        say(f"No copy of {settings.model_script} is kept: {error}")


def note_resumption(claim: Claim, on_cluster: bool, say: Say) -> None:
    """Keep what an experiment is resumed with, and say what has changed since it was run last."""
    paths, stored = claim.experiment.paths, claim.experiment.stored
    found = find_surroundings(stored.settings, stored.interpreter, on_cluster)
    before, settings = stored.latest, stored.settings
    submitted = stored.provenance.script
    state = found.script
    if state is not None and before.script is not None and state.version != before.script.version:
        say(
            f"{what_changed(before.script, state)} changed since {paths.root.name} was started last: trials from here "
            f"on run version {state.version}, not {before.script.version}; "
            f"a copy of each is in {location(paths.script)}",
        )
    if state is not None and (submitted is None or state.version != submitted.version):
        keep_the_script(settings, state, paths.script_version(state.version), say)
    say(*changes_text(found.changes_since(before)))
    changed = msgspec.structs.replace(stored, resumed=(*stored.resumed, Provenance.of_this_process(found)))
    try:
        claim.keep(changed)
    except OSError as error:
        say(f"What it is resumed with cannot be kept: {paths.settings}: {error.strerror}")
