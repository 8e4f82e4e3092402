"""What a node must allow for its workers to begin: a folder for their sockets, and enough open files."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from candle_hpo.core.errors import MachineError

_BESIDE_TMPDIR = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  # in a new folder there
_LONGEST_NAME = "listener-12345678"  # multiprocessing's, in a folder that begins with pymp-


def socket_folder(beside: Sequence[str] = _BESIDE_TMPDIR) -> str:
    """Return the first folder in which the programs of this node can meet: that of TMPDIR, if it can be.

    The address of a socket may be 107 bytes long, no disk may be full, and some file systems have no sockets. Raises
    `MachineError` where none will do.
    """
    given = os.environ.get("TMPDIR")
    faults = []
    for folder in dict.fromkeys(filter(None, (given, *beside))):
        fault = _fault(folder)
        if fault is None:
            return folder
        faults.append(f"{'TMPDIR=' if folder == given else ''}{folder}: {fault}")
    raise MachineError(f"there is no folder for sockets here ({'; '.join(faults)}); set TMPDIR to one")


def _fault(folder: str) -> str | None:
    """Return why a folder is of no use, if so: by doing there what is to be done there."""
    try:
        with tempfile.TemporaryDirectory(prefix="pymp-", dir=folder) as made, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(Path(made) / _LONGEST_NAME))
            (Path(made) / "file").write_bytes(b"not full")
    except OSError as error:
        return error.strerror or str(error)
    return None
