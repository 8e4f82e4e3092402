"""Which files a script needs around it: those of its folder that are copied for each trial with `run_in="script"`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from candle_hpo.core.errors import InputError
from candle_hpo.core.experiment import Settings
from candle_hpo.core.paths import GENERATED_FILES, LAST_EXPERIMENT

MOST_FILES = 2000
MOST_BYTES = 100_000_000  # of all together
LARGEST = 10_000_000  # bytes of one file; a larger one is data
_GIT_SECONDS = 60.0
_SHOWN = 5  # files in a note
_NEVER = {".git", "__pycache__", ".hg", ".svn", ".ipynb_checkpoints", "node_modules", GENERATED_FILES, LAST_EXPERIMENT}
_ENVIRONMENTS = ("pyvenv.cfg", "conda-meta")  # what is in the folder of a Python environment


def files_around_script(settings: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the files that are copied, by their names in the script's folder, and those that are too large for it.

    In a git repository they are those that git knows, and new ones that it is not to ignore; elsewhere all. What `link`
    names is not among them. Raises `InputError` where that would be too much for each trial.
    """
    if settings.run_in != "script":
        return (), ()
    script = Path(settings.model_script)
    root = script.parent
    linked = [Path(link.path) for link in settings.link]
    found, large = [script.name], list[str]()
    total = 0
    for name in _listed(root, linked):
        path = root / name
        if name == script.name or any(path == link or link in path.parents for link in linked):
            continue
        try:
            size = path.lstat().st_size
        except OSError:  # git knows it, and it is not there
            continue
        if size > LARGEST:
            large.append(name)
            continue
        found.append(name)
        total += size
        if len(found) > MOST_FILES or total > MOST_BYTES:
            raise InputError(
                f'run_in="script" copies the folder of the script for each trial, and {root} has more than '
                f"{MOST_FILES:,} files, or {MOST_BYTES // 10**6} MB, for that: name folders of data in link, or "
                "let git ignore what the script does not need"
            )
    return tuple(found), tuple(large)


def notes_on_large_files(large: Sequence[str]) -> list[str]:
    """Return what to know of files that are too large to be copied for each trial."""
    shown = ", ".join(large[:_SHOWN]) + (f" and {len(large) - _SHOWN:,} more" if len(large) > _SHOWN else "")
    return [f"not copied for each trial, since larger than {LARGEST // 10**6} MB: {shown} (link)"] if large else []


def _listed(root: Path, linked: Sequence[Path]) -> Iterator[str]:
    if shutil.which("git") is not None:
        command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "ls-files", "-z"]
        command += ["--cached", "--others", "--exclude-standard"]
        command += [
            "--",
            ".",
            *(f":(exclude,literal){link.relative_to(root)}" for link in linked if link.is_relative_to(root)),
        ]
        try:
            done = subprocess.run(command, cwd=root, capture_output=True, check=False, timeout=_GIT_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            done = None
        if done is not None and done.returncode == 0:
            for name in dict.fromkeys(map(os.fsdecode, filter(None, done.stdout.split(b"\0")))):
                if _NEVER.isdisjoint(Path(name).parts):
                    yield from _walked(root, root / name, linked) if (root / name).is_dir() else [name]
            return
    yield from _walked(root, root, linked)


def _walked(root: Path, top: Path, linked: Sequence[Path]) -> Iterator[str]:
    """Yield the files below a folder; a link to one counts as a file."""
    if top.is_symlink():
        yield str(top.relative_to(root))
        return
    for where, folders, names in os.walk(top):
        here = Path(where)
        for each in list(folders):
            path = here / each
            is_environment = any((path / mark).exists() for mark in _ENVIRONMENTS)
            if each in _NEVER or path in linked or is_environment or path.is_symlink():
                folders.remove(each)
                if path.is_symlink() and each not in _NEVER and path not in linked:
                    yield str(path.relative_to(root))
        yield from (str((here / name).relative_to(root)) for name in sorted(names) if name not in _NEVER)
