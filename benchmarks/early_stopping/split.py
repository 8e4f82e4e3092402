"""The two halves of the tasks: settings are chosen on one, and claims are made on the other; and further tasks."""

from __future__ import annotations

from early_stopping.tasks import BEGIN_BADLY, TASKS


def task_names(part: str) -> list[str]:
    """Return the names of the tasks of a part: in alphabetical order the first is for `choosing`, and so on.

    The second, the fourth and so on are for `claims`. Those of `BEGIN_BADLY` are in neither half.
    """
    names = sorted(set(TASKS) - set(BEGIN_BADLY))
    return names[part == "claims" :: 2]
