r"""`result_pattern`: a regular expression, and the number that it finds in a trial's output, whole or not at all.

What is found has to be the whole number, and the last thing that the script has printed with this label; where it is in
doubt, the line is quoted and nothing is returned. `pattern_variants` says how the text of a pattern serves that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from candle_hpo.core.objective import LARGEST_STEP, STEPS
from candle_hpo.core.trial import Metrics
from candle_hpo.launch.measuring.around_match import (
    NEAR,
    end_of_word_before,
    last_of,
    lines_of,
    measured_on,
    spells,
    word_before,
)
from candle_hpo.launch.measuring.last_words import contradiction, says_none
from candle_hpo.launch.measuring.number_texts import as_number, is_part, may_be_part, shortened
from candle_hpo.launch.measuring.pattern_variants import SKIPPED, variants
from candle_hpo.launch.measuring.printed_text import MOVED, WHOLE, as_read, blocks_from_the_end
from candle_hpo.launch.measuring.readings import Measured

_SEQUENCE = re.compile(r"\\x1b|\\0?33|\\u001b|\x1b", re.IGNORECASE)

# What `.*` may skip between label and number: marks, or words that a mark after them makes a part of the label, and the
# name of what is printed: `: tensor(`. In `loss converged after 3 epochs`, the number is not the loss.
_SKIPPABLE = re.compile(
    r"[^\w:=]* | (?![^\w.]*[+\-\u2212]?\.?\d)[^:=]*[:=]+\s*(?:[\w.]+(?=[(\[{]))?[^\w,;/\])}]*", re.VERBOSE
)
# But not what is said to be the value, or stands in its place.
_NO_NUMBER = re.compile(
    r"(?<![^\W_])(?:nan|inf|infinity|none|null|n/?a)(?![^\W_]) | \*{3} | \u00b1 | \+/?-"
    r"| [\-\u2212\u2013\u2014]\s*[,;|]",
    re.IGNORECASE | re.VERBOSE,
)
_VALUE_AFTER = re.compile(r"[\])}\s]*[:=]\s*[+\-\u2212]?\.?\d")  # as in `loss[3]: 0.5` and `recall@3: 0.5`

# What stands where a number should, and is one that the guess does not fit: `nan`, `-0.3`.
_ANOTHER_NUMBER = re.compile(r"\s*[+\-\u2212]?(?:(?P<not_finite>nan|inf|infinity)(?!\w)|\.?\d)", re.IGNORECASE)

_DIGITS = re.compile(r"\s*\d+(?:\.\d+)?")


class Occurrence(NamedTuple):
    """Where a pattern has found something while a script runs, up to `end`.

    `word` is the part of a word that the label ends, as `val_` in `val_loss`, where a pattern has `loss`; `before` is
    the word before that, as `val` in `val loss`, with what the line says that it was measured on. `value` is None where
    what was printed is not finite, and so are `metrics`; without a `step`, there is no group for it. Or else it is
    `refused`, and why.
    """

    end: int
    word: str = ""
    step: float | None = None
    value: float | None = None
    metrics: Metrics = {}  # noqa: RUF012  # nobody changes it
    refused: str = ""
    before: str = ""


class NothingFoundError(ValueError):
    """There is no match."""


class ResultPattern:
    """A regular expression for the line of output with the value. Raises `re.error` for what is none.

    The value is in the group that is called like the objective, else in the first of its named groups that is not a
    step, else in its first group, else all that it matches.
    """

    def __init__(self, text: str, where: str = "its output", objective: str = "") -> None:
        self.text, self.where = text, where
        self._its = variants(text, objective)
        self._says_none = says_none(self._its.word)
        self._has_sequences = bool(_SEQUENCE.search(text))
        names = {name.lower(): number for name, number in self._its.itself.groupindex.items()}
        self._group_of_step = next((names[name] for name in STEPS if name in names), None)

    def find(self, output: Path, part: slice = WHOLE, *, is_over: bool = True) -> Measured:
        """Return the number in the last match in a part of the output, and what its other named groups have matched.

        A match lies within one line, or within lines that are near each other. Raises `ValueError`, which quotes line
        and pattern, where no number is found, or not all of it, or something else stands where the last one should; and
        where a script that `is_over` by itself has crashed behind it.
        """
        match, is_empty = None, True
        for text in blocks_from_the_end(output, part, with_sequences=self._has_sequences):
            is_empty = False
            if match is None and (match := self._last_match(text, is_over=is_over)):
                if not end_of_word_before(self._label_of(match)):
                    self._raise_if_two_in_line(match)
                value = self._number(match, self._its.value)
                others = {name: number for name, number in self._its.metrics.items() if number != self._its.value}
                found = Measured(value, {name: self._metric(match, number) for name, number in others.items()})
            if match is not None:
                word = end_of_word_before(self._label_of(match))
                if not word:
                    return found
                self._raise_if_another_label(text, match, word)
        if match is not None:
            return found
        raise self.nothing(is_empty=is_empty)

    def nothing(self, *, is_empty: bool = False) -> NothingFoundError:
        """Return the error of an output in which there is no match."""
        if is_empty and self.where == "its output":
            return NothingFoundError("it printed nothing, so result_pattern found nothing")
        return NothingFoundError(f"result_pattern found nothing in {self.where} ({self.text})")

    def raise_if_crashed(self, output: Path, part: slice) -> None:
        """Raise `ValueError` where the end of the output says that the script has crashed."""
        last = next(blocks_from_the_end(output, part, with_sequences=self._has_sequences), "")
        if said := contradiction(last, 0):
            raise ValueError(f'the last thing that it printed is "{shortened(said)}"')

    def as_read(self, lines: bytes) -> str:
        """Return whole lines of output as the text that this pattern is for."""
        return as_read(lines, with_sequences=self._has_sequences)

    def occurrences(self, text: str, begin: int) -> Iterator[Occurrence]:
        """Yield what each match in a part of the output says, from there on in whole lines, as careful as `find` is.

        Where its number is one that the guess does not fit, such as `nan`, that is found, too.
        """
        its, step = self._its, self._group_of_step
        matches = list(its.itself.finditer(text, begin))
        for match in sorted([*matches, *self._without_number(text, begin, matches)], key=lambda match: match.end()):
            label = self._label_of(match)
            before = " ".join([word_before(label), *measured_on(match)])
            found = Occurrence(match.end(), end_of_word_before(label), before=before)
            try:
                found = found._replace(step=None if step is None else self._step(match, step))
                if match.re is not its.itself:
                    if not self._is_not_finite(match):
                        raise self._error("does not fit the number in", match, match.end())
                    yield found
                    continue
                value = self._number(match, its.value, must_be_finite=False)
                others = {name: self._metric(match, each) for name, each in its.metrics.items() if each != its.value}
                yield found._replace(value=value if math.isfinite(value) else None, metrics=others)
            except ValueError as error:
                yield found._replace(step=None, refused=str(error))

    def error_of_label(self, text: str, end: int, what: str = "fits two labels, one of them") -> str:
        """Return what is wrong where a match that ends there has another label than those before it."""
        line = text[text.rfind("\n", 0, end) + 1 : end] + text[end:].partition("\n")[0]
        return (
            f'result_pattern {what} in "{shortened(line.strip())}" ({self.text}); '
            "write the whole label, or begin it with \\b or ^"
        )

    def _without_number(self, text: str, begin: int, matches: list[re.Match[str]]) -> Iterator[re.Match[str]]:
        """Yield what fits around the number, between these matches, and has a number there that does not fit."""
        if self._its.elsewhere is None:
            return
        ends = [begin, *(place for match in matches for place in match.span()), len(text)]
        gaps = list(zip(ends[::2], ends[1::2], strict=True))
        for start, end in gaps:
            for found in self._its.elsewhere.finditer(text, start, end):
                if _ANOTHER_NUMBER.match(text, self._place_of_number(found)):
                    yield found

    def _place_of_number(self, match: re.Match[str]) -> int:
        """Return where the number should be in what fits around it."""
        names = [name for name, number in self._its.itself.groupindex.items() if number == self._its.value]
        if names and names[0] in match.re.groupindex:
            return match.start(names[0])
        return match.start(1) if match.re.groups else match.end()

    def _is_not_finite(self, match: re.Match[str]) -> bool:
        found = _ANOTHER_NUMBER.match(match.string, self._place_of_number(match))
        return found is not None and found["not_finite"] is not None

    def _step(self, match: re.Match[str], group: int) -> float:
        """Return the number in the group of a step; in `epoch 3/10`, it is 3. Raises `ValueError` where it is none."""
        name = next(name for name, number in self._its.itself.groupindex.items() if number == group)
        start, end = match.span(name) if name in match.re.groupindex else (-1, -1)
        found, text = match.string[max(0, start) : max(0, end)], match.string
        if not found and start >= 0 and match.re is not self._its.itself:  # anything may stand there, nothing too
            begun = _DIGITS.match(text, start)
            found, end = (begun[0], begun.end()) if begun else ("", end)
        number = as_number(found)
        before = text[max(0, start - NEAR) : max(0, start)].rpartition("\n")[2]
        after = text[end : end + NEAR].partition("\n")[0]
        if match.re is self._its.itself and match.start(self._its.value) == end + 1:
            after = ""  # what follows is the value: `1 293.5` are two numbers
        if number is None or not abs(number) < LARGEST_STEP or is_part(found, before, after):
            raise self._error(f'finds "{shortened(found)}" for the step, not a number, in', match, match.end())
        return number

    def _last_match(self, text: str, *, is_over: bool) -> re.Match[str] | None:
        """Return the last match; raise `ValueError` where something else stands where a later one should."""
        match = last_of(self._its.itself.finditer(text))
        later = self._its.elsewhere and last_of(self._its.elsewhere.finditer(text, match.end() if match else 0))
        if later:
            raise self._error("finds no number in the last line with its label:", later, later.end())
        if said := contradiction(text, match.end() if match else 0, self._says_none, has_ended=is_over):
            raise ValueError(f'the last match of result_pattern is followed by "{shortened(said)}" ({self.text})')
        return match

    def _label_of(self, match: re.Match[str]) -> re.Match[str]:
        """Return the part of a match that begins with its label."""
        label = last_of(self._its.label.finditer(match.string, match.start(), match.end()))
        return match if label is None or label.end() != match.end() else label

    def _raise_if_another_label(self, text: str, match: re.Match[str], word: str) -> None:
        """Raise `ValueError` where the label stands in another word, or as one, than in the last match.

        As `loss: ` does, of `loss: 0.5` and then `val_loss: 0.7`. If it is always a part of one word, that was meant.
        """
        spans = (each.span() for each in self._its.itself.finditer(text))
        labels = (label for span in spans for label in self._its.label.finditer(text, *span))
        other = next((label for label in labels if end_of_word_before(label) != word), None)
        if other is not None:
            what = f'fits two labels, in "{lines_of(other, other.end())}" and last in'
            advice = "write the whole label, or begin it with \\b or ^"
            raise self._error(what, match, match.end(), advice)

    def _raise_if_two_in_line(self, match: re.Match[str]) -> None:
        """Raise `ValueError` where a match in the same line has other words before its label: `loss`, `best loss`."""
        text, word = match.string, self._words_of(match)
        begin = text.rfind("\n", 0, match.start()) + 1
        if any(self._words_of(each) != word for each in self._its.itself.finditer(text, begin, match.start())):
            raise self._error("fits two labels in", match, match.end(), "write the whole label, or begin it with ^")

    def _words_of(self, match: re.Match[str]) -> str:
        label = self._label_of(match)
        return " ".join([word_before(label), *measured_on(match)])

    def _metric(self, match: re.Match[str], group: int) -> float | str | None:
        text = match[group]
        if text is None or as_number(text) is None:
            return text if text is None else shortened(text.strip())
        number = self._number(match, group, must_be_finite=False)
        return number if math.isfinite(number) else None

    def _number(self, match: re.Match[str], group: int, *, must_be_finite: bool = True) -> float:
        """Return the number in a group of a match. Raises `ValueError` where it is none, or a part of one."""
        found = match[group]
        if found is None:
            raise self._error("matched without its group in", match, match.end())
        start = match.start(group) + len(found) - len(found.lstrip())
        found = found.strip()
        if found.endswith(".") and as_number(found) is None:  # the end of a sentence
            found = found[:-1]
        end = start + len(found)
        number = as_number(found)
        if found.endswith(".") and end == len(match.string):
            raise self._error(f"found {found}, with which the output is cut off, in", match, end)
        if number is None:
            raise self._error(f'found "{shortened(found)}", not a number, in', match, end)
        if must_be_finite and not math.isfinite(number):
            raise self._error(f"found {found}, not a finite number, in", match, end)
        text = match.string
        end_of_line = text.find("\n", end)  # not a slice of what may be very long
        if text.find(MOVED, match.start(), max(match.end(), end_of_line if end_of_line >= 0 else len(text))) >= 0:
            raise self._error(f"found {found}, which may be written over, in", match, end)
        before = text[max(0, start - NEAR) : start].rpartition("\n")[2]
        after = text[end : end + NEAR].partition("\n")[0]
        may_begin_earlier, may_continue = may_be_part(before, after)
        if (
            is_part(found, before, after)
            or (may_begin_earlier and not spells(match, start - 1))
            or (may_continue and not spells(match, end))
        ):
            raise self._error(f"found {found}, which is a part of what is written there, in", match, end)
        skipped = self._skipped(match) if group == self._its.value else ""
        if skipped and (not _SKIPPABLE.fullmatch(skipped) or _NO_NUMBER.search(skipped) or _VALUE_AFTER.match(after)):
            raise self._error(f'skipped "{shortened(skipped.strip())}" and found {found} in', match, end)
        return number

    def _skipped(self, match: re.Match[str]) -> str:
        same = self._its.skipping and self._its.skipping.match(match.string, match.start())
        if not same or same.span() != match.span():
            return ""
        text, start = match.string, same.start(SKIPPED)
        while start > match.start() and not text[start - 1].isalnum():
            start -= 1
        return text[start : match.start(self._its.value)]

    def _error(self, what: str, match: re.Match[str], at: int, advice: str = "") -> ValueError:
        lines = lines_of(match, at)
        return ValueError(f'result_pattern {what} "{lines}" ({self.text})' + (f"; {advice}" if advice else ""))
