"""A file that a model looked for in its trial's folder and that lies elsewhere: the first mistake of most scripts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from candle_hpo.core.paths import is_there

# As operating systems, and the libraries that have their own words for it (NumPy, pandas, readr, Pillow, …), say it.
_SAYS_MISSING = re.compile(
    r"no such file|FileNotFoundError|not found|(?:does|do) not exist|doesn't exist|(?:can(?:no|')t|could(?: not|n't)"
    r"|unable to|failed to|error|failed)\b.*\b(?:open|find|read|load)|(?:open|read|load)\w*\b.*\bfailed",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"'([^']+)'|\"([^\"]+)\"|`([^`']+)[`']|\u2018([^\u2019]+)\u2019|\u201c([^\u201d]+)\u201d")
_AROUND_A_NAME = " \t.,;:!?()[]{}<>'\"`"


def hint_of_missing_file(
    last_lines: Sequence[str],
    directory: Path,
    script: Path,
    folders: Iterable[Path],
    advice: str = "",
) -> str:
    """Return where a file is that a model's last words call missing, and what to do; "" where none is to be found.

    `directory` is the model's working directory; `folders` are those in which its user may expect relative paths to
    begin. A word is the name of a file if one of that name is there, and not in the working directory.
    """
    places = [place for place in dict.fromkeys(folders) if place != directory]
    for line in reversed(last_lines):
        for name in dict.fromkeys(missing_names(line, directory)):
            for place in places:
                if Path(name).name != script.name and is_there(place / name) and not is_there(directory / name):
                    return f"{name} is in {place}: {advice or _advice(name, place, script)}"
    return ""


def _advice(name: str, place: Path, script: Path) -> str:
    """Return how a script finds a file that is in this place, from the folder of a trial."""
    first = Path(name).parts[0]
    keyword = 'run_in="script"' if place == script.parent else f'link="{first}"'
    return "a trial runs in its own folder, so use the whole path in the script" + (
        f", or {keyword} in the input file" if first != ".." else ""
    )


def missing_names(line: str, directory: Path) -> Iterator[str]:
    """Yield what may be the name of a file that a line calls missing, the longest first."""
    if not _SAYS_MISSING.search(line):
        return
    is_of_system = re.search("no such file|FileNotFoundError", line, re.IGNORECASE) is not None
    quoted = [next(filter(None, match.groups())) for match in _QUOTED.finditer(line)]
    parts = [part for each in (*_SAYS_MISSING.split(line), line) for part in re.split(r": |, | \(|; ", each)]
    for text in [*quoted, *sorted(parts, key=len, reverse=True), *line.split()]:
        name = text.rstrip(_AROUND_A_NAME).lstrip(_AROUND_A_NAME.replace(".", ""))  # ../data begins with points
        name = name and str(Path(name))  # ./data/x.csv is data/x.csv
        if Path(name).is_absolute():  # made so by the library, or from __file__, in the working directory or beside it
            name = os.path.relpath(name, directory) if Path(name).is_relative_to(directory.parent) else ""
        # A bare word may be anything, unless the operating system itself calls it a file.
        if name.strip("./") and ("." in name or "/" in name or is_of_system):
            yield name
