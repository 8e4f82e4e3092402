"""The files that a script's run with its defaults has left → what of them may be the objective."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from candle_hpo.core.paths import NAMES_OF_CANDLE
from candle_hpo.core.result_files import FileKind
from candle_hpo.draft.objectives import Candidate, event_candidates, file_candidates, name_in_each_trial
from candle_hpo.launch.measuring.event_file import EventFileError, in_event_files, records, scalars_of
from candle_hpo.launch.measuring.looks import Looks
from candle_hpo.launch.measuring.objective import ResultSource
from candle_hpo.launch.measuring.readings import LAST, Measured
from candle_hpo.launch.measuring.report_watch import reports_in_file
from candle_hpo.launch.measuring.result_file import ResultFiles, read_file

_MOST_READ = 4_000_000  # bytes of each file
_MOST_FILES = 200
_TABLES_AND_OBJECTS = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")


class MeasuredFiles:
    """The tables, objects and event files in a folder by the names that stand for them in each trial."""

    def __init__(self, folder: Path) -> None:
        found = [
            path
            for path in sorted(folder.rglob("*"))
            if _is_of_interest(path) and (path.parent != folder or path.name not in NAMES_OF_CANDLE)
        ]
        self._files: dict[str, list[Path]] = {}
        for path in found[:_MOST_FILES]:
            own = path.relative_to(folder).as_posix()
            name = name_in_each_trial(own)
            files = ResultFiles(folder, name).paths()
            # A pattern takes brackets for a set of characters, so it does not find a name that has some.
            is_clear = path in files and _newest(files).parent == files[-1].parent
            self._files[name if is_clear else own] = files if is_clear else [path]

    def candidates(self) -> Iterator[Candidate]:
        """Yield what may be the objective."""
        for name, files in self._files.items():
            if FileKind.of(name) is FileKind.EVENTS:
                yield from event_candidates(name, _series_in(files[-1]))
            else:
                yield from file_candidates(name, files[-1].read_text(encoding="utf-8", errors="replace"))

    def confirmed(self, candidate: Candidate) -> Candidate | None:
        """Return a candidate whose keywords find its number, as a trial will; None where they do not."""
        files, key = self._files[candidate.file], candidate.key or None
        try:
            if _measured(files, key).value != candidate.value:
                return None
        except ValueError:
            return None
        its = ResultSource(file=candidate.file, key=key, objective=candidate.name)
        source = reports_in_file(its, lambda _: None, Looks(), files[-1])
        steps: list[float] = []
        try:
            while True:
                found = source.look(is_last=True)
                steps += [each.step for each in found.reports]
                if found.is_all or not found.reports:
                    return with_steps(candidate, steps)
        finally:
            source.close()


def with_steps(candidate: Candidate, steps: Sequence[float]) -> Candidate:
    """Return a candidate with how often it is reported; once, where the steps are not those of one series."""
    is_series = all(before < after for before, after in itertools.pairwise(steps))
    return msgspec.structs.replace(
        candidate, times=len(steps) if is_series else 1, has_step=candidate.has_step and is_series
    )


def _newest(files: Sequence[Path]) -> Path:
    return max(files, key=lambda each: each.stat().st_mtime_ns)


def _is_of_interest(path: Path) -> bool:
    is_kind = path.suffix.lower() in _TABLES_AND_OBJECTS or FileKind.of(path) is FileKind.EVENTS
    return is_kind and path.is_file() and not path.is_symlink() and path.stat().st_size <= _MOST_READ


def _series_in(path: Path) -> dict[str, list[float]]:
    """Return the numbers of each tag of an event file; nothing of one that is not whole."""
    series: dict[str, list[float]] = {}
    try:
        with path.open("rb") as file:
            for scalars in map(scalars_of, records(file)):
                for tag, value in scalars.values.items():
                    series.setdefault(tag, []).append(value)
    except EventFileError:
        return {}
    return series


def _measured(files: Sequence[Path], key: str | None) -> Measured:
    path = files[-1]
    if key is not None and FileKind.of(path) is FileKind.EVENTS:
        return in_event_files([(each, 0) for each in files if each.parent == path.parent], key, LAST)
    return read_file(path, key)
