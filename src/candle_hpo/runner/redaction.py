"""Taking out of a text what should not be sent to strangers: secrets, and who and where its user is.

No rule knows every secret. So what may hold one is not asked for in the first place (`runner/doctor.py`), and these
rules are for what slips through; in doubt, they take out too much.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Callable, Mapping
from contextlib import suppress

REMOVED = "[removed]"

_WORD = "(?:token|secret|passw|passphrase|credential|auth|jwt|cookie|(?:api|access|private|license)[_-]?key|[_-]key)"
_NAME = re.compile(_WORD, re.IGNORECASE)
_SHORTEST = 6  # of a secret variable's value that is looked for in the text: a shorter one may be any word

_VALUE = r"""(?:"[^"]*"|'[^']*'|\S+)"""
_IN_TEXT = tuple(  # what is in a group is kept
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"([\w.-]*{_WORD}[\w.-]*[\"']?\s*[=:]\s*(?:(?:bearer|basic)\s+)?){_VALUE}",
        rf"(--?[\w-]*{_WORD}[\w-]*\s+)(?!-){_VALUE}",
        r"(?<=://)[^/\s@]+(?=@)",  # a URL's user and password
        r"\b(?:bearer|basic)\s+\S{8,}",
        r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",  # e-mail
        r"\b(?:hf_|gh[a-z]_|github_pat_|glpat-|sk-|pk-|xox[a-z]-|AKIA|ASIA|AIza|eyJ)[\w+/=.-]{6,}",
        r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b",  # a UUID
    )
)
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+=~-]{11,}")
_BASE64 = re.compile(r"(?<![\w/.+=~-])[A-Za-z0-9+][A-Za-z0-9+/]{30,}={0,2}(?![\w/.-])")


def is_secret_name(name: str) -> bool:
    """Return whether a variable of this name may hold a secret."""
    return _NAME.search(name) is not None


def redaction(environment: Mapping[str, str]) -> Callable[[str], str]:
    """Return what takes secrets, the user's name and home directory out of a text.

    Secrets are the values of variables of this environment whose names say so, and whatever looks like a password, a
    token or a key.
    """
    known = sorted(
        {
            line
            for name, value in environment.items()
            for line in (value.splitlines() if is_secret_name(name) else ())
            if len(line) >= _SHORTEST
        },
        key=len,
        reverse=True,
    )
    homes, users = _whose(environment)

    def redacted(text: str) -> str:
        for value in known:
            text = text.replace(value, REMOVED)
        for home in homes:
            text = re.sub(rf"(?<![\w.-]){re.escape(home)}(?![\w.-])", "~", text)
        for pattern in _IN_TEXT:
            text = pattern.sub(lambda found: f"{found[1] if found.lastindex else ''}{REMOVED}", text)
        text = _BASE64.sub(lambda found: REMOVED if _is_mixed(found[0]) else found[0], text)
        text = _RUN.sub(lambda found: REMOVED if _looks_drawn(found[0]) else found[0], text)
        for user in users:
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(user)}(?![A-Za-z0-9])", "USER", text)
        return text

    return redacted


def _whose(environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the home directories and names of the user, the longest first."""
    homes = {environment.get("HOME", "")}
    users = {environment.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER", "SLURM_JOB_USER")}
    with suppress(KeyError):  # a container may not know its user
        account = pwd.getpwuid(os.getuid())
        homes.add(account.pw_dir)
        users.add(account.pw_name)
    homes |= {os.path.realpath(home) for home in homes if home}
    homes = {home.rstrip("/") for home in homes}
    return [sorted(each - {""}, key=len, reverse=True) for each in (homes, users)]  # type: ignore[return-value]


def _is_mixed(text: str) -> bool:
    return all(re.search(kind, text) for kind in ("[a-z]", "[A-Z]", "[0-9]"))


def _looks_drawn(run: str) -> bool:
    """Return whether letters and digits follow each other as nobody would type them."""
    pieces = re.split("[_+=~-]", run)
    return any(
        (len(piece) >= 20 and re.search("[0-9]", piece) and re.search("[A-Za-z]", piece))
        or (len(piece) >= 14 and _is_mixed(piece))
        for piece in pieces
    )
