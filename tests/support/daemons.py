"""Programs that run beside a test: SLURM's daemons, munge, a database. Each is started for it, and ended with it."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def path_with(system: Path | None = None) -> str:
    """Return a PATH with the programs of SLURM in `system`, and those that are for root."""
    own = [] if system is None else [str(system / "bin")]
    return os.pathsep.join([*own, os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


class Daemons:
    """Programs that run as long as a test needs them, each with what it prints in a file of one folder."""

    def __init__(self, folder: Path, environment: Mapping[str, str], system: Path | None = None) -> None:
        self.folder, self._system = folder, system
        self.environment = dict(environment)
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)

    def at(self, _place: str, command: Sequence[str]) -> list[str]:
        """Return the command that runs another one where a daemon runs, by its name: all are on this machine."""
        return list(command)

    def run(self, *command: str) -> str:
        """Run one of SLURM's programs; return what it prints."""
        done = subprocess.run(
            self.at("slurmctld", command),
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def start_munge(self) -> None:
        """Start a munge with its own key, whose socket is `munge.socket` in the folder."""
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        names = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munge.pid"}
        names |= {"log-file": "munge.log", "seed-file": "munge.seed"}
        options = [f"--{option}={self.folder / name}" for option, name in names.items()]
        self.start("munged", ["munged", "--foreground", "--force", *options])
        self.wait_for("munged", (self.folder / "munge.socket").exists)

    def start(self, name: str, command: list[str]) -> None:
        """Start a daemon."""
        with (self.folder / f"{name}.out").open("ab") as output:
            self._daemons[name] = subprocess.Popen(
                self.at(name, [self._program(command[0]), *command[1:]]),
                env={**os.environ, **self.environment, "PATH": path_with(self._system)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: os.umask(0o022),
            )

    def _program(self, name: str) -> str:
        program = shutil.which(name, path=path_with(self._system))
        assert program is not None, name
        return program

    def wait_for(self, name: str, is_ready: Callable[[], bool]) -> None:
        """Wait until a daemon is ready, half a minute at most."""
        deadline = time.monotonic() + 30
        while not is_ready():
            self._check(name, deadline)

    def end(self, name: str) -> None:
        """End a daemon."""
        self._daemons[name].terminate()
        self._daemons.pop(name).wait(30)

    def stop(self) -> None:
        """End every daemon."""
        for process in reversed(self._daemons.values()):
            process.terminate()
        deadline = time.monotonic() + 10
        for process in self._daemons.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _check(self, name: str, deadline: float, state: str = "") -> None:
        process = self._daemons[name]
        if process.poll() is not None or time.monotonic() > deadline:
            said = (self.folder / f"{name}.out").read_text()[-2000:]
            raise RuntimeError(f"it does not start ({name}, {process.poll()}): {state}\n{said}")
        time.sleep(0.1)


# Below the ports that Linux gives to whoever asks for any; a hundred for each process that runs tests, side by side.
_FIRST_PORT, _PORTS, _PORTS_OF_A_PROCESS = 17_000, 15_000, 100


def free_ports(count: int) -> list[int]:
    """Return so many ports that follow each other and are free now."""
    own = os.getpid() * _PORTS_OF_A_PROCESS % _PORTS
    for first in (_FIRST_PORT + (own + further) % (_PORTS - count) for further in range(0, _PORTS, count)):
        sockets = [socket.socket() for _ in range(count)]
        try:
            for number, one in enumerate(sockets):
                one.bind(("127.0.0.1", first + number))
        except OSError:
            continue
        else:
            return list(range(first, first + count))
        finally:
            for one in sockets:
                one.close()
    raise RuntimeError("there are no free ports")
