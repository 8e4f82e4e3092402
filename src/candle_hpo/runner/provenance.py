"""What an experiment is run with: found out when it is submitted or resumed, and kept in its folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from candle_hpo.core.errors import InputError, MachineError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.paths import ExperimentPaths, folders_submitted_from
from candle_hpo.core.provenance import ScriptState, Surroundings
from candle_hpo.core.trial import Hyperparameters
from candle_hpo.engine.batch.site import choose_site
from candle_hpo.launch.command import modules_of
from candle_hpo.record.experiment import Claim
from candle_hpo.record.folder import Provenance, StoredExperiment
from candle_hpo.report.script_versions import changes_text, what_changed
from candle_hpo.report.words import location
from candle_hpo.runner.listener import Say
from candle_hpo.runner.script_check import ScriptCheck
from candle_hpo.script.surroundings import surroundings
from candle_hpo.script.version import ScriptWatch, keep_script


def site_modules(on_cluster: bool) -> tuple[str, ...]:
    """Return the environment modules that every model needs where it runs."""
    return choose_site().site.modules if on_cluster else ()


def find_surroundings(
    settings: Settings, interpreter: str, on_cluster: bool, default_model: Hyperparameters, varied: Sequence[str]
) -> Surroundings:
    """Return what the script of these settings is run with, as far as this machine shows."""
    script = ScriptWatch(settings.model_script, settings.language)
    found = surroundings(settings, interpreter, (*site_modules(on_cluster), *modules_of(settings)), script)
    try:
        return msgspec.structs.replace(found, unread=ScriptCheck(settings).unread(default_model, varied))
    except MachineError:  # it was there a moment ago; whoever runs it says so
        return found


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
    handed = stored.settings.handed_besides(stored.templates)
    varied = [name for name in stored.names if name not in handed]
    found = find_surroundings(stored.settings, stored.interpreter, on_cluster, stored.default_model, varied)
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
    site = choose_site() if on_cluster else stored.site
    if site is not None and stored.site is not None and site.site != stored.site.site:
        say(f"Site: {site.name} as it is now ({site.file}), not {stored.site.name} as it was")
    changed = msgspec.structs.replace(stored, resumed=(*stored.resumed, Provenance.of_this_process(found)), site=site)
    try:
        claim.keep(changed)
    except OSError as error:
        say(f"What it is resumed with cannot be kept: {paths.settings}: {error.strerror}")


def refuse_what_cannot_run(paths: ExperimentPaths, stored: StoredExperiment) -> None:
    """Raise `InputError` where the model script, its interpreter or a folder of its libraries is gone.

    The message names both ways out: to put back what was moved, or to submit again from here.
    """
    gone = _what_is_gone(stored.settings, stored.interpreter)
    if not gone:
        return
    name = paths.root.name
    before = Path(stored.provenance.directory)
    here = next(iter(folders_submitted_from(paths.root)), paths.root.parent)
    script = _where_it_is_now(Path(stored.settings.model_script), before, here)
    was_moved = here.resolve() != before.resolve() and not before.exists()
    put_back = f"move {here} back to {before}" if was_moved else "put back what is gone"
    again = f'model_script="{script}"' if script else "the paths as they are now"
    reasons = "; ".join(gone)
    raise InputError(
        f"{name} cannot continue, and nothing was started: {reasons}. Either {put_back}, and candle resume {name} "
        f"continues; or write {again} and restart_from_exp={name} into the input file, and submit it in {here}: what "
        "has completed is kept"
    )


def _what_is_gone(settings: Settings, interpreter: str) -> list[str]:
    gone: list[str] = []
    script = Path(settings.model_script)
    if not script.is_file():
        is_link = f" (it is a link to {script.readlink()})" if script.is_symlink() else ""
        gone.append(f"the model script {script} no longer exists{is_link}")
    if interpreter != settings.model_script and not os.access(interpreter, os.X_OK):
        gone.append(f"{interpreter}, which ran it, no longer exists")
    for keyword, folders in (("supp_pythonpath", settings.supp_pythonpath), ("supp_r_libs", settings.supp_r_libs)):
        named = filter(None, (folders or "").split(os.pathsep))
        gone += [f"{keyword}: the folder {each} no longer exists" for each in named if not Path(each).is_dir()]
    gone += [f"link: {link.path} no longer exists" for link in settings.link if not Path(link.path).exists()]
    return gone


def _where_it_is_now(script: Path, before: Path, here: Path) -> Path | None:
    """Return the path of a script that is there, or was moved with the folder that it was submitted from."""
    if script.is_file():
        return script
    moved = here / script.relative_to(before) if script.is_relative_to(before) else None
    return moved if moved is not None and moved.is_file() else None
