"""The environment of the user's shell, as it was when this process began.

Libraries that candle uses set variables in this process (threadpoolctl sets `KMP_DUPLICATE_LIB_OK`), and no trial shall
see them. So the package's first act is to import this module, which keeps what was there before.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# Lists of folders. Programs look for their relative entries from wherever they run: a trial's folder, a job's.
_LISTS = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CLASSPATH")  # where an empty entry is here
_LISTS_WITHOUT_EMPTY = ("R_LIBS", "R_LIBS_USER", "R_LIBS_SITE", "PERL5LIB")  # where an empty entry is none


def with_whole_paths(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return an environment in which lists of folders mean what they mean to somebody who stands in `folder`."""
    whole = dict(environment)
    for name in (*_LISTS, *_LISTS_WITHOUT_EMPTY):
        if whole.get(name):
            entries = whole[name].split(os.pathsep)
            whole[name] = os.pathsep.join(
                os.path.normpath(folder / entry) if _is_relative(entry, name) else entry for entry in entries
            )
    return whole


def _is_relative(entry: str, name: str) -> bool:
    if not entry:
        return name in _LISTS
    return not entry.startswith(("/", "~", "%", "$"))  # R expands the last three itself


def _folder() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it was removed
        return Path("/")


_ENVIRONMENT = with_whole_paths(os.environ, _folder())


def user_environment() -> Mapping[str, str]:
    """Return the environment that this process was started with, with the relative entries of its paths made whole."""
    return _ENVIRONMENT


def is_found_by_pythonpath() -> bool:
    """Return whether candle itself lies in a folder of `PYTHONPATH`, and so, perhaps, does what it needs."""
    return os.path.realpath(Path(__file__).parents[1]) in _folders_of_pythonpath()


def leave_out_pythonpath() -> None:
    """Let this process import nothing from the folders of `PYTHONPATH`: they are for models, and their Python.

    Not where candle itself is found there, as on systems whose modules put all packages into it.
    """
    if not sys.flags.ignore_environment and not is_found_by_pythonpath():
        folders = _folders_of_pythonpath()
        sys.path[:] = [each for each in sys.path if os.path.realpath(each) not in folders]


def _folders_of_pythonpath() -> set[str]:
    given = os.environ.get("PYTHONPATH", "")
    return {os.path.realpath(each) for each in given.split(os.pathsep)} if given else set()


def set_user_environment(environment: Mapping[str, str]) -> None:
    """Let another environment be the user's from now on, in a process that was started with one of ours."""
    whole = dict(environment)
    _ENVIRONMENT.clear()
    _ENVIRONMENT.update(whole)


@contextmanager
def only_this_environment(environment: Mapping[str, str]) -> Iterator[None]:
    """Have programs started meanwhile inherit this environment, and nothing of ours."""
    ours, theirs = dict(os.environ), dict(environment)
    os.environ.clear()
    os.environ.update(theirs)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(ours)
