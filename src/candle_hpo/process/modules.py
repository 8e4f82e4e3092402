"""The environment with environment modules loaded: asked of bash once, not for every trial."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from functools import lru_cache

from candle_hpo.core.errors import MachineError
from candle_hpo.user_environment import user_environment

# `module` is a function of the shell. Interactive shells have it; elsewhere its definition is looked for where Lmod
# and Environment Modules put it. What modules print goes to the errors, so that only the environment is read;
# what BASH_ENV names, where some sites define `module`, is read here for the same reason, and not by bash itself.
_LOAD = """
exec 3>&1 1>&2
if [ -n "$CANDLE_OWN_BASH_ENV" ]; then
  export BASH_ENV=$CANDLE_OWN_BASH_ENV
  if [ -r "$BASH_ENV" ]; then . "$BASH_ENV"; fi
fi
unset CANDLE_OWN_BASH_ENV
if ! type module >/dev/null; then
  for file in "${LMOD_PKG:-/usr/share/lmod/lmod}/init/bash" "${MODULESHOME:-/usr/share/modules}/init/bash" \
    /etc/profile.d/lmod.sh /etc/profile.d/modules.sh /etc/profile.d/z00_lmod.sh; do
    if [ -r "$file" ]; then . "$file"; break; fi
  done
fi 2>/dev/null
type module >/dev/null 2>&1 || { echo "there is no module command on this machine"; exit 90; }
for name; do
  module load "$name" || exit 91
done
env -0 >&3
"""


@lru_cache(maxsize=8)
def _loaded(modules: tuple[str, ...]) -> Mapping[str, str]:
    environment = dict(user_environment())
    environment["CANDLE_OWN_BASH_ENV"] = environment.pop("BASH_ENV", "")
    try:
        done = subprocess.run(
            ["bash", "-c", _LOAD, "module", *modules],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=300,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"the modules {' '.join(modules)} cannot be loaded: {error}") from None
    said = done.stderr.decode(errors="replace").strip()
    variables = dict(entry.split("=", 1) for entry in os.fsdecode(done.stdout).split("\0") if "=" in entry)
    # Older Environment Modules report an unknown module only in words.
    if done.returncode != 0 or "Unable to locate a modulefile" in said:
        raise MachineError(
            f"the modules {' '.join(modules)} cannot be loaded: {said[-500:]}; module avail lists those there are"
        )
    for name in ("_", "SHLVL", "PWD", "OLDPWD"):
        variables.pop(name, None)
        if name in user_environment():
            variables[name] = user_environment()[name]
    return variables


def environment_of_script(modules: tuple[str, ...], python_path: str | None, r_libs: str | None) -> dict[str, str]:
    """Return the environment with these modules loaded, and these folders after those of `PYTHONPATH` and `R_LIBS`.

    Raises `MachineError` where the modules cannot be loaded.
    """
    environment = dict(environment_with(modules))
    for variable, added in (("PYTHONPATH", python_path), ("R_LIBS", r_libs)):
        if added:
            environment[variable] = os.pathsep.join(filter(None, [environment.get(variable), added]))
    return environment


def environment_with(modules: tuple[str, ...]) -> Mapping[str, str]:
    """Return the user's environment with these modules loaded. Raises `MachineError` where that fails."""
    return _loaded(modules) if modules else user_environment()
