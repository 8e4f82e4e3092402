r"""`result_pattern`: a regular expression, and the number that it finds in a trial's output, whole or not at all.

A pattern that people write says what stands around the number, and a guess at what numbers look like: `loss: ([0-9.]+)`
for what may also be `1.2e-05`, `nan` or `-0.3`. So three things are made of it: the pattern itself; the same with
anything in place of the number, which finds where the script has printed something after the last match that the
guess does not fit; and the same with a name for what `.*` skips before the number, which may be the number itself.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from candle_hpo.core.trial import Metrics
from candle_hpo.model import number_texts
from candle_hpo.model.number_texts import as_number, shortened
from candle_hpo.model.printed_text import CUT_OFF, MOVED, blocks_from_the_end

_SKIPPED = "skipped_by_wildcard"  # the name of a group
_STEPS = ("step", "epoch", "iteration", "iter")  # named groups that are no measurement
_NEAR = 80  # characters around a number, in which what belongs to it is looked for

# Parts of a regular expression, https://docs.python.org/3/library/re.html; a group that opens is one of them.
_PART = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.) | \[\^?\]?(?:\\.|[^\]\\])*\]"
    r"| \(\?\#[^)]*\) | \(\?P=\w+\) | \(\?[a-zA-Z]+\)"
    r"| \(\?P<\w+> | \(\?(?:<?[=!]|[a-zA-Z\-]*:|>|\(\w+\)) | [()|] | (?:[*+?]|\{\d*,?\d*\})[?+]? | .",
    re.VERBOSE | re.DOTALL,
)
_QUANTIFIER = re.compile(r"[*+?]|\{\d*,?\d*\}")
_END_OF_WORD = re.compile(r"[\w\-/.]*\Z")
_PART_OF_A_WORD = re.compile(r"\w[\-/.]?\Z")
_SEQUENCE = re.compile(r"\\x1b|\\0?33|\\u001b|\x1b", re.IGNORECASE)

_ANY_SPACES, _ANY_DIGITS = r"[^\S\n]*", r"[^\s]{0,40}?"
_ANY_BEGINNING = r"(?:^|(?<=[\])}|%]))"
_ANYTHING = r"[^\n]{0,200}?"  # with a bound, lest a long line take a time that grows as its square
_ANY_NUMBER = (
    r"(?<!\w)(?:[+\-\u2212]?\.?\d[^ \t\n]*(?: \d{3}[^ \t\n]*)*"
    r"|[+\-\u2212]?(?:[nN][aA][nN]|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)(?!\w))"
)
# A pattern without a number that finds something here says nothing of where the number is.
_ANY_OUTPUT = "\nDone: it took 3.5 s (0:00:03) = 100%, saved to a/b-1.txt [ok]\n\n"

# What `.*` must not skip: what is said to be the value, or stands in its place.
_NO_NUMBER = re.compile(
    r"(?<![^\W_])(?:nan|inf|infinity|none|null|n/?a)(?![^\W_]) | \*{3} | \u00b1 | \+/?-"
    r"| [:=]\s*[,;] | [\-\u2212\u2013\u2014]\s*[,;|]",
    re.IGNORECASE | re.VERBOSE,
)
_ANOTHER_NUMBER = re.compile(r"(?:^|[:=])[\s(\[{<'\"*|>]*[+\-\u2212]?\.?\d")
_WORDS_AFTER_THE_LABEL = re.compile(r"[:=][^\n]*?(?<!\w)[^\W\d]\w*(?![\w.]|\s*\()")


class Found(NamedTuple):
    """What a pattern has found: the number, and what its other named groups have matched."""

    value: float
    metrics: Metrics


class _Group(NamedTuple):
    """Where a capturing group's parts are in the text of a pattern: its parenthesis, what is within, its end."""

    start: int
    inner: int
    end: int
    depth: int


class ResultPattern:
    """A regular expression for the line of output with the value. Raises `re.error` for what is none.

    The value is in the first of its named groups that is no step, else in its first group, else all that it matches.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        parts = [(part.start(), part[0]) for part in _PART.finditer(text)]
        # In the text as it is read, a carriage return is the end of a line.
        text = "".join(r"\n" if part == r"\r" else part.replace(r"\r", r"\n") for _, part in parts)
        self._expression = re.compile(text, re.MULTILINE)
        self._names = {
            name: number for name, number in self._expression.groupindex.items() if name.lower() not in _STEPS
        }
        self._group = min(self._names.values(), default=min(1, self._expression.groups))
        groups = list(_groups(parts))
        self._elsewhere = self._skipping = None
        self._label = self._expression
        if not self._expression.flags & re.VERBOSE and len(groups) == self._expression.groups:
            self._elsewhere = _with_anything(text, parts, groups)
            if groups:
                self._skipping = _with_name_for_skipped(text, parts, groups[self._group - 1])
                self._label = _from_label(text, parts, groups[self._group - 1]) or self._expression

    def find(self, output: Path) -> Found:
        """Return the number in the last match in the output.

        A match lies within one line, or within lines that are near each other. Raises `ValueError`, which quotes line
        and pattern, where no number is found, or not all of it, or something else stands where the last one should.
        """
        match, is_empty = None, True
        for text in blocks_from_the_end(output, with_sequences=bool(_SEQUENCE.search(self.text))):
            is_empty = False
            if match is None and (match := self._last_match(text)):
                value = self._number(match, self._group)
                others = {name: number for name, number in self._names.items() if number != self._group}
                found = Found(value, {name: self._metric(match, number) for name, number in others.items()})
            if match is not None:
                if not self._is_part_of_a_word(match):
                    return found
                self._raise_if_a_word(text, match)
        if match is not None:
            return found
        if is_empty:
            raise ValueError("it printed nothing, so result_pattern found nothing")
        raise ValueError(f"result_pattern found nothing in its output ({self.text})")

    def _last_match(self, text: str) -> re.Match[str] | None:
        """Return the last match; raise `ValueError` where something else stands where a later one should."""
        match = _last(self._expression.finditer(text))
        later = self._elsewhere and _last(self._elsewhere.finditer(text, match.end() if match else 0))
        if later:
            raise self._error("does not fit the last such line:", later, later.end())
        return match

    def _is_part_of_a_word(self, match: re.Match[str]) -> bool:
        """Tell whether a match has its label within a word of which the pattern does not demand the beginning."""
        text, label = match.string, _last(self._label.finditer(match.string, match.start(), match.end()))
        if label is None or label.end() != match.end():
            label = match
        start = label.start()
        word = start - len(_END_OF_WORD.findall(text[max(0, start - _NEAR) : start])[0])
        return _begins_within_a_word(label) and (
            word < match.start() or bool(match.re.match(text[:word] + text[start:], match.start()))
        )

    def _raise_if_a_word(self, text: str, match: re.Match[str]) -> None:
        """Raise `ValueError` where the label is a word in the text, if in the last match it is a part of one.

        As `loss: ` is, of `loss: 0.5` and then `val_loss: 0.7`. If it never is a word, that is what was meant.
        """
        word = next((each for each in self._label.finditer(text) if not _begins_within_a_word(each)), None)
        if word is not None:
            what = f'finds "{_lines_of(word, word.end())}" and last, as a part of a longer word,'
            advice = "write the whole label, or begin it with \\b or ^"
            raise self._error(what, match, match.end(), advice)

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
        if number is None:
            raise self._error(f'found "{shortened(found)}", not a number, in', match, end)
        if must_be_finite and not math.isfinite(number):
            raise self._error(f"found {found}, not a finite number, in", match, end)
        text = match.string
        if MOVED in text[match.start() : max(end, match.end())] + text[end:].partition("\n")[0]:
            raise self._error(f"found {found}, which may be written over, in", match, end)
        before, after = (
            text[max(0, start - _NEAR) : start].rpartition("\n")[2],
            text[end : end + _NEAR].partition("\n")[0],
        )
        if (
            number_texts.begins_earlier(found, before)
            or number_texts.goes_on(found, after)
            or (number_texts.may_begin_earlier(before) and not _spells(match, start - 1))
            or (number_texts.may_go_on(after) and not _spells(match, end))
        ):
            raise self._error(f"found {found}, which is a part of what is written there, in", match, end)
        skipped = self._skipped(match) if group == self._group else ""
        if any(each.search(skipped) for each in (_NO_NUMBER, _ANOTHER_NUMBER, _WORDS_AFTER_THE_LABEL)):
            raise self._error(f'skipped "{shortened(skipped.strip())}" and found {found} in', match, end)
        return number

    def _skipped(self, match: re.Match[str]) -> str:
        same = self._skipping and self._skipping.match(match.string, match.start())
        if not same or same.span() != match.span():
            return ""
        text, start = match.string, same.start(_SKIPPED)
        while start > match.start() and not text[start - 1].isalnum():
            start -= 1
        return text[start : match.start(self._group)]

    def _error(self, what: str, match: re.Match[str], at: int, advice: str = "") -> ValueError:
        lines = _lines_of(match, at)
        return ValueError(f'result_pattern {what} "{lines}" ({self.text})' + (f"; {advice}" if advice else ""))


def _last(matches: Iterator[re.Match[str]]) -> re.Match[str] | None:
    return next(iter(deque(matches, maxlen=1)), None)


def _lines_of(match: re.Match[str], at: int) -> str:
    text, at = match.string, max(match.start(), at - 1)
    lines = text[text.rfind("\n", 0, match.start()) + 1 : at] + text[at:].partition("\n")[0]
    return shortened(lines.strip()).replace(MOVED, CUT_OFF)


def _begins_within_a_word(match: re.Match[str]) -> bool:
    start = match.start()
    before = match.string[max(0, start - 2) : start]
    return match[0][:1].isalnum() and bool(_PART_OF_A_WORD.search(before))


def _spells(match: re.Match[str], at: int) -> bool:
    """Tell whether a pattern demands the character there: with another one, or without it, it would not match."""
    text, start = match.string, match.start()
    others = (
        match.re.match(text[:at] + "\0" + text[at + 1 :], start),
        match.re.match(text[:at] + text[at + 1 :], start - (at < start)),
    )
    return not any(others)


def _groups(parts: list[tuple[int, str]]) -> Iterator[_Group]:
    """Yield the capturing groups of a pattern in their order."""
    opened: list[tuple[int, int, int] | None] = []
    found: list[_Group] = []
    for start, part in parts:
        if part == ")":
            group = opened.pop() if opened else None
            if group is not None:
                found.append(_Group(group[0], group[1], start, group[2]))
        elif part.startswith("(") and not part.endswith(")"):
            captures = part == "(" or part.startswith("(?P<")
            depth = sum(group is not None for group in opened)
            opened.append((start, start + len(part), depth) if captures else None)
    yield from sorted(found)


def _relaxed(parts: list[tuple[int, str]], begin: int, end: int) -> str:
    """Return a part of a pattern with no guess at what numbers look like, and how they are aligned.

    A line that begins after something without a line end of its own, such as a progress bar, counts as a beginning.
    """
    changed = ""
    for start, part in parts:
        if begin <= start < end:
            if _QUANTIFIER.match(part) and changed.endswith((_ANY_SPACES, _ANY_DIGITS)):
                continue
            if _matches(part, " ") and not _matches(part, "n"):
                part = _ANY_SPACES
            elif (_matches(part, "5") and not _matches(part, "n")) or (part == r"\." and changed.endswith(_ANY_DIGITS)):
                part = _ANY_DIGITS
            elif part == "^":
                part = _ANY_BEGINNING
            changed += "" if part in (_ANY_SPACES, _ANY_DIGITS) and changed.endswith(part) else part
    return changed


def _matches(part: str, character: str) -> bool:
    """Tell whether a part of a pattern stands for characters, and for this one, too."""
    is_class = part.startswith("[") or part in (r"\d", r"\s", r"\ ", " ", r"\t")
    return is_class and bool(re.fullmatch(part, character))


def _with_anything(text: str, parts: list[tuple[int, str]], groups: list[_Group]) -> re.Pattern[str] | None:
    """Return the pattern with anything in place of what its groups match; with any number if that says too little."""
    outermost = [(group.inner, group.end) for group in groups if group.depth == 0] or [_between_assertions(text, parts)]
    # What looks behind has a width that must stay; then only the number is a guess.
    for is_relaxed in (True, False):
        for instead in (_ANYTHING, _ANY_NUMBER):
            changed, rest = "", 0
            for inner, end in [*outermost, (len(text), len(text))]:
                changed += _relaxed(parts, rest, inner) if is_relaxed else text[rest:inner]
                changed, rest = changed + (instead if inner < len(text) else ""), end
            try:
                expression = re.compile(changed, re.MULTILINE)
            except re.error:  # that width; or a group within the group is named elsewhere
                break
            if instead is _ANY_NUMBER or not expression.search(_ANY_OUTPUT):
                return expression
    return None


def _between_assertions(text: str, parts: list[tuple[int, str]]) -> tuple[int, int]:
    """Return where, in a pattern without groups, that is which matches characters: not `^`, `(?<=loss: )` or `$`."""
    first, last = len(text), 0
    is_assertion = [False]
    for start, part in parts:
        if part.startswith("(") and not part.endswith(")"):
            is_assertion.append(is_assertion[-1] or bool(re.match(r"\(\?<?[=!]", part)))
        elif part == ")" and len(is_assertion) > 1:
            if not is_assertion.pop():
                last = start + 1
            continue
        elif is_assertion[-1] or part in ("^", "$", r"\b", r"\B", r"\A", r"\Z") or part.startswith("(?"):
            continue
        if not is_assertion[-1]:
            first, last = min(first, start), start + len(part)
    return first, max(first, last)


def _from_label(text: str, parts: list[tuple[int, str]], group: _Group) -> re.Pattern[str] | None:
    """Return the pattern without what precedes its label, up to the last wildcard before that; None without one."""
    before = [each for each in parts if each[0] < group.start]
    is_label = False
    for at in range(len(before) - 1, 0, -1):
        start, part = before[at]
        if is_label and _QUANTIFIER.match(part) and _is_wildcard(before[at - 1][1]):
            try:
                return re.compile(text[start + len(part) :], re.MULTILINE | (re.compile(text).flags & re.IGNORECASE))
            except re.error:  # within a group
                return None
        is_label |= len(part) == 1 and part.isalnum()
    return None


def _is_wildcard(part: str) -> bool:
    return part == "." or (bool(re.match(r"\[|\\[DSw]", part)) and bool(re.fullmatch(part, "n")))


def _with_name_for_skipped(text: str, parts: list[tuple[int, str]], group: _Group) -> re.Pattern[str] | None:
    """Return the pattern with a name for the first wildcard between its group and the last word before that.

    None where there is no such wildcard, or no word.
    """
    wildcard, following = None, (group.start, "")
    for start, part in reversed([each for each in parts if each[0] < group.start]):
        if len(part) == 1 and part.isalnum():
            break
        if _is_wildcard(part):  # it may skip nan
            is_repeated = _QUANTIFIER.match(following[1])
            wildcard = start, following[0] + len(following[1]) if is_repeated else following[0]
        following = start, part
    else:
        return None
    if wildcard is None:
        return None
    begin, end = wildcard
    return re.compile(f"{text[:begin]}(?P<{_SKIPPED}>{text[begin:end]}){text[end:]}", re.MULTILINE)
