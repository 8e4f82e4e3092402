"""The axes of a report's charts: of the objective, and of each hyperparameter."""

from __future__ import annotations

import json
from typing import Any

from candle_hpo.core.objective import Direction
from candle_hpo.report.page.data import HyperparameterColumn, PageData, ValueRange
from candle_hpo.report.words import cut_apart

Spec = dict[str, Any]


# Looks random and never changes: how far a choice's point is moved aside.
ASIDE = "((datum.p * 2654435761 % 4294967296) / 4294967296 - 0.5)"


def objective_scales(data: PageData) -> dict[str, Spec]:
    """Return the vertical axes to choose from; none where there is no value yet."""
    return {} if data.range is None else scales_of(data.range)


def scales_of(shown: ValueRange) -> dict[str, Spec]:
    """Return axes of values to choose from: without the values far off, with all of them, logarithmic."""
    fixed: Spec = {"nice": False, "clamp": True, "padding": 10}
    scales: dict[str, Spec] = {}
    if shown.outside:
        domain = _apart(shown.shown_low, shown.shown_high)
        scales["best"] = {**fixed, "type": "linear", "zero": False, "domain": domain}
    scales["all"] = {**fixed, "type": "linear", "zero": False, "domain": _apart(shown.low, shown.high)}
    if shown.low > 0:
        scales["log"] = {**fixed, "type": "log", "domain": _apart(shown.low, shown.high)}
    return scales


def _apart(low: float, high: float) -> list[float]:
    margin = 0 if low < high else 0.5 * abs(low) or 0.5
    return [low - margin, high + margin]


def varying(data: PageData) -> list[tuple[int, HyperparameterColumn]]:
    """Return the hyperparameters that are not the same everywhere, with their places; the most important first."""
    columns = [(k, column) for k, column in enumerate(data.hyperparameters) if len(set(column.values)) > 1]
    return sorted(columns, key=lambda each: -(each[1].importance or 0.0))


def objective_label(data: PageData) -> str:
    """Return what the axis of the objective says."""
    return f"objective ({'lower' if data.direction is Direction.MINIMIZE else 'higher'} is better)"


def scale_of(column: HyperparameterColumn) -> Spec:
    """Return the scale of a hyperparameter's axis."""
    if column.choices:
        return {"domain": [-0.5, len(column.choices) - 0.5], "nice": False}
    values = [value for value in column.values if value is not None]
    kind: Spec = {"type": "log"} if column.is_log else {"type": "linear", "zero": False}
    return {**kind, "domain": [min(values), max(values)], "nice": False, "padding": 8}


def axis_of(column: HyperparameterColumn) -> Spec:
    """Return what a hyperparameter's axis shows: its values where they are few, choices by their names."""
    if column.choices:
        texts = json.dumps(cut_apart(column.choices, 16))
        turned: Spec = {"labelAngle": -30} if len(column.choices) > 3 else {}
        turned["labelOverlap"] = len(column.choices) > 16
        return {"values": list(range(len(column.choices))), "labelExpr": f"{texts}[datum.value]", **turned}
    different = sorted({value for value in column.values if value is not None})
    few: Spec = {"values": different} if len(different) <= 8 else {"tickCount": 5}
    return {**few, "format": "~r" if len(different) <= 8 else "~g"}
