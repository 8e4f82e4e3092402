"""Files that others read are written aside and put in place at once; this is the one way to do so."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO


@contextmanager
def replacing(path: Path, *, behind_link: bool = False, synced: bool = False) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends well, and vanishes when it does not.

    A link is replaced like any file: it may lead anywhere. For a file of the user's, `behind_link` replaces what it
    leads to. One that is `synced` is whole on the disk before it takes its place, whatever happens to the machine.
    Raises `OSError`.
    """
    with _aside(path.resolve() if behind_link else path) as descriptor, open(descriptor, "wb", closefd=False) as file:
        yield file
        file.flush()
        if synced:
            os.fsync(descriptor)


def replace_file(path: Path, data: bytes, *, behind_link: bool = False, synced: bool = False) -> None:
    """Put a whole file in place at once, as `replacing` does, in few system calls. Raises `OSError`."""
    with _aside(path.resolve() if behind_link else path) as descriptor:
        while data:
            data = data[os.write(descriptor, data) :]
        if synced:
            os.fsync(descriptor)


@contextmanager
def _aside(path: Path) -> Iterator[int]:
    """Open a new file beside a path, which takes its place when the block ends well, and vanishes when it does not."""
    folder, name = os.path.split(path)
    aside = os.path.join(folder, f".{name}-{secrets.token_hex(4)}")  # noqa: PTH118  # a trial does this a few times
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        os.replace(aside, path)  # noqa: PTH105
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(aside)  # noqa: PTH108
        raise


def new_file(paths: Iterable[Path]) -> TextIO:
    """Make the first of these files that does not exist, and open it; they have no end. Raises `OSError`."""
    for path in paths:
        try:
            return path.open("x", encoding="utf-8")
        except FileExistsError:
            continue
    raise AssertionError("there is always a next path")


def write_new_file(path: Path, data: bytes) -> None:
    """Write a file that does not exist yet, whole or not at all. Raises `FileExistsError`, `OSError`."""
    with path.open("xb") as file:
        try:
            file.write(data)
            file.flush()
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def is_at(descriptor: int, path: Path) -> bool:
    """Return whether it is this open file that lies at a path. Raises `OSError`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
