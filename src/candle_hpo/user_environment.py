"""The environment of the user's shell, as it was when this process began.

Libraries that candle uses set variables in this process (threadpoolctl sets `KMP_DUPLICATE_LIB_OK`), and no trial shall
see them. So the package's first act is to import this module, which keeps what was there before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re

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


def forget_variables(names: re.Pattern[str]) -> None:
    """Take the variables whose names match out of the user's environment, and out of this process's."""
    for environment in (_ENVIRONMENT, os.environ):
        for name in [name for name in environment if names.fullmatch(name)]:
            del environment[name]


@contextmanager
def only_the_users_environment(**added: str) -> Iterator[None]:
    """Have programs started meanwhile inherit the user's environment and these variables, and nothing else of ours."""
    ours = dict(os.environ)
    os.environ.clear()
    os.environ.update({**_ENVIRONMENT, **added})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(ours)
