"""Whether the trials of an experiment are forked from warm hosts, and what those import beforehand."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec

from candle_hpo.core.experiment import NO_PRELOAD, Language, Settings

# Options of Python that a host can be started with as well as a script, and those that take a value.
_PLAIN_OPTIONS, _OPTIONS_WITH_VALUE = set("bBdEIOPqRsSuvx"), "WX"


class Preload(msgspec.Struct, frozen=True):
    """What a warm host imports besides what the script imports: `modules` that the user names."""

    modules: tuple[str, ...]


class Libraries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`warm_libraries.toml`: what is known to behave the same when it is imported before a trial.

    `libraries` are top-level modules, with the distributions that they come from, and so are those that they have
    `brought`. Those in `own_end` have something to do at the end of a process; of other shared libraries, those whose
    names match `without_end` are known to have nothing.
    `folders` are variables that hold a path in the working directory of whoever imported their modules, and
    `generators` such that are seeded by chance then. `later` are modules of these libraries that are imported where a
    script has a word, which shows that its run will import them. Modules `at_start`, which match one of these patterns,
    are loaded by Python itself in some environments.
    """

    libraries: dict[str, tuple[str, ...]]
    brought: dict[str, tuple[str, ...]]
    own_end: tuple[str, ...]
    without_end: tuple[str, ...]
    folders: tuple[str, ...]
    generators: tuple[str, ...]
    later: dict[str, str]
    at_start: tuple[str, ...]

    @property
    def known(self) -> dict[str, tuple[str, ...]]:
        """All modules that may be imported beforehand, with the distributions that they come from."""
        return {**self.libraries, **self.brought}

    @property
    def harmless(self) -> list[str]:
        """The folders of installed packages, as they begin, whose shared libraries have nothing to do at the end."""
        known = {name: sources for name, sources in self.known.items() if name not in self.own_end}
        names = {*known, *(re.sub(r"[-.]", "_", source) for sources in known.values() for source in sources)}
        return sorted(name.lower() for name in names)


@cache
def known_libraries() -> Libraries:
    """Return what is known of libraries."""
    file = files("candle_hpo.launch").joinpath("warm_libraries.toml")
    return msgspec.toml.decode(file.read_bytes(), type=Libraries)


def preload_of(settings: Settings) -> Preload | str:
    """Return how the trials of these settings start warm; or why they cannot, in words that follow "because"."""
    if settings.language is not Language.PYTHON:
        return f"{Path(settings.model_script).name} is not a Python script"
    if settings.preload == NO_PRELOAD:
        return 'preload="none" says so'
    if sys.platform != "linux":
        return "this system has no safe fork (Linux has)"
    if settings.host is not Language.PYTHON:
        return "model_command starts it"
    for keyword, options in (
        ("extra_script_args", settings.extra_script_args),
        ("model_command", settings.start.options if settings.start else ()),
    ):
        odd = _odd_option(options)
        if odd:
            return f"{keyword} has {odd}, which is more than an option of the interpreter"
    return Preload(settings.preload)


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
