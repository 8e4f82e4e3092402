"""What was run, and with what: the script's text and repository, the interpreter and its packages, the GPUs."""

from __future__ import annotations

import msgspec


class ScriptState(msgspec.Struct, frozen=True):
    """A model script as it was, with the modules beside it that it imports.

    `version` is a short name of just this text: the first eight digits of the script's SHA-256, and, where it imports
    modules that lie beside it, `+` and eight digits for all of these together. `files` are the files by their names,
    from the script's folder, with their SHA-256; the script comes first.
    """

    version: str
    files: dict[str, str]


class GitState(msgspec.Struct, frozen=True):
    """The repository that a script lies in: its commit, and whether that has the script and all files as they are.

    `dirty` is true where a file that git knows is another than in the commit, or git does not know the script. None:
    git did not say.
    """

    commit: str
    dirty: bool | None


class Surroundings(msgspec.Struct, frozen=True):
    """What a script runs with on a machine, as far as it could be found out; `unknown` says what could not, and why.

    `unread` are hyperparameters that vary, and that the script is not seen to read, as far as its text shows what it
    reads.
    """

    script: ScriptState | None = None
    interpreter: str = ""
    packages: dict[str, str] = {}
    gpus: tuple[str, ...] = ()
    git: GitState | None = None
    unknown: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    def changes_since(self, earlier: Surroundings) -> list[str]:
        """Return what is another than it was, a line each: interpreter and packages (`numpy 1.26.4 is now 2.1.0`)."""
        changes: list[str] = []
        if self.interpreter and earlier.interpreter and self.interpreter != earlier.interpreter:
            changes.append(f"{earlier.interpreter} is now {self.interpreter}")
        if not self.packages or not earlier.packages:  # one of them was not found out
            return changes
        for name in sorted({*self.packages, *earlier.packages}):
            before, now = earlier.packages.get(name), self.packages.get(name)
            if before != now:
                changes.append(f"{name} {before or '(none)'} is now {now or 'gone'}")
        return changes
