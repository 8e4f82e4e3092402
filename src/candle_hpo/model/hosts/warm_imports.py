"""Imports beforehand what all trials of a script can share, and tells what they cannot.

Read by `python_warm_host.py`, in the user's interpreter. `warm_script.py` knows what the script asks for. Of that, a
module is left to the trials that starts a thread which a fork would lose, or a process, that opens a file or the GPU,
or that reads something of a trial.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.machinery
import os
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HARMLESS_FILES = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"}

# Threads whose library takes care of forks itself: jemalloc's source, background_thread.c ("postfork_child").
THREADS_THAT_MAY_FORK = ("jemalloc_bg_thd",)


def import_all(plan: Any, script: Any, tell: Callable[[dict[str, object]], None]) -> Imported:
    """Import what the plan and its script ask for, one by one; end this process at one that cannot be shared.

    `script` is `warm_script.py`. `plan` has the path of the user's `script`, the `modules` that the user names, those
    of the `backend`, and those to be `left` out, with whether nothing of the script is to be imported after one.
    `of_a_trial` are the variables that only a trial has.
    """
    imported = Imported(script)
    imported.look_back()
    named = list(plan["modules"])
    wanted = list(script.wanted_by_script(plan["script"], plan["left"], named, imported.left))
    found = {name for name, _ in wanted}
    wanted += [(name, ()) for name in plan["backend"] if name not in found and name not in imported.left]
    wanted += [(name, ()) for name in named if name not in found]
    for name, members in wanted:
        if name in plan["left"]:
            continue
        tell({"importing": name})
        before = dict(os.environ)
        watch = Watch(plan["of_a_trial"])
        try:
            __import__(name, {"__name__": "__main__", "__package__": None}, None, members, 0)
            trouble = ""
        except BaseException as error:
            trouble = f"its import fails: {type(error).__name__}: {error}"
        noticed = watch.end()
        trouble = trouble or noticed or imported.trouble(named)
        if trouble:
            is_last = trouble.startswith("its import fails") or dict(os.environ) != before
            tell({"unsafe": name, "because": trouble, "is_last": is_last})
            os._exit(0)
    return imported


class Watch:
    """Notes, from now until `end`, what an import does that leaves nothing to be seen afterwards.

    It may ask for a variable that only a trial has, or make a temporary file or folder, which its last act removes.
    """

    def __init__(self, of_a_trial: list[str]) -> None:
        self._asked: list[str] = []
        self._made: list[str] = []
        self._environment: Any = os.environ
        self._encode, self._mkdir, self._open = self._environment.encodekey, os.mkdir, os.open

        def encode(name: Any) -> Any:
            if name in of_a_trial:
                self._asked.append(f"its import reads {name}")
            return self._encode(name)

        def mkdir(path: Any, *arguments: Any, **more: Any) -> None:
            self._mkdir(path, *arguments, **more)
            self._note_temporary(path)

        def open_file(path: Any, flags: int, *arguments: Any, **more: Any) -> int:
            descriptor = self._open(path, flags, *arguments, **more)
            if flags & os.O_EXCL:
                self._note_temporary(path)
            return descriptor

        self._environment.encodekey, os.mkdir, os.open = encode, mkdir, open_file

    def _note_temporary(self, path: Any) -> None:
        path = os.path.abspath(os.fsdecode(path))
        if path.startswith((*temporary_folders(), os.getcwd() + os.sep)):
            self._made.append(path)

    def end(self) -> str:
        """Notice nothing any more; return in words what was noticed first, "" if nothing was."""
        self._environment.encodekey, os.mkdir, os.open = self._encode, self._mkdir, self._open
        noticed = self._asked + [f"its import makes {path}" for path in self._made if os.path.lexists(path)]
        return noticed[0] if noticed else ""


def temporary_folders() -> tuple[str, ...]:
    """Return where temporary files may be, as `tempfile` looks for them."""
    places = [os.environ.get(name, "") for name in ("TMPDIR", "TEMP", "TMP")]
    places += ["/tmp", "/var/tmp", "/usr/tmp"]  # noqa: S108  # nothing is put there
    return tuple(os.path.abspath(place) + os.sep for place in places if place)


class Imported:
    """What the imports so far have brought into this process.

    `left` names the modules that are left to the trials, with the reason for each.
    """

    def __init__(self, script: Any) -> None:
        self._is_place_of_installed = script.is_place_of_installed
        self.left: dict[str, str] = {}
        self._modules: set[str] = set()
        self._files: dict[str, str] = {}
        self._generators: list[Any] = []  # of NumPy, seeded by chance

    def look_back(self) -> None:
        """Take what is here now as given."""
        self._modules = set(sys.modules)
        self._files = open_files()

    def trouble(self, named: list[str]) -> str:
        """Return what the last import has brought that trials cannot share; "" if there is nothing of the kind."""
        trouble = gpu() or threads() or processes() or self._opened() or self._own_files(named) or self._random()
        self.look_back()
        return trouble

    def _opened(self) -> str:
        for name, path in open_files().items():
            if self._files.get(name) == path:
                continue
            if path.startswith("/dev/nvidia"):
                return f"its import begins to use the GPU ({path})"
            if path not in HARMLESS_FILES:
                return f"its import leaves {path} open"
        return ""

    def _own_files(self, named: list[str]) -> str:
        tops = {name.split(".")[0] for name in named}
        for name in sorted(set(sys.modules) - self._modules):
            module = sys.modules[name]
            spec = module.__dict__.get("__spec__") if isinstance(module, types.ModuleType) else None
            if not isinstance(spec, importlib.machinery.ModuleSpec) or not spec.has_location or not spec.origin:
                continue
            if not self._is_place_of_installed(spec.origin) and name.split(".")[0] not in tops:
                return f"its import loads {spec.origin}, which may be edited between trials"
        return ""

    def _random(self) -> str:
        """Look at the objects that the last import has left; find the generators of random numbers among them."""
        gc.collect()
        numpy, random = sys.modules.get("numpy.random"), sys.modules.get("random")
        of_numpy = (getattr(numpy, "BitGenerator", ()) or ()) if numpy else ()
        of_python = (random.Random,) if random else ()
        renewed = own_generators(random)
        trouble = ""
        for found in gc.get_objects():
            kind = type(found)
            if of_numpy and issubclass(kind, of_numpy):
                if is_drawn(found):
                    self._generators.append(found)
            elif kind in of_python and id(found) not in renewed:
                trouble = "it keeps random numbers of its own (a random.Random)"
        gc.freeze()  # so that the next import's objects are told apart
        return trouble

    def renew_random_numbers(self) -> None:
        """Give this process random numbers of its own, as a fresh one has; what was seeded on purpose stays so.

        The generator of `random` is renewed by Python itself, after every fork.
        """
        for generator in self._generators:
            generator.state = type(generator)().state
        torch: Any = sys.modules.get("torch")
        default = getattr(torch, "default_generator", None)
        if default is not None and default.initial_seed() >= 1 << 32:  # smaller ones are somebody's choice
            default.seed()


def open_files() -> dict[str, str]:
    """Return what each descriptor of this process leads to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # one was open for the list itself
            found[name] = os.readlink("/proc/self/fd/" + name)
    return found


def own_generators(random: Any) -> set[int]:
    """Return the ids of the generators that renew themselves after a fork: `random`'s, and those for names of files."""
    ids = {id(getattr(random, "_inst", None))}
    sequence: Any = getattr(sys.modules.get("tempfile"), "_RandomNameSequence", None)
    if sequence:
        ids.update(id(getattr(found, "_rng", None)) for found in gc.get_objects() if type(found) is sequence)
    return ids


def is_drawn(generator: Any) -> bool:
    """Tell whether a generator of NumPy was seeded by chance, with 128 random bits, not with somebody's number."""
    sequence = getattr(generator, "seed_seq", None) or getattr(generator, "_seed_seq", None)
    entropy = getattr(sequence, "entropy", None)
    return isinstance(entropy, int) and entropy >= 1 << 64


def gpu() -> str:
    """Return whether the GPU is in use, in words."""
    is_initialized = getattr(getattr(sys.modules.get("torch"), "cuda", None), "is_initialized", None)
    return "its import begins to use the GPU" if is_initialized and is_initialized() else ""


def threads() -> str:
    """Return whether there are threads that a fork would lose, in words.

    A pool that ends itself before a fork and begins anew after it, as OpenBLAS's does, is gone once one was tried. The
    thread of jemalloc (which pandas has from PyArrow) begins anew in a forked process by jemalloc's own handlers.
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
