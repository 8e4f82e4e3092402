"""The chart of learning curves: what each trial had at each step that it reported."""

from __future__ import annotations

from candle_hpo.report.charts.axes import Spec, objective_label, scales_of
from candle_hpo.report.charts.style import STATUS_LEGEND
from candle_hpo.report.charts.trials import NEAREST, TIP
from candle_hpo.report.page.data import STATUSES, CurveColumns, PageData

FAINT, MARKED = "stopped", "running"

# What answers to a pointer: the points, of which the nearest is looked for, and the curve that it is of.
POINTER: tuple[Spec, ...] = (
    {
        "params": [NEAREST],
        "mark": {"type": "circle", "opacity": 0, "size": 20, **TIP},
    },
    {
        "transform": [{"filter": {"param": "near", "empty": False}}],
        "mark": {"type": "line", "style": "edge", "strokeWidth": 2},
        "encoding": {"detail": {"field": "p"}},
    },
)


def curve_rows(data: PageData) -> list[dict[str, object]]:
    """Return a row for each point; the page's script makes the same ones. `e` is whether it is the last of its curve.

    Curves that are drawn above others come later.
    """
    rows: list[dict[str, object]] = []
    if data.curves is None:
        return rows
    for k in drawing_order(data, data.curves):
        steps, values, place = data.curves.steps[k], data.curves.values[k], data.curves.trial[k]
        for n, (step, value) in enumerate(zip(steps, values, strict=True), start=1):
            rows.append({"p": place, "k": STATUSES[data.status[place]], "s": step, "v": value, "e": n == len(steps)})
    return rows


def drawing_order(data: PageData, curves: CurveColumns) -> list[int]:
    """Return the places of curves in the order in which they are drawn: the faint ones first."""
    above = [FAINT, *(each for each in STATUSES if each not in (FAINT, "completed", MARKED)), "completed", MARKED]
    return sorted(range(len(curves.trial)), key=lambda k: above.index(STATUSES[data.status[curves.trial[k]]]))


def step_scales(curves: CurveColumns) -> dict[str, Spec]:
    """Return the axes of steps to choose from: linear, and logarithmic where that can be."""
    steps = [step for each in curves.steps for step in each]
    domain = [min(steps), max(steps)]
    scales: dict[str, Spec] = {"linear": {"type": "linear", "zero": False, "domain": domain, "nice": False}}
    if domain[0] > 0 and domain[1] > domain[0]:
        scales["log"] = {"type": "log", "domain": domain, "nice": False}
    return scales


def curve_charts(data: PageData) -> dict[str, dict[str, Spec]]:
    """Return the chart for each axis of values, and each of steps; none where no trial has reported."""
    curves = data.curves
    if curves is None:
        return {}
    return {
        value_name: {name: _chart(data, curves, y, x) for name, x in step_scales(curves).items()}
        for value_name, y in scales_of(curves.range).items()
    }


def _chart(data: PageData, curves: CurveColumns, y: Spec, x: Spec) -> Spec:
    seen = {STATUSES[data.status[place]] for place in curves.trial}
    legend = {**STATUS_LEGEND, "values": [status for status in STATUSES if status in seen]}
    colour = {"field": "k", "type": "nominal", "scale": {"domain": list(STATUSES)}, "legend": legend}
    many = len(curves.trial) > 200
    strong = {
        "condition": {"test": f"datum.k === '{FAINT}'", "value": 0.2 if many else 0.4},
        "value": 0.5 if many else 0.85,
    }
    is_best = f"datum.p === {-1 if data.best is None else data.best}"
    best: Spec = {"transform": [{"filter": is_best}], "mark": {"type": "line", "style": "best", "strokeWidth": 3}}
    name: Spec = {
        "transform": [{"filter": f"{is_best} && datum.e"}],
        "mark": {"type": "text", "text": "best", "style": "words", "align": "right", "dy": -9, "fontWeight": "bold"},
    }
    return {
        "description": "Learning curves: the objective of each trial at the steps that it reported",
        "data": {"name": "curves"},
        "width": "container",
        "height": 360,
        "encoding": {
            "x": {"field": "s", "type": "quantitative", "scale": x, "axis": {"title": "step", "tickCount": 10}},
            "y": {
                "field": "v",
                "type": "quantitative",
                "scale": y,
                "axis": {"title": objective_label(data), "tickCount": 6},
            },
        },
        "layer": [
            {
                "mark": {"type": "line", "strokeWidth": 0.8 if many else 1.2},
                "encoding": {"color": colour, "detail": {"field": "p"}, "strokeOpacity": strong},
            },
            {
                "transform": [{"filter": f"datum.k === '{MARKED}' && datum.e"}],
                "mark": {"type": "circle", "size": 60, "opacity": 1},
                "encoding": {"color": colour},
            },
            best,
            name,
            *POINTER,
        ],
    }
