"""How a forked trial's process ends: as Python ends it, but for the libraries that were there before.

Read by `python_warm_host.py`, in the user's interpreter. At its end Python takes all modules apart, and C libraries run
what they have registered. With large libraries that takes longer than a small trial, and nothing of it can be seen.
Where every shared library in the process is known to be like that, all that the trial itself has made is ended as
Python ends it, and in its order: threads, exit handlers, objects, modules, files. Elsewhere all ends the usual way.
"""

from __future__ import annotations

import contextlib
import ctypes
import fnmatch
import gc
import io
import os
import re
import sys
import types
import weakref
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

# Libraries loaded with these do something at the end of every process.
ADDED_LIBRARIES = ("LD_PRELOAD", "LD_AUDIT")


class Inherited:
    """What was in the process before the trial, and which shared libraries are known to have nothing to do at the end.

    These are Python's own, those in the packages that are `harmless`, and those elsewhere whose names match `patterns`.

    What libraries have set up to be done at the end for their own objects (`weakref.finalize`) is theirs, not each
    trial's: a temporary folder that one has made is removed by nobody but the last.
    """

    def __init__(self, harmless: list[str], patterns: list[str]) -> None:
        for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
            finalizer.atexit = False
        self.modules = set(sys.modules)
        self.loads = loads_of_libraries()
        self._packages = set(harmless)
        self._pattern = re.compile("|".join(map(fnmatch.translate, patterns)))
        libraries = loaded_libraries()
        self.is_harmless = self.are_harmless(libraries)
        self.flushes = list(flushes_of(libraries))

    def are_harmless(self, libraries: set[str]) -> bool:
        """Return whether all these shared libraries are known to have nothing to do at the end of a process."""
        return all(map(self._has_nothing_to_do, libraries))

    def _has_nothing_to_do(self, path: str) -> bool:
        folders = path.split(os.sep)
        places = [number for number, folder in enumerate(folders) if folder in ("site-packages", "dist-packages")]
        if places:
            return folders[places[-1] + 1].partition(".")[0].lower() in self._packages  # numpy, numpy.libs
        return path.startswith(os.path.dirname(os.__file__) + os.sep) or bool(self._pattern.match(folders[-1]))


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
        return 1  # the first one says it all

    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(LoadedObject), ctypes.c_size_t, ctypes.c_void_p)
    ctypes.CDLL(None).dl_iterate_phdr(kind(look), None)
    return counts[0] if counts else -1


def loaded_libraries() -> set[str]:
    """Return the paths of the shared libraries in this process."""
    with open("/proc/self/maps", "rb") as lines:
        paths = {line[line.find(b"/") :].rstrip() for line in lines if b" r-xp " in line and b".so" in line}
    return {os.fsdecode(path) for path in paths}


def flushes_of(libraries: set[str]) -> Iterator[Callable[[], object]]:
    """Yield the functions that write out what C, C++ and Fortran have printed, of each copy of their libraries."""
    yield lambda: ctypes.CDLL(None).fflush(None)
    for path in libraries:
        name = os.path.basename(path)
        with contextlib.suppress(OSError, AttributeError, ValueError):
            if name.startswith("libgfortran"):
                flush = ctypes.CDLL(path)._gfortran_flush_i4  # of all units: libgfortran, intrinsics/flush.c
                yield partial(flush, None)
            if name.startswith("libstdc++"):
                library = ctypes.CDLL(path)
                library._ZNSt8ios_base4InitC1Ev(ctypes.create_string_buffer(8))  # std::ios_base::Init: it may be unused
                cout = ctypes.addressof(ctypes.c_char.in_dll(library, "_ZSt4cout"))
                yield partial(library._ZNSo5flushEv, ctypes.c_void_p(cout))  # std::ostream::flush()


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
    except Exception:  # output that cannot be flushed, or a stdout of the script's own making: Python reports it
        sys.exit(status)
    os._exit(status)


def needs_the_usual_end(inherited: Inherited) -> bool:
    """Return whether a library in this process may have something to do at its end."""
    if not inherited.is_harmless or any(os.environ.get(name) for name in ADDED_LIBRARIES):
        return True
    if loads_of_libraries() == inherited.loads != -1:
        return False
    return not inherited.are_harmless(loaded_libraries())


def end_what_is_own(inherited: Inherited) -> None:
    """Do what Python does at the end of a process, in its order, with all that the process does not share."""
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    run_exit_handlers()
    gc.callbacks.clear()  # Python's own end calls none either
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()
    flush_open_files()  # the collector closes a file's buffer before its text is in it, where both go together
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
    for flush in inherited.flushes:
        flush()


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
        # Not by `isinstance`, which asks the object: a weak reference to one that is gone does not answer.
        if issubclass(type(found), (io.BufferedWriter, io.TextIOWrapper)) and not found.closed:
            with contextlib.suppress(OSError, ValueError):  # as Python does with a file that nobody closed
                found.flush()
