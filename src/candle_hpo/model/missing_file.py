"""A file that a model looked for in its trial's folder and that lies elsewhere: the first mistake of most scripts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

# As Python, R, and the programs that a shell calls say it, in that order.
_SAYS_MISSING = re.compile(
    r"No such file or directory: b?(?P<quote>['\"])(?P<python>.+?)(?P=quote)"
    r"|cannot open (?:compressed )?file ['\u2018](?P<r>[^'\u2019]+)['\u2019]"
    r"|(?:^|: )['\u2018]?(?P<shell>[^:'\u2018\u2019]+)['\u2019]?: No such file or directory"
)


def hint_of_missing_file(last_lines: Sequence[str], folders: Iterable[Path]) -> str:
    """Return where a file is that a model's last words call missing, and what to do; "" where none is to be found.

    `folders` are those in which its user may expect relative paths to begin.
    """
    names = [match[match.lastgroup or 0] for line in last_lines if (match := _SAYS_MISSING.search(line))]
    for name in dict.fromkeys(reversed(names)):
        for folder in folders:
            if not Path(name).is_absolute() and _exists(folder / name):
                return (
                    f"{name} is in {folder}: a trial runs in a folder of its own, so use the whole path in the script"
                )
    return ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # what the model said is no path after all
        return False
