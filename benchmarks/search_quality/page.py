"""The page of results: search_quality.md, written from the results alone."""

from __future__ import annotations

import math
from pathlib import Path

from search_quality.scores import BUDGETS, Scores
from search_quality.split import task_names

PAGE = Path(__file__).parent.parent / "search_quality.md"
OURS = "candle"
BEGIN, END = "<!-- results: written by `python -m search_quality page` -->", "<!-- end of results -->"


def write_page(results: Path) -> None:
    """Put the results' tables in their place on the page."""
    scores = Scores(results, task_names("reported"))
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    parts = [_table(scores, budget) for budget in BUDGETS] + [_by_task(scores, budget) for budget in BUDGETS]
    PAGE.write_text(before + BEGIN + "\n\n" + "\n\n".join(parts) + "\n\n" + END + after, encoding="utf-8")


def _table(scores: Scores, budget: int) -> str:
    lines = [
        f"### {budget} evaluations",
        "",
        "| search | seeds | score | candle's, same seeds | candle ahead by (95 %) | mean rank | seconds a proposal |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    compared = [each for name in scores.contenders if (each := scores.compare(OURS, name, budget))]
    ranks = scores.ranks([each.other for each in compared], budget)
    for each in sorted(compared, key=lambda each: each.difference):
        gap = f"{each.difference:+.1f} ({each.lower:+.1f} to {each.upper:+.1f})" if each.other != OURS else ""
        lines.append(
            f"| {each.other} | {each.seeds} | {each.theirs:.1f} | {each.ours:.1f} | {gap} "
            f"| {ranks.get(each.other, math.nan):.2f} | {scores.seconds(each.other, budget):.4f} |"
        )
    return "\n".join(lines)


def _by_task(scores: Scores, budget: int) -> str:
    shown = [name for name in scores.contenders if scores.compare(OURS, name, budget)]
    found = [scores.by_task(name, budget) for name in shown]
    lines = [
        f"### Score of each task after {budget} evaluations",
        "",
        "| task | " + " | ".join(shown) + " |",
        "| --- |" + " --- |" * len(shown),
    ]
    lines += [f"| {task} | " + " | ".join(f"{each[task]:.0f}" for each in found) + " |" for task in scores.tasks]
    return "\n".join(lines)
