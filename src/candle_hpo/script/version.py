"""Which version of a model script a trial runs: that of its text, and of the modules beside it that it imports."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from candle_hpo.core.experiment import Language
from candle_hpo.core.provenance import ScriptState
from candle_hpo.files import replace_file
from candle_hpo.script.reading import read_script

SHOWN = 8  # hexadecimal digits of a SHA-256
MOST_READ = 64_000_000  # bytes; of a larger file, size and time of change stand for the content
MOST_KEPT = 10_000_000  # bytes of a file of which a copy is kept
MOST_FILES = 300  # beside a script; a folder with more is data rather than a package
_SETTLED_SECONDS = 2.0  # a file that changed less than this ago can change again without another time stamp
_SHARE_OF_TIME = 0.01  # that looking at the modules beside a script may take

Signature = tuple[int, ...]


class _Text(NamedTuple):
    """What a file had in it when it was last read: its SHA-256, and the names of the modules that it imports."""

    signature: Signature
    is_settled: bool
    digest: str
    imports: tuple[str, ...]


class ScriptWatch:
    """Knows at any moment which version of a script lies there; a file is read again only when it may have changed.

    May be asked by several threads. What cannot be read has no version: a script that is not there fails by itself.
    """

    def __init__(self, script: str, language: Language) -> None:
        self._script, self._language = Path(script), language
        self._lock = threading.Lock()
        self._texts: dict[Path, _Text] = {}
        self._state: ScriptState | None = None
        self._next_look = 0.0  # at the modules beside the script, by time.monotonic()

    def version(self) -> str:
        """Return the version that lies there now, or ""."""
        state = self.state()
        return "" if state is None else state.version

    def state(self) -> ScriptState | None:
        """Return the files that a trial would use now, and their SHA-256; None where the script cannot be read."""
        with self._lock:
            before = self._texts.get(self._script)
            try:
                text = self._read(self._script)
            except OSError:
                return None
            began = time.monotonic()
            if self._state is None or text is not before or began >= self._next_look:
                self._state = self._look(text)
                self._next_look = time.monotonic() + (time.monotonic() - began) / _SHARE_OF_TIME
            return self._state

    def _look(self, script: _Text) -> ScriptState:
        files = {self._script.name: script.digest}
        files |= {name: text.digest for name, text in sorted(self._beside(script))}
        version = script.digest[:SHOWN]
        if len(files) > 1:
            together = hashlib.sha256(repr(list(files.items())[1:]).encode()).hexdigest()
            version += f"+{together[:SHOWN]}"
        return ScriptState(version, files)

    def _beside(self, script: _Text) -> Iterator[tuple[str, _Text]]:
        """Yield the files beside the script that it imports, and those that they import, by their names from there."""
        folder = self._script.resolve().parent
        names, seen = list(script.imports), set(script.imports)
        found = 0
        for name in names:
            files = _files_of_module(folder, name)
            for path in files if found + len(files) <= MOST_FILES else ():
                found += 1
                try:
                    text = self._read(path)
                except OSError:
                    continue
                yield path.relative_to(folder).as_posix(), text
                more = [each for each in text.imports if each not in seen]
                names += more
                seen.update(more)

    def _read(self, path: Path) -> _Text:
        """Return what is in a file, from memory where it has not changed. Raises `OSError`."""
        status = path.stat()
        signature = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
        known = self._texts.get(path)
        if known is not None and known.is_settled and known.signature == signature:
            return known
        is_settled = abs(time.time() - max(status.st_mtime, status.st_ctime)) > _SETTLED_SECONDS
        if status.st_size > MOST_READ:
            data = f"{status.st_size} bytes, changed at {status.st_mtime_ns}".encode()
        else:
            data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if known is not None and known.digest == digest:
            text = known._replace(signature=signature, is_settled=is_settled)
        else:
            text = _Text(signature, is_settled, digest, self._imports(path, data))
        self._texts[path] = text
        return text

    def _imports(self, path: Path, data: bytes) -> tuple[str, ...]:
        if self._language is not Language.PYTHON or path.suffix not in (".py", self._script.suffix):
            return ()
        reading = read_script(data.decode(errors="replace"), Language.PYTHON)
        return tuple(dict.fromkeys(each.name.partition(".")[0] for each in reading.modules))


def keep_script(script: str, state: ScriptState, folder: Path) -> list[str]:
    """Copy the files of a script into a folder of an experiment; return what to know of those that are not kept.

    Raises `OSError` where they cannot be read, or written.
    """
    notes: list[str] = []
    source = Path(script).resolve().parent
    for name, digest in state.files.items():
        path = Path(script) if name == Path(script).name else source / name
        if path.stat().st_size > MOST_KEPT:
            notes.append(f"{name} is larger than {MOST_KEPT // 10**6} MB, and no copy of it is kept")
            continue
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            notes.append(f"{name} changes just now: the copy that is kept is not of the version that was looked at")
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        replace_file(copy, data)
    return notes


def _files_of_module(folder: Path, name: str) -> list[Path]:
    """Return the files of a module that lies in a folder: one, or all those of a package; none of a folder of data."""
    package = folder / name
    if not package.is_dir():
        module = folder / f"{name}.py"
        return [module] if module.is_file() else []
    files: list[Path] = []
    entries = 0
    for where, folders, names in os.walk(package):
        folders[:] = sorted(each for each in folders if each != "__pycache__" and not each.startswith("."))
        entries += len(folders) + len(names)
        files += [Path(where, each) for each in sorted(names) if each.endswith(".py")]
        if entries > 10 * MOST_FILES:
            return []
    return files
