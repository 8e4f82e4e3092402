"""The tasks, and their two halves: one to choose settings on, the other to report."""

from __future__ import annotations

from search_quality.functions import function_tasks
from search_quality.models import DATA_SETS
from search_quality.tables import table_tasks
from search_quality.task import Task

FUNCTIONS = {task.name: task.family for task in function_tasks()}
MODELS = {f"{family}_{name}": family for family, names in DATA_SETS.items() for name in names}
FAMILIES = MODELS | FUNCTIONS


def is_reported(name: str) -> bool:
    """Return whether a task is in the half that is reported.

    Every family has two tasks. In the order of the families' names, the first family reports its second task, by name,
    and tunes on its first; the next the other way round; and so on. So both halves have one task of every family.
    """
    families = sorted(set(FAMILIES.values()))
    members = sorted(member for member, family in FAMILIES.items() if family == FAMILIES[name])
    return members.index(name) == 1 - families.index(FAMILIES[name]) % 2


def task_names(half: str) -> list[str]:
    """Return the names of the tasks of a half: `tuning` or `reported`; or of `all`."""
    return [name for name in FAMILIES if half == "all" or is_reported(name) == (half == "reported")]


def load_tasks(names: list[str]) -> list[Task]:
    """Return the tasks of these names."""
    found = [task for task in [*table_tasks(set(names)), *function_tasks()] if task.name in names]
    missing = set(names) - {task.name for task in found}
    if missing:
        raise SystemExit(f"no task {', '.join(sorted(missing))}; there are {', '.join(FAMILIES)}")
    return found
