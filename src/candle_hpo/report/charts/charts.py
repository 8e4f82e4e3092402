"""The charts of a report, each described once, in Vega-Lite: a browser draws them on the page, `figures` for print.

A description names its rows (`trials`, `runs`, `curves`), which the page's script and `rows_of` make of the same
columns, and its colours by styles, which are in `style`. Hyperparameters are the fields `c0`, `c1`, …, since Vega-Lite
takes dots and brackets in the name of a field for a path.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from candle_hpo.report.charts.axes import Spec, objective_label, objective_scales, varying
from candle_hpo.report.charts.curves import POINTER, curve_charts, curve_rows
from candle_hpo.report.charts.parallel import IN_RANGES, parallel_chart
from candle_hpo.report.charts.runs import busy_chart, durations_chart, importance_chart, workers_chart
from candle_hpo.report.charts.trials import history_chart, slice_chart
from candle_hpo.report.page.data import STATUSES, PageData

_MOST_SLICES = 12  # in the figure of all hyperparameters


def rows_of(data: PageData) -> dict[str, list[dict[str, object]]]:
    """Return the rows that the charts are about."""
    rank = {place: number for number, place in enumerate(data.order, 1)}
    columns = {f"c{k}": column.values for k, column in enumerate(data.hyperparameters)}
    runs = data.runs
    return {
        "curves": curve_rows(data),
        "trials": [
            {"p": place, "n": rank[place], "v": data.value[place], **{c: v[place] for c, v in columns.items()}}
            for place in data.drawn
        ],
        "runs": [
            {
                "worker": data.workers[worker],
                "status": STATUSES[status],
                "from": began,
                "to": began + seconds,
            }
            for worker, status, began, seconds in zip(runs.worker, runs.status, runs.began, runs.seconds, strict=True)
        ],
    }


def objective_charts(data: PageData, scale: Spec) -> dict[str, Spec]:
    """Return the charts that have the objective on an axis, which is this one."""
    y = {"field": "v", "type": "quantitative", "scale": scale, "axis": {"title": objective_label(data), "tickCount": 6}}
    charts = {"history": history_chart(data, y)}
    for place, column in varying(data):
        charts[f"slice-{place}"] = slice_chart(data, y, place, column)
    if varying(data):
        charts["parallel"] = parallel_chart(data, scale)
    return charts


def other_charts(data: PageData) -> dict[str, Spec]:
    """Return the charts of importance, workers and durations, without those that would show nothing yet."""
    charts: dict[str, Spec] = {}
    if any(column.importance is not None for _, column in varying(data)):
        charts["importance"] = importance_chart(data)
    if data.runs.trial:
        charts |= {"busy": busy_chart(data), "workers": workers_chart(data)}
    if data.order and any(value is not None for value in data.value):
        charts["durations"] = durations_chart(data)
    return charts


def for_print(data: PageData) -> Iterator[tuple[str, Spec]]:
    """Return the charts by their names as figures stand alone; those of the hyperparameters are one."""
    charts = other_charts(data)
    for scale in list(objective_scales(data).values())[:1]:
        of_objective = objective_charts(data, scale)
        charts["objective"] = of_objective["history"]
        slices = [each for name, each in of_objective.items() if name.startswith("slice-")][:_MOST_SLICES]
        if slices:
            small = [{**each, "width": 175, "height": 150} for each in slices]
            charts["hyperparameters"] = {"concat": small, "columns": 3}
    for by_steps in list(curve_charts(data).values())[:1]:
        charts["curves"] = by_steps["linear"]
    far_off = dict.fromkeys(("objective", "hyperparameters"), data.range.outside if data.range else 0)
    far_off["curves"] = data.curves.range.outside if data.curves else 0
    for name, chart in charts.items():
        note = f"{far_off.get(name, 0):,} values far off are beyond the vertical axis"
        titled = {"title": note} if far_off.get(name) else {}
        yield name, _still({**chart, **titled, **({"width": 480} if "width" in chart else {})})


def _still(part: Any) -> Any:
    """Return a description without what answers to a pointer, which would be invisible marks in a figure."""
    if isinstance(part, dict):
        return {name: _still(each) for name, each in part.items() if name not in ("params", "tooltip")}
    return [_still(each) for each in part if each not in (IN_RANGES, *POINTER)] if isinstance(part, list) else part
