"""What trials reported on their way, as points of a curve: read from each trial's own file, within bounds.

The files are written while they are read, by models and by what watches them: whatever is not a report is passed over.
"""

from __future__ import annotations

import math
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from candle_hpo.core.objective import Objective
from candle_hpo.core.paths import ExperimentPaths
from candle_hpo.launch.measuring.report_watch import Series
from candle_hpo.launch.measuring.reports import report_in_line
from candle_hpo.record.history import History
from candle_hpo.record.history_entries import TrialHistory

Each = TypeVar("Each")

END_BYTES = 16_384  # of a file of reports, which hold its last ones
WHOLE_BYTES = 2_000_000  # of a file, more than one has that is not written any more
MOST_CURVES, MOST_RUNNING, BEST_CURVES = 1000, 200, 200  # of an experiment: files that are read
MOST_POINTS = 30_000  # of all curves together
MOST_OF_ONE, MOST_AT_ONCE = 200, 1_000_000  # points of a curve, and of all, before they are thinned out together


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
    """Yield the points that lines hold, of those reports that are judged, too."""
    series = Series(objective.name)
    for number, line in enumerate(filter(None, map(bytes.strip, lines)), start=1):
        with suppress(ValueError):  # it is not a report, or not yet
            report = report_in_line(line, objective.name, number if counts else math.nan)
            kept = None if report is None or math.isnan(report.step) else series.add(report)
            if kept is not None and kept.has(objective.name):
                yield Point(kept.step, kept.value_of(objective.name))


class Curves(NamedTuple):
    """The curves of some trials, by their numbers, and of how many trials there are more that have reported."""

    points: dict[int, list[Point]]
    left_out: int


NO_CURVES = Curves({}, 0)


def curves_of(
    paths: ExperimentPaths, history: History, most_curves: int = MOST_CURVES, most_points: int = MOST_POINTS
) -> Curves:
    """Return the curves of the trials of an experiment, thinned out where they have many points in all.

    Of more trials than `most_curves`, they are those that run, the best, and an even choice of the others.
    """
    rows = [row for _, row in sorted(history.trials.items()) if row.last_report is not None or row.outcome is None]
    chosen = rows if len(rows) <= most_curves else _chosen(rows, history, most_curves)
    most = max(2, min(MOST_OF_ONE, MOST_AT_ONCE // max(1, len(chosen))))
    found: dict[int, list[Point]] = {}
    for row in chosen:
        if points := last_points(paths.trial(row.trial.id).reports, history.objective, WHOLE_BYTES):
            found[row.trial.number] = thinned(points, most)
    while most > 2 and sum(min(most, len(points)) for points in found.values()) > most_points:
        most = max(2, most * 3 // 4)
    return Curves({number: thinned(points, most) for number, points in found.items()}, len(rows) - len(chosen))


def _chosen(rows: Sequence[TrialHistory], history: History, most: int) -> list[TrialHistory]:
    running = [row for row in rows if row.outcome is None][:MOST_RUNNING]
    best_first = sorted((row for row in rows if row.outcome is not None), key=history.rank)
    rest = sorted(best_first[BEST_CURVES:], key=lambda row: row.trial.number)
    others = thinned(rest, most - BEST_CURVES - len(running))
    return sorted([*running, *best_first[:BEST_CURVES], *others], key=lambda row: row.trial.number)


def thinned(found: Sequence[Each], most: int) -> list[Each]:
    """Return so many of them at most, evenly chosen, the first and the last among them; `most` is two or more."""
    if len(found) <= most:
        return list(found)
    return [found[round(place * (len(found) - 1) / (most - 1))] for place in range(most)]
