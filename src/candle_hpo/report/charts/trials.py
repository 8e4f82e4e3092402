"""The charts that have a point for each trial: in the order of their ends, and against each hyperparameter."""

from __future__ import annotations

from statistics import median

from candle_hpo.report.charts.axes import ASIDE, Spec, axis_of, scale_of
from candle_hpo.report.page.data import HyperparameterColumn, PageData

TIP: Spec = {"tooltip": {"content": "data"}}
NEAREST: Spec = {
    "name": "near",
    "select": {"type": "point", "on": "pointerover", "clear": "pointerout", "nearest": True, "fields": ["p"]},
}


def history_chart(data: PageData, y: Spec) -> Spec:
    """Return the objective of each trial in the order of their ends, and the best so far."""
    last = len(data.order)
    x = {
        "field": "n",
        "type": "quantitative",
        "scale": {"domain": [0, last + 1], "nice": False},
        "axis": {"title": "trials ended"},
    }
    so_far: list[dict[str, float]] = []
    best_level = 0
    for number, place in enumerate(data.order, 1):
        value, level = data.value[place], data.levels[place] if data.levels else 1
        best_value = so_far[-1]["v"] if level == best_level else None  # of another level, it is another measurement
        if value is not None and level >= best_level and data.direction.is_better(value, best_value):
            so_far.append({"n": number, "v": value})
            best_level = level
    best = {
        "data": {"values": [*so_far, *({**each, "n": last} for each in so_far[-1:])]},
        "mark": {"type": "line", "style": "best", "interpolate": "step-after"},
        "encoding": {"x": x, "y": y},
    }
    return {
        "description": "Objective of each trial in the order in which they ended, and the best so far",
        "data": {"name": "trials"},
        "width": "container",
        "height": 280,
        "layer": [*_points(data, x, y), best],
    }


def slice_chart(data: PageData, y: Spec, place: int, column: HyperparameterColumn) -> Spec:
    """Return the objective against the hyperparameter of this place among the columns."""
    completed = [(column.values[trial], data.value[trial]) for trial in data.order if data.value[trial] is not None]
    missing = sum(value is None for value, _ in completed)
    title = column.name + (" (logarithmic)" if column.is_log else "")
    title += f"; {missing:,} trials do not have it" if missing else ""
    x = {"field": "x", "type": "quantitative", "scale": scale_of(column), "axis": {**axis_of(column), "title": title}}
    layers = _points(data, x, y)
    if column.choices:
        groups = [
            (choice, [value for of, value in completed if of == choice and value is not None])
            for choice in range(len(column.choices))
        ]
        medians = [{"x": choice, "v": median(values)} for choice, values in groups if values]
        bar = {"type": "tick", "orient": "horizontal", "style": "edge", "thickness": 2, "size": 40}
        layers.append({"data": {"values": medians}, "mark": bar, "encoding": {"x": x, "y": y}})
    return {
        "description": f"Objective against {column.name}",
        "data": {"name": "trials"},
        "transform": [
            {"filter": f"isValid(datum.c{place})"},
            {"calculate": f"datum.c{place}" + (f" + {ASIDE} * 0.6" if column.choices else ""), "as": "x"},
        ],
        "width": "container",
        "height": 200,
        "layer": layers,
    }


def _points(data: PageData, x: Spec, y: Spec) -> list[Spec]:
    """Return layers: trials without a value on the axis, the others, those beyond the axis at its edge, the best."""
    many = len(data.drawn) > 300
    size, opacity = (16, 0.5) if many else (34, 0.75)
    low, high = y["scale"]["domain"]
    around: Spec = {"x": x, "y": y}
    return [
        {
            "transform": [{"filter": "!isValid(datum.v)"}],
            "mark": {
                "type": "point",
                "style": "failed",
                "shape": "M-.5,-.5L.5,.5M-.5,.5L.5,-.5",
                "size": 40,
                "yOffset": -4,
                "strokeOpacity": opacity,
                **TIP,
            },
            "encoding": {"x": x, "y": {"value": "height"}},
        },
        {
            "transform": [{"filter": "isValid(datum.v)"}],
            "params": [NEAREST],
            "mark": {"type": "circle", "style": "trial", "size": size, "fillOpacity": opacity, **TIP},
            "encoding": around,
        },
        *(
            {
                "transform": [{"filter": f"isValid(datum.v) && datum.v {beyond}"}],
                "mark": {"type": "point", "style": "trial", "shape": shape, "size": 50} | TIP,
                "encoding": around,
            }
            for shape, beyond in (("triangle-up", f"> {high!r}"), ("triangle-down", f"< {low!r}"))
        ),
        {
            "transform": [{"filter": f"datum.p === {data.best}"}],
            "mark": {"type": "point", "style": "best", "size": 130},
            "encoding": around,
        },
    ]
