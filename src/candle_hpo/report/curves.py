"""What trials reported on their way, as points of a curve: read from each trial's own file, within bounds.

The files are written while they are read, by models and by what watches them: whatever is not a report is passed over.
"""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from candle_hpo.core.objective import STEPS, THE_VALUE, Objective
from candle_hpo.launch.measuring.number_texts import finite

END_BYTES = 16_384  # of a file of reports, which hold its last ones


class Point(NamedTuple):
    """What a trial had at a step; a value of None was not a finite number."""

    step: float
    value: float | None


def last_points(file: Path, objective: Objective, most_bytes: int = END_BYTES) -> list[Point]:
    """Return what a file of reports says of the objective, in the order of the steps; of a long one, its end.

    Nothing where there is no file. Reports that name no step count from 1, and are left out where the beginning of the
    file is not read.
    """
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would be waited for
            return []
        with file.open("rb") as opened:
            begin = max(0, opened.seek(0, 2) - most_bytes)
            opened.seek(begin)
            data = opened.read(most_bytes)
    except OSError:  # what cannot be read is not shown: nothing depends on it
        return []
    whole = data[: data.rfind(b"\n") + 1].splitlines()
    return list(_points(whole[1:] if begin else whole, objective, counts=not begin))


def _points(lines: list[bytes], objective: Objective, *, counts: bool) -> Iterator[Point]:
    """Yield the points that lines hold; a report whose step is not beyond the last one is not judged, and not shown."""
    reached, number = -math.inf, 0
    for line in lines:
        try:
            report = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(report, dict):
            continue
        number += 1
        named = next((report[name] for name in STEPS if name in report), number if counts else None)
        step = _finite(named)
        if step is None or step <= reached:
            continue
        reached = step
        name = objective.name if objective.name in report else THE_VALUE
        if name in report:
            yield Point(step, _finite(report[name]))


def _finite(value: object) -> float | None:
    try:
        return finite(value, "")
    except ValueError:
        return None
