r"""What is made of the text of a `result_pattern`, to find what stands where its number should and is none.

A pattern that people write says what stands around the number, and a guess at what numbers look like: `loss: ([0-9.]+)`
for what may also be `1.2e-05`, `nan` or `-0.3`. So several expressions are made of it: see `Variants`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from candle_hpo.core.objective import measured_groups

SKIPPED = "skipped_by_wildcard"  # the name of a group

# Parts of a regular expression, https://docs.python.org/3/library/re.html; a group that opens is one of them.
_PART = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.) | \[\^?\]?(?:\\.|[^\]\\])*\]"
    r"| \(\?\#[^)]*\) | \(\?P=\w+\) | \(\?[a-zA-Z]+\)"
    r"| \(\?P<\w+> | \(\?(?:<?[=!]|[a-zA-Z\-]*:|>|\(\w+\)) | [()|] | (?:[*+?]|\{\d*,?\d*\})[?+]? | .",
    re.VERBOSE | re.DOTALL,
)
_PLAIN = r"(?:\\.|[^\\()])*"
_FLAGS, _ASSERTIONS = r"(?:\(\?[a-zA-Z]+\))?", rf"(?:[\^$]|\\[bBAZ]|\(\?<?[=!]{_PLAIN}\))*"
_QUANTIFIER = re.compile(r"[*+?]|\{\d*,?\d*\}")
_ANY_SPACES, _ANY_DIGITS = r"[^\S\n]*", r"[^\s]{0,40}?"
_ANY_BEGINNING = r"(?:^|(?<=[\])}|%]))"
_ANYTHING = r"[^\n]{0,200}?"  # with a bound, lest a long line take a time that grows as its square
_ANY_NUMBER = (
    r"(?<!\w)(?:[+\-\u2212]?\.?\d[^ \t\n]*(?: \d{3}[^ \t\n]*)*"
    r"|[+\-\u2212]?(?:[nN][aA][nN]|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?)(?!\w))"
)
# A pattern without a number that finds something here says nothing of where the number is.
_ANY_OUTPUT = "\nDone: it took 3.5 s (0:00:03) = 100%, saved to a/b-1.txt [ok]\n\n"


class Variants(NamedTuple):
    """A pattern, and what is made of it; None where that cannot be made.

    `value` is the number of the group that holds the value, 0 for all of the match; `metrics` those of all named
    groups that are not steps.

    `elsewhere` has anything in place of the number, so that it finds where the script has printed something that the
    guess does not fit. `skipping` has a name, `SKIPPED`, for what `.*` skips before the number, which may be the
    number itself. `label` lacks what precedes the label of the number; `word` is the last word of that.
    """

    itself: re.Pattern[str]
    value: int
    metrics: dict[str, int]
    elsewhere: re.Pattern[str] | None
    skipping: re.Pattern[str] | None
    label: re.Pattern[str]
    word: str = ""


class _Group(NamedTuple):
    """Where a capturing group's parts are in the text of a pattern: its parenthesis, what is within, its end."""

    start: int
    inner: int
    end: int
    depth: int


def variants(text: str, objective: str = "") -> Variants:
    """Return what is made of a pattern. Raises `re.error` for what is none.

    The value is in the group of that name, else in the first of its named groups that is not a step, else in its first
    group, else all that it matches.
    """
    text = _with_label_and_group(text)
    parts = _parts(text)
    # In the text as it is read, a carriage return is the end of a line.
    text = "".join(r"\n" if part == r"\r" else part.replace(r"\r", r"\n") for _, part in parts)
    itself = re.compile(text, re.MULTILINE)
    names = measured_groups(itself)
    value = names.get(objective, min(names.values(), default=min(1, itself.groups)))
    groups = list(_groups(parts))
    if itself.flags & re.VERBOSE or len(groups) != itself.groups:
        return Variants(itself, value, names, None, None, itself)
    start, elsewhere = groups[value - 1].start, _with_anything(text, parts, groups)
    before = [each for each in parts if each[0] < start]
    skipping, label = _with_name_for_skipped(text, before, start), _from_label(text, before) or itself
    return Variants(itself, value, names, elsewhere, skipping, label, _last_word(before))


def _parts(text: str) -> list[tuple[int, str]]:
    """Return the parts of a pattern, each with its place."""
    return [(part.start(), part[0]) for part in _PART.finditer(text)]


def _with_label_and_group(text: str) -> str:
    """Return a pattern that says the same with its label in what it matches, and with a group, if it has none.

    `(?<=loss: )[0-9.]+$` becomes `(?:loss: )([0-9.]+)$`.
    """
    compiled = re.compile(text)
    if compiled.flags & re.VERBOSE:
        return text
    around = "" if _is_choice(text) else _ASSERTIONS
    if not compiled.groups:
        text = re.sub(rf"\A({_FLAGS}{around})((?:\\.|[^\\])*?)({around})\Z", r"\1(\2)\3", text, flags=re.DOTALL)
    return re.sub(rf"\A({_FLAGS})\(\?<=({_PLAIN})\)", r"\1(?:\2)", text) if around else text


def _is_choice(text: str) -> bool:
    """Return whether a pattern is one of several, outside of all brackets."""
    depth = 0
    for _, part in _parts(text):
        depth += 1 if _opens(part) else -1 if part == ")" else 0
        if part == "|" and depth == 0:
            return True
    return False


def _opens(part: str) -> bool:
    return part.startswith("(") and not part.endswith(")")


def _groups(parts: list[tuple[int, str]]) -> Iterator[_Group]:
    """Yield the capturing groups of a pattern in their order."""
    opened: list[tuple[int, int, int] | None] = []
    found: list[_Group] = []
    for start, part in parts:
        if part == ")":
            group = opened.pop() if opened else None
            if group is not None:
                found.append(_Group(group[0], group[1], start, group[2]))
        elif _opens(part):
            captures = part == "(" or part.startswith("(?P<")
            depth = sum(group is not None for group in opened)
            opened.append((start, start + len(part), depth) if captures else None)
    yield from sorted(found)


def _relaxed(parts: list[tuple[int, str]], begin: int, end: int) -> str:
    """Return a part of a pattern with no guess at what numbers look like, how they are aligned, and words are joined.

    A line that begins after something without its own line end, such as a progress bar, counts as a beginning.
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
            elif part == "_":
                part = "[ _-]"
            changed += "" if part in (_ANY_SPACES, _ANY_DIGITS) and changed.endswith(part) else part
    return changed


def _matches(part: str, character: str) -> bool:
    """Return whether a part of a pattern stands for characters, and for this one, too."""
    is_class = part.startswith("[") or part in (r"\d", r"\s", r"\ ", " ", r"\t")
    return is_class and bool(re.fullmatch(part, character))


def _with_anything(text: str, parts: list[tuple[int, str]], groups: list[_Group]) -> re.Pattern[str] | None:
    """Return the pattern with anything in place of what its groups match; with any number if that says too little."""
    outermost = [(group.inner, group.end) for group in groups if group.depth == 0]
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


def _from_label(text: str, before: list[tuple[int, str]]) -> re.Pattern[str] | None:
    """Return the pattern without what precedes its label, up to the last wildcard before that; None without one."""
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


def _last_word(before: list[tuple[int, str]]) -> str:
    """Return the last word that a pattern spells before a group; empty where there is none."""
    spelled = "".join(part if len(part) == 1 else " " for _, part in before)
    words: list[str] = re.findall("[A-Za-z]+", spelled)
    return words[-1] if words else ""


def _is_wildcard(part: str) -> bool:
    return part == "." or (bool(re.match(r"\[|\\[DSw]", part)) and bool(re.fullmatch(part, "n")))


def _with_name_for_skipped(text: str, before: list[tuple[int, str]], group: int) -> re.Pattern[str] | None:
    """Return the pattern with a name for the first wildcard between its group and the last word before that.

    None where there is no such wildcard, or no word.
    """
    wildcard, following = None, (group, "")
    for start, part in reversed(before):
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
    return re.compile(f"{text[:begin]}(?P<{SKIPPED}>{text[begin:end]}){text[end:]}", re.MULTILINE)
