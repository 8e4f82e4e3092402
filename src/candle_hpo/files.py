"""Files that others read are written aside and put in place at once; this is the one way to do so."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends well, and vanishes when it does not.

    Raises `OSError`.
    """
    real = path.resolve()
    aside = real.with_name(f".{real.name}-{secrets.token_hex(4)}")
    try:
        with aside.open("xb") as file:
            yield file
        aside.replace(real)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def replace_file(path: Path, data: bytes) -> None:
    """Put a whole file in place at once. Raises `OSError`."""
    with replacing(path) as file:
        file.write(data)
