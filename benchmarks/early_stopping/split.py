"""The two halves of the tasks: settings are chosen on one, and claims are made on the other."""

from __future__ import annotations

from early_stopping.tasks import TASKS


def task_names(half: str) -> list[str]:
    """Return the names of the tasks of a half: in their alphabetical order the first is for `choosing`, and so on.

    The second, the fourth and so on are for `claims`.
    """
    return sorted(TASKS)[half == "claims" :: 2]
