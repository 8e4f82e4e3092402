"""What of a grid's list is new to an experiment that has run part of it already."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from candle_hpo.core.space import ParameterSet
from candle_hpo.core.trial import Hyperparameters, default_trial_id

_USUAL_ID = re.compile(r"hpset_\d+")  # the number of a line, which is another one when lines are added before it


@dataclass
class Comparison:
    """The sets of a list beside those of an experiment.

    `added` are new, complete, with ids that no other set has; `changed` are ids that people have given, of which the
    list has other values; `removed` are ids of the experiment's sets that the list has no more.
    """

    added: list[ParameterSet] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def compare_sets(
    there: Sequence[ParameterSet],
    listed: Iterable[tuple[str, Hyperparameters]],
    default_models: Sequence[Hyperparameters],
) -> Comparison:
    """Compare a list of sets, as ids and the values that they name, with the complete sets of an experiment.

    A set is the same one if its values are, completed by any of the default models: the first is that of the list, the
    others are those that the experiment's sets were made with. Where the same values are there several times, each
    counts.
    """
    keys = [_key(one.hyperparameters) for one in there]
    of_ids = {one.id.lower(): position for position, one in enumerate(there)}
    free: dict[bytes, deque[int]] = defaultdict(deque)
    for position, key in enumerate(keys):
        free[key].append(position)
    matched: set[int] = set()
    others: list[tuple[str, Hyperparameters, list[bytes]]] = []
    for set_id, values in listed:
        position = of_ids.get(set_id.lower(), -1)
        possible = [_key({**default_model, **values}) for default_model in default_models]
        if position >= 0 and keys[position] in possible:
            matched.add(position)
        else:
            others.append((set_id, values, possible))
    found = Comparison()
    for set_id, values, possible in others:
        same = next((at for key in possible if (at := _take(free[key], matched)) is not None), None)
        if same is not None:
            matched.add(same)
        elif set_id.lower() in of_ids and not _USUAL_ID.fullmatch(set_id):
            found.changed.append(set_id)
        else:
            own_id = _free_id(set_id, of_ids, len(there) + len(found.added) + 1)
            of_ids[own_id.lower()] = len(there) + len(found.added)
            found.added.append(ParameterSet(own_id, {**default_models[0], **values}))
    changed = {set_id.lower() for set_id in found.changed}
    found.removed = [
        one.id for position, one in enumerate(there) if position not in matched and one.id.lower() not in changed
    ]
    return found


def _key(values: Mapping[str, object]) -> bytes:
    """Return what sets of the same values share; 1 and 1.0 are not the same."""
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16).digest()


def _take(places: deque[int], matched: set[int]) -> int | None:
    while places:
        place = places.popleft()
        if place not in matched:
            return place
    return None


def _free_id(wanted: str, taken: Mapping[str, int], number: int) -> str:
    """Return the id that a new set has: its own, or else that of its number, or of the next that is free."""
    if not _USUAL_ID.fullmatch(wanted):
        return wanted
    while default_trial_id(number) in taken:
        number += 1
    return default_trial_id(number)
