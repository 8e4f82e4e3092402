"""Lines that a script prints → the numbers in them, with their names, and patterns that find them again.

Lines that differ in their numbers alone are one kind of line; each place of a number in it is a slot.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from candle_hpo.core.metric_names import direction_of_name, is_clear
from candle_hpo.core.objective import STEPS
from candle_hpo.draft.lines_alike import (
    Kind,
    Line,
    LinesAlike,
    Measurement,
    deciding_heading,
    headings_of,
    measurements,
)

_NUMBER = re.compile(
    r"(?<![\w.^@])[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w]|\.\d)|(?<![\w.])[+-]?(?:nan|inf|NaN|Inf)(?!\w)"
)
_TIMED = re.compile(r"((?<![\w.])\d+(?:\.\d+)?(?:[mun\u00b5]?s|m|h|it)\b)")  # 2s 78ms/step
_LABEL = re.compile(r"(?:[A-Za-z_][\w/@%.^'-]*)(?:[ \t]+[A-Za-z_(][\w/@%.^()'-]*){0,6}")
_LEADS_ON = re.compile(r"\b(?:on|the|over|after|in|for|with|all|top|first|last|from|across|every|per)$", re.IGNORECASE)
_GUESS = r"[0-9.eE+-]+"  # at what the number looks like
_BEGINNING = r"^[ \t]*"
_SAID_BEHIND = re.compile(r"\s*%?\s*\(([A-Za-z]\w*)\)")  # what a number is, behind it
_NAMED_BEHIND = re.compile(r"\s*%?\s+([A-Za-z][\w-]*)")
_UNIT_BEHIND = re.compile(r"\s*%?\s+([A-Za-z][\w-]*)\s*([,;.)/|]|$)")
_BETWEEN_SAID = re.compile(rf"{_SAID_BEHIND.pattern}\s*[,;/|]?\s*")
COMPLEMENT = "1 - "
_LONGEST, _MOST_LINES = 600, 20_000
_HEADING = re.compile(r"[A-Za-z_][\w/@%.()-]*(?: [\w/@%.()-]+)*|#")
_MOST_BETWEEN = 8  # numbers, lest a pattern of many wildcards takes long


class Slot(NamedTuple):
    """A place where a kind of line has a number: its name, what stands before that, and its last value.

    `headings` are the lines without a number under which there are such lines, that of the last one last.
    """

    label: str
    before: str
    value: float
    times: int
    has_step: bool
    patterns: tuple[str, ...]
    headings: tuple[str, ...] = ()


def slots_of(text: str) -> Iterator[Slot]:
    """Yield the slots of the kinds of lines in a text, in the order of their last lines, the last first."""
    kinds: dict[tuple[str, ...], list[Line]] = {}
    heading = ""
    for line in text.split("\n")[-_MOST_LINES:]:
        if not any(each.isdigit() for each in line):
            heading = line.strip(" \t=#*:-") or heading
        elif len(line) <= _LONGEST and (found := _split(line)).numbers:
            found = found._replace(heading=heading)
            key = tuple(" ".join(_TIMED.sub("0", piece).split()) for piece in found.pieces)
            kinds.setdefault(key, []).append(found)
            kinds[key] = kinds.pop(key)  # as the last one
    labelled = [Kind(lines, _labels(lines[-1])) for lines in kinds.values()]
    alike, done = LinesAlike(labelled), set[Measurement]()
    for kind in reversed(labelled):
        yield from _slots_of_kind(kind, alike, done)
    yield from _columns(text)


def _split(line: str) -> Line:
    pieces, numbers, end = [], [], 0
    for match in _NUMBER.finditer(line):
        pieces.append(line[end : match.start()])
        numbers.append(match[0])
        end = match.end()
    return Line((*pieces, line[end:]), tuple(numbers))


def _slots_of_kind(kind: Kind, alike: LinesAlike, done: set[Measurement]) -> Iterator[Slot]:
    """Yield the slots of a kind of lines, but for those that are `done`: a pattern finds them in other kinds, too."""
    lines, labels = kind.lines, list(kind.labels)
    last, headings = lines[-1], headings_of(lines)
    measured = measurements(last, labels, with_heading=bool(deciding_heading(headings)))
    step = _step_of(lines, labels)
    has_words = any(each.strip() for each in last.pieces)
    is_alone = _is_of_r(last) or (not has_words and len(last.numbers) == (1 if step is None else 2))
    for place, label in enumerate(labels):
        if _is_complement(lines, place):
            continue
        is_behind_1 = place > 0 and _is_complement(lines, place - 1)
        if is_behind_1:
            label = _label(last.pieces[place].lstrip(" -\u2212\u2013"))
        if not label and place and _BETWEEN_SAID.fullmatch(last.pieces[place]):
            label = labels[place] = labels[place - 1]  # accuracy: 0.9 (train), 0.8 (test)
        if not label and place == 0 and not last.pieces[0].strip() and (behind := _NAMED_BEHIND.match(last.pieces[1])):
            label = behind[1] if direction_of_name(behind[1]) else ""  # 0.98 accuracy with a deviation of 0.02
        if place == step or (_is_of_r(last) and place == 0) or not (label or is_alone) or label.lower() in STEPS:
            continue
        before = " ".join(last.pieces[: place + 1])
        values = [float(line.numbers[place]) for line in lines]
        patterns = tuple(_patterns(last, place, label, step if step is not None and step < place else None))
        times = len(values)
        if label and label == labels[place] == kind.labels[place] and not is_behind_1:
            if measured[place] in done:
                continue
            patterns, is_sole = alike.in_order(patterns, measured[place])
            times = alike.times(measured[place])
            done.update([measured[place]] if is_sole else [])
        if is_behind_1:
            label = f"{COMPLEMENT}{label}"
        unit = _UNIT_BEHIND.match(last.pieces[place + 1])
        if unit and is_clear(unit[1]) and label not in ("", unit[1]) and (unit[2] or place + 2 == len(last.pieces)):
            label = f"{label} {unit[1]}"  # Test Score: 47.53 RMSE
        if said := _SAID_BEHIND.match(last.pieces[place + 1]):
            label, before = f"{label} ({said[1]})", f"{before} {said[1]}"
        yield Slot(label, before, values[-1], times, step is not None and step < place, patterns, headings)


def _is_complement(lines: Sequence[Line], place: int) -> bool:
    """Return whether a number is always the 1 of `1 - accuracy: 0.1`."""
    before, after = lines[-1].pieces[place : place + 2]
    is_written_so = before.strip()[-1:] in ("", "(") and re.match(r"\s*[-\u2212\u2013]\s*[A-Za-z]", after) is not None
    return is_written_so and all(line.numbers[place] == "1" for line in lines)


def _is_of_r(line: Line) -> bool:
    """Return whether a line is a number as R prints it: `[1] 0.25`."""
    return line.numbers[:1] == ("1",) and [each.strip() for each in line.pieces] == ["[", "]", ""]


def _labels(line: Line) -> list[str]:
    """Return the name of each number of a line, "" for what has none.

    In `accuracy on the 1000 test images: 54`, the first number is a part of the name of the second.
    """
    labels = [_label(piece) for piece in line.pieces[:-1]]
    for place, label in enumerate(labels):
        if _LEADS_ON.search(label):
            following = line.pieces[place + 1]
            if place + 1 < len(labels) and labels[place + 1] and re.fullmatch(r"\s[\w\s]+[:=]\s*", following):
                labels[place + 1] = f"{label} {labels[place + 1]}"
            labels[place] = ""
    return labels


def _label(piece: str) -> str:
    """Return the name of the number behind this piece of a line."""
    piece = re.sub(r"([:=]\s*)[\w.]+[\[({]+\s*$", r"\1", piece)  # tensor(
    text = re.sub(r"[\s:=\"'\[({>~$|-]+$", "", piece)
    if re.search(r"\b(?:is|was|of|at|to)$", text):
        text = text.rpartition(" ")[0]
    if not text or not (text[-1].isalnum() or text[-1] in "_)]%"):
        return ""
    own = re.split(r"[:,;|\[\]{}\"]|(?<!\w)'|'(?!\w)|\s-+\s|\s{2,}|\t", text.rstrip(")]\"'"))[-1]
    words = own.split()[-7:]
    label = " ".join(words)
    if label.count("(") > label.count(")") and f"{label})" in piece:
        label += ")"  # F1-score (macro)
    return label if _LABEL.fullmatch(label) else (words[-1] if words and _LABEL.fullmatch(words[-1]) else "")


def _step_of(lines: Sequence[Line], labels: Sequence[str]) -> int | None:
    """Return the place of the number that counts the lines of this kind; None where there is none."""
    for place, label in enumerate(labels):
        if any(word in STEPS for word in re.split(r"[\W_]+", label.lower())) and lines[-1].numbers[place].isdigit():
            return place
    first = [line.numbers[0] for line in lines if len(line.numbers) > 1]
    if len(first) > (1 if not labels[0] else 2) and all(each.isdigit() for each in first):
        steps = {int(b) - int(a) for a, b in itertools.pairwise(first)}
        if len(steps) == 1 and steps.pop() > 0:
            return 0
    return None


def _patterns(line: Line, place: int, label: str, step: int | None) -> Iterator[str]:
    """Yield patterns for the number in this place, those first that are to be preferred."""
    name = _group_name(label) or ("value" if step is not None else "")
    number = f"(?P<{name}>{_GUESS})" if name else f"({_GUESS})"
    end = _end(line.pieces[place + 1])
    if step is not None and place - step <= _MOST_BETWEEN:
        counter = f"(?P<{_step_name(_label(line.pieces[step]))}>\\d+)"
        shown = _label(line.pieces[step])
        start = line.pieces[step][line.pieces[step].rfind(shown) :] if shown else line.pieces[step].lstrip()
        begin = "" if shown else _BEGINNING
        between = [_literal(start), counter]
        for each in range(step + 1, place):
            between += [_literal(line.pieces[each]), r"\S+?"]
        between.append(_literal(line.pieces[place]))
        yield (r"\b" if shown else begin) + "".join(between) + number
        yield (r"\b" if shown else begin) + "".join(between) + number + end
    if label and label in line.pieces[place]:
        own = line.pieces[place][line.pieces[place].rfind(label) :]
        yield rf"\b{_literal(own)}{number}"
        yield rf"\b{_literal(own)}{number}{end}"
    if place > _MOST_BETWEEN:
        return
    whole = _BEGINNING
    if _is_of_r(line):
        yield rf"{_BEGINNING}\[1\] +{number}$"
    for each in range(place):
        counter = f"(?P<{_step_name(_label(line.pieces[each]))}>\\d+)" if each == step else r"\S+?"
        whole += _literal(line.pieces[each].lstrip() if each == 0 else line.pieces[each]) + counter
    whole += _literal(line.pieces[place].lstrip() if place == 0 else line.pieces[place])
    is_behind = (behind := _NAMED_BEHIND.match(line.pieces[place + 1])) is not None and behind[1] == label
    yield from (whole + number, whole + number + (end or "$"))[:: 1 if label and not is_behind else -1]


def _literal(text: str) -> str:
    """Return what matches a text; white space beside a number, or of several characters, may have any width.

    How long something took is another number each time.
    """
    parts = re.split(r"(\s+)", text)
    found = []
    for at, part in enumerate(parts):
        if not part.isspace():
            pieces = (r"[\d.]+\w+" if place % 2 else re.escape(each) for place, each in enumerate(_TIMED.split(part)))
            found.append("".join(pieces).replace("'", r"\x27").replace(r"\-", "-"))
        elif part == " " and parts[at - 1] and parts[at + 1]:
            found.append(" ")
        else:
            found.append(" +" if set(part) == {" "} else r"\s+")
    return "".join(found)


def _end(piece: str) -> str:
    found = re.match(r"[^\s\w]{1,2}|\s?[A-Za-z%]+", piece)
    return _literal(found[0]) if found else ""


def _group_name(label: str) -> str:
    name = re.sub(r"\W+", "_", label.replace("'s ", " "), flags=re.ASCII).strip("_").lower()  # valid_1's auc
    return name if name.isidentifier() and name not in STEPS else ""


def _step_name(label: str) -> str:
    return next((word for word in re.split(r"[\W_]+", label.lower()) if word in STEPS), "step")


def _columns(text: str) -> Iterator[Slot]:
    """Yield the columns of tables that are printed with one line of headings: `epoch  loss  accuracy`.

    R and pandas print the number of each row before it, and R a single number below its name.
    """
    lines = [line for line in text.split("\n")[-_MOST_LINES:] if len(line) <= _LONGEST]
    readings: list[list[str]] = []  # of a line of headings: some have blanks in names, and more of them between
    headings: list[str] = []
    rows: list[list[str]] = []
    for line in [*lines, "end of it"]:
        words = re.split(r"\s*[|,]\s*|\s+", line.strip(" \t|"))
        if all(_NUMBER.fullmatch(each) for each in words):
            headings = headings or next((each for each in readings if len(each) in (len(words), len(words) - 1)), [])
            is_numbered = len(words) == len(headings) + 1 and words[0].isdecimal()
            if headings and len(words) == len(headings) + is_numbered:
                rows.append(words[is_numbered:])
                continue
        if readings and not rows and not line.strip(" \t|+-=:"):
            continue  # between headings and rows
        if rows:
            yield from _of_table(headings, rows, is_numbered=is_numbered)
        apart = re.split(r"\s*\|\s*|\s{2,}|\t", line.strip(" \t|"))
        likely = [words, *([apart] if len(apart) > 1 else [])]
        readings = [each for each in likely if all(map(_HEADING.fullmatch, each))]
        headings, rows = [], []


def _of_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, is_numbered: bool) -> Iterator[Slot]:
    before = r"\d+[\s|]+" if is_numbered else ""
    if len(headings) == 1 and not is_numbered:  # its name is what finds it
        if len(rows) > 1:
            return
        before = rf"{re.escape(headings[0])}[ \t]*\n[ \t]*"
    step = next((at for at, name in enumerate(headings) if name.lower() in (*STEPS, "#")), None)
    has_f = {"P", "R", "F"} <= {*headings}
    for column, label in enumerate(headings):
        if column == step:
            continue
        # Beside the loss of training, spaCy and those like it have the scores of their evaluation.
        is_score = label == "F" if has_f else "#" in headings and "loss" not in label.lower()
        label = "F-score" if has_f and label == "F" else label
        cells = []
        for at, heading in enumerate(headings):
            name = _group_name(label if at == column else heading)
            if at == column:
                cells.append(f"(?P<{name}>{_GUESS})" if name else f"({_GUESS})")
            elif at == step:
                cells.append(rf"(?P<{_step_name(heading)}>\d+)")
            else:
                cells.append(r"[^\s|,]+")
        pattern = r"^[\s|]*" + before + r"[\s|,]+".join(cells) + r"[\s|]*$"
        yield Slot(label, "evaluation" * is_score, float(rows[-1][column]), len(rows), step is not None, (pattern,))
