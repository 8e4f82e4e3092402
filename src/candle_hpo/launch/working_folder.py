"""What lies in a trial's working directory before it begins: a copy of the script's folder, links, files for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from candle_hpo.core.file_template import NotWritable, Placed
from candle_hpo.files import replace_file
from candle_hpo.script.files_around_script import LARGEST

Signature = tuple[int, int]


class WorkingFolder:
    """The working directory of one attempt, filled when this is made; it is there, unless it is to be a copy.

    `copied` are names of files in the folder `source` that are copied; `links` lead to what all trials share; `files`
    are written, over a copy if there is one. Raises `NotWritable` where something of the trial's is in a link's place,
    or what it leads to is not there; `OSError` where the machine does not do it.
    """

    def __init__(
        self, path: Path, source: Path, copied: Sequence[str], links: Sequence[Placed], files: Mapping[str, bytes]
    ) -> None:
        self._path = path
        if copied:  # else it is there
            path.mkdir(exist_ok=True)
        self._copies = {name: _copy(source / name, path / name, source) for name in copied if name not in files}
        self._shared = {link.path: _signature(Path(link.path)) for link in links}
        for link in links:
            self._link(link)
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            replace_file(path / name, data)

    def _link(self, link: Placed) -> None:
        place = self._path / link.place
        if self._shared[link.path] is None:
            raise NotWritable(f"link: {link.path} no longer exists; put it back")
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            place.symlink_to(link.path)
            return
        if not place.is_symlink() or str(place.readlink()) != link.path:
            raise NotWritable(
                f"link: {place} is there already, and is not the link to {link.path}: an earlier attempt wrote it; "
                "remove it, or do not link a file that the script writes"
            )

    def written_through_links(self) -> list[str]:
        """Return the linked files that are not as they were: something has written to what all trials share."""
        return [
            path for path, before in self._shared.items() if Path(path).is_file() and _signature(Path(path)) != before
        ]

    def clear(self) -> None:
        """Remove the copies that are still as they were; what the script has made, or changed, stays."""
        folders: set[Path] = set()
        for name, before in self._copies.items():
            path = self._path / name
            if before is not None and _signature(path) == before:
                with suppress(OSError):
                    path.unlink()
                    folders.update(path.relative_to(self._path).parents)
        for folder in sorted(folders, reverse=True):  # what is within comes first
            shutil.rmtree(self._path / folder / "__pycache__", ignore_errors=True)
            with suppress(OSError):  # there is something in it
                (self._path / folder).rmdir()


def _copy(source: Path, path: Path, root: Path) -> Signature | None:
    """Copy a file with its time and its rights; return what says later that it is unchanged. A link stays one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if source.is_symlink():
            target = Path(os.path.normpath(source.parent / source.readlink()))
            path.symlink_to(source.readlink() if target.is_relative_to(root) else target)
        elif source.stat().st_size > LARGEST:  # the script itself, a container perhaps: nobody writes into it
            path.symlink_to(source)
        else:
            shutil.copy2(source, path)
    except FileNotFoundError:  # it has been removed since it was listed
        return None
    return _signature(path)


def _signature(path: Path) -> Signature | None:
    try:
        found = path.lstat() if path.is_symlink() else path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
