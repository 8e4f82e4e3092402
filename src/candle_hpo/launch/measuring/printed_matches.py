"""All matches of a `result_pattern`, in their order: those that come while a trial runs, and all that there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from candle_hpo.core.trial import Report
from candle_hpo.launch.measuring.growing_file import ANCHOR, GrowingFile
from candle_hpo.launch.measuring.looks import Looks
from candle_hpo.launch.measuring.readings import Reading
from candle_hpo.launch.measuring.reports import Found, Refuse
from candle_hpo.launch.measuring.result_pattern import Occurrence, ResultPattern

_NEAR = 8000  # characters behind the last match that are searched again, for one over several lines
_PIECE = 1 << 20  # bytes that are read at once
_LONGEST_LINE = 1 << 24


class _Match(NamedTuple):
    """An occurrence, and the text that it stands in."""

    its: Occurrence
    text: str


class _Matches:
    """Finds the matches in lines that are added one after the other; each is found once its line is finished."""

    def __init__(self, pattern: ResultPattern) -> None:
        self._pattern = pattern
        self._text, self._begin = "", 0
        self._unfinished = b""  # that is still written over

    def add(self, lines: bytes, *, is_last: bool) -> list[_Match]:
        """Return the matches that are new."""
        lines = self._finished(lines, is_last=is_last)
        if not lines:
            return []
        seen, text = len(self._text), self._text + self._pattern.as_read(_as_left(lines))
        found = [each for each in self._pattern.occurrences(text, self._begin) if each.end > seen]
        end = max([self._begin, *(each.end for each in found)])
        kept = max(text.rfind("\n", 0, end), text.find("\n", len(text) - _NEAR) if len(text) > _NEAR else -1) + 1
        self._text, self._begin = text[kept:], max(0, end - kept)
        return [_Match(each, text) for each in found]

    def _finished(self, lines: bytes, *, is_last: bool) -> bytes:
        """Return the lines that nobody writes over any more: a carriage return alone does not end one."""
        lines = self._unfinished + lines
        end = len(lines) if is_last else lines.rfind(b"\n") + 1
        self._unfinished = lines[max(end, lines.rfind(b"\r", end, max(end, len(lines) - 1)) + 1) :]
        return lines[:end]


def _as_left(lines: bytes) -> bytes:
    """Return lines as they are in the end: of what a progress bar writes over itself, the last."""
    if b"\r" not in lines:
        return lines
    return b"\n".join(line.rstrip(b"\r").rpartition(b"\r")[2] for line in lines.split(b"\n"))


def all_readings(pattern: ResultPattern, output: Path, part: slice) -> Iterator[Reading]:
    """Yield what each match says in a part of the output; of a progress bar, its last state alone is one.

    Raises `ValueError` where one of them is not the whole number, or they have different labels (`train loss`, and then
    `test loss`), or a line has several: what is chosen among all would be in doubt.
    """
    matches = _Matches(pattern)
    label: tuple[str, str] | None = None
    for lines, is_last in _pieces(output, part):
        end = -1  # of the match before, in the same text
        for its, text in matches.add(lines, is_last=is_last):
            if its.value is not None:  # of what is not a number, the label may not be found
                label = label or (its.before, its.word)
                if label != (its.before, its.word):
                    raise ValueError(pattern.error_of_label(text, its.end))
            if end >= 0 and "\n" not in text[end : its.end]:
                raise ValueError(pattern.error_of_label(text, its.end, "fits more than once"))
            if its.refused:
                raise ValueError(its.refused)
            end = its.end
            yield Reading(its.value, its.metrics)


def _pieces(output: Path, part: slice) -> Iterator[tuple[bytes, bool]]:
    """Yield whole lines of a part of the output, and whether they are its last ones."""
    with output.open("rb") as file:
        end = file.seek(0, 2) if part.stop is None else part.stop
        file.seek(part.start)
        rest = b""
        while left := end - file.tell():
            new = file.read(min(left, _PIECE))
            if not new:
                break
            whole = (rest + new).rpartition(b"\n")
            rest = whole[2]
            if len(rest) > _LONGEST_LINE:
                raise ValueError(f"{output.name} has a line that is too long to be read")
            yield whole[0] + whole[1], False
        yield rest, True


class PrintedReports:
    """The matches of a `result_pattern` in the output, or in another file."""

    def __init__(
        self,
        pattern: ResultPattern,
        output: Path,
        objective: str,
        refuse: Refuse,
        looks: Looks,
        anchor: int = ANCHOR,
    ) -> None:
        self._pattern, self._objective, self._refuse = pattern, objective, refuse
        self._file = GrowingFile(output, looks, anchor)
        self.close = self._file.close
        self._begin_again()

    def _begin_again(self) -> None:
        self._matches, self._count = _Matches(self._pattern), 0
        self._word: str | None = None  # that the label ends

    def look(self, *, is_last: bool, is_finished: bool = False) -> Found:
        """Return the matches that are new."""
        piece = self._file.read(is_last=is_last)
        if piece.begins_again:
            self._begin_again()
        found = self._matches.add(piece.with_rest(is_finished=is_finished), is_last=is_last and piece.is_all)
        if found and self._word is None:
            words = {each.its.word for each in found}
            self._word = "" if "" in words else words.pop() if len(words) == 1 else "\n"  # no word at all
        return Found(list(self._reports(found)), piece.is_all, piece.begins_again)

    def _reports(self, found: list[_Match]) -> Iterator[Report]:
        for its, text in found:
            if not its.word:  # as the label of the result, where both are there
                self._word = ""
            if its.word != self._word:
                self._refuse(self._pattern.error_of_label(text, its.end))
                continue
            self._count += 1
            if its.refused:
                self._refuse(its.refused)
            else:
                step = self._count if its.step is None else its.step
                yield Report(float(step), {**its.metrics, self._objective: its.value})
