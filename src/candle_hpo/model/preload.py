"""Whether the trials of an experiment are forked from warm hosts, and what those import beforehand."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from candle_hpo.core.experiment import NO_PRELOAD, Language, Settings

# The modules that stand for a deep-learning library.
_BACKENDS = {"keras": ("keras",), "pytorch": ("torch",)}

# Options of Python that a host can be started with as well as a script, and those that take a value.
_PLAIN_OPTIONS, _OPTIONS_WITH_VALUE = set("bBdEIOPqRsSuvx"), "WX"


class Preload(msgspec.Struct, frozen=True):
    """What a warm host imports besides what the script imports: `modules` that the user names, and the backend's."""

    modules: tuple[str, ...]
    backend: tuple[str, ...]


def preload_of(settings: Settings) -> Preload | str:
    """Return how the trials of these settings start warm; or why they cannot, in words that follow "because"."""
    if settings.language is not Language.PYTHON:
        return f"{Path(settings.model_script).name} is not a Python script"
    if settings.preload == NO_PRELOAD:
        return 'preload="none" says so'
    if sys.platform != "linux":
        return "this system has no safe fork (Linux has)"
    if settings.prepare:
        return "the line prepare may change what its imports find"
    odd = _odd_option(settings.extra_script_args)
    if odd:
        return f"extra_script_args has {odd}, which is more than an option of the interpreter"
    return Preload(settings.preload, _BACKENDS.get(settings.dl_backend or "", ()))


def cold_start_note(settings: Settings) -> tuple[str, ...]:
    """Return, for Python scripts, why each trial starts a fresh interpreter; nothing where trials start warm."""
    reason = preload_of(settings)
    if settings.language is not Language.PYTHON or isinstance(reason, Preload):
        return ()
    return (f"Each trial starts a fresh interpreter, because {reason}",)


def _odd_option(options: tuple[str, ...]) -> str:
    """Return the first of Python's arguments that is none of its plain options; "" if all are."""
    left = list(options)
    while left:
        option = left.pop(0)
        letters = option[1:]
        if not option.startswith("-") or not letters or option.startswith("--"):
            return option
        plain = letters.lstrip("".join(_PLAIN_OPTIONS))
        if plain and plain[0] not in _OPTIONS_WITH_VALUE:
            return option
        if len(plain) == 1 and left:
            left.pop(0)  # the value of -W or -X
    return ""
