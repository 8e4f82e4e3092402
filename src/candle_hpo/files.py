"""Files that others read are written aside and put in place at once; this is the one way to do so."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO


@contextmanager
def replacing(path: Path, *, behind_link: bool = False, synced: bool = False) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends well, and vanishes when it does not.

    A link is replaced like any file: it may lead anywhere. For a file of the user's, `behind_link` replaces what it
    leads to. One that is `synced` is whole on the disk before it takes its place, whatever happens to the machine.
    Raises `OSError`.
    """
    real = path.resolve() if behind_link else path
    aside = real.with_name(f".{real.name}-{secrets.token_hex(4)}")
    try:
        with aside.open("xb") as file:
            yield file
            if synced:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(real)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def replace_file(path: Path, data: bytes, *, behind_link: bool = False, synced: bool = False) -> None:
    """Put a whole file in place at once, as `replacing` does. Raises `OSError`."""
    with replacing(path, behind_link=behind_link, synced=synced) as file:
        file.write(data)


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
