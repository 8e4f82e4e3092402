"""What varies, as columns of coordinates: a number for each trial, or the place of its value among the choices."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import median

import msgspec

from candle_hpo.core.trial import Hyperparameters
from candle_hpo.report.words import plain

MOST_CHOICES = 40  # of a column; the rarest of more are put together
_MOST_LISTS = 20  # different lists of numbers, as choices; of more, each element is a column
_LARGEST_WHOLE = 2**53  # a whole number above has no exact place on an axis
_ACROSS_LOG = 30.0  # the ratio of the largest number to the least from which an axis may be logarithmic
OTHERS = "other values"
_MISSING = object()  # of a hyperparameter that a trial does not have; None is a value


class Column(msgspec.Struct, frozen=True):
    """One hyperparameter (or an element of one that is a vector) over trials.

    `values` has an entry for each trial: a number, the place of a choice in `choices`, or None where the trial does not
    have it. `choices` is empty for numbers. `is_log`: numbers are best shown on a logarithmic axis. `rare` has the
    texts of choices that were put together, by the places of their trials. `floats` are those whole numbers among the
    values that are floats: 1.0, not 1. (Where a column has both, they are choices.)
    """

    name: str
    values: tuple[float | int | None, ...]
    choices: tuple[str, ...] = ()
    is_log: bool = False
    rare: dict[int, str] = {}
    floats: tuple[float, ...] = ()

    @property
    def present(self) -> list[float | int]:
        """The values of the trials that have it."""
        return [value for value in self.values if value is not None]

    @property
    def varies(self) -> bool:
        """Whether trials differ in it, by a value or by having none."""
        return len(set(self.values)) > 1


def columns_of(
    names: Sequence[str],
    sets: Sequence[Hyperparameters],
    log_scales: Mapping[str, bool] | None = None,
    most_choices: int = MOST_CHOICES,
) -> list[Column]:
    """Return the columns of these hyperparameters, in their order.

    `log_scales` has those whose scale the search space fixes; that of others is seen in their values.
    """
    columns: list[Column] = []
    scales = log_scales or {}
    for name in names:
        values = [one.get(name, _MISSING) for one in sets]
        columns += _columns(name, values, scales.get(name), most_choices)
    return columns


def representative_sets(names: Sequence[str], sets: Iterable[Hyperparameters]) -> list[Hyperparameters]:
    """Return a few of the sets, in their order, of which the columns are of the same kinds as those of all.

    They have every choice, the least and the largest number, and a whole number beside the float that equals it.
    """
    kept: dict[int, Hyperparameters] = {}
    seen: set[tuple[str, str]] = set()
    ends: dict[str, tuple[float, float]] = {}
    whole: dict[tuple[str, float], tuple[type, int, Hyperparameters]] = {}  # the first set with a whole number
    for place, one in enumerate(sets):
        for name in names:
            value = one.get(name, _MISSING)
            if isinstance(value, int | float) and is_number(value):
                low, high = ends.get(name, (math.inf, -math.inf))
                if not low <= value <= high:
                    kept[place] = one
                ends[name] = (min(low, value), max(high, value))
                if value == int(value):
                    kind, first_place, first = whole.setdefault((name, float(value)), (type(value), place, one))
                    if kind is not type(value) and (name, plain(value)) not in seen:
                        seen.add((name, plain(value)))
                        kept |= {first_place: first, place: one}
            elif value is not _MISSING and (name, plain(value)) not in seen:
                seen.add((name, plain(value)))
                kept[place] = one
    return [one for _, one in sorted(kept.items(), key=lambda each: each[0])]


def are_numbers(values: Iterable[object]) -> bool:
    """Return whether values have places on an axis of numbers, with different places for different ones.

    The whole number 1 and the float 1.0 are different to a model, and have the same place: together they are choices.
    """
    whole: set[object] = set()
    floats: set[object] = set()
    for value in values:
        if not is_number(value):
            return False
        (floats if isinstance(value, float) else whole).add(value)
    return whole.isdisjoint(floats)


def is_number(value: object) -> bool:
    """Return whether a value has a place on an axis of numbers."""
    if isinstance(value, bool):
        return False
    return (isinstance(value, int) and abs(value) <= _LARGEST_WHOLE) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _columns(name: str, values: Sequence[object], is_log: bool | None, most_choices: int) -> list[Column]:
    there = [value for value in values if value is not _MISSING]
    if there and are_numbers(there):
        return [_of_numbers(name, values, is_log)]
    elements = [
        [value[place] if isinstance(value, list) else _MISSING for value in values]
        for place in range(_length_of_vectors(there))
    ]
    if elements and all(are_numbers(value for value in each if value is not _MISSING) for each in elements):
        return [_of_numbers(f"{name}[{place + 1}]", each, is_log) for place, each in enumerate(elements)]
    return [_of_choices(name, values, most_choices)]


def _length_of_vectors(there: Sequence[object]) -> int:
    """Return the length of these values if they are vectors of numbers, of one length and many; else 0."""
    lengths = {len(value) if isinstance(value, list) and all(map(is_number, value)) else 0 for value in there}
    if len(lengths) != 1 or 0 in lengths:
        return 0
    many = len({tuple(value) for value in there if isinstance(value, list)}) > _MOST_LISTS
    return lengths.pop() if many else 0


def _of_numbers(name: str, values: Iterable[object], is_log: bool | None) -> Column:
    numbers = tuple(value if isinstance(value, int | float) else None for value in values)
    there = [number for number in numbers if number is not None]
    if is_log is None:
        is_log = looks_logarithmic(there)
    floats = dict.fromkeys(number for number in there if isinstance(number, float) and number.is_integer())
    return Column(name, numbers, is_log=is_log and min(there, default=0) > 0, floats=tuple(floats))


def looks_logarithmic(numbers: Sequence[float]) -> bool:
    """Return whether positive numbers are spread more evenly by their logarithms: the median is nearer the middle."""
    different = sorted(set(numbers))
    if len(different) < 3 or different[0] <= 0 or different[-1] / different[0] < _ACROSS_LOG:
        return len(different) >= 4 and different[0] > 0 and _is_geometric(different)
    low, middle, high = different[0], median(different), different[-1]
    linear = abs((middle - low) / (high - low) - 0.5)
    logarithmic = abs(math.log(middle / low) / math.log(high / low) - 0.5)
    return logarithmic < linear


def _is_geometric(different: Sequence[float]) -> bool:
    ratios = [larger / smaller for smaller, larger in pairwise(different)]
    return max(ratios) / min(ratios) < 1.05 and ratios[0] > 1.5


def _of_choices(name: str, values: Sequence[object], most_choices: int) -> Column:
    texts = [None if value is _MISSING else plain(value) for value in values]
    rare: dict[int, str] = {}
    often = Counter(text for text in texts if text is not None)
    if len(often) > most_choices:
        kept = {text for text, _ in often.most_common(most_choices - 1)}
        rare = {place: text for place, text in enumerate(texts) if text is not None and text not in kept}
        texts = [text if text is None or text in kept else OTHERS for text in texts]
    choices = list(dict.fromkeys(text for text in texts if text is not None))
    if set(choices) <= {"true", "false"}:
        choices.sort()
    elif OTHERS in choices:
        choices.sort(key=lambda text: text == OTHERS)
    places = {text: place for place, text in enumerate(choices)}
    return Column(name, tuple(None if text is None else places[text] for text in texts), tuple(choices), rare=rare)
