"""Which site is in use here, and what its file says of it."""

from __future__ import annotations

import fnmatch
import os
import socket
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import msgspec

from candle_hpo.core.errors import InputError, Problem, nearest
from candle_hpo.core.site import ChosenSite, Site


def choose_site(environment: dict[str, str] | None = None, host: str | None = None) -> ChosenSite:
    """Return the site in use.

    `$CANDLE_SITE` names it (a name, or a file); else the user's own files come first, then those that candle
    brings: the first that knows this machine's name; else `generic`. Raises `InputError` for a name that is
    not there and a file that is not right.
    """
    environment = dict(os.environ) if environment is None else environment
    host = socket.gethostname() if host is None else host
    known = _site_files(environment)
    named = environment.get("CANDLE_SITE")
    if named:
        file = known.get(named) or (Path(named) if Path(named).suffix == ".toml" else None)
        if file is None or not file.is_file():
            raise InputError(f'$CANDLE_SITE is "{named}"; ' + nearest(named, known))
        return ChosenSite(file.stem, str(file), "$CANDLE_SITE names it", read_site(file))
    for name, file in known.items():
        site = read_site(file)
        for pattern in site.hosts:
            if fnmatch.fnmatch(host, pattern):
                return ChosenSite(name, str(file), f"this machine is {host}, as its hosts are ({pattern})", site)
    file = known["generic"]
    return ChosenSite("generic", str(file), f"no site knows this machine ({host})", read_site(file))


def read_site(file: Path) -> Site:
    """Return the site that a file describes; raise `InputError` where it is not right."""
    try:
        return msgspec.toml.decode(file.read_bytes(), type=Site)
    except OSError as error:
        raise InputError(Problem(str(file), 0, f"the site cannot be read: {error.strerror}")) from None
    except msgspec.MsgspecError as error:
        raise InputError(
            Problem(str(file), 0, f"the site is not right: {error}; compare it with generic.toml")
        ) from None


def folder_of_own_sites(environment: Mapping[str, str]) -> Path:
    """Return the folder of the user's own site files."""
    home = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '~')}/.config"
    return Path(home).expanduser() / "candle" / "sites"


def _site_files(environment: dict[str, str]) -> dict[str, Path]:
    """Return the files of all sites by name: the user's own first, which hide ours of the same name."""
    own = sorted(folder_of_own_sites(environment).glob("*.toml"))
    ours = sorted(Path(str(files("candle_hpo"))).glob("sites/*.toml"))
    found: dict[str, Path] = {}
    for file in (*own, *ours):
        found.setdefault(file.stem, file)
    return found
