"""What `docs/performance.md` shows of this benchmark."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence

import numpy as np

from early_stopping.scores import RANDOM, SEEDS, Ratio, Results, load, ratio, run, target
from early_stopping.searches import CANDIDATES, SEARCHES
from early_stopping.split import task_names
from early_stopping.tasks import BEGIN_BADLY, TASKS
from performance_page import write_part

OURS = "asha"
EARLIER = ("asha, reduction_factor=3, min_steps=1", "asha, reduction_factor=3, min_steps=3")
BESIDE = ("asha, max_steps=50", *EARLIER)

Choice = dict[str, list[tuple[str, Ratio, int]]]  # of each rule: candidates, ratios, runs that missed; best first


def choice() -> Choice:
    """Return what candle's rules need on the tasks for choosing, in terms of random search."""
    tasks = task_names("choosing")
    seconds, missed = {}, {}
    for name in [RANDOM, *(name for candidates in CANDIDATES.values() for name in candidates)]:
        runs = [[run(SEARCHES[name], task, seed) for seed in range(SEEDS)] for task in tasks]
        seconds[name] = np.array([[each.seconds for each in row] for row in runs])
        missed[name] = sum(not each.is_reached for row in runs for each in row)
    return {
        rule: sorted(
            ((name, ratio(seconds[name], seconds[RANDOM]), missed[name]) for name in candidates),
            key=lambda row: row[1].value,
        )
        for rule, candidates in CANDIDATES.items()
    }


def chosen(found: Choice) -> list[str]:
    """Return the best candidate of each rule, the best of all first."""
    best = sorted((rows[0] for rows in found.values()), key=lambda row: row[1].value)
    return [name for name, _, _ in best]


def write_page(results: Results) -> None:
    """Write the part of the page, with what random search and candle's rules need run here."""
    found, tasks = choice(), task_names("claims")
    first = (RANDOM, OURS, *BESIDE, *chosen(found))
    for name in first:  # these take no time
        _run(results, name, tasks)
    for name in (RANDOM, OURS, *EARLIER):
        _run(results, name, BEGIN_BADLY)
    names = [name for name in dict.fromkeys([*first, *SEARCHES]) if results.seeds(name, tasks)]
    versions = ", ".join(
        f"{each} {importlib.metadata.version(each)}" for each in ("optuna", "syne-tune", "scikit-learn")
    )
    text = f"""
`python -m early_stopping run`, then `page`, in `benchmarks`; {os.cpu_count()} cores, {platform.system()}, \
Python {platform.python_version()}, {versions}.
Settings were chosen on {", ".join(task_names("choosing"))}; this is of {", ".join(tasks)}. `{OURS}` and
what names no `min_steps` are candle's defaults; of each rule, there is what needs least on the tasks for choosing, too.

| search | seeds | worker time, times random search's | not reached | {OURS}, times this one's |
| --- | --- | --- | --- | --- |
{_claims(results, names, OURS, tasks)}

Worker time of each task, times random search's:

| search | {" | ".join(tasks)} |
| --- |{" --- |" * len(tasks)}
{_by_task(results, names, tasks)}

The three tasks that were made so that the best may begin badly, {SEEDS} seeds:

| search | {" | ".join(BEGIN_BADLY)} | not reached |
| --- |{" --- |" * (len(BEGIN_BADLY) + 1)}
{_by_task(results, (RANDOM, OURS, *EARLIER), BEGIN_BADLY, ends_with_missed=True)}

What the tasks for choosing say, with {SEEDS} seeds; the first of each rule is what is shown above:

| rule | worker time, times random search's | not reached |
| --- | --- | --- |
{_choices(found, len(task_names("choosing")))}

| task | configurations | seconds of one trial | value to reach | configurations that do |
| --- | --- | --- | --- | --- |
{_tasks()}
"""
    write_part("early stopping", text)


def _run(results: Results, name: str, tasks: Sequence[str]) -> None:
    for task in tasks:
        for seed in range(SEEDS):
            results.add(task, name, seed)


def _claims(results: Results, names: Sequence[str], ours: str, tasks: Sequence[str]) -> str:
    lines = []
    for name in names:
        seeds = results.seeds(name, tasks)
        seconds = results.seconds(name, tasks, seeds)
        by_chance = ratio(seconds, results.seconds(RANDOM, tasks, seeds))
        against = ratio(results.seconds(ours, tasks, seeds), seconds)
        lines.append(
            f"| {name} | {len(seeds)} | {'1' if name == RANDOM else _shown(by_chance)} "
            f"| {results.missed(name, tasks, seeds)} of {len(tasks) * len(seeds)} "
            f"| {'' if name == ours else _shown(against)} |"
        )
    return "\n".join(lines)


def _by_task(results: Results, names: Sequence[str], tasks: Sequence[str], *, ends_with_missed: bool = False) -> str:
    lines = []
    for name in names:
        seeds = results.seeds(name, tasks)
        means = [results.seconds(each, tasks, seeds).mean(axis=1) for each in (name, RANDOM)]
        cells = [f"{value:.2f}" for value in means[0] / means[1]]
        if ends_with_missed:
            cells.append(f"{results.missed(name, tasks, seeds)} of {len(tasks) * len(seeds)}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _choices(found: Choice, tasks: int) -> str:
    rows = [row for rule in found.values() for row in rule]
    return "\n".join(f"| {name} | {_shown(value)} | {missed} of {tasks * SEEDS} |" for name, value, missed in rows)


def _tasks() -> str:
    lines = []
    for name in sorted(TASKS):
        table = load(name)
        seconds = table.seconds * table.losses.shape[1]
        low, middle, high = np.quantile(seconds, [0.05, 0.5, 0.95])
        reach = int((table.losses[:, -1] <= target(name)).sum())
        lines.append(
            f"| {name} | {len(table.losses)} | {middle:.2f} ({low:.2f} to {high:.2f}) | {target(name):.4g} | {reach} |"
        )
    return "\n".join(lines)


def _shown(value: Ratio) -> str:
    return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"
