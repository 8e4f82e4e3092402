"""What a script finds beside itself only where it stands: how its trials find it, too."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.paths import NAMES_OF_CANDLE, TrialPaths
from candle_hpo.draft.files_beside import files_beside
from candle_hpo.draft.plan import Remedy
from candle_hpo.launch.measuring.missing_file import missing_names
from candle_hpo.launch.measuring.result import last_lines
from candle_hpo.script.files_around_script import LARGEST, files_around_script
from candle_hpo.script.reading import ScriptFile

# What each trial may get a copy of without a word; of a larger folder, only what is missing is linked.
_MOST_COPIED = 500  # files
_MOST_BYTES = 20_000_000
_MISSING_MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")


def neighbours(settings: Settings, script: ScriptFile, known: Collection[str]) -> Remedy | None:
    """Return what a script needs by whose text it reads files beside itself from where it runs; None for nothing.

    `known` are files that its trials have anyway.
    """
    names = [
        name
        for name in files_beside(script.text, script.language)
        if name not in known and (script.path.parent / name).exists() and Path(name).name != script.name
    ]
    return _found_beside(settings, names[0]) if names else None


def remedy_of(paths: TrialPaths, where: Path, settings: Settings) -> Remedy | None:
    """Return what may help a script whose last words miss a file, a module or a folder that it names relatively.

    `where` is the working directory in which it failed.
    """
    here, script = Path.cwd(), Path(settings.model_script)
    no_folder: Remedy | None = None  # what a line calls missing is known only when all its words were looked at
    for line in reversed(last_lines(paths.output, 10)):
        if (module := _MISSING_MODULE.search(line)) and settings.run_in != "script":
            found = next(_files_of_module(script.parent, module[1].partition(".")[0]), None)
            if found is not None:
                return _copied(settings, f"the module {module[1]} is in a folder beside it")
        for name in missing_names(line, where):
            path = Path(name)
            if path.is_absolute() or not path.parts or (where / path).exists():
                continue
            beside = _found_beside(settings, name) if (script.parent / path).exists() else None
            if beside is not None:
                return beside
            if path.parts[0] != ".." and (here / path).exists():
                return Remedy("link", path.parts[0], f"{name} is not in its folder")
            is_plain = re.fullmatch(r"[\w/-]+", str(path.parent)) is not None
            if no_folder is None and len(path.parts) > 1 and is_plain and not (where / path.parent).exists():
                no_folder = Remedy("prepare", f"mkdir -p {path.parent}", f"there is no folder {path.parent}")
    return no_folder


def _files_of_module(folder: Path, name: str) -> Iterator[Path]:
    yield from folder.glob(f"*/{name}.py")
    yield from folder.glob(f"*/{name}/__init__.py")


def _found_beside(settings: Settings, name: str) -> Remedy | None:
    """Return how trials find what lies beside the script: in a copy of its folder, or by a link where that is large."""
    parts, script = Path(name).parts, Path(settings.model_script)
    if settings.run_in != "script":
        target = script.parent / name
        is_small = parts[0] == ".." or not target.is_file() or target.stat().st_size <= LARGEST
        copied = _copied(settings, f"{name} is beside it", name) if is_small else None
        if copied is not None:
            return copied
    if parts[0] == "..":  # of a copy, that is the trial's folder, in which a link harms nobody
        is_next = len(parts) > 1 and parts[1] not in {"..", "script", *NAMES_OF_CANDLE}
        if not (settings.run_in == "script" and is_next):
            return None
        target = script.parent.parent / parts[1]
        return Remedy("prepare", f"ln -sfn {shlex.quote(str(target))} ../{shlex.quote(parts[1])}", f"{name} is missing")
    found, here = script.parent / parts[0], Path.cwd()
    where = found.relative_to(here) if found.is_relative_to(here) else found
    return Remedy("link", str(where), f"{name} is not in its folder")


def _copied(settings: Settings, reason: str, name: str = "") -> Remedy | None:
    """Return that each trial has a copy of the script's folder, with what is called so in it.

    None where that is large, or it runs as a module, or git ignores what is called so.
    """
    if settings.start and settings.start.module:
        return None
    try:
        copied, large = files_around_script(msgspec.structs.replace(settings, run_in="script"))
    except InputError:
        return None
    folder, needed = Path(settings.model_script).parent, Path(name)
    is_there = any(Path(each).is_relative_to(needed) or needed.is_relative_to(each) for each in copied)
    if not is_there and needed.parts[0] != "..":
        return None
    size = sum((folder / each).lstat().st_size for each in copied)
    if large or len(copied) > _MOST_COPIED or size > _MOST_BYTES:
        return None
    return Remedy("run_in", "script", reason)
