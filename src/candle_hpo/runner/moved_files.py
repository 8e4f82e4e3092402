"""What an experiment needs and is gone: then none of its trials could run, and none is started."""

from __future__ import annotations

import os
from pathlib import Path

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Language, Settings
from candle_hpo.core.paths import ExperimentPaths, folders_submitted_from
from candle_hpo.record.folder import StoredExperiment


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
    if settings.language is not Language.PROGRAM and not os.access(interpreter, os.X_OK):
        gone.append(f"{interpreter}, which ran it, no longer exists")
    for keyword, folders in (("supp_pythonpath", settings.supp_pythonpath), ("supp_r_libs", settings.supp_r_libs)):
        named = filter(None, (folders or "").split(os.pathsep))
        gone += [f"{keyword}: the folder {each} no longer exists" for each in named if not Path(each).is_dir()]
    return gone


def _where_it_is_now(script: Path, before: Path, here: Path) -> Path | None:
    """Return the path of a script that is there, or was moved with the folder that it was submitted from."""
    if script.is_file():
        return script
    moved = here / script.relative_to(before) if script.is_relative_to(before) else None
    return moved if moved is not None and moved.is_file() else None
