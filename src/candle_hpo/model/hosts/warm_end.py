"""How a forked trial's process ends: as Python ends it, but for the libraries that were there before.

Read by `python_warm_host.py`, in the user's interpreter. At its end Python takes all modules apart, and C libraries run
what they have registered. With large libraries that takes longer than a small trial, and nothing of it can be seen.
Here all that the trial itself has made is ended as Python ends it, and in its order: threads, exit handlers, objects,
modules, files. Only where a library has come in that was not there before does all end the usual way.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import os
import sys
import types
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Libraries loaded with these have business of their own at the end of every process.
ADDED_LIBRARIES = ("LD_PRELOAD", "LD_AUDIT")


class Inherited:
    """What was in the process before the trial.

    What libraries have set up to be done at the end for their own objects (`weakref.finalize`) is theirs, not each
    trial's: a temporary folder that one has made is removed by nobody but the last.
    """

    def __init__(self) -> None:
        for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
            finalizer.atexit = False
        self.modules = set(sys.modules)
        self.loads = loads_of_libraries()
        self.libraries = loaded_libraries()
        tops = {name.split(".")[0] for name in sys.modules}
        places = [getattr(sys.modules.get(top), "__file__", None) or "" for top in tops]
        packages = {os.path.dirname(path) + os.sep for path in places if os.path.basename(path) == "__init__.py"}
        self.places = (os.path.dirname(os.__file__) + os.sep, *packages)


class LoadedObject(ctypes.Structure):
    """`struct dl_phdr_info` of dl_iterate_phdr(3)."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("headers", ctypes.c_void_p),
        ("count", ctypes.c_uint16),
        ("adds", ctypes.c_ulonglong),
        ("subs", ctypes.c_ulonglong),
    )


def loads_of_libraries() -> int:
    """Return how often shared libraries were loaded into this process; -1 where the C library does not count that."""
    counts = []

    def look(found: Any, size: int, _: object) -> int:
        counts.append(found.contents.adds if size >= LoadedObject.subs.offset else -1)
        return 1  # the first one tells it all

    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(LoadedObject), ctypes.c_size_t, ctypes.c_void_p)
    ctypes.CDLL(None).dl_iterate_phdr(kind(look), None)
    return counts[0] if counts else -1


def loaded_libraries() -> set[str]:
    """Return the paths of the shared libraries in this process."""
    with open("/proc/self/maps", "rb") as lines:
        paths = {line[line.find(b"/") :].rstrip() for line in lines if b" r-xp " in line and b".so" in line}
    return {os.fsdecode(path) for path in paths}


def end_as(run: Callable[[], None], inherited: Inherited) -> None:
    """Call a function, and end this process as Python would end it then."""
    status = 0
    try:
        run()
    except SystemExit as end:
        if isinstance(end.code, int) and 0 <= end.code <= 255:
            status = end.code
        elif end.code is not None:
            raise  # Python prints it
    if needs_the_usual_end(inherited):
        sys.exit(status)
    try:
        end_what_is_own(inherited)
    except Exception:  # output that cannot be flushed, or a stdout of the script's own making: Python tells of it
        sys.exit(status)
    os._exit(status)


def needs_the_usual_end(inherited: Inherited) -> bool:
    """Tell whether libraries that are not those of the host may have something to do at the end."""
    if any(os.environ.get(name) for name in ADDED_LIBRARIES):
        return True
    if loads_of_libraries() == inherited.loads != -1:
        return False
    new = loaded_libraries() - inherited.libraries
    return not all(path.startswith(inherited.places) for path in new)


def end_what_is_own(inherited: Inherited) -> None:
    """Do what Python does at the end of a process, in its order, with all that the process does not share."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    run_exit_handlers()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
    own = [sys.modules.pop(name) for name in list(sys.modules) if name == "__main__" or name not in inherited.modules]
    alive = [weakref.ref(module) for module in own if isinstance(module, types.ModuleType)]
    del own
    gc.collect()
    for reference in reversed(alive):
        module = reference()
        if module is not None:
            clear(module.__dict__)
            del module
    gc.collect()
    flush_open_files()
    ctypes.CDLL(None).fflush(None)  # what C code has printed


def run_exit_handlers() -> None:
    """Run what the script has registered with `atexit`; what fails there, `atexit` itself prints."""
    import atexit

    with contextlib.suppress(Exception):  # before Python 3.10 the last of those errors is raised, too
        atexit._run_exitfuncs()


def clear(namespace: dict[str, object]) -> None:
    """Empty a module's globals in Python's order: what begins with one underscore first, built-in things never."""
    for name in list(namespace):
        if name.startswith("_") and not name.startswith("__"):
            namespace[name] = None
    for name in list(namespace):
        if name != "__builtins__":
            namespace[name] = None


def flush_open_files() -> None:
    """Flush what is still open for writing: files that a library holds for the trial."""
    for found in gc.get_objects():
        if isinstance(found, (io.BufferedWriter, io.TextIOWrapper)) and not found.closed:
            with contextlib.suppress(OSError, ValueError):  # as Python does with a file that nobody closed
                found.flush()
