"""Run at the end of a trial: writes down what can be seen of its process and of every module in it.

`fingerprint.json` has a line for each place: where it is, and what stands there. Two trials for which no line differs
look the same to a model. What is drawn, or noted of the time or the process, differs from trial to trial.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import sys
import threading
import types
from typing import Any

seen: dict[str, str] = {}
DEEPEST, LONGEST = 4, 200
PLAIN = (str, bytes, int, float, complex, bool, type(None))


def random_state(value: Any) -> object:
    """Return the state of a source of random numbers; None for what is none."""
    if isinstance(value, random.Random) and not isinstance(value, random.SystemRandom):
        return repr(value.getstate())[-LONGEST:]
    kind = f"{type(value).__module__}.{type(value).__name__}"
    if kind.startswith("numpy.random.") and type(value).__name__ in ("Generator", "RandomState"):
        bits = getattr(value, "bit_generator", None) or value._bit_generator
        return repr(bits.state)
    if kind.startswith("torch") and type(value).__name__ == "Generator":
        return str(value.initial_seed())
    return None


def plain(value: object) -> str:
    """Return a plain value as text; one that is an address in memory as just that."""
    if type(value) is int and 1 << 43 < value < 1 << 48:
        return "an address"
    return re.sub("0x[0-9a-f]{6,}", "0x", repr(value))


def look(place: str, value: Any, depth: int, within: frozenset[int]) -> None:
    """Note what stands at a place: of plain values themselves, of others what they hold."""
    if isinstance(value, re.Pattern):  # threads of scikit-learn compile the filters of warnings, or not: who is last?
        value = value.pattern
    if isinstance(value, PLAIN):
        seen[place] = plain(value)[:LONGEST]
        return
    state = random_state(value)
    if state is not None:
        seen[place] = str(state)
        return
    if depth == DEEPEST or id(value) in within:
        return
    within = within | {id(value)}
    if isinstance(value, dict):
        for key in sorted((key for key in value if isinstance(key, PLAIN)), key=repr)[:LONGEST]:
            look(f"{place}[{key!r}]", value[key], depth + 1, within)
    elif isinstance(value, (list, tuple)):
        for number, each in enumerate(value[:LONGEST]):
            look(f"{place}[{number}]", each, depth + 1, within)
    elif isinstance(value, (set, frozenset)):
        seen[place] = repr(sorted({plain(each) for each in value if isinstance(each, PLAIN)}))[:LONGEST]
    elif isinstance(value, type) or not isinstance(value, (types.ModuleType, types.FunctionType)):
        try:
            held = dict(vars(value))
        except TypeError:
            return
        for name in sorted(map(str, held)):
            if not name.startswith("__"):
                look(f"{place}.{name}", held.get(name), depth + 1, within)


def look_at_modules() -> None:
    """Note what all modules hold, but for this one and what Python keeps of the way to them."""
    ours = {"_frozen_importlib", "_frozen_importlib_external", "__main__", "__mp_main__", "linecache"}
    for name, module in sorted(sys.modules.items()):
        if name in ours or not isinstance(module, types.ModuleType):
            continue
        for attribute, value in sorted(vars(module).items()):
            if not attribute.startswith("__"):
                look(f"{name}.{attribute}", value, 0, frozenset())


def look_at_process() -> None:
    """Note what a process is made of besides its modules."""
    names = []
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/self/task/{task}/comm") as file:
            names.append(file.read().strip())  # the thread has not ended meanwhile
    files = [name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]
    import atexit
    import logging
    import warnings

    look(
        "process",
        {
            "environment": dict(os.environ),
            "folder": os.getcwd(),
            "arguments": sys.argv,
            "path": sys.path,
            "threads": len([name for name in names if name != "jemalloc_bg_thd"]),
            "python threads": threading.active_count(),
            "files": len(files),
            "signals": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
            "exit handlers": atexit._ncallbacks(),
            "handlers": len(logging.getLogger().handlers),
            "warnings": len(warnings.filters),
        },
        0,
        frozenset(),
    )
    seen.update(dict.fromkeys(sys.modules, "imported"))


def write() -> None:
    """Write all that was seen."""
    look_at_process()
    look_at_modules()
    with open("fingerprint.json", "w") as file:
        json.dump(seen, file, indent=0, sort_keys=True)
