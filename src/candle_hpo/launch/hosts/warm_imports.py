"""Imports beforehand what all trials of a script can share, and sees that nothing comes in that is not known.

Read by `python_warm_host.py`, in the user's interpreter. `warm_script.py` knows what the script asks for, and what of
it is known. What the user names besides is taken at their word, but for what no process can share with another.
"""

from __future__ import annotations

import contextlib
import fnmatch
import gc
import importlib.machinery
import json
import mmap
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

HARMLESS_FILES = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"}

# What CUDA, ROCm and oneAPI have open once they are in use, even if only to count devices: no fork can use them then.
DEVICES_OF_GPUS = ("/dev/nvidia", "/dev/kfd", "/dev/dri/")

# Threads whose library takes care of forks itself: jemalloc's source, background_thread.c ("postfork_child").
THREADS_THAT_MAY_FORK = ("jemalloc_bg_thd",)


class NotKnown(BaseException):
    """An import has come upon a module that is not known; not for `except Exception` or `except ImportError`."""


class Gate:
    """A finder before all others: lets in what is known, so that no code of anything else runs here."""

    is_of_candle = True

    def __init__(self, script: Any, known: Any) -> None:
        self._script, self._known = script, known
        self.turned_away = ""

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:  # noqa: ARG002
        """Find what must not come in, and say of everything else that somebody else may find it."""
        if path is not None or not self._known.objection(name):
            return None
        found = self._script.spec_of(name)
        # A library may only ask whether there is such a module: it gets the true answer.
        return None if found is None else importlib.machinery.ModuleSpec(name, self, origin=found.origin)  # type: ignore[arg-type]

    def create_module(self, spec: Any) -> Any:
        """Refuse to import a module that was found here."""
        self.turned_away = self.turned_away or spec.name
        raise NotKnown(spec.name)

    def exec_module(self, module: Any) -> None:
        """Run nothing: it is not come to."""


def not_known_at_the_start(known: Any, patterns: list[str]) -> str:
    """Return what Python has loaded by itself at its start that is not known; "" if there is nothing of the kind."""
    strangers = [
        f"{name} ({module.__file__})"
        for name, module in list(sys.modules.items())
        if getattr(module, "__file__", None)
        and name != "__main__"
        and not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        and known.objection(name)
    ]
    return " and ".join(strangers)


def import_all(
    wanted: list[tuple[str, tuple[str, ...]]],
    named: list[str],
    gate: Gate,
    generators: list[str],
    report: Callable[[dict[str, object]], None],
) -> None:
    """Import modules one by one; end this process at one that cannot be shared: what it has begun cannot be taken back.

    `named` are those that the user names, which come in with all that they bring; `generators` are renewed in each
    trial.
    """
    tops = {name.partition(".")[0] for name in named}
    files = open_files()
    for name, members in [*wanted, *((name, ()) for name in named if name not in dict(wanted))]:
        report({"importing": name})
        is_named = name.partition(".")[0] in tops
        if is_named:
            gc.freeze()  # so that its objects can be distinguished
        else:
            sys.meta_path.insert(0, gate)
        try:
            __import__(name, {"__name__": "__main__", "__package__": None}, None, members, 0)
            trouble = ""
        except BaseException as error:
            trouble = f"its import fails: {type(error).__name__}: {error}"
        if not is_named:
            sys.meta_path.remove(gate)
        if gate.turned_away:
            trouble = f"its import loads {gate.turned_away}, which is not known to behave the same"
        trouble = trouble or threads() or processes() or opened(files)
        trouble = trouble or (random_numbers(generators) if is_named else "")
        if trouble:
            report({"unsafe": name, "because": trouble})
            os._exit(0)


def opened(before: dict[str, str]) -> str:
    """Return which file is open that was not before, in words."""
    for name, path in open_files().items():
        if before.get(name) != path and path not in HARMLESS_FILES:
            if path.startswith(DEVICES_OF_GPUS):
                return "its import begins to use the GPU"
            what = path if path.startswith("/") else "a " + path.partition(":")[0]  # socket:[4711]
            return f"its import leaves {what} open"
    return ""


def open_files() -> dict[str, str]:
    """Return what each descriptor of this process leads to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # one was open for the list itself
            found[name] = os.readlink("/proc/self/fd/" + name)
    return found


def random_numbers(renewed: list[str]) -> str:
    """Return whether there are sources of random numbers among the objects of an import, in words."""
    gc.collect()
    numpy, random = sys.modules.get("numpy.random"), sys.modules.get("random")
    kinds = tuple(filter(None, [getattr(random, "Random", None), getattr(numpy, "BitGenerator", None)]))
    theirs = {id(getattr(random, "_inst", None)), id(getattr(generator_of_numpy(), "_bit_generator", None))}
    theirs.update(id(generator) for _, _, generator in found_at(renewed))
    found = [each for each in gc.get_objects() if issubclass(type(each), kinds) and id(each) not in theirs]
    found = [each for each in found if type(each).__name__ != "SystemRandom"]  # which the system itself renews
    return f"it keeps its own random numbers (a {type(found[0]).__name__})" if found else ""


def generator_of_numpy() -> Any:
    """Return the generator behind NumPy's functions; None without NumPy."""
    return getattr(sys.modules.get("numpy.random.mtrand"), "_rand", None)


def renew(folders: list[str], generators: list[str], began_in: str) -> None:
    """Give this process what a fresh one draws or notes for itself at its imports; what was chosen stays.

    `folders` are variables with a path in the working directory, which was `began_in`, and `generators` such as
    Python's. The generator of `random` itself is renewed by Python, after every fork.
    """
    of_numpy = generator_of_numpy()
    bits: Any = getattr(of_numpy, "_bit_generator", None)
    if bits is None and of_numpy is not None:  # before NumPy 1.17
        of_numpy.seed()
    elif is_drawn(bits):
        bits.state = type(bits)().state
    of_torch = getattr(sys.modules.get("torch"), "default_generator", None)
    if of_torch is not None and of_torch.initial_seed() >= 1 << 32:  # smaller ones are somebody's choice
        of_torch.seed()
    for _, _, generator in found_at(generators):
        generator.seed()
    for holder, name, path in found_at(folders):
        if path.startswith(began_in):
            setattr(holder, name, os.getcwd() + path[len(began_in) :])
    for holder, name, began in found_at(["logging:_startTime"]):  # of which `relativeCreated` counts
        setattr(holder, name, time.time() if isinstance(began, float) else time.time_ns())
    for _, _, set_number in found_at(["threading:_main_thread._set_native_id"]):
        set_number()
    for _, _, process in found_at(["multiprocessing.process:_current_process"]):
        process.authkey = os.urandom(32)


def found_at(places: list[str]) -> Iterator[tuple[Any, str, Any]]:
    """Yield what is at these places (module:name.name), as far as it is there: its holder, its name, itself."""
    for place in places:
        module, _, path = place.partition(":")
        *holders, name = path.split(".")
        holder: Any = sys.modules.get(module)
        for each in holders:
            holder = getattr(holder, each, None)
        if hasattr(holder, name):
            yield holder, name, getattr(holder, name)


def is_drawn(bits: Any) -> bool:
    """Return whether a generator of NumPy was seeded by chance, with 128 random bits, not with somebody's number."""
    sequence = getattr(bits, "seed_seq", None) or getattr(bits, "_seed_seq", None)
    entropy = getattr(sequence, "entropy", None)
    return isinstance(entropy, int) and entropy >= 1 << 64


class OwnFiles:
    """What the user may edit between two trials: the script, and files of modules that are not installed ones.

    `beforehand` are the modules that were imported since the script began with them.
    """

    def __init__(self, script: Any, path: str, beforehand: set[str], read: Callable[[], set[str]]) -> None:
        self._script, self._beforehand, self._read = path, beforehand, read
        self._stamp = stamp(path)
        script_itself = sys.modules["__main__"]  # multiprocessing gives it another name, too
        modules = [module for module in list(sys.modules.values()) if module is not script_itself]
        paths = [getattr(module, "__file__", None) for module in modules]
        self._files = {path: stamp(path) for path in paths if path and not script.is_installed(path)}

    def have_changed(self) -> bool:
        """Return whether a file is not the one that was imported, or the script begins with other imports now."""
        if any(stamp(path) != was for path, was in self._files.items()):
            return True
        before, self._stamp = self._stamp, stamp(self._script)
        return before != self._stamp and not self._beforehand <= self._read()


def stamp(path: str) -> tuple[int, int, int] | None:
    """Return what shows whether a file was written again; None where it is gone."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def threads() -> str:
    """Return whether there are threads that a fork would lose, in words.

    A pool that ends itself before a fork and starts again after it, as OpenBLAS's does, is gone once one was tried. The
    thread of jemalloc (which pandas has from PyArrow) starts again in a forked process by jemalloc's own handlers.
    """
    if not other_threads():
        return ""
    process = os.fork()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)
    return "its import starts a thread" if other_threads() else ""


def other_threads() -> list[str]:
    """Return the names of this process's threads, but for its first one and those that a fork does no harm to."""
    names = []
    for thread in os.listdir("/proc/self/task"):
        # One may have ended just now.
        with contextlib.suppress(OSError), open("/proc/self/task/" + thread + "/comm") as file:
            names.append((thread, file.read().strip()))
    return [name for thread, name in names if thread != str(os.getpid()) and name not in THREADS_THAT_MAY_FORK]


def processes() -> str:
    """Return whether there are child processes, in words."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return ""
    return "its import starts a process"


class Times:
    """Measures the imports that each trial does itself, for its host to see: what `preload` would save."""

    def __init__(self, names: Iterable[str], watch: Callable[..., object]) -> None:
        self._names, self._watch = set(names) - set(sys.modules), watch
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        self._seconds: dict[str, float] = {}
        self._outermost, self._began = "", 0.0

    def begin(self) -> None:
        """Measure from now on."""
        if self._names:
            self._watch(self._names, self._ends, self._begins)

    def _begins(self, name: str) -> None:
        if not self._outermost:  # what that one imports besides is in its time
            self._outermost, self._began = name, time.perf_counter()

    def _ends(self, name: str) -> None:
        if name == self._outermost:
            self._outermost = ""
            self._seconds[name] = round(time.perf_counter() - self._began, 3)
            data = json.dumps(self._seconds).encode("ascii")
            if len(data) < len(self._shared):
                self._shared[: len(data) + 1] = data + b"\0"

    def take(self) -> Any:
        """Return the seconds that each import took in the last trial, by name."""
        seconds = json.loads(self._shared[: self._shared.find(b"\0")].decode("ascii") or "{}")
        self._shared[0] = 0
        return seconds
